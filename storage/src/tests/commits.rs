//! What is committed, what is refused, and what queries see of it.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use model::append::{AppendError, Appendable};
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span};
use model::read::{Columns, Hints, Selection};
use model::sample::{Exemplar, STALE_NAN};
use model::{HistogramValue, Labels, MatchOp, Matcher};
use storage_base::fs::SimDisk;

use super::*;
use crate::{Event, ExemplarQuery, Observer, StorageError};

#[test]
fn what_was_committed_is_there_after_a_kill() {
    let disk = SimDisk::new(1);
    let storage = open(&disk);
    put(&storage, &[("a", 1000, 1.0), ("b", 1000, 2.0)]);
    put(&storage, &[("a", 2000, 3.0), ("c", 2000, 4.0)]);
    let want = expect(&[("a", &[(1000, 1.0), (2000, 3.0)]), ("b", &[(1000, 2.0)]), ("c", &[(2000, 4.0)])]);
    assert_eq!(all(&storage), want);
    let mut lost = storage.appender();
    lost.append(None, &series("a"), 3000, 9.0, 0).unwrap();
    drop(lost);
    disk.kill();
    drop(storage);
    let storage = open(&disk);
    assert_eq!(all(&storage), want);
    assert_eq!(figure(&storage, "prometheus_tsdb_head_series"), 3.0);
    put(&storage, &[("a", 3000, 5.0)]);
    storage.close().unwrap();
    let storage = open(&disk);
    assert_eq!(figure(&storage, "prometheus_tsdb_clean_start"), 1.0);
    assert_eq!(all(&storage)["a"].len(), 3);
}

#[test]
fn many_chunks_survive() {
    let disk = SimDisk::new(2);
    let storage = open(&disk);
    let mut want = Vec::new();
    for step in 0..1000i64 {
        put(&storage, &[("a", step * 5000, step as f64), ("b", step * 5000, 1.0 / (step + 1) as f64)]);
        want.push((step * 5000, step as f64));
    }
    assert!(figure(&storage, "prometheus_tsdb_head_chunks") > 10.0);
    let found = all(&storage);
    assert_eq!(found["a"], expect(&[("a", &want)])["a"]);
    assert_eq!(read(&*storage.snapshot(), 10_000, 20_000)["a"].len(), 3);
    disk.kill();
    drop(storage);
    let storage = open(&disk);
    assert_eq!(all(&storage), found);
    storage.close().unwrap();
    let storage = open(&disk);
    assert_eq!(all(&storage), found);
}

#[test]
fn a_snapshot_sees_whole_commits_and_never_changes() {
    let disk = SimDisk::new(3);
    let storage = open_with(&disk, window(HOUR)).0;
    put(&storage, &[("a", 1000, 1.0), ("b", 1000, 1.0)]);
    let first = storage.snapshot();
    let seen = read(&*first, 0, HOUR);
    put(&storage, &[("a", 2000, 2.0), ("b", 1500, 2.0), ("c", 5, 2.0)]);
    let second = storage.snapshot();
    put(&storage, &[("a", 3000, 3.0), ("a", 1500, 3.5)]);
    assert_eq!(read(&*first, 0, HOUR), seen);
    let want =
        expect(&[("a", &[(1000, 1.0), (2000, 2.0)]), ("b", &[(1000, 1.0), (1500, 2.0)]), ("c", &[(5, 2.0)])]);
    assert_eq!(read(&*second, 0, HOUR), want);
    assert_eq!(all(&storage)["a"].len(), 4);
}

