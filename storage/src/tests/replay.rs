//! The store while its log is replayed, and the moment when that ends.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use model::append::{Appendable, Appender};
use model::histogram::Histogram;
use model::read::{Hints, Selection, SeriesSource as _};
use model::sample::Exemplar;
use model::{HistogramValue, Labels, Matcher};
use storage_base::fs::SimDisk;
use storage_base::observer::Silent;
use storage_base::store::{Context, Store};
use storage_base::wal::segment;
use storage_metrics::MetricsStore;
use storage_metrics::head::append::HeadAppender;

use super::*;
use crate::{Options, Storage, StorageError};

/// Samples of a log with several segments, then a crash.
fn filled(seed: u64, options: Options) -> (SimDisk, Samples) {
    let disk = SimDisk::new(seed);
    let (storage, _) = open_with(&disk, options);
    let names: Vec<String> = (0..40).map(|n| format!("s{n}")).collect();
    for step in 0..360 {
        let v = |n: usize| ((n + step) as f64).sqrt();
        let t = HOUR + step as i64 * MINUTE / 4;
        let samples: Vec<_> = names.iter().enumerate().map(|(n, name)| (&**name, t, v(n))).collect();
        put(&storage, &samples);
    }
    let want = all(&storage);
    disk.kill();
    (disk, want)
}

/// Samples as they are found, whatever the warnings.
fn found(storage: &Storage) -> Samples {
    let (min_t, max_t, hints) = (i64::MIN, i64::MAX, Hints::default());
    let selection = Selection { matchers: Vec::new(), min_t, max_t, limit: 0, hints };
    let mut found = Samples::new();
    for series in storage.snapshot().select(&selection).unwrap().series {
        let mut columns = model::read::Columns::default();
        series.read(&mut columns).unwrap();
        let samples = columns.float_t.into_iter().zip(columns.float_v.into_iter().map(f64::to_bits));
        found.insert(series.labels().get("n").unwrap().to_owned(), samples.collect());
    }
    found
}

#[test]
fn queries_and_appends_go_on_and_the_rest_waits() {
    let (disk, mut want) = filled(1, options());
    let (storage, heard) = begin(&disk, options(), Some(3));
    let progress = storage.replay_progress().unwrap();
    assert!(progress.last > 4, "{progress:?}");
    put(&storage, &[("s1", 4 * HOUR, 1.0), ("new", 4 * HOUR, 2.0)]);

    // What is new is whole; what is old, as far as it is there, is a beginning.
    let part = found(&storage);
    assert_eq!(part["new"], [(4 * HOUR, 2f64.to_bits())]);
    assert_eq!(part["s1"].last(), Some(&(4 * HOUR, 1f64.to_bits())));
    want.get_mut("s1").unwrap().push((4 * HOUR, 1f64.to_bits()));
    want.insert("new".into(), vec![(4 * HOUR, 2f64.to_bits())]);
    for (name, samples) in part.iter().filter(|(name, _)| *name != "s1") {
        assert!(want[name].starts_with(samples), "{name}");
    }
    let snapshot = storage.snapshot();
    let [warning] = &snapshot.warnings()[..] else { panic!("{:?}", snapshot.warnings()) };
    assert!(warning.contains("being replayed, segment") && warning.contains("may lack samples"), "{warning}");
    assert_eq!(figure_of_type(&storage, "prometheus_tsdb_head_samples_appended_total", "float"), 2.0);

    let everything = [Matcher::equal("__name__", "m")];
    for refused in [
        storage.compact(),
        storage.clean_tombstones(),
        storage.snapshot_to("copy", true),
        storage.delete_series(&everything, i64::MIN, i64::MAX),
    ] {
        assert!(matches!(refused, Err(StorageError::Replaying(_))), "{refused:?}");
    }

    heard.release();
    storage.wait_replayed().unwrap();
    assert_eq!(storage.replay_progress(), None);
    assert_eq!(all(&storage), want);
    assert_eq!(found(&storage), want);
    assert_eq!(
        figure_of_type(&storage, "prometheus_tsdb_head_samples_appended_total", "float"),
        2.0,
        "counters go on"
    );
    assert!(figure(&storage, "prometheus_tsdb_data_replay_duration_seconds") > 0.0);
    storage.delete_series(&[Matcher::equal("n", "new")], i64::MIN, i64::MAX).unwrap();
    want.remove("new");
    assert_eq!(all(&storage), want);
    drop((snapshot, storage));
    disk.kill();
    assert_eq!(all(&open(&disk)), want);
}

