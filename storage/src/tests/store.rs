//! What is committed, flushed, merged, retained and deleted, and what survives damage.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use model::append::{AppendError, Appendable, HistogramSample};
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span};
use model::read::{Columns, Hints, Selection};
use model::sample::{Exemplar, STALE_NAN};
use model::{Labels, MatchOp, Matcher};
use storage_base::block::BlockSet;
use storage_base::fs::{Disk, SimDisk};
use storage_base::wal::{self, Batch, WriterOptions};
use storage_metrics::blocks::block::MetricsBlock;
use storage_metrics::record::{self, LogRef, RefMmapMarker, RefSample, RefSeries};

use super::*;
use crate::{Event, ExemplarQuery, Limits, Observer, SizeLimit, StorageError, metrics};

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
    let histogram = || HistogramSample::Integer(Arc::default());
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
fn a_mark_never_means_another_chunk() {
    let disk = SimDisk::new(23);
    let options = options_with(|options| {
        options.limits.metrics.out_of_order_window = 20 * HOUR;
        options.metrics.out_of_order_chunk_samples = 5;
    });
    let storage = open_with(&disk, options).0;
    put(&storage, &[("a", 10 * HOUR, 0.0), ("b", 10 * HOUR, 0.0)]);
    let mut storage = Some(storage);
    for name in ["a", "b"] {
        for n in 1..=6 {
            put(storage.as_ref().unwrap(), &[(name, 9 * HOUR - n * MINUTE, n as f64)]);
        }
        // The mark of the full chunk is in the log, the chunk is not yet in its file.
        disk.kill();
        storage = Some(open_with(&disk, options).0);
    }
    let storage = storage.unwrap();
    put(&storage, &[("b", 8 * HOUR, 0.0)]);
    let want = all(&storage);
    assert_eq!((want["a"].len(), want["b"].len()), (7, 8));
    storage.close().unwrap();
    drop(storage);
    assert_eq!(all(&open_with(&disk, options).0), want);
}

/// Adds records behind those of a log.
fn add_records(disk: &SimDisk, dir: &str, put: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    put(&mut batch);
    let disk = Arc::new(disk.clone());
    let mut log = wal::Writer::open(disk, Path::new(dir), WriterOptions::default()).unwrap();
    log.log(&batch).unwrap();
    log.close().unwrap();
}

#[test]
fn times_out_of_proportion_do_no_harm() {
    const FAR: i64 = 1 << 60;
    let options = options_with(|options| {
        options.limits.metrics.out_of_order_window = 3 * HOUR;
        options.limits.metrics.retention_time = 0;
        options.metrics.out_of_order_chunk_samples = 5;
    });
    for (log, times) in [
        ("wbl", &[FAR][..]),
        ("wbl", &[-FAR]),
        ("wbl", &[-FAR, 9 * HOUR + 1, FAR, i64::MAX - 1, i64::MIN, i64::MAX]),
        ("wal", &[FAR]),
        ("wal", &[-FAR]),
        ("wal", &[i64::MIN, -FAR, FAR, i64::MAX]),
    ] {
        let disk = SimDisk::new(28);
        let storage = open_with(&disk, options).0;
        for n in 0..5 * 60 {
            put(&storage, &[("a", 5 * HOUR + n * MINUTE, n as f64)]);
        }
        put(&storage, &[("a", 9 * HOUR - 1, 0.0)]);
        storage.close().unwrap();
        drop(storage);
        add_records(&disk, log, |batch| {
            let of = |n| RefSeries { series: LogRef(n), labels: series(&format!("far {n}")) };
            let sample = |(n, t): (usize, &i64)| RefSample {
                series: LogRef(100 + n as u64 % 2),
                t: *t,
                start_t: 0,
                v: 1.0,
            };
            let samples: Vec<_> = times.iter().enumerate().map(sample).collect();
            if log == "wal" {
                batch.push(|out| record::put_series(out, &[of(100), of(101)]));
            }
            batch.push(|out| record::put_samples(out, &samples, false));
        });
        if log == "wbl" {
            add_records(&disk, "wal", |batch| {
                let of = |n| RefSeries { series: LogRef(n), labels: series(&format!("far {n}")) };
                batch.push(|out| record::put_series(out, &[of(100), of(101)]));
            });
        }
        for _ in 0..2 {
            let (storage, heard) = open_with(&disk, options);
            let all = |storage: &Storage| -> Vec<i64> {
                let found = all(storage);
                let far = found.iter().filter(|(name, _)| name.starts_with("far"));
                far.flat_map(|(_, samples)| samples.iter().map(|(t, _)| *t)).collect()
            };
            let kept = |storage: &Storage| read(&*storage.snapshot(), 5 * HOUR, 10 * HOUR)["a"].len();
            assert_eq!(kept(&storage), 301, "{times:?} in {log}");
            let mut before = all(&storage);
            before.sort_unstable();
            // What is out of order is written out only with what is old.
            let mut appender = storage.appender();
            let _ = appender.append(None, &series("a"), 13 * HOUR, 0.0, 0);
            let end = appender.append(None, &series("a"), i64::MAX, 0.0, 0);
            assert_eq!(end, Err(AppendError::OutOfBounds));
            appender.commit().unwrap();
            storage.compact().unwrap();
            storage.compact().unwrap();
            let mut after = all(&storage);
            after.sort_unstable();
            assert!(!before.is_empty() && !before.contains(&i64::MAX), "{before:?}");
            assert_eq!(after, before, "{times:?} in {log}");
            assert_eq!(kept(&storage), 301, "{times:?} in {log}");
            assert!(storage.blocks().len() < 12, "{}", storage.blocks().len());
            storage.snapshot_to("copy", true).unwrap();
            assert_eq!(heard.problems().concat().matches("failed").count(), 0, "{:?}", heard.problems());
            storage.close().unwrap();
            disk.remove_dir_all(Path::new("snapshots")).unwrap();
        }
    }
}

