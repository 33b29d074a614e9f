//! What the worker does by itself, and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::append::Appender;
use storage_base::fs::SimDisk;
use storage_base::observer::Silent;
use storage_base::retention::Retention;
use storage_base::store::{Context, Store};
use storage_base::worker::{Last, Rounds, SyncPolicy, Upkeep};
use storage_metrics::MetricsStore;
use storage_metrics::head::append::HeadAppender;

use super::*;

/// The metrics store and what a worker would do with it.
fn open(disk: &SimDisk, options: Options) -> (Arc<MetricsStore>, Upkeep) {
    let disk: Arc<dyn storage_base::fs::Disk> = Arc::new(disk.clone());
    let clock = Arc::new(Still(AtomicI64::new(0)));
    let observer = Arc::new(Silent);
    let context = Context { disk: disk.clone(), clock, observer: observer.clone(), wal: options.wal };
    let store = Arc::new(MetricsStore::open(context, options.metrics, options.limits.metrics).unwrap());
    store.replay();
    let upkeep = Upkeep {
        stores: vec![store.clone()],
        retention: Retention::new(disk, options.limits.size),
        sync: options.sync,
        round_every: options.round_every,
        background: options.background,
        observer,
        rounds: Rounds::default(),
    };
    (store, upkeep)
}

fn put(store: &MetricsStore, t: i64) {
    let mut appender = Box::new(HeadAppender::new(store.live()));
    appender.append(None, &series("a"), t, 1.0, 0).unwrap();
    appender.commit().unwrap();
}

#[test]
fn the_log_is_synced_when_its_time_has_come() {
    const TIME: Duration = Duration::from_secs(5);
    for (sync, since, survives) in [
        (SyncPolicy::Every(TIME), TIME, true),
        (SyncPolicy::Every(TIME), Duration::ZERO, false),
        (SyncPolicy::SegmentEnd, TIME, false),
    ] {
        let mut lost = 0;
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            let options = Options { sync, background: false, ..Options::default() };
            let (store, upkeep) = open(&disk, options);
            put(&store, HOUR);
            let before = Instant::now().checked_sub(since).unwrap();
            let mut last = Last { round: Instant::now(), sync: before };
            upkeep.tick(&mut last);
            assert_eq!(last.sync > before, survives, "{sync:?} {since:?}");
            disk.power_cut();
            drop((store, upkeep));
            lost += 1 - figure(&*open(&disk, options).0, "prometheus_tsdb_head_series") as u64;
        }
        assert_eq!(lost == 0, survives, "{sync:?} {since:?} lost {lost} times");
    }
}

#[test]
fn a_round_that_is_due_is_done_or_counted() {
    for (background, want) in [(true, (1, 0)), (false, (1, 1))] {
        let (store, upkeep) = open(&SimDisk::new(0), Options { background, ..Options::default() });
        let mut last = Last { round: Instant::now(), sync: Instant::now() };
        upkeep.tick(&mut last);
        assert_eq!(upkeep.rounds.triggered.get(), 0);
        put(&store, 0);
        put(&store, 4 * HOUR);
        upkeep.tick(&mut last);
        assert_eq!((upkeep.rounds.triggered.get(), upkeep.rounds.skipped.get()), want);
        assert_eq!(figure(&*store, "prometheus_tsdb_blocks_loaded"), f64::from(u8::from(background)));
    }
}