#[test]
fn a_snapshot_outlives_the_end_of_replay_unchanged() {
    let (disk, _) = filled(2, options());
    let (storage, heard) = begin(&disk, options(), Some(2));
    put(&storage, &[("s1", 4 * HOUR, 1.0)]);
    let snapshot = storage.snapshot();
    let hints = Hints::default();
    let selection = Selection { matchers: Vec::new(), min_t: i64::MIN, max_t: i64::MAX, limit: 0, hints };
    let before = snapshot.select(&selection).unwrap().series;
    let samples = |series: &dyn model::read::Series| {
        let mut columns = model::read::Columns::default();
        series.read(&mut columns).unwrap();
        columns.float_t
    };
    let seen: Vec<_> = before.iter().map(|series| samples(&**series)).collect();
    heard.release();
    storage.wait_replayed().unwrap();
    put(&storage, &[("s1", 5 * HOUR, 1.0)]);
    assert!(before.iter().map(|series| samples(&**series)).eq(seen));
}

#[test]
fn an_appender_outlives_the_end_of_replay() {
    let options = window(HOUR);
    let (disk, mut want) = filled(4, options);
    let (storage, heard) = begin(&disk, options, Some(2));
    let histogram = HistogramValue::Integer(Histogram { sum: 1.0, ..Histogram::default() }.into());
    let out_of_order = 2 * HOUR + MINUTE / 8;
    let mut appender = storage.appender();
    appender.append(None, &series("s1"), 4 * HOUR, 1.0, 0).unwrap();
    appender.append(None, &series("s1"), out_of_order, 2.0, 0).unwrap();
    appender.append_histogram(None, &series("h"), 4 * HOUR, histogram, 0).unwrap();
    // A sample of another, committed after it, comes before.
    let mut overtaking = storage.appender();
    overtaking.append(None, &series("s2"), 4 * HOUR, 3.0, 0).unwrap();
    appender.append(None, &series("s2"), 4 * HOUR - 1, 4.0, 0).unwrap();
    heard.release();
    storage.wait_replayed().unwrap();
    overtaking.commit().unwrap();
    let new = appender.append(None, &series("late to come"), 4 * HOUR, 5.0, 0).unwrap();
    let exemplar =
        Exemplar { labels: Labels::from_pairs([("id", "x")]), v: 1.0, t: Some(4 * HOUR), sample_t: 4 * HOUR };
    appender.append_exemplar(new, exemplar).unwrap();
    let committed = appender.commit().unwrap();
    assert_eq!((committed.samples, committed.dropped), (5, 0));
    for (name, t, v) in [
        ("s1", out_of_order, 2f64),
        ("s1", 4 * HOUR, 1.0),
        ("s2", 4 * HOUR - 1, 4.0),
        ("s2", 4 * HOUR, 3.0),
        ("late to come", 4 * HOUR, 5.0),
    ] {
        let samples = want.entry(name.to_owned()).or_default();
        samples.push((t, v.to_bits()));
        samples.sort();
    }
    // It has histograms, which are not among these.
    want.insert("h".into(), Vec::new());
    assert_eq!(all(&storage), want);
    assert_eq!(
        (
            figure_of_type(&storage, "prometheus_tsdb_head_samples_appended_total", "float"),
            figure_of_type(&storage, "prometheus_tsdb_head_samples_appended_total", "histogram"),
            figure_of_type(&storage, "prometheus_tsdb_head_out_of_order_samples_appended_total", "float")
        ),
        (3.0, 1.0, 2.0)
    );
    drop(storage);
    disk.kill();
    assert_eq!(all(&open_with(&disk, options).0), want);
}

