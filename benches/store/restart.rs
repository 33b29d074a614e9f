//! Starting on a write-ahead log with 250 samples of each series: wall and CPU time until the server is ready, without
//! head chunk files, as after they were lost, and with them.

use std::time::Duration;

use storage::Options;

use crate::recording::Scrapes;
use crate::servers::{self, Kind};
use crate::{Table, idle, load};

const STEPS: usize = 250;

/// The table.
pub fn run(scrapes: &Scrapes, series: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let full = dir.path().join("full");
    let options = Options { background: false, ..Options::default() };
    let samples = load(scrapes, series, STEPS, load::end_seconds(), options, &full);
    let log = load::disk_bytes(&full.join("wal"));
    println!("{samples} samples of {series} series, {log} bytes of log\n");
    let bare = dir.path().join("bare");
    servers::copy(&full, &bare);
    std::fs::remove_dir_all(bare.join("chunks_head")).expect("head chunk files");
    let mut table = Table::new("seconds to ready");
    for kind in servers::installed().into_iter().filter(|kind| *kind != Kind::VictoriaMetrics) {
        let mut row = Vec::new();
        for from in [&bare, &full] {
            let own = kind.own_data(dir.path());
            servers::copy(from, &own);
            let server = kind.launch(&own, &idle(dir.path()));
            row.extend([server.ready_after.as_secs_f64(), server.cpu_seconds()]);
            // Everything is there, and not only ready.
            let found = server.get("/api/v1/status/tsdb", Duration::from_secs(60));
            assert!(found.contains(&format!("\"numSeries\":{series}")), "{found}");
            drop(server);
            std::fs::remove_dir_all(own).expect("its data");
        }
        table.add(kind, row);
    }
    table.print(&["log: wall", "log: CPU", "with head chunks: wall", "with head chunks: CPU"]);
}
