//! A store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use model::append::{AppendError, Appendable, Appender, CommitError, Committed, SeriesRef};
use model::metadata::Metadata;
use model::read::{Columns, Cursor, ReadError, Selection, Series, SeriesSet, SeriesSource};
use model::sample::{Exemplar, is_stale};
use model::{HistogramValue, Labels};
use parking_lot::Mutex;

pub(super) type Data = BTreeMap<Labels, BTreeMap<i64, f64>>;

#[derive(Default)]
pub(super) struct Store {
    pub(super) data: Arc<Mutex<Data>>,
    pub(super) fail_commits: AtomicBool,
    /// Milliseconds that the next query takes.
    pub(super) slow_ms: AtomicI64,
}

impl Store {
    pub(super) fn put(&self, series: &str, t: i64, v: f64) {
        let labels = promql::parse_metric(series).unwrap();
        self.data.lock().entry(labels).or_default().insert(t, v);
    }

    /// All samples of a series as `t=v`, with `s` for staleness marks.
    pub(super) fn get(&self, series: &str) -> String {
        let labels = promql::parse_metric(series).unwrap();
        let data = self.data.lock();
        let samples = data.get(&labels).into_iter().flatten();
        let text = |(t, v): (&i64, &f64)| match is_stale(*v) {
            true => format!("{t}=s"),
            false => format!("{t}={v}"),
        };
        samples.map(text).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.data.lock().keys().map(ToString::to_string).collect()
    }
}

struct Buffer<'a> {
    store: &'a Store,
    samples: Vec<(Labels, i64, f64)>,
    reject_late: bool,
}

impl Appender for Buffer<'_> {
    fn append(
        &mut self,
        _: Option<SeriesRef>,
        labels: &Labels,
        t: i64,
        v: f64,
        _: i64,
    ) -> Result<SeriesRef, AppendError> {
        let data = self.store.data.lock();
        if let Some((last_t, last_v)) = data.get(labels).and_then(|samples| samples.last_key_value()) {
            if *last_t > t && self.reject_late {
                return Err(AppendError::OutOfOrder);
            }
            if *last_t == t && last_v.to_bits() != v.to_bits() {
                return Err(AppendError::Duplicate);
            }
        }
        self.samples.push((labels.clone(), t, v));
        Ok(SeriesRef(1))
    }

    fn append_histogram(
        &mut self,
        _: Option<SeriesRef>,
        labels: &Labels,
        t: i64,
        v: HistogramValue,
        _: i64,
    ) -> Result<SeriesRef, AppendError> {
        let HistogramValue::Float(h) = v else { panic!("rules give float histograms") };
        self.samples.push((labels.clone(), t, h.count));
        Ok(SeriesRef(1))
    }

    fn append_exemplar(&mut self, _: SeriesRef, _: Exemplar) -> Result<(), AppendError> {
        Ok(())
    }

    fn set_metadata(&mut self, _: SeriesRef, _: &Metadata) -> Result<(), AppendError> {
        Ok(())
    }

    fn reject_out_of_order(&mut self, reject: bool) {
        self.reject_late = reject;
    }

    fn commit(self: Box<Self>) -> Result<Committed, CommitError> {
        if self.store.fail_commits.load(Ordering::Relaxed) {
            return Err(CommitError { reason: "no space left".to_owned(), disk_full: true });
        }
        let mut data = self.store.data.lock();
        let committed = Committed { samples: self.samples.len(), dropped: 0 };
        for (labels, t, v) in self.samples {
            data.entry(labels).or_default().insert(t, v);
        }
        Ok(committed)
    }

    fn rollback(self: Box<Self>) {}
}

impl Appendable for Store {
    fn appender(&self) -> Box<dyn Appender + '_> {
        Box::new(Buffer { store: self, samples: Vec::new(), reject_late: false })
    }
}

pub(super) struct Snapshot(pub(super) Data);

struct OneSeries {
    labels: Labels,
    samples: Vec<(i64, f64)>,
}

struct Once<'a>(Option<&'a [(i64, f64)]>);

impl Cursor for Once<'_> {
    fn next_run(&mut self, out: &mut Columns) -> Result<bool, ReadError> {
        let Some(samples) = self.0.take() else { return Ok(false) };
        samples.iter().for_each(|(t, v)| out.push_float(*t, *v, 0));
        Ok(true)
    }
}

impl Series for OneSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn cursor(&self) -> Box<dyn Cursor + '_> {
        Box::new(Once(Some(&self.samples)))
    }
}

impl SeriesSource for Snapshot {
    fn select(&self, selection: &Selection) -> Result<SeriesSet, ReadError> {
        let matching =
            self.0.iter().filter(|(labels, _)| selection.matchers.iter().all(|m| m.matches_labels(labels)));
        let series = matching.filter_map(|(labels, samples)| {
            let samples: Vec<_> =
                samples.range(selection.min_t..=selection.max_t).map(|(t, v)| (*t, *v)).collect();
            (!samples.is_empty())
                .then(|| Box::new(OneSeries { labels: labels.clone(), samples }) as Box<dyn Series>)
        });
        Ok(SeriesSet { series: series.collect(), warnings: Vec::new() })
    }

    fn label_names(&self, _: &Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }
}