#[test]
fn what_the_log_has_newer_is_refused_in_the_end() {
    // Without a window, a sample that is not newer than its series in the log cannot be distinguished from others until
    // the log is read. It is then dropped, as a start after a crash drops it.
    let (disk, mut want) = filled(5, options());
    let (storage, heard) = begin(&disk, options(), Some(0));
    put(&storage, &[("s1", HOUR + MINUTE / 8, 1.0), ("s2", HOUR, 2.0), ("s3", 4 * HOUR, 3.0)]);
    heard.release();
    storage.wait_replayed().unwrap();
    want.get_mut("s3").unwrap().push((4 * HOUR, 3f64.to_bits()));
    assert_eq!(all(&storage), want);
    drop(storage);
    disk.kill();
    assert_eq!(all(&open(&disk)), want);
}

#[test]
fn deleted_samples_do_not_come_back_while_the_log_is_replayed() {
    let (disk, _) = filled(6, options());
    let storage = open(&disk);
    storage.delete_series(&[Matcher::equal("n", "s1")], i64::MIN, i64::MAX).unwrap();
    disk.kill();
    drop(storage);
    for segments in 1.. {
        let (storage, heard) = begin(&disk, options(), Some(segments));
        let part = found(&storage);
        assert!(part.get("s1").is_none_or(Vec::is_empty), "after {segments} segments");
        let ended = storage.replay_progress().is_none();
        heard.release();
        storage.wait_replayed().unwrap();
        disk.kill();
        if ended || segments > 40 {
            assert!(segments > 4);
            break;
        }
    }
}

#[test]
fn a_replay_that_fails_says_so_and_takes_no_more() {
    let (disk, mut want) = filled(7, options());
    let clock = Arc::new(Still(AtomicI64::new(0)));
    let context =
        Context { disk: Arc::new(disk.clone()), clock, observer: Arc::new(Silent), wal: options().wal };
    let store = MetricsStore::open(context, options().metrics, options().limits.metrics).unwrap();
    let append = |t| {
        let mut appender = Box::new(HeadAppender::new(store.live()));
        appender.append(None, &series("s1"), t, 1.0, 0).unwrap();
        appender.commit()
    };
    append(4 * HOUR).unwrap();
    // Something else shortens a segment under our hands.
    let segments = segment::list(&disk, Path::new("wal")).unwrap();
    let broken = &segments[segments.len() - 3];
    disk.cut_file(&broken.path, 100).unwrap();
    store.replay();
    let failed = store.wait_replayed().unwrap_err();
    let name = format!("{:08}", broken.number);
    assert!(matches!(&failed, StorageError::Corrupt(e) if e.file.contains(&name)), "{failed}");
    assert!(matches!(store.wait_replayed(), Err(StorageError::Poisoned(_))));
    let refused = append(5 * HOUR).unwrap_err();
    assert!(refused.reason.contains("replay of the write-ahead log failed"), "{refused}");
    let selection = Selection {
        matchers: vec![Matcher::equal("n", "s1")],
        min_t: 4 * HOUR,
        max_t: i64::MAX,
        limit: 0,
        hints: Hints::default(),
    };
    assert_eq!(store.snapshot().select(&selection).unwrap().series.len(), 1, "queries go on");
    drop(store);
    disk.kill();
    // The next start repairs it, and keeps what came before.
    let (storage, heard) = open_with(&disk, options());
    assert!(!heard.problems().is_empty());
    for (name, samples) in all(&storage) {
        let all = want.remove(&name).unwrap();
        assert!(samples.len() > 10 && all.starts_with(&samples), "{name}");
    }
}

#[test]
fn closing_does_not_wait_for_the_end_of_replay() {
    let (disk, mut want) = filled(8, options());
    let (storage, heard) = begin(&disk, options(), Some(2));
    put(&storage, &[("s1", 4 * HOUR, 1.0)]);
    want.get_mut("s1").unwrap().push((4 * HOUR, 1f64.to_bits()));
    storage.metrics.stop();
    heard.release();
    storage.close().unwrap();
    assert!(matches!(storage.wait_replayed(), Err(StorageError::Stopping)));
    // Nothing is left to a power cut.
    disk.power_cut();
    assert_eq!(all(&open(&disk)), want);
}
