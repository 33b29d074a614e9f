//! Reading a data directory beside the process that uses it.

use std::path::Path;
use std::sync::Arc;

use model::HistogramValue;
use model::append::Appendable;
use model::histogram::{Histogram, Span};
use model::read::{Hints, Selection};
use storage_base::fs::{Disk, SimDisk};
use storage_metrics::store::read_only::{ReadOnly, StoredSeries};

use super::*;

fn histogram(count: u64) -> Histogram {
    Histogram {
        count,
        sum: 1.0,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive_buckets: vec![count as i64],
        ..Histogram::default()
    }
}

fn files(disk: &SimDisk, dir: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in disk.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            files(disk, &path, found);
        } else {
            found.push((path.display().to_string(), disk.read(&path).unwrap()));
        }
    }
}

fn open(disk: &SimDisk, max_t: i64) -> ReadOnly {
    let scratch = Arc::new(SimDisk::new(0));
    ReadOnly::open(Arc::new(disk.clone()), scratch, max_t, &Heard::default()).unwrap()
}

fn times(data: &ReadOnly, sorted: bool) -> Vec<(String, Vec<i64>)> {
    let hints = Hints::default();
    let all = Selection { matchers: Vec::new(), min_t: i64::MIN, max_t: i64::MAX, limit: 0, hints };
    let selected = data.select(&all, sorted).unwrap().into_iter();
    let read = |series: StoredSeries| {
        let (mut times, mut runs) = (Vec::new(), series.runs());
        while let Some(samples) = runs.next_run().unwrap() {
            times.extend(samples.iter().map(|sample| sample.t));
        }
        (series.labels().get("n").unwrap().to_owned(), times)
    };
    selected.map(read).collect()
}

#[test]
fn a_directory_in_use_is_read_and_not_changed() {
    let disk = SimDisk::new(0);
    let (storage, _) = open_with(&disk, window(HOUR));
    for minute in 0..200 {
        put(&storage, &[("b", minute * MINUTE, 1.0), ("a", minute * MINUTE, 1.0)]);
    }
    put(&storage, &[("b", 199 * MINUTE - 1, 1.0)]);
    let mut before = Vec::new();
    files(&disk, Path::new(""), &mut before);

    let data = open(&disk, i64::MAX);
    let minutes: Vec<i64> = (0..200).map(|minute| minute * MINUTE).collect();
    let mut of_b = minutes.clone();
    of_b.insert(199, 199 * MINUTE - 1);
    let want = [("a".to_owned(), minutes), ("b".to_owned(), of_b)];
    assert_eq!(times(&data, true), want);
    assert_eq!(times(&data, false), [want[1].clone(), want[0].clone()], "by number");
    let mut after = Vec::new();
    files(&disk, Path::new(""), &mut after);
    assert!(before == after, "the directory was changed");

    storage.compact().unwrap();
    let data = open(&disk, i64::MAX);
    assert_eq!(times(&data, false), want);
    let (name, of_blocks) = &times(&open(&disk, HOUR), false)[0];
    assert_eq!((&**name, of_blocks.last()), ("a", Some(&(119 * MINUTE))), "no head");
    storage.close().unwrap();
}

#[test]
fn histograms_keep_their_form() {
    let disk = SimDisk::new(0);
    let (storage, _) = open_with(&disk, window(HOUR));
    // The second is out of order.
    for (t, count) in [(2 * MINUTE, 2), (MINUTE, 1)] {
        let mut appender = storage.appender();
        let sample = HistogramValue::Integer(Arc::new(histogram(count)));
        appender.append_histogram(None, &series("h"), t, sample, 0).unwrap();
        appender.commit().unwrap();
    }
    let data = open(&disk, i64::MAX);
    let hints = Hints::default();
    let all = Selection { matchers: Vec::new(), min_t: 0, max_t: HOUR, limit: 0, hints };
    let mut runs = data.select(&all, true).unwrap()[0].runs();
    let mut counts = Vec::new();
    while let Some(samples) = runs.next_run().unwrap() {
        counts.extend(samples.into_iter().map(|sample| match sample.value {
            model::SampleValue::Histogram(HistogramValue::Integer(h)) => h.count,
            other => panic!("{other:?}"),
        }));
    }
    assert_eq!(counts, [1, 2]);
}
