//! Series in memory, for scripts and tests: a [`Store`] to load and a [`SeriesSource`] to query.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::histogram::{FloatHistogram, ResetHint};
use model::labels::METADATA_LABELS;
use model::read::{Columns, Cursor, ReadError, Selection, Series, SeriesSet, SeriesSource};
use model::{Labels, Value};

use super::{LoadedSample, LoadedSeries, Store};

/// How long a chunk of Prometheus's head lasts, in milliseconds.
const CHUNK_RANGE: i64 = 7_200_000;

/// All series, in label order.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    series: BTreeMap<Labels, Arc<Stored>>,
}

/// The samples of one series.
#[derive(Clone, Debug, Default)]
struct Stored {
    columns: Columns,
}

impl Store for MemoryStore {
    fn clear(&mut self) -> Result<(), String> {
        self.series.clear();
        Ok(())
    }

    /// Samples must be newer than those that the series has; a sample that is there already is skipped.
    fn load(&mut self, series: Vec<LoadedSeries>) -> Result<(), String> {
        for LoadedSeries { labels, samples } in series {
            let stored = Arc::make_mut(self.series.entry(labels.clone()).or_default());
            for sample in samples {
                stored.append(sample).map_err(|reason| format!("{labels}: {reason}"))?;
            }
        }
        Ok(())
    }
}

impl Stored {
    fn append(&mut self, LoadedSample { t, start_t, value }: LoadedSample) -> Result<(), String> {
        let columns = &mut self.columns;
        let last_float = columns.float_t.last().copied();
        let last_histogram = columns.histogram_t.last().copied();
        if let Some(last) = last_float.max(last_histogram).filter(|last| *last >= t) {
            let is_there = match &value {
                Value::Float(value) => {
                    let at = columns.float_t.binary_search(&t).ok();
                    at.is_some_and(|at| columns.float_v[at].to_bits() == value.to_bits())
                }
                Value::Histogram(h) => {
                    let at = columns.histogram_t.binary_search(&t).ok();
                    at.is_some_and(|at| columns.histogram_v[at].equals(h))
                }
            };
            if is_there {
                return Ok(());
            }
            return Err(format!("sample at {t} is out of order, the newest is at {last}"));
        }
        match value {
            Value::Float(value) => columns.push_float(t, value, start_t),
            Value::Histogram(h) => {
                let previous = columns.histogram_t.last().zip(columns.histogram_v.last());
                let previous = previous.filter(|(last, _)| {
                    last_float.is_none_or(|float| float < **last)
                        && last.div_euclid(CHUNK_RANGE) == t.div_euclid(CHUNK_RANGE)
                });
                let reset_hint = stored_hint(previous.map(|(_, h)| h.as_ref()), &h);
                let h = FloatHistogram { reset_hint, ..FloatHistogram::clone(&h) };
                columns.push_histogram(t, Arc::new(h), start_t);
            }
        }
        Ok(())
    }
}

/// The hint with which a store gives a histogram back: what it knows from the chunk that the histogram shares with its
/// predecessor. Source: Prometheus `tsdb/chunkenc/float_histogram.go`.
fn stored_hint(previous: Option<&FloatHistogram>, h: &FloatHistogram) -> ResetHint {
    if h.reset_hint == ResetHint::Gauge {
        return ResetHint::Gauge;
    }
    let continues = previous.is_some_and(|previous| {
        let unhinted = FloatHistogram { reset_hint: ResetHint::Unknown, ..h.clone() };
        previous.reset_hint != ResetHint::Gauge
            && h.reset_hint != ResetHint::Reset
            && (h.is_stale()
                || !previous.is_stale()
                    && h.schema == previous.schema
                    && h.zero_threshold == previous.zero_threshold
                    && h.custom_values == previous.custom_values
                    && !unhinted.detect_reset(previous))
    });
    if continues { ResetHint::NotReset } else { ResetHint::Unknown }
}

