//! Blocks: how large one is that each server makes of the same write-ahead log, and what making it costs; what it
//! costs to merge three of two hours.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use storage::Options;

use crate::load::{INTERVAL_S, disk_bytes};
use crate::recording::Scrapes;
use crate::servers::{self, Kind, Server};
use crate::{Table, idle, load, setting};

const HOUR: i64 = 3600;

/// Number and level of a block's samples.
struct Block {
    samples: u64,
    level: u64,
    path: PathBuf,
}

/// Blocks that are not merged.
fn short_blocks() -> storage::metrics::Options {
    let default = storage::metrics::Options::default();
    storage::metrics::Options { max_block: default.min_block, ..default }
}

fn blocks(data: &Path) -> Vec<Block> {
    let read = |path: PathBuf| {
        let meta = std::fs::read(path.join("meta.json")).ok()?;
        let meta: serde_json::Value = serde_json::from_slice(&meta).ok()?;
        let samples = meta["stats"]["numSamples"].as_u64()?;
        Some(Block { samples, level: meta["compaction"]["level"].as_u64()?, path })
    };
    let entries = std::fs::read_dir(data).into_iter().flatten().flatten();
    entries.filter_map(|entry| read(entry.path())).collect()
}

/// Waits until a block appears that is wanted, and until the server rests. Background work is considered once a
/// minute.
fn wait(server: &Server, data: &Path, wanted: impl Fn(&Block) -> bool) -> Block {
    let give_up = Instant::now() + Duration::from_secs(600);
    loop {
        if let Some(block) = blocks(data).into_iter().find(&wanted) {
            let mut before = server.cpu_seconds();
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let now = server.cpu_seconds();
                if now - before < 0.05 {
                    return block;
                }
                before = now;
            }
        }
        assert!(Instant::now() < give_up, "no block appears");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn peers() -> impl Iterator<Item = Kind> {
    servers::installed().into_iter().filter(|kind| *kind != Kind::VictoriaMetrics)
}

/// A block made of the head's first two hours.
pub fn write(scrapes: &Scrapes, series: usize) {
    // The log of three hours is long: a tenth of the series tells as much.
    let series = setting("STORE_BLOCK_SERIES", series / 10);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let start = (load::end_seconds() - 4 * HOUR) / (2 * HOUR) * 2 * HOUR;
    let steps = (3 * HOUR / INTERVAL_S) as usize + 5;
    let options = Options { background: false, ..Options::default() };
    load(scrapes, series, steps, start + (steps as i64 - 1) * INTERVAL_S, options, &data);
    let mut table = Table::new("block of 2 h");
    for kind in peers() {
        let own = kind.own_data(dir.path());
        servers::copy(&data, &own);
        let server = kind.launch(&own, &idle(dir.path()));
        let before = server.cpu_seconds();
        let block = wait(&server, &own, |_| true);
        let cpu = server.cpu_seconds() - before;
        let per_sample = |bytes: u64| bytes as f64 / block.samples as f64;
        let index = std::fs::metadata(block.path.join("index")).map_or(0, |file| file.len());
        table.add(
            kind,
            vec![
                per_sample(disk_bytes(&block.path)),
                per_sample(disk_bytes(&block.path.join("chunks"))),
                per_sample(index),
                cpu * 1e9 / block.samples as f64,
            ],
        );
        drop(server);
        std::fs::remove_dir_all(own).expect("its data");
    }
    println!("{series} series\n");
    table.print(&["bytes a sample", "chunks", "index", "ns CPU a sample to write it"]);
}

/// Three blocks of two hours become one.
pub fn compact(scrapes: &Scrapes, series: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    // The newest block is left alone, so there is a fourth; the head gives it away an hour after its end.
    let steps = (9 * HOUR / INTERVAL_S) as usize + 5;
    let start = (load::end_seconds() - 10 * HOUR) / (6 * HOUR) * 6 * HOUR;
    let options = Options { metrics: short_blocks(), ..Options::default() };
    load(scrapes, series, steps, start + (steps as i64 - 1) * INTERVAL_S, options, &data);
    flush(&data);
    for gone in ["wal", "chunks_head"] {
        std::fs::remove_dir_all(data.join(gone)).expect("the head's files");
    }
    let made: Vec<u64> = blocks(&data).iter().map(|block| block.samples).collect();
    println!("{series} series, blocks of {made:?} samples\n");
    assert_eq!(made.len(), 4);
    let mut table = Table::new("three blocks to one");
    for kind in peers() {
        let own = kind.own_data(dir.path());
        servers::copy(&data, &own);
        let server = kind.launch(&own, &idle(dir.path()));
        let before = server.cpu_seconds();
        wait(&server, &own, |block| block.level == 2);
        table.add(kind, vec![server.cpu_seconds() - before, server.resident_bytes() as f64 / 1e6]);
        drop(server);
        std::fs::remove_dir_all(own).expect("its data");
    }
    table.print(&["CPU seconds", "MB resident after it"]);
}

/// Writes out what background work had no time for.
fn flush(data: &Path) {
    let options = Options { metrics: short_blocks(), background: false, ..Options::default() };
    let storage = storage::Storage::open(
        std::sync::Arc::new(storage::fs::RealDisk::new(data)),
        std::sync::Arc::new(Now),
        options,
        std::sync::Arc::new(storage::observer::Silent),
    );
    let storage = storage.unwrap_or_else(|e| panic!("{e}"));
    let done = storage.wait_replayed().and_then(|()| storage.compact()).and_then(|()| storage.close());
    done.unwrap_or_else(|e| panic!("{e}"));
}

struct Now;

impl model::time::Clock for Now {
    fn now_ms(&self) -> i64 {
        load::end_seconds() * 1000
    }
}
