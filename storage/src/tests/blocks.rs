//! Samples move into blocks, are deleted, and go with their blocks.

use std::path::Path;

use model::Matcher;
use storage_base::block::BlockSet;
use storage_base::fs::SimDisk;
use storage_metrics::blocks::block::MetricsBlock;

use super::*;
use crate::{Limits, SizeLimit, metrics};

#[test]
fn old_samples_move_into_blocks() {
    let disk = SimDisk::new(5);
    let storage = open(&disk);
    for minute in 0..7 * 60 {
        put(&storage, &[("a", minute * MINUTE, minute as f64), ("b", minute * MINUTE, 1.0)]);
        if minute == 60 {
            put(&storage, &[("gone", minute * MINUTE, 1.0)]);
        }
    }
    let want = all(&storage);
    let before = storage.snapshot();
    storage.compact().unwrap();
    assert_eq!(storage.blocks().len(), 2);
    assert_eq!(all(&storage), want);
    assert_eq!(read(&*before, i64::MIN, i64::MAX), want);
    assert_eq!(figure(&storage, "prometheus_tsdb_head_series"), 3.0, "the snapshot keeps the head whole");
    drop(before);
    storage.compact().unwrap();
    assert_eq!(
        (figure(&storage, "prometheus_tsdb_head_series"), figure(&storage, "prometheus_tsdb_head_min_time")),
        (2.0, (4 * HOUR) as f64)
    );
    assert_eq!(all(&storage), want);
    storage.close().unwrap();
    let storage = open(&disk);
    assert_eq!(all(&storage), want);
    assert_eq!(figure(&storage, "prometheus_tsdb_head_series"), 2.0);
    // Three blocks of two hours become one of six.
    for minute in 7 * 60..16 * 60 {
        put(&storage, &[("a", minute * MINUTE, minute as f64), ("b", minute * MINUTE, 1.0)]);
        if minute % 30 == 0 {
            storage.compact().unwrap();
        }
    }
    let spans: Vec<_> =
        storage.blocks().iter().map(|block| (block.min_t / HOUR, block.max_t / HOUR)).collect();
    assert_eq!(spans, [(0, 6), (6, 12), (12, 14)]);
    assert_eq!(all(&storage)["a"].len(), 16 * 60);
    assert!(figure(&storage, "prometheus_tsdb_checkpoint_creations_total") > 0.0);
    let want = all(&storage);
    disk.kill();
    drop(storage);
    let storage = open(&disk);
    assert_eq!(all(&storage), want);
}

#[test]
fn out_of_order_samples_reach_blocks_and_survive_restarts() {
    let disk = SimDisk::new(6);
    let options = window(20 * HOUR);
    let (mut storage, _) = open_with(&disk, options);
    put(&storage, &[("a", 10 * HOUR, 0.0), ("b", 10 * HOUR, 0.0)]);
    for n in 0..200 {
        put(&storage, &[("a", 10 * HOUR - (n * 7 % 200) * MINUTE - 1, n as f64)]);
    }
    put(&storage, &[("out of order only", 9 * HOUR - 1, 5.0)]);
    let want = all(&storage);
    assert_eq!(want["a"].len(), 201);
    for kill in [true, false, true] {
        if kill {
            disk.kill();
        } else {
            storage.close().unwrap();
        }
        drop(storage);
        storage = open_with(&disk, options).0;
        assert_eq!(all(&storage), want);
    }
    for minute in 0..4 * 60 {
        put(&storage, &[("b", 10 * HOUR + (minute + 1) * MINUTE, minute as f64)]);
    }
    let want = all(&storage);
    storage.compact().unwrap();
    assert!(storage.blocks().len() >= 2);
    assert_eq!(all(&storage), want);
    assert_eq!(figure(&storage, "prometheus_tsdb_head_series"), 1.0);
    disk.kill();
    drop(storage);
    let storage = open_with(&disk, options).0;
    assert_eq!(all(&storage), want);
}

