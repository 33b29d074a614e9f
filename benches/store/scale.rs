//! Our store alone, in a process of its own for each number of series: CPU time of a sample, of a new series, and
//! resident memory for each series after an hour of samples at 15 s.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use model::Labels;
use model::append::{Appendable, SeriesRef};
use storage::fs::RealDisk;
use storage::observer::Silent;
use storage::{Options, Storage};

use crate::load::INTERVAL_S;
use crate::recording::Scrapes;
use crate::servers::resident_bytes;

const CHILD: &str = "STORE_SCALE_CHILD";
const BATCH: usize = 1000;
/// An hour.
const STEPS: usize = 240;

struct Still;

impl model::time::Clock for Still {
    fn now_ms(&self) -> i64 {
        0
    }
}

/// How many series this process is to measure, when it is such a process.
pub fn child() -> Option<usize> {
    std::env::var(CHILD).ok()?.parse().ok()
}

/// The table.
pub fn run(most: usize) {
    println!(
        "| series | ns CPU a sample | µs CPU a new series | bytes resident a series | bytes of logs a sample |"
    );
    println!("|---:|---:|---:|---:|---:|");
    for series in
        [10_000, 30_000, 100_000, 300_000, 1_000_000].into_iter().filter(|n| *n <= most.max(100_000))
    {
        let own = std::env::current_exe().expect("this program");
        let done = Command::new(own).env(CHILD, series.to_string()).status().expect("a process");
        assert!(done.success());
    }
}

/// CPU time of this thread, which does the store's work: the first number of the file, in nanoseconds.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.expect("a kernel with scheduler statistics"))
}

/// A row of the table.
pub fn measure(scrapes: &Scrapes, series: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options { background: false, ..Options::default() };
    let before = resident_bytes(std::process::id());
    let storage =
        Storage::open(Arc::new(RealDisk::new(dir.path())), Arc::new(Still), options, Arc::new(Silent))
            .and_then(|storage| storage.wait_replayed().map(|()| storage))
            .expect("a store");
    let mut refs: Vec<SeriesRef> = Vec::with_capacity(series);
    let per_host = scrapes.series();
    let value = |i: usize, step| scrapes.at(i / per_host, step)[i % per_host].unwrap_or(0.0);
    let mut creating = Duration::ZERO;
    while refs.len() < series {
        let from = refs.len();
        let to = series.min(from + BATCH);
        let labels = (from..to).map(|i| Labels::from_pairs(scrapes.ten_labels(i % per_host, i / per_host)));
        let labels: Vec<_> = labels.collect();
        let start = cpu();
        let mut appender = storage.appender();
        for (i, labels) in (from..to).zip(&labels) {
            refs.push(appender.append(None, labels, 0, value(i, 0), 0).expect("a sample"));
        }
        appender.commit().expect("a commit");
        creating += cpu() - start;
    }
    let known = Labels::empty();
    let start = cpu();
    for step in 1..STEPS {
        let t = step as i64 * INTERVAL_S * 1000;
        for (batch, refs) in refs.chunks(BATCH).enumerate() {
            let mut appender = storage.appender();
            for (i, series) in refs.iter().enumerate() {
                let v = value(batch * BATCH + i, step);
                appender.append(Some(*series), &known, t, v, 0).expect("a sample");
            }
            appender.commit().expect("a commit");
        }
    }
    let appending = cpu() - start;
    let resident = resident_bytes(std::process::id()) - before - 8 * series as u64;
    let samples = series * (STEPS - 1);
    println!(
        "| {series} | {:.0} | {:.2} | {:.0} | {:.2} |",
        appending.as_nanos() as f64 / samples as f64,
        creating.as_nanos() as f64 / series as f64 / 1e3,
        resident as f64 / series as f64,
        crate::load::disk_bytes(&dir.path().join(Path::new("wal"))) as f64 / samples as f64,
    );
}
