//! What the head knows of series once replay has ended.

use model::append::{AppendError, Appendable};
use model::metadata::{Metadata, MetricType};
use model::sample::{Exemplar, STALE_NAN};
use model::{Labels, Matcher};
use storage_base::fs::SimDisk;

use crate::ExemplarQuery;
use crate::testing::*;

/// Samples of a log with several segments, then a crash.
fn filled(seed: u64, options: Settings) -> (SimDisk, Samples) {
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

#[test]
fn references_and_what_hangs_on_them_outlive_the_end_of_replay() {
    let (disk, _) = filled(3, options());
    let (storage, heard) = begin(&disk, options(), Some(2));
    let old_and_new = put(&storage, &[("s1", 4 * HOUR, 1.0), ("new", 4 * HOUR, 2.0)]);
    let metadata = Metadata { kind: MetricType::Counter, help: "h".into(), unit: String::new() };
    let exemplar =
        |t: i64| Exemplar { labels: Labels::from_pairs([("id", "x")]), v: 1.0, t: Some(t), sample_t: t };
    let mut appender = storage.appender();
    for series in &old_and_new {
        appender.append(Some(*series), &Labels::empty(), 4 * HOUR + 1, 1.0, 0).unwrap();
        appender.append_exemplar(*series, exemplar(4 * HOUR + 1)).unwrap();
        appender.set_metadata(*series, &metadata).unwrap();
    }
    appender.commit().unwrap();
    heard.release();
    storage.wait_replayed().unwrap();

    // A scrape knows its series by references alone, and marks with them what has gone.
    let mut appender = storage.appender();
    for (series, v) in old_and_new.iter().zip([STALE_NAN, 3.0]) {
        let now = appender.append(Some(*series), &Labels::empty(), 5 * HOUR, v, 0).unwrap();
        assert_ne!(now, *series);
        assert_eq!(appender.append(Some(now), &Labels::empty(), 5 * HOUR, v, 0), Ok(now));
        appender.append_exemplar(now, exemplar(5 * HOUR)).unwrap();
    }
    assert_eq!(
        appender.append(Some(model::append::SeriesRef(u64::MAX)), &Labels::empty(), 5 * HOUR, 1.0, 0),
        Err(AppendError::UnknownSeries)
    );
    appender.commit().unwrap();
    let samples = all(&storage);
    assert_eq!(samples["s1"].last(), Some(&(5 * HOUR, STALE_NAN.to_bits())));
    assert_eq!(samples["new"].len(), 3);
    let query =
        ExemplarQuery { matchers: vec![vec![Matcher::equal("n", "new")]], min_t: i64::MIN, max_t: i64::MAX };
    let exemplars = storage.exemplars(&query);
    assert_eq!(exemplars.iter().map(|series| series.exemplars.len()).collect::<Vec<_>>(), [2]);
    let head = storage.metrics.live();
    for name in ["s1", "new"] {
        let found = head.table.get(&series(name)).unwrap();
        assert_eq!(head.metadata.lock().get(&found).map(|m| (**m).clone()), Some(metadata.clone()));
    }
}

#[test]
fn series_are_numbered_behind_all_that_the_log_has() {
    let (disk, _) = filled(9, options());
    for round in 0..4 {
        let (storage, heard) = begin(&disk, options(), Some(round));
        let name = format!("new{round}");
        put(&storage, &[(&*name, 4 * HOUR + round as i64, 1.0), ("s0", 4 * HOUR + round as i64, 1.0)]);
        let numbers = |head: &crate::head::Head| {
            let found = head.table.get(&series(&name)).unwrap();
            head.table.pages().lock(found).unwrap().log_ref
        };
        // Forty at first, and two more in each round.
        let interim = numbers(&storage.metrics.live());
        assert!((41 + 2 * round..=42 + 2 * round).contains(&interim.0), "{interim:?} in round {round}");
        heard.release();
        storage.wait_replayed().unwrap();
        assert_eq!(numbers(&storage.metrics.live()), interim, "it is still known by that");
        disk.kill();
    }
    assert_eq!(all(&open(&disk))["s0"].len(), 364);
}
