//! What tests of whole stores share: labels, samples put in and read out, an observer that keeps what happened.
//! Included by the tests of several crates.
#![allow(dead_code, reason = "no crate uses all of it")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use model::append::{Appendable, SeriesRef};
use model::read::{Columns, Hints, Selection, SeriesSource};
use model::time::Clock;
use model::{Labels, Matcher};
use parking_lot::{Condvar, Mutex};
use storage_base::{Event, Observer, Severity};
use telemetry::{Collect, Gather};

pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const MINUTE: i64 = 60_000;

/// A clock that stands still.
pub(crate) struct Still(pub AtomicI64);

impl Clock for Still {
    fn now_ms(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Keeps what happened, and holds replay up where the test asks for it.
#[derive(Default)]
pub(crate) struct Heard {
    events: Mutex<Vec<Event>>,
    /// Segments that may be entered before replay is held up; `None` for all.
    segments: Mutex<Option<u64>>,
    changed: Condvar,
}

impl Observer for Heard {
    fn event(&self, event: &Event) {
        self.events.lock().push(event.clone());
        if matches!(event, Event::Replaying { .. }) {
            let mut segments = self.segments.lock();
            self.changed.wait_while(&mut segments, |segments| *segments == Some(0));
            *segments = segments.map(|segments| segments - 1);
        }
        self.changed.notify_all();
    }
}

impl Heard {
    /// Holds replay up when it has entered this many segments, until it is released.
    pub(crate) fn holding_up(segments: Option<u64>) -> Self {
        Self { segments: Mutex::new(segments), ..Self::default() }
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        let events = self.events.lock();
        events.iter().filter(|event| event.severity() > Severity::Info).map(Event::to_string).collect()
    }

    /// Whether replay has come to where it is held up. Waits a moment for it.
    pub(crate) fn is_held_up(&self) -> bool {
        let mut segments = self.segments.lock();
        if *segments != Some(0) {
            self.changed.wait_for(&mut segments, Duration::from_micros(200));
        }
        *segments == Some(0)
    }

    /// Lets replay go on.
    pub(crate) fn release(&self) {
        *self.segments.lock() = None;
        self.changed.notify_all();
    }
}

pub(crate) fn series(name: &str) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("n", name)])
}

/// Appends floats of one commit; all must be taken.
pub(crate) fn put(storage: &dyn Appendable, samples: &[(&str, i64, f64)]) -> Vec<SeriesRef> {
    let mut appender = storage.appender();
    let refs =
        samples.iter().map(|(name, t, v)| appender.append(None, &series(name), *t, *v, 0).unwrap()).collect();
    assert_eq!(appender.commit().unwrap().dropped, 0);
    refs
}

pub(crate) type Samples = BTreeMap<String, Vec<(i64, u64)>>;

/// Float samples of all series by their label `n`.
pub(crate) fn read(source: &dyn SeriesSource, min_t: i64, max_t: i64) -> Samples {
    let (found, warnings) = read_with_warnings(source, min_t, max_t);
    assert_eq!(warnings, [""; 0]);
    found
}

/// As [`read`], from a store that may have to say something.
pub(crate) fn read_with_warnings(
    source: &dyn SeriesSource,
    min_t: i64,
    max_t: i64,
) -> (Samples, Vec<String>) {
    let matchers = vec![Matcher::equal("__name__", "m")];
    let set =
        source.select(&Selection { matchers, min_t, max_t, limit: 0, hints: Hints::default() }).unwrap();
    assert!(set.series.is_sorted_by(|a, b| a.labels() < b.labels()));
    let mut found = Samples::new();
    for series in &set.series {
        let (mut columns, mut cursor) = (Columns::default(), series.cursor());
        while cursor.next_run(&mut columns).unwrap() {}
        assert!(columns.float_t.is_sorted_by(|a, b| a < b), "{} {:?}", series.labels(), columns.float_t);
        if !columns.is_empty() {
            let samples = columns.float_t.into_iter().zip(columns.float_v.into_iter().map(f64::to_bits));
            found.insert(series.labels().get("n").unwrap().to_owned(), samples.collect());
        }
    }
    (found, set.warnings)
}

pub(crate) fn expect(samples: &[(&str, &[(i64, f64)])]) -> Samples {
    samples
        .iter()
        .map(|(name, samples)| ((*name).to_owned(), samples.iter().map(|(t, v)| (*t, v.to_bits())).collect()))
        .collect()
}

/// A figure without labels.
pub(crate) fn figure(of: &dyn Collect, name: &str) -> f64 {
    figure_of(of, name, &[])
}

/// A figure of one kind of sample.
pub(crate) fn figure_of_type(of: &dyn Collect, name: &str, kind: &str) -> f64 {
    figure_of(of, name, &[("type", kind)])
}

fn figure_of(of: &dyn Collect, name: &str, labels: &[(&str, &str)]) -> f64 {
    let mut gathered = Gather::default();
    of.collect(&mut gathered);
    gathered.value(name, labels).unwrap()
}
