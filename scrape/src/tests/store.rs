//! A store in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use model::HistogramValue;
use model::append::{AppendError, Appendable, Appender, CommitError, Committed, SeriesRef};
use model::labels::Labels;
use model::metadata::Metadata;
use model::sample::{Exemplar, is_stale};
use parking_lot::Mutex;

/// Keeps samples by series text. Refuses out-of-order and contradicting samples as a store without out-of-order window does.
#[derive(Default)]
pub(super) struct MemoryStore {
    pub(super) series: Mutex<Vec<Stored>>,
    pub(super) numbers: Mutex<HashMap<Labels, usize>>,
    pub(super) fails: AtomicBool,
}

#[derive(Default)]
pub(super) struct Stored {
    pub(super) labels: String,
    pub(super) samples: Vec<(i64, String)>,
    pub(super) exemplars: Vec<Exemplar>,
    pub(super) metadata: Option<Metadata>,
}

struct MemoryAppender<'s> {
    store: &'s MemoryStore,
    pending: Vec<(usize, i64, String)>,
    exemplars: Vec<(usize, Exemplar)>,
}

impl MemoryAppender<'_> {
    pub(super) fn add(
        &mut self,
        known: Option<SeriesRef>,
        labels: &Labels,
        t: i64,
        v: String,
    ) -> Result<SeriesRef, AppendError> {
        if t < -1_000_000_000_000 {
            return Err(AppendError::OutOfBounds);
        }
        let mut numbers = self.store.numbers.lock();
        let mut series = self.store.series.lock();
        let number = match known.map(|known| known.0 as usize - 1).filter(|number| *number < series.len()) {
            Some(number) => {
                let same = labels.is_empty() || numbers.get(labels) == Some(&number);
                assert!(same, "another series' reference");
                number
            }
            None if labels.is_empty() => return Err(AppendError::UnknownSeries),
            None => *numbers.entry(labels.clone()).or_insert_with(|| {
                series.push(Stored { labels: labels.to_string(), ..Stored::default() });
                series.len() - 1
            }),
        };
        let pending = self.pending.iter().rev().find(|(n, ..)| *n == number).map(|(_, t, v)| (*t, v.clone()));
        match pending.as_ref().or(series[number].samples.last()) {
            Some((last, _)) if *last > t => return Err(AppendError::OutOfOrder),
            Some((last, value)) if *last == t && *value != v => return Err(AppendError::Duplicate),
            _ => {}
        }
        self.pending.push((number, t, v));
        Ok(SeriesRef(number as u64 + 1))
    }
}

/// How a start timestamp is kept, if there is one.
pub(super) fn from(start_t: i64) -> String {
    if start_t == 0 { String::new() } else { format!(" from {start_t}") }
}

impl Appender for MemoryAppender<'_> {
    fn append(
        &mut self,
        known: Option<SeriesRef>,
        labels: &Labels,
        t: i64,
        v: f64,
        start_t: i64,
    ) -> Result<SeriesRef, AppendError> {
        let text = if is_stale(v) { "stale".to_owned() } else { v.to_string() };
        self.add(known, labels, t, text + &from(start_t))
    }

    fn append_histogram(
        &mut self,
        known: Option<SeriesRef>,
        labels: &Labels,
        t: i64,
        v: HistogramValue,
        start_t: i64,
    ) -> Result<SeriesRef, AppendError> {
        let text = match v {
            HistogramValue::Integer(h) => {
                format!("schema {} {:?} {:?}", h.schema, h.positive_buckets, h.custom_values)
            }
            HistogramValue::Float(h) => {
                format!("schema {} {:?} {:?}", h.schema, h.positive_buckets, h.custom_values)
            }
        };
        self.add(known, labels, t, text + &from(start_t))
    }

    fn append_exemplar(&mut self, series: SeriesRef, exemplar: Exemplar) -> Result<(), AppendError> {
        self.exemplars.push((series.0 as usize - 1, exemplar));
        Ok(())
    }

    fn set_metadata(&mut self, series: SeriesRef, metadata: &Metadata) -> Result<(), AppendError> {
        self.store.series.lock()[series.0 as usize - 1].metadata = Some(metadata.clone());
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Committed, CommitError> {
        if self.store.fails.load(Ordering::Relaxed) {
            return Err(CommitError { reason: "no space".to_owned(), disk_full: true });
        }
        let mut series = self.store.series.lock();
        let samples = self.pending.len();
        for (number, t, v) in self.pending {
            series[number].samples.push((t, v));
        }
        for (number, exemplar) in self.exemplars {
            series[number].exemplars.push(exemplar);
        }
        Ok(Committed { samples, dropped: 0 })
    }

    fn rollback(self: Box<Self>) {}
}

impl Appendable for MemoryStore {
    fn appender(&self) -> Box<dyn Appender + '_> {
        Box::new(MemoryAppender { store: self, pending: Vec::new(), exemplars: Vec::new() })
    }
}

impl MemoryStore {
    /// Values by series text, of series whose text contains `part`.
    pub(super) fn values(&self, part: &str) -> BTreeMap<String, Vec<String>> {
        let series = self.series.lock();
        let matching = series.iter().filter(|s| s.labels.contains(part) && !s.samples.is_empty());
        matching.map(|s| (s.labels.clone(), s.samples.iter().map(|(_, v)| v.clone()).collect())).collect()
    }

    /// The values of the one series whose text contains `part`.
    pub(super) fn of(&self, part: &str) -> Vec<String> {
        let mut all = self.values(part);
        assert!(all.len() <= 1, "{part}: {all:?}");
        all.pop_first().map(|(_, values)| values).unwrap_or_default()
    }

    pub(super) fn times(&self, part: &str) -> Vec<i64> {
        let series = self.series.lock();
        series
            .iter()
            .filter(|s| s.labels.contains(part))
            .flat_map(|s| s.samples.iter().map(|(t, _)| *t))
            .collect()
    }
}
