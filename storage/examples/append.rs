//! Measures what appending costs: `append DIR SERIES SAMPLES`, in batches of 1,000, through the log into the head.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use model::Labels;
use model::append::Appendable;
use model::time::Clock;
use storage::fs::RealDisk;
use storage::observer::Silent;
use storage::{Options, Storage};

struct Zero;

impl Clock for Zero {
    fn now_ms(&self) -> i64 {
        0
    }
}

const BATCH: usize = 1000;

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, series, samples] = &arguments[..] else {
        return Err("usage: append DIR SERIES SAMPLES".into());
    };
    let (series, samples): (usize, usize) = (series.parse()?, samples.parse()?);
    let options = Options { background: false, ..Options::default() };
    let disk = Arc::new(RealDisk::new(Path::new(dir)));
    let storage = Storage::open(disk, Arc::new(Zero), options, Arc::new(Silent))?;
    storage.wait_replayed()?;
    let labels = |n: usize| {
        Labels::from_pairs([
            ("__name__", format!("metric_{}", n % 500)),
            ("instance", format!("host-{}:9100", n / 5000)),
            ("job", "node".to_owned()),
            ("region", format!("region-{}", n % 7)),
            ("zone", format!("zone-{}", n % 21)),
            ("device", format!("device-{}", n / 500 % 10)),
            ("mode", format!("mode-{}", n % 8)),
            ("team", format!("team-{}", n % 40)),
            ("cluster", format!("cluster-{}", n % 3)),
            ("id", format!("{n}")),
        ])
    };
    let mut refs = Vec::with_capacity(series);
    let start = Instant::now();
    for first in (0..series).step_by(BATCH) {
        let mut appender = storage.appender();
        for n in first..(first + BATCH).min(series) {
            refs.push(appender.append(None, &labels(n), 0, n as f64, 0)?);
        }
        appender.commit()?;
    }
    let each = start.elapsed().as_nanos() as usize / series;
    println!("new series: {each} ns each, labels made in passing; {} KiB resident", resident());
    let empty = Labels::empty();
    let start = Instant::now();
    for step in 1..samples {
        let t = step as i64 * 15_000;
        for (batch, refs) in refs.chunks(BATCH).enumerate() {
            let mut appender = storage.appender();
            for (n, known) in refs.iter().enumerate() {
                // A counter: mostly small steps, some series still.
                let n = batch * BATCH + n;
                let v =
                    (n * 100 + step * (n % 5) + (n * 7 + step * 13) % 11 * usize::from(n.is_multiple_of(3)))
                        as f64;
                appender.append(Some(*known), &empty, t, v, 0)?;
            }
            appender.commit()?;
        }
    }
    let each = start.elapsed().as_nanos() as f64 / (series * (samples - 1)).max(1) as f64;
    println!(
        "samples: {each:.1} ns each; {} KiB resident, {} bytes a series",
        resident(),
        resident() as usize * 1024 / series
    );
    Ok(())
}