#[test]
fn refusals() {
    let disk = SimDisk::new(4);
    let storage = open(&disk);
    put(&storage, &[("a", 10 * HOUR, 1.0)]);
    let mut appender = storage.appender();
    let mut add = |t, v| appender.append(None, &series("a"), t, v, 0).map(drop);
    assert_eq!(add(10 * HOUR, 1.0), Ok(()), "the same again is nothing");
    assert_eq!(add(10 * HOUR, 2.0), Err(AppendError::Duplicate));
    assert_eq!(add(10 * HOUR - 1, 2.0), Err(AppendError::OutOfOrder));
    assert_eq!(add(9 * HOUR - 1, 2.0), Err(AppendError::OutOfBounds));
    assert_eq!(
        appender.append(None, &Labels::empty(), 11 * HOUR, 1.0, 0),
        Err(AppendError::InvalidLabels("no labels".into()))
    );
    drop(appender);
    storage.set_limits(window(HOUR / 2).limits);
    let mut appender = storage.appender();
    let mut add = |t, v| appender.append(None, &series("a"), t, v, 0).map(drop);
    assert_eq!(add(10 * HOUR - HOUR / 2 - 1, 2.0), Err(AppendError::TooOld));
    assert_eq!(add(10 * HOUR - HOUR / 2, 2.0), Ok(()));
    appender.commit().unwrap();
    assert_eq!(
        (
            figure_of_type(&storage, "prometheus_tsdb_out_of_order_samples_total", "float"),
            figure_of_type(&storage, "prometheus_tsdb_out_of_bound_samples_total", "float"),
            figure_of_type(&storage, "prometheus_tsdb_too_old_samples_total", "float")
        ),
        (1.0, 1.0, 1.0)
    );
    assert_eq!(
        figure_of_type(&storage, "prometheus_tsdb_head_out_of_order_samples_appended_total", "float"),
        1.0
    );
    assert_eq!(all(&storage)["a"].len(), 2);
}

#[test]
fn out_of_order_samples_are_refused_on_request() {
    let disk = SimDisk::new(21);
    let storage = open_with(&disk, window(HOUR)).0;
    put(&storage, &[("a", 10 * HOUR, 1.0)]);
    let mut appender = storage.appender();
    appender.reject_out_of_order(true);
    let mut add = |t, v| appender.append(None, &series("a"), t, v, 0).map(drop);
    assert_eq!(add(10 * HOUR - 1, STALE_NAN), Err(AppendError::OutOfOrder));
    assert_eq!(add(9 * HOUR - 1, STALE_NAN), Err(AppendError::TooOld));
    assert_eq!(add(10 * HOUR, 2.0), Err(AppendError::Duplicate));
    assert_eq!(add(10 * HOUR + 1, 2.0), Ok(()));
    let histogram = || HistogramValue::Integer(Arc::default());
    let out_of_order = appender.append_histogram(None, &series("a"), 10 * HOUR - 1, histogram(), 0);
    assert_eq!(out_of_order.map(drop), Err(AppendError::OutOfOrder));
    appender.reject_out_of_order(false);
    let mut add = |t, v| appender.append(None, &series("a"), t, v, 0).map(drop);
    assert_eq!(add(10 * HOUR - 2, 3.0), Ok(()));
    assert_eq!(appender.commit().unwrap().samples, 2);
    assert_eq!(
        (
            figure_of_type(&storage, "prometheus_tsdb_out_of_order_samples_total", "float"),
            figure_of_type(&storage, "prometheus_tsdb_out_of_order_samples_total", "histogram"),
            figure_of_type(&storage, "prometheus_tsdb_too_old_samples_total", "float")
        ),
        (1.0, 1.0, 1.0)
    );
    assert_eq!(
        figure_of_type(&storage, "prometheus_tsdb_head_out_of_order_samples_appended_total", "float"),
        1.0
    );
    assert_eq!(all(&storage)["a"].iter().map(|(t, _)| t - 10 * HOUR).collect::<Vec<_>>(), [-2, 0, 1]);
}

#[test]
fn a_sample_that_was_overtaken_is_out_of_order_or_dropped() {
    for (window, want) in [(0, [0, 1]), (HOUR, [1, 0])] {
        let disk = SimDisk::new(12);
        let options = super::window(window);
        let storage = open_with(&disk, options).0;
        put(&storage, &[("a", 1000, 1.0)]);
        let mut slow = storage.appender();
        slow.append(None, &series("a"), 2000, 2.0, 0).unwrap();
        put(&storage, &[("a", 3000, 3.0)]);
        let committed = slow.commit().unwrap();
        assert_eq!([committed.samples, committed.dropped], want);
        let found = all(&storage);
        assert_eq!(found["a"].len(), 2 + want[0]);
        disk.kill();
        drop(storage);
        assert_eq!(all(&open_with(&disk, options).0), found);
    }
}