impl MemoryStore {
    fn selected<'a>(&'a self, selection: &'a Selection) -> impl Iterator<Item = (&'a Labels, Selected)> {
        self.series
            .iter()
            .filter(|(labels, _)| selection.matchers.iter().all(|matcher| matcher.matches_labels(labels)))
            .map(|(labels, stored)| {
                let (stored, min_t, max_t) = (Arc::clone(stored), selection.min_t, selection.max_t);
                (labels, Selected { labels: labels.clone(), stored, min_t, max_t })
            })
            .filter(|(_, selected)| !selected.is_empty())
    }
}

fn limit(selection: &Selection) -> usize {
    if selection.limit == 0 { usize::MAX } else { selection.limit }
}

impl SeriesSource for MemoryStore {
    /// Does what the hints allow: gives no label that does not count, and another order where that does not count.
    fn select(&self, selection: &Selection) -> Result<SeriesSet, ReadError> {
        let hints = &selection.hints;
        let boxed = |(_, mut selected): (_, Selected)| {
            if let Some(names) = &hints.labels {
                let names = METADATA_LABELS.into_iter().chain(names.iter().map(String::as_str));
                selected.labels = selected.labels.keep(&names.collect::<Vec<_>>());
            }
            Box::new(selected) as Box<dyn Series>
        };
        let mut series: Vec<_> = self.selected(selection).take(limit(selection)).map(boxed).collect();
        if hints.unordered {
            series.reverse();
        }
        Ok(SeriesSet { series, warnings: Vec::new() })
    }

    fn label_names(&self, selection: &Selection) -> Result<Vec<String>, ReadError> {
        let names: BTreeSet<&str> =
            self.selected(selection).flat_map(|(labels, _)| labels.iter().map(|(name, _)| name)).collect();
        Ok(names.into_iter().take(limit(selection)).map(str::to_owned).collect())
    }

    fn label_values(&self, name: &str, selection: &Selection) -> Result<Vec<String>, ReadError> {
        let values: BTreeSet<&str> =
            self.selected(selection).filter_map(|(labels, _)| labels.get(name)).collect();
        Ok(values.into_iter().take(limit(selection)).map(str::to_owned).collect())
    }
}

/// A series within bounds of time.
struct Selected {
    labels: Labels,
    stored: Arc<Stored>,
    min_t: i64,
    max_t: i64,
}

impl Selected {
    fn window(&self, times: &[i64]) -> std::ops::Range<usize> {
        let start = times.partition_point(|t| *t < self.min_t);
        start..times.partition_point(|t| *t <= self.max_t).max(start)
    }

    fn is_empty(&self) -> bool {
        let Columns { float_t, histogram_t, .. } = &self.stored.columns;
        self.window(float_t).is_empty() && self.window(histogram_t).is_empty()
    }
}

impl Series for Selected {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn cursor(&self) -> Box<dyn Cursor + '_> {
        Box::new(Once { selected: self, done: false })
    }
}

/// Gives all samples in one run.
struct Once<'a> {
    selected: &'a Selected,
    done: bool,
}

impl Cursor for Once<'_> {
    fn next_run(&mut self, out: &mut Columns) -> Result<bool, ReadError> {
        if std::mem::replace(&mut self.done, true) || self.selected.is_empty() {
            return Ok(false);
        }
        let columns = &self.selected.stored.columns;
        let start = |starts: &[i64], at: usize| starts.get(at).copied().unwrap_or(0);
        for at in self.selected.window(&columns.float_t) {
            out.push_float(columns.float_t[at], columns.float_v[at], start(&columns.float_start_t, at));
        }
        for at in self.selected.window(&columns.histogram_t) {
            let start_t = start(&columns.histogram_start_t, at);
            out.push_histogram(columns.histogram_t[at], Arc::clone(&columns.histogram_v[at]), start_t);
        }
        Ok(true)
    }
}