#[test]
fn missing_segments_are_reported_and_what_follows_is_kept() {
    let disk = SimDisk::new(29);
    for n in 0..3 {
        // A restart begins a segment.
        let storage = open_with(&disk, options()).0;
        put(&storage, &[("a", n * MINUTE, n as f64), (&format!("b{n}"), n * MINUTE, 0.0)]);
        storage.close().unwrap();
    }
    for (removed, missing, kept) in [(0, "wal/00000000", "wal/00000001"), (1, "wal/00000000", "wal/00000002")]
    {
        disk.remove_file(&wal::segment::path(Path::new("wal"), removed)).unwrap();
        let (storage, heard) = open_with(&disk, options());
        let problems = heard.problems().concat();
        assert!(
            problems.contains(&format!("segments from {missing} to before {kept} are missing")),
            "{problems}"
        );
        assert!(problems.contains("there is no checkpoint"), "{problems}");
        assert_eq!(figure(&storage, "prometheus_tsdb_wal_corruptions_total"), 1.0);
        assert_eq!(all(&storage)["b2"].len(), 1);
        storage.close().unwrap();
    }
    // Behind a checkpoint.
    let disk = SimDisk::new(30);
    let storage = open_with(&disk, options()).0;
    for n in 0..16 * 60 {
        let samples: Vec<_> =
            (0..20).map(|i| (["a", "b", "c", "d"][i % 4], n * MINUTE + i as i64, 1.5)).collect();
        put(&storage, &samples);
    }
    storage.compact().unwrap();
    storage.close().unwrap();
    drop(storage);
    let checkpoint = wal::checkpoint::last(&disk, Path::new("wal")).unwrap().unwrap();
    let (storage, heard) = open_with(&disk, options());
    assert_eq!(heard.problems(), [""; 0]);
    storage.close().unwrap();
    drop(storage);
    disk.remove_file(&wal::segment::path(Path::new("wal"), checkpoint.segment + 1)).unwrap();
    let problems = open_with(&disk, options()).1.problems().concat();
    assert!(problems.contains("checkpoint.") && problems.contains("ends before them"), "{problems}");
}

