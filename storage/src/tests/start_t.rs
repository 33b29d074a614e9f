//! Start timestamps, the encodings that hold them, and samples of 0 where series began.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use model::append::Appendable;
use model::histogram::{Histogram, Span};
use model::read::{Columns, Hints, Selection};
use model::{HistogramValue, Matcher};
use storage_base::fs::SimDisk;
use storage_metrics::codec::chunk::Encoding;

use super::*;
use crate::{FloatEncoding, Limits, Storage, metrics};

/// A histogram of this many observations.
fn integers(n: u64) -> HistogramValue {
    HistogramValue::Integer(Arc::new(Histogram {
        count: n,
        sum: n as f64,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive_buckets: vec![n as i64],
        ..Histogram::default()
    }))
}

/// The encodings of all chunks of the store's blocks.
fn encodings(storage: &Storage) -> BTreeSet<Encoding> {
    let mut found = BTreeSet::new();
    for block in storage.metrics.block_set().blocks() {
        let hints = Hints::default();
        let all = Selection { matchers: vec![], min_t: i64::MIN, max_t: i64::MAX, limit: 0, hints };
        for series in block.select(&all).unwrap() {
            let chunks = series.unwrap().chunks;
            found.extend(chunks.iter().map(|chunk| block.chunk(chunk).unwrap().encoding));
        }
    }
    found
}

/// Start timestamps of a series' samples by time, floats and histograms.
fn starts(storage: &Storage, name: &str) -> BTreeMap<i64, i64> {
    let matchers = vec![Matcher::equal("n", name)];
    let selection =
        Selection { matchers, min_t: i64::MIN, max_t: i64::MAX, limit: 0, hints: Hints::default() };
    let mut columns = Columns::default();
    storage.snapshot().select(&selection).unwrap().series[0].read(&mut columns).unwrap();
    let unknown = std::iter::repeat(0);
    let floats = columns.float_t.into_iter().zip(columns.float_start_t.into_iter().chain(unknown.clone()));
    let histograms =
        columns.histogram_t.into_iter().zip(columns.histogram_start_t.into_iter().chain(unknown));
    floats.chain(histograms).collect()
}

#[test]
fn start_timestamps_live_where_they_are_asked_for() {
    let kept = |floats, start_t, histogram_start_t| {
        options_with(|options| {
            options.limits.metrics.floats = floats;
            options.limits.metrics.out_of_order_window = 3 * HOUR;
            options.metrics.start_t = start_t;
            options.metrics.histogram_start_t = histogram_start_t;
        })
    };
    use FloatEncoding::{Xor, Xor2};
    for (number, (options, survives, want)) in [
        (kept(Xor, false, false), [false, false], [Encoding::Xor, Encoding::Histogram]),
        // XOR2 has the places, and without log nothing to put there after a restart.
        (kept(Xor2, false, false), [false, false], [Encoding::Xor2, Encoding::Histogram]),
        (kept(Xor2, true, false), [true, false], [Encoding::Xor2, Encoding::Histogram]),
        (kept(Xor2, true, true), [true, true], [Encoding::Xor2, Encoding::HistogramSt]),
    ]
    .into_iter()
    .enumerate()
    {
        let disk = SimDisk::new(number as u64);
        let (storage, _) = open_with(&disk, options);
        let start = |t: i64| if t % (3 * MINUTE) == 0 { 0 } else { t / HOUR * HOUR + 1 };
        let mut times: Vec<i64> = (1..240).map(|n| n * MINUTE).collect();
        times.extend([90 * MINUTE + 1, 150 * MINUTE + 1]);
        for &t in &times {
            let mut appender = storage.appender();
            appender.append(None, &series("f"), t, t as f64, start(t)).unwrap();
            appender.append_histogram(None, &series("h"), t, integers(t as u64), start(t)).unwrap();
            assert_eq!(appender.commit().unwrap().dropped, 0);
        }
        let expected = |survives: bool| -> BTreeMap<i64, i64> {
            times.iter().map(|&t| (t, if survives { start(t) } else { 0 })).collect()
        };
        // Alive, a chunk with places has them filled even if the log has none.
        assert!(starts(&storage, "f") == expected(want[0] == Encoding::Xor2), "{options:?}");
        assert_eq!(starts(&storage, "h").len(), times.len());
        disk.kill();
        drop(storage);
        for step in ["replay", "flush", "merge", "reopen"] {
            let (storage, heard) = open_with(&disk, options);
            assert_eq!(heard.problems(), [""; 0]);
            if step != "replay" {
                storage.compact().unwrap();
                assert_eq!(encodings(&storage), BTreeSet::from(want), "{options:?}");
            }
            assert!(starts(&storage, "f") == expected(survives[0]), "{step} {options:?}");
            assert!(starts(&storage, "h") == expected(survives[1]), "{step} {options:?}");
            storage.close().unwrap();
        }
    }
}