#[test]
fn histograms_and_exemplars_survive() {
    let disk = SimDisk::new(13);
    let mut storage = open(&disk);
    let histogram = |n: u64| Histogram {
        count: 3 * n,
        sum: n as f64,
        positive_spans: vec![Span { offset: (n % 5) as i32, length: 2 }],
        positive_buckets: vec![n as i64, n as i64],
        ..Histogram::default()
    };
    let custom = |n: u64| FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 2.0 * n as f64,
        sum: n as f64,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive_buckets: vec![2.0 * n as f64],
        custom_values: vec![0.5, 1.5],
        ..FloatHistogram::default()
    };
    for n in 1..300u64 {
        let t = n as i64 * MINUTE;
        let mut appender = storage.appender();
        let integer = HistogramValue::Integer(Arc::new(histogram(n)));
        let of = appender.append_histogram(None, &series("h"), t, integer, 0).unwrap();
        let float = HistogramValue::Float(Arc::new(custom(n)));
        appender.append_histogram(None, &series("custom"), t, float, 0).unwrap();
        let labels = Labels::from_pairs([("trace_id", n.to_string())]);
        appender.append_exemplar(of, Exemplar { labels, v: n as f64, t: Some(t), sample_t: t }).unwrap();
        appender.commit().unwrap();
    }
    let mut appender = storage.appender();
    appender.append(None, &series("h"), 300 * MINUTE, STALE_NAN, 0).unwrap();
    let wrong = Histogram { count: 1, ..Histogram::default() };
    let refused =
        appender.append_histogram(None, &series("x"), HOUR, HistogramValue::Integer(Arc::new(wrong)), 0);
    assert!(matches!(refused, Err(AppendError::OutOfBounds)), "{refused:?}");
    let wrong = Histogram { count: 1, ..Histogram::default() };
    let refused = appender.append_histogram(
        None,
        &series("x"),
        300 * MINUTE,
        HistogramValue::Integer(Arc::new(wrong)),
        0,
    );
    assert!(matches!(refused, Err(AppendError::InvalidHistogram(_))), "{refused:?}");
    appender.commit().unwrap();
    let read = |storage: &Storage, name: &str| {
        let matchers = vec![Matcher::equal("n", name)];
        let selection = Selection { matchers, min_t: 0, max_t: i64::MAX, limit: 0, hints: Hints::default() };
        let found = storage.snapshot().select(&selection).unwrap();
        let (mut columns, mut cursor) = (Columns::default(), found.series[0].cursor());
        while cursor.next_run(&mut columns).unwrap() {}
        assert!(columns.float_t.is_empty());
        columns.histogram_v
    };
    for round in 0..3 {
        let found = read(&storage, "h");
        assert_eq!(found.len(), 300);
        for (n, h) in (1..300).zip(&found) {
            let (mut found, mut want) = (FloatHistogram::clone(h), histogram(n).to_float());
            found.compact(0);
            want.compact(0);
            assert!(found.equals(&want), "{n}: {h:?}");
        }
        assert!(found[299].is_stale());
        for (n, h) in (1..300).zip(&read(&storage, "custom")) {
            assert!(h.equals(&custom(n)), "{n}: {h:?}");
        }
        assert_eq!(
            (
                figure(&storage, "prometheus_tsdb_head_native_histogram_series"),
                figure(&storage, "prometheus_tsdb_head_stale_series")
            ),
            (2.0, 1.0)
        );
        match round {
            0 => {
                disk.kill();
                storage = open(&disk);
                let query = ExemplarQuery {
                    matchers: vec![vec![Matcher::equal("n", "h")]],
                    min_t: 0,
                    max_t: i64::MAX,
                };
                assert_eq!(storage.exemplars(&query).unwrap()[0].exemplars.len(), 299);
            }
            1 => {
                storage.compact().unwrap();
                assert_eq!(storage.blocks()[0].histogram_samples, 2 * 119);
            }
            _ => {}
        }
    }
}

/// Panics when a block was written.
struct Fragile;

impl Observer for Fragile {
    fn event(&self, event: &Event) {
        assert!(!matches!(event, Event::BlockWritten { .. }), "as it was meant to");
    }
}

