//! The store against Prometheus's and VictoriaMetrics's: memory, restart, compaction, size, and how the cost of a
//! sample grows with the number of series. The servers run one after the other on the same samples.
//!
//! ```sh
//! PEERS_RECORDING=node.rec.gz cargo bench --bench store
//! ```
//!
//! `PEERS_RECORDING`: a recording (see [`recording`]); without it the bench says so and ends. `STORE_SERIES`
//! (100000): active series; the issue's target is measured with 1000000. `STORE_ONLY`: a part's name, of `memory`,
//! `restart`, `blocks`, `compaction`, `scale`. `STORE_SERVERS`: the only servers to run, by name. `PEERS_TRIVIUM`,
//! `PEERS_PROMETHEUS`, `PEERS_VICTORIA_METRICS`: programs to use instead of this build's and those on the PATH;
//! `PEERS_BASELINE`: another build of Trivium, such as the one before a change. A peer that is not installed is left
//! out.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a bench ends with a message when its surroundings are not as needed"
)]

mod blocks;
#[path = "../peers/load.rs"]
#[allow(dead_code, reason = "the bench beside it, whose module this is, uses the rest")]
mod load;
mod memory;
#[path = "../peers/recording.rs"]
#[allow(dead_code, reason = "the bench beside it, whose module this is, uses the rest")]
mod recording;
mod restart;
mod scale;
#[path = "../peers/servers.rs"]
#[allow(dead_code, reason = "the bench beside it, whose module this is, uses the rest")]
mod servers;

use std::path::Path;

use load::Load;
use model::Labels;
use recording::Scrapes;
use servers::Kind;
use storage::Options;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// Measures one thing with a number of series.
type Part = fn(&Scrapes, usize);

fn main() {
    let Ok(path) = std::env::var("PEERS_RECORDING") else {
        println!("store: set PEERS_RECORDING to a recording of node_exporter scrapes to run this bench");
        return;
    };
    let scrapes = recording::read(&path);
    if let Some(series) = scale::child() {
        return scale::measure(&scrapes, series);
    }
    let only = std::env::var("STORE_ONLY").unwrap_or_default();
    let series = setting("STORE_SERIES", 100_000);
    let parts: [(&str, Part); 5] = [
        ("scale", |_, series| scale::run(series)),
        ("restart", restart::run),
        ("blocks", blocks::write),
        ("compaction", blocks::compact),
        ("memory", memory::run),
    ];
    for (name, run) in parts {
        if name.contains(&only) {
            println!("\n## {name}\n");
            run(&scrapes, series);
        }
    }
}

/// A column for each server, and how many times as much as Trivium each needs.
struct Table {
    unit: &'static str,
    rows: Vec<(String, Vec<f64>)>,
}

impl Table {
    fn new(unit: &'static str) -> Self {
        Self { unit, rows: Vec::new() }
    }

    fn add(&mut self, kind: Kind, values: Vec<f64>) {
        self.rows.push((kind.name().to_owned(), values));
    }

    fn print(&self, columns: &[&str]) {
        println!("| {} | {} |", self.unit, columns.join(" | "));
        println!("|---|{}", "---:|".repeat(columns.len()));
        for (name, values) in &self.rows {
            let cells: Vec<String> = values.iter().map(|v| format!("{v:.2}")).collect();
            println!("| {name} | {} |", cells.join(" | "));
        }
        let Some((own, peers)) = self.rows.split_first() else { return };
        for (name, values) in peers {
            let cells: Vec<String> =
                values.iter().zip(&own.1).map(|(v, own)| format!("{:.2}", v / own)).collect();
            println!("| {name} / trivium | {} |", cells.join(" | "));
        }
    }
}

/// Writes samples of series with ten labels through our store.
fn load(scrapes: &Scrapes, series: usize, steps: usize, end_s: i64, options: Options, dir: &Path) -> u64 {
    let labels = |series, host| Labels::from_pairs(scrapes.ten_labels(series, host));
    Load { scrapes, series, steps, end_s, options }.into_store(&labels, dir)
}

/// A configuration without targets.
fn idle(dir: &Path) -> std::path::PathBuf {
    let config = dir.join("idle.yml");
    std::fs::write(&config, "global: {scrape_interval: 1h}\n").expect("a configuration file");
    config
}