#[test]
fn encodings_change_while_running() {
    let disk = SimDisk::new(3);
    let (storage, _) = open_with(&disk, options_with(|options| options.metrics.samples_per_chunk = 10));
    let mut want = Vec::new();
    for n in 0..200i64 {
        if n % 15 == 0 {
            let floats = if n % 2 == 0 { FloatEncoding::Xor2 } else { FloatEncoding::Xor };
            storage.set_limits(Limits {
                metrics: metrics::Limits { floats, ..metrics::Limits::default() },
                ..Limits::default()
            });
        }
        put(&storage, &[("a", n * 2 * MINUTE, n as f64)]);
        want.push((n * 2 * MINUTE, n as f64));
    }
    storage.compact().unwrap();
    assert_eq!(encodings(&storage), BTreeSet::from([Encoding::Xor, Encoding::Xor2]));
    assert_eq!(all(&storage), expect(&[("a", &want)]));
    disk.kill();
    drop(storage);
    assert_eq!(all(&open(&disk)), expect(&[("a", &want)]));
}

#[test]
fn xor_loses_start_timestamps() {
    let clock = Arc::new(Still(AtomicI64::new(0)));
    let options = options_with(|options| options.metrics.start_t = true);
    let opened = Storage::open(Arc::new(SimDisk::new(0)), clock, options, Arc::new(Heard::default()));
    let refused = opened.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused.starts_with("float chunk encoding \"xor\" is incompatible"), "{refused}");
}

#[test]
fn a_zero_where_a_series_began() {
    let disk = SimDisk::new(4);
    let zeros = options_with(|options| options.metrics.zero_at_start = true);
    let (storage, _) = open_with(&disk, zeros);
    let append = |t: i64, v: f64, start_t: i64| {
        let mut appender = storage.appender();
        appender.append(None, &series("f"), t, v, start_t).unwrap();
        appender.append_histogram(None, &series("h"), t, integers(v as u64), start_t).unwrap();
        appender.commit().unwrap().samples
    };
    put(&storage, &[("other", 10 * HOUR, 1.0)]);
    let (first, began) = (10 * HOUR, 10 * HOUR - MINUTE);
    assert_eq!(append(first, 5.0, began), 4);
    // Known by now; then a restart of the target; then one in the future, and one before what the head takes.
    assert_eq!(append(first + MINUTE, 6.0, began), 2);
    assert_eq!(append(first + 3 * MINUTE, 1.0, first + 2 * MINUTE), 4);
    assert_eq!(append(first + 4 * MINUTE, 2.0, first + 9 * MINUTE), 2);
    assert_eq!(append(first + 5 * MINUTE, 3.0, MINUTE), 2);
    let want: &[(i64, f64)] = &[
        (began, 0.0),
        (first, 5.0),
        (first + MINUTE, 6.0),
        (first + 2 * MINUTE, 0.0),
        (first + 3 * MINUTE, 1.0),
        (first + 4 * MINUTE, 2.0),
        (first + 5 * MINUTE, 3.0),
    ];
    let check = |storage: &Storage| {
        assert_eq!(all(storage)["f"], expect(&[("f", want)])["f"]);
        let times: Vec<i64> = starts(storage, "h").into_keys().collect();
        assert!(times.into_iter().eq(want.iter().map(|(t, _)| *t)));
    };
    check(&storage);
    disk.kill();
    drop(storage);
    check(&open_with(&disk, zeros).0);
    // Without being asked, nothing is added.
    put(&open(&SimDisk::new(5)), &[("f", MINUTE, 1.0)]);
    let storage = open(&SimDisk::new(6));
    let mut appender = storage.appender();
    appender.append(None, &series("f"), first, 1.0, began).unwrap();
    assert_eq!(appender.commit().unwrap().samples, 1);
}