#[test]
fn a_panic_in_the_background_stops_writes_and_is_seen() {
    let disk = SimDisk::new(14);
    let clock = Arc::new(Still(AtomicI64::new(0)));
    let storage = Storage::open(Arc::new(disk.clone()), clock, options(), Arc::new(Fragile)).unwrap();
    storage.wait_replayed().unwrap();
    for minute in 0..4 * 60 {
        put(&storage, &[("a", minute * MINUTE, 1.0)]);
    }
    let want = all(&storage);
    assert!(matches!(storage.compact(), Err(StorageError::Poisoned(_))));
    assert_eq!(storage.poisoned().as_deref(), Some("as it was meant to"));
    let mut appender = storage.appender();
    appender.append(None, &series("a"), 5 * HOUR, 1.0, 0).unwrap();
    assert!(appender.commit().unwrap_err().reason.contains("as it was meant to"));
    assert_eq!(all(&storage), want, "queries go on");
    disk.kill();
    drop(storage);
    assert_eq!(all(&open(&disk)), want);
}

#[test]
fn appends_queries_and_flushes_at_once() {
    let disk = SimDisk::new(15);
    let storage = open(&disk);
    // Neither may run so far ahead that the other's samples are out of bounds.
    let step = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        for name in ["a", "b"] {
            let (storage, step) = (&storage, &step);
            scope.spawn(move || {
                for minute in 0..10 * 60 {
                    step.wait();
                    let other = format!("{name} too");
                    put(
                        storage,
                        &[(name, minute * MINUTE, minute as f64), (&other, minute * MINUTE, minute as f64)],
                    );
                }
            });
        }
        for _ in 0..30 {
            storage.compact().unwrap();
            let found = all(&storage);
            for name in ["a", "b"] {
                // Both samples of a commit, or none.
                assert_eq!(found.get(name), found.get(&format!("{name} too")));
            }
        }
    });
    storage.compact().unwrap();
    let found = all(&storage);
    assert!(found.values().all(|samples| samples.len() == 600));
    disk.kill();
    drop(storage);
    assert_eq!(all(&open(&disk)), found);
}

#[test]
fn only_one_may_open_a_directory() {
    let disk = SimDisk::new(10);
    let storage = open(&disk);
    let clock = Arc::new(Still(AtomicI64::new(0)));
    let second = Storage::open(Arc::new(disk.clone()), clock, options(), Arc::new(Heard::default()));
    assert!(matches!(second, Err(StorageError::Locked { .. })));
    storage.close().unwrap();
    let mut appender = storage.appender();
    appender.append(None, &series("a"), 1, 1.0, 0).unwrap();
    assert!(appender.commit().is_err());
    open(&disk);
}

#[test]
fn labels_of_matching_series() {
    let disk = SimDisk::new(11);
    let storage = open(&disk);
    for minute in 0..4 * 60 {
        put(&storage, &[("a", minute * MINUTE, 1.0)]);
    }
    storage.compact().unwrap();
    put(&storage, &[("b", 4 * HOUR, 1.0), ("c", 4 * HOUR, 1.0)]);
    let select = |matchers, min_t, limit| Selection {
        matchers,
        min_t,
        max_t: i64::MAX,
        limit,
        hints: Hints::default(),
    };
    let snapshot = storage.snapshot();
    assert_eq!(snapshot.label_values("n", &select(Vec::new(), 0, 0)).unwrap(), ["a", "b", "c"]);
    assert_eq!(snapshot.label_values("n", &select(Vec::new(), 0, 2)).unwrap(), ["a", "b"]);
    let not_a = Matcher::new(MatchOp::Regex, "n", "[b-z]").unwrap();
    assert_eq!(snapshot.label_values("n", &select(vec![not_a], 0, 0)).unwrap(), ["b", "c"]);
    assert_eq!(snapshot.label_names(&select(Vec::new(), 0, 0)).unwrap(), ["__name__", "n"]);
    assert_eq!(snapshot.select(&select(Vec::new(), 0, 2)).unwrap().series.len(), 2);
    let cardinality = storage.cardinality(10);
    assert_eq!((cardinality.series, cardinality.label_pairs), (3, 4));
}