#[test]
fn marks_and_numbers_out_of_proportion_do_no_harm() {
    let disk = SimDisk::new(22);
    let options = options_with(|options| {
        options.limits.metrics.out_of_order_window = 20 * HOUR;
        options.metrics.out_of_order_chunk_samples = 5;
        options.metrics.samples_per_chunk = 10;
    });
    let storage = open_with(&disk, options).0;
    for n in 0..100 {
        put(&storage, &[("a", 10 * HOUR + n * MINUTE, n as f64)]);
        put(&storage, &[("a", 10 * HOUR - (n + 1) * MINUTE, n as f64)]);
    }
    storage.close().unwrap();
    drop(storage);
    add_records(&disk, "wbl", |batch| {
        batch.push(|out| record::put_out_of_order_covered(out, u64::MAX));
        batch.push(|out| record::put_out_of_order_covered(out, 0x7fff_ffff << 32));
        let markers = [0, 1, u64::MAX].map(|n| RefMmapMarker { series: LogRef(n), chunk: u64::MAX - n });
        batch.push(|out| record::put_mmap_markers(out, &markers));
    });
    add_records(&disk, "wal", |batch| {
        let of = |n, name| RefSeries { series: LogRef(n), labels: series(name) };
        batch.push(|out| record::put_series(out, &[of(u64::MAX, "x"), of(u64::MAX - 1, "a"), of(0, "y")]));
        let sample = |n| RefSample { series: LogRef(n), t: 12 * HOUR, start_t: 0, v: 1.0 };
        batch.push(|out| record::put_samples(out, &[sample(u64::MAX), sample(0)], false));
        batch.push(|out| record::put_out_of_order_follows(out, 6));
        batch.push(|out| out.extend([2, 1]));
        batch.push(|out| record::put_samples(out, &[sample(1)], false));
    });
    let mut found = None;
    for time in 0..3 {
        let (storage, heard) = open_with(&disk, options);
        let problems = heard.problems().concat();
        assert_eq!(problems.matches("the record was passed over").count(), 4, "{problems}");
        let all = all(&storage);
        assert_eq!((all["a"].len(), all["x"].len(), all["y"].len()), (201 + time, 1, 1));
        put(&storage, &[("a", 12 * HOUR + 1 + time as i64, 0.0), (&format!("new {time}"), 13 * HOUR, 0.0)]);
        assert!(disk.list(Path::new("chunks_head")).unwrap().len() < 10);
        found = Some(super::all(&storage));
        disk.kill();
    }
    // Checkpoints pass over the same records.
    let (storage, heard) = open_with(&disk, options);
    assert_eq!(Some(all(&storage)), found);
    let before = heard.problems().len();
    for hour in 14..40 {
        put(&storage, &[("a", hour * HOUR, 1.0)]);
        storage.compact().unwrap();
    }
    assert!(figure(&storage, "prometheus_tsdb_checkpoint_creations_total") > 0.0);
    assert_eq!(figure(&storage, "prometheus_tsdb_checkpoint_creations_failed_total"), 0.0);
    let problems = heard.problems()[before..].concat();
    assert_eq!(problems.matches("the record was passed over").count(), 2, "{problems}");
    let want = all(&storage);
    disk.kill();
    drop(storage);
    let (storage, heard) = open_with(&disk, options);
    assert_eq!((all(&storage), heard.problems()), (want, vec![]));
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
        let integer = HistogramSample::Integer(Arc::new(histogram(n)));
        let of = appender.append_histogram(None, &series("h"), t, integer, 0).unwrap();
        let float = HistogramSample::Float(Arc::new(custom(n)));
        appender.append_histogram(None, &series("custom"), t, float, 0).unwrap();
        let labels = Labels::from_pairs([("trace_id", n.to_string())]);
        appender.append_exemplar(of, Exemplar { labels, v: n as f64, t: Some(t) }).unwrap();
        appender.commit().unwrap();
    }
    let mut appender = storage.appender();
    appender.append(None, &series("h"), 300 * MINUTE, STALE_NAN, 0).unwrap();
    let wrong = Histogram { count: 1, ..Histogram::default() };
    let refused =
        appender.append_histogram(None, &series("x"), HOUR, HistogramSample::Integer(Arc::new(wrong)), 0);
    assert!(matches!(refused, Err(AppendError::OutOfBounds)), "{refused:?}");
    let wrong = Histogram { count: 1, ..Histogram::default() };
    let refused = appender.append_histogram(
        None,
        &series("x"),
        300 * MINUTE,
        HistogramSample::Integer(Arc::new(wrong)),
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

#[test]
fn a_full_disk_heals() {
    let disk = SimDisk::new(9);
    let storage = open(&disk);
    put(&storage, &[("a", 1000, 1.0)]);
    disk.set_capacity(Some(disk.used()));
    for n in 0..10 {
        let mut appender = storage.appender();
        appender.append(None, &series("a"), 2000 + n, 2.0, 0).unwrap();
        appender.append(None, &series("new"), 2000 + n, 2.0, 0).unwrap();
        assert!(appender.commit().unwrap_err().disk_full);
    }
    assert_eq!(all(&storage), expect(&[("a", &[(1000, 1.0)])]));
    disk.set_capacity(None);
    put(&storage, &[("a", 3000, 3.0), ("new", 3000, 3.0)]);
    let want = expect(&[("a", &[(1000, 1.0), (3000, 3.0)]), ("new", &[(3000, 3.0)])]);
    assert_eq!(all(&storage), want);
    disk.kill();
    drop(storage);
    assert_eq!(all(&open(&disk)), want);
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