#[test]
fn deleted_samples_stay_deleted() {
    let disk = SimDisk::new(7);
    let mut storage = open(&disk);
    for minute in 0..5 * 60 {
        put(&storage, &[("a", minute * MINUTE, minute as f64), ("b", minute * MINUTE, 1.0)]);
    }
    storage.compact().unwrap();
    let (from, to) = (HOUR, 3 * HOUR);
    let mut want = all(&storage);
    storage.delete_series(&[Matcher::equal("n", "a")], from, to).unwrap();
    want.get_mut("a").unwrap().retain(|(t, _)| !(from..=to).contains(t));
    assert_eq!(all(&storage), want);
    disk.kill();
    drop(storage);
    storage = open(&disk);
    assert_eq!(all(&storage), want);
    storage.clean_tombstones().unwrap();
    assert_eq!(storage.blocks()[0].tombstones, 0);
    assert_eq!(all(&storage), want);
    put(&storage, &[("a", 6 * HOUR, 1.0), ("b", 6 * HOUR, 1.0)]);
    storage.compact().unwrap();
    assert_eq!(storage.blocks().len(), 2);
    want = all(&storage);
    assert_eq!(want["a"].len(), 300 - 121 + 1);
    storage.snapshot_to("copy", true).unwrap();
    assert!(storage.snapshot_to("copy", true).is_err());
    storage.close().unwrap();

    // Where there is no block yet, the head's block begins with its first sample too.
    let disk = SimDisk::new(8);
    let storage = open(&disk);
    put(&storage, &[("a", HOUR, 1.0)]);
    storage.snapshot_to("copy", true).unwrap();
    let blocks = BlockSet::<MetricsBlock>::load(&disk, Path::new("snapshots/copy"), &BlockSet::default());
    let meta = blocks.unwrap().blocks()[0].meta().clone();
    assert_eq!((meta.min_time, meta.max_time), (HOUR, HOUR + 1));
}

#[test]
fn samples_that_were_all_deleted_before_their_flush_stay_deleted() {
    let disk = SimDisk::new(12);
    let reopen = || open_with(&disk, options_with(|options| options.metrics.samples_per_chunk = 12)).0;
    let mut storage = reopen();
    // Full chunks from both sides of the range's end lie in one file, which stays for the later ones.
    for minute in 0..150 {
        put(&storage, &[("a", minute * MINUTE, minute as f64)]);
    }
    storage.delete_series(&[Matcher::equal("n", "a")], 0, 2 * HOUR - 1).unwrap();
    // The log gets segments that a checkpoint replaces, that of the deletion among them.
    for _ in 0..5 {
        storage.close().unwrap();
        drop(storage);
        storage = reopen();
    }
    put(&storage, &[("a", 3 * HOUR + 30 * MINUTE, 1.0)]);
    let want = all(&storage);
    assert_eq!(want["a"].len(), 31);
    storage.compact().unwrap();
    assert_eq!(storage.blocks().len(), 0);
    assert_eq!(
        (
            figure(&storage, "prometheus_tsdb_head_min_time"),
            figure(&storage, "prometheus_tsdb_checkpoint_creations_total")
        ),
        ((2 * HOUR) as f64, 1.0)
    );
    assert_eq!(all(&storage), want);
    storage.close().unwrap();
    drop(storage);
    assert_eq!(all(&reopen()), want);
}

#[test]
fn retention_by_time_and_size() {
    let disk = SimDisk::new(8);
    let storage = open(&disk);
    for minute in 0..24 * 60 {
        put(&storage, &[("a", minute * MINUTE, minute as f64)]);
    }
    storage.compact().unwrap();
    storage.set_limits(Limits {
        metrics: metrics::Limits { retention_time: 3 * HOUR, ..metrics::Limits::default() },
        ..Limits::default()
    });
    storage.compact().unwrap();
    assert!(storage.blocks()[0].max_t > 18 * HOUR);
    storage.set_limits(Limits { size: SizeLimit { bytes: 1, percentage: 0.0 }, ..Limits::default() });
    storage.compact().unwrap();
    assert_eq!(storage.blocks().len(), 0);
    assert_eq!(
        (
            figure(&storage, "prometheus_tsdb_time_retentions_total"),
            figure(&storage, "prometheus_tsdb_size_retentions_total")
        ),
        (1.0, 1.0)
    );
    assert!(!all(&storage)["a"].is_empty());
}
