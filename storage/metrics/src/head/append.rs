//! Appenders of the head: samples are checked and gathered, then logged and stored together.
//!
//! `commit` takes the commit lock, writes the log, and applies every sample before the commit becomes visible. A
//! sample that looked fine when it was added may have been overtaken by another appender's since; it is then dropped
//! and counted. OutOfOrder samples are logged to the out-of-order log before the write-ahead log, so that a failure of
//! either leaves nothing behind.

use std::collections::HashMap;
use std::sync::Arc;

use model::append::{AppendError, Appender, CommitError, Committed, SeriesRef};
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, ResetHint};
use model::metadata::Metadata;
use model::sample::{Exemplar, is_stale};
use model::{HistogramValue, Labels, SampleValue};
use parking_lot::MutexGuard;
use storage_base::StorageError;

use crate::head::Head;
use crate::head::series::{Bounds, END_OF_TIME, Place, Series};
use crate::head::table::Pages;
use crate::record::{LogRef, RefSample};

/// One appender.
pub struct HeadAppender {
    head: Arc<Head>,
    pages: Pages,
    /// Known from the first sample on.
    bounds: Option<Bounds>,
    refuse_late: bool,
    pending: Pending,
}

/// What an appender has gathered.
#[derive(Default)]
pub struct Pending {
    /// Series that were not in the log when they were met.
    pub(crate) unlogged: Vec<SeriesRef>,
    /// In order; a series has one kind of sample in each.
    pub(crate) batches: Vec<AppendRun>,
    /// For the out-of-order chunks.
    pub(crate) out_of_order: Vec<PendingSample>,
    pub(crate) exemplars: Vec<(SeriesRef, LogRef, Exemplar)>,
    pub(crate) metadata: Vec<(SeriesRef, LogRef, Metadata)>,
}

/// Samples whose order among each other does not matter but by kind: floats come first.
#[derive(Default)]
pub struct AppendRun {
    pub(crate) floats: Vec<RefSample>,
    /// The series of each float.
    pub(crate) float_series: Vec<SeriesRef>,
    pub(crate) histograms: Vec<PendingSample>,
    /// The kind of each series that has histograms here.
    kinds: HashMap<SeriesRef, Kind>,
}

/// A sample of any kind to store.
#[derive(Clone, Debug)]
pub struct PendingSample {
    pub(crate) series: SeriesRef,
    pub(crate) log_ref: LogRef,
    pub(crate) t: i64,
    /// Start timestamp, 0 for unknown.
    pub(crate) start_t: i64,
    pub(crate) value: SampleValue,
}

/// Samples of these kinds go into chunks and log records of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Integer { custom: bool },
    Float { custom: bool },
}

impl AppendRun {
    pub(crate) fn clear(&mut self) {
        self.floats.clear();
        self.float_series.clear();
        self.histograms.clear();
        self.kinds.clear();
    }
}

impl Kind {
    fn of(sample: &HistogramValue) -> Self {
        match sample {
            HistogramValue::Integer(h) => Self::Integer { custom: h.schema == CUSTOM_BUCKETS_SCHEMA },
            HistogramValue::Float(h) => Self::Float { custom: h.schema == CUSTOM_BUCKETS_SCHEMA },
        }
    }

    /// A staleness mark of this kind.
    fn stale(self, v: f64) -> HistogramValue {
        match self {
            Self::Integer { .. } => {
                HistogramValue::Integer(Arc::new(Histogram { sum: v, ..Histogram::default() }))
            }
            Self::Float { .. } => {
                HistogramValue::Float(Arc::new(FloatHistogram { sum: v, ..FloatHistogram::default() }))
            }
        }
    }
}

impl HeadAppender {
    /// An appender of a head.
    pub fn new(head: Arc<Head>) -> Self {
        Self::with_bounds(head, None)
    }

    /// An appender that measures samples against bounds that are known already.
    pub(crate) fn with_bounds(head: Arc<Head>, bounds: Option<Bounds>) -> Self {
        head.traffic.active_appenders.add(1);
        head.traffic.appenders_created.inc();
        Self { pages: head.table.pages(), head, bounds, refuse_late: false, pending: Pending::default() }
    }

    /// Stores everything.
    pub(crate) fn commit_gathered(&mut self) -> Result<Committed, StorageError> {
        self.head.commit(&self.pages, self.bounds, &mut self.pending)
    }

    fn bounds(&mut self, t: i64) -> Bounds {
        let bounds = *self.bounds.get_or_insert_with(|| self.head.bounds(t));
        Bounds { refuse_late: self.refuse_late, ..bounds }
    }

    /// The series of a reference that is still good, or of the labels.
    fn series(&mut self, known: Option<SeriesRef>, labels: &Labels) -> Result<SeriesRef, AppendError> {
        if let Some(known) = known
            && self.pages.lock(known).is_some()
        {
            return Ok(known);
        }
        if let Some(known) = known.and_then(|known| self.head.translated(known))
            && self.pages.lock(known).is_some()
        {
            return Ok(known);
        }
        if labels.is_empty() {
            return Err(if known.is_some() {
                AppendError::UnknownSeries
            } else {
                AppendError::InvalidLabels("no labels".into())
            });
        }
        let (series, created) = self
            .head
            .table
            .get_or_create(labels, None)
            .map_err(|_| AppendError::InvalidLabels("the head has no room for another series".into()))?;
        if created {
            self.head.figures.series_added();
        }
        if self.pages.lock(series).is_none() {
            self.pages = self.head.table.pages();
        }
        Ok(series)
    }

    /// Whether a cumulative series' beginning is a time at which a sample of 0 may be stored.
    fn takes_zero(start_t: i64, t: i64, bounds: &Bounds) -> bool {
        start_t < t && start_t >= bounds.min_valid_t
    }

    /// Stores a 0 where a series began, if that is behind all its samples; else it was stored before, or is too old.
    #[cold]
    fn zero_float(&mut self, series: SeriesRef, start_t: i64, t: i64, bounds: &Bounds) {
        if !Self::takes_zero(start_t, t, bounds) {
            return;
        }
        let Some(guard) = self.pages.lock(series) else { return };
        if guard.place_float(start_t, 0.0, bounds, &self.head.chunks) == Ok(Place::Next) {
            let zero = FloatIn { t: start_t, v: 0.0, start_t: 0 };
            // It is the next: nothing refuses it.
            let _ = add_float(&self.head, &mut self.pending, series, guard, zero, bounds);
        }
    }

    /// As [`Self::zero_float`], with an empty histogram of the sample's layout.
    #[cold]
    fn zero_histogram(
        &mut self,
        series: SeriesRef,
        start_t: i64,
        t: i64,
        sample: &HistogramValue,
        bounds: &Bounds,
    ) {
        if !Self::takes_zero(start_t, t, bounds) {
            return;
        }
        let zero = zero_like(sample);
        let Some(mut guard) = self.pages.lock(series) else { return };
        if guard.place_histogram(start_t, &zero, bounds, &self.head.chunks) != Ok(Place::Next) {
            return;
        }
        if !guard.logged {
            self.pending.unlogged.push(series);
        }
        guard.pending = true;
        let (log_ref, kind, value) = (guard.log_ref, Kind::of(&zero), SampleValue::Histogram(zero));
        drop(guard);
        let sample = PendingSample { series, log_ref, t: start_t, start_t: 0, value };
        self.pending.push_histogram(sample, kind);
    }
}

/// An empty histogram that fits into the chunk of another one, and says that counting began anew.
fn zero_like(sample: &HistogramValue) -> HistogramValue {
    match sample {
        HistogramValue::Integer(h) => HistogramValue::Integer(Arc::new(Histogram {
            reset_hint: ResetHint::Reset,
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            custom_values: h.custom_values.clone(),
            ..Histogram::default()
        })),
        HistogramValue::Float(h) => HistogramValue::Float(Arc::new(FloatHistogram {
            reset_hint: ResetHint::Reset,
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            custom_values: h.custom_values.clone(),
            ..FloatHistogram::default()
        })),
    }
}

/// A float on its way in.
#[derive(Clone, Copy)]
struct FloatIn {
    t: i64,
    v: f64,
    start_t: i64,
}

/// Gathers a float of a locked series, or refuses it.
fn add_float(
    head: &Head,
    pending: &mut Pending,
    series: SeriesRef,
    mut guard: MutexGuard<'_, Series>,
    FloatIn { t, v, start_t }: FloatIn,
    bounds: &Bounds,
) -> Result<SeriesRef, AppendError> {
    let place = match guard.place_float(t, v, bounds, &head.chunks) {
        Ok(place) => place,
        Err(error) => {
            drop(guard);
            return Err(refuse(head, error, t, bounds, false));
        }
    };
    if !guard.logged {
        pending.unlogged.push(series);
    }
    guard.pending = true;
    guard.prefetch(&head.chunks);
    let log_ref = guard.log_ref;
    drop(guard);
    match place {
        Place::Next => {
            pending.push_float(series, RefSample { series: log_ref, t, start_t, v });
        }
        Place::OutOfOrder => {
            note_out_of_order(head, t, bounds);
            pending.out_of_order.push(PendingSample {
                series,
                log_ref,
                t,
                start_t,
                value: SampleValue::Float(v),
            });
        }
        Place::Same => {}
    }
    Ok(series)
}

/// Counts a refused sample.
fn refuse(head: &Head, error: AppendError, t: i64, bounds: &Bounds, histogram: bool) -> AppendError {
    let counter = match error {
        AppendError::OutOfOrder => &head.traffic.out_of_order,
        AppendError::OutOfBounds => &head.traffic.out_of_bounds,
        AppendError::TooOld => &head.traffic.too_old,
        _ => return error,
    };
    counter.of(histogram).inc();
    // With a window, a sample is out of order only by the appender's wish.
    if bounds.window == 0 || error != AppendError::OutOfOrder {
        note_out_of_order(head, t, bounds);
    }
    error
}

fn note_out_of_order(head: &Head, t: i64, bounds: &Bounds) {
    let by = bounds.head_max_t.saturating_sub(t);
    if by > 0 {
        head.traffic.out_of_order_by.observe(by as f64 / 1000.0);
    }
}

impl Pending {
    fn batch(&mut self, fits: impl FnOnce(&AppendRun) -> bool) -> &mut AppendRun {
        if !self.batches.last().is_some_and(fits) {
            self.batches.push(AppendRun::default());
        }
        // There is one now.
        let last = self.batches.len() - 1;
        &mut self.batches[last]
    }

    fn kind(&self, series: SeriesRef) -> Option<Kind> {
        let batch = self.batches.last().filter(|batch| !batch.kinds.is_empty())?;
        batch.kinds.get(&series).copied()
    }

    fn push_float(&mut self, series: SeriesRef, sample: RefSample) {
        let batch = self.batch(|batch| batch.kinds.is_empty() || !batch.kinds.contains_key(&series));
        batch.floats.push(sample);
        batch.float_series.push(series);
    }

    fn push_histogram(&mut self, sample: PendingSample, kind: Kind) {
        let series = sample.series;
        let batch = self.batch(|batch| batch.kinds.get(&series).is_none_or(|other| *other == kind));
        batch.kinds.insert(series, kind);
        batch.histograms.push(sample);
    }
}

impl Appender for HeadAppender {
    fn append(
        &mut self,
        known: Option<SeriesRef>,
        labels: &Labels,
        t: i64,
        v: f64,
        start_t: i64,
    ) -> Result<SeriesRef, AppendError> {
        let bounds = self.bounds(t);
        if (bounds.window == 0 && t < bounds.min_valid_t) || t == END_OF_TIME {
            return Err(refuse(&self.head, AppendError::OutOfBounds, t, &bounds, false));
        }
        if is_stale(v) {
            let series = self.series(known, labels)?;
            if let Some(kind) = self.pending.kind(series) {
                return self.append_histogram(Some(series), labels, t, kind.stale(v), start_t);
            }
        }
        let sample = FloatIn { t, v, start_t };
        let mut known = known;
        if self.head.zero_at_start && start_t != 0 {
            let series = self.series(known, labels)?;
            self.zero_float(series, start_t, t, &bounds);
            known = Some(series);
        }
        if let Some(series) = known
            && let Some(guard) = self.pages.lock(series)
        {
            self.pages.prefetch_behind(series);
            return add_float(&self.head, &mut self.pending, series, guard, sample, &bounds);
        }
        let series = self.series(known, labels)?;
        let guard = self.pages.lock(series).ok_or(AppendError::UnknownSeries)?;
        add_float(&self.head, &mut self.pending, series, guard, sample, &bounds)
    }

    fn append_histogram(
        &mut self,
        known: Option<SeriesRef>,
        labels: &Labels,
        t: i64,
        v: HistogramValue,
        start_t: i64,
    ) -> Result<SeriesRef, AppendError> {
        let bounds = self.bounds(t);
        if (bounds.window == 0 && t < bounds.min_valid_t) || t == END_OF_TIME {
            return Err(refuse(&self.head, AppendError::OutOfBounds, t, &bounds, true));
        }
        v.validate().map_err(|e| AppendError::InvalidHistogram(e.to_string()))?;
        let series = self.series(known, labels)?;
        if self.head.zero_at_start && start_t != 0 {
            self.zero_histogram(series, start_t, t, &v, &bounds);
        }
        let Some(mut guard) = self.pages.lock(series) else { return Err(AppendError::UnknownSeries) };
        match guard.place_histogram(t, &v, &bounds, &self.head.chunks) {
            Ok(place) => {
                if !guard.logged {
                    self.pending.unlogged.push(series);
                }
                guard.pending = true;
                let kind = Kind::of(&v);
                let (log_ref, value) = (guard.log_ref, SampleValue::Histogram(v));
                let sample = PendingSample { series, log_ref, t, start_t, value };
                drop(guard);
                match place {
                    Place::Next => self.pending.push_histogram(sample, kind),
                    Place::OutOfOrder => {
                        note_out_of_order(&self.head, t, &bounds);
                        self.pending.out_of_order.push(sample);
                    }
                    Place::Same => {}
                }
                Ok(series)
            }
            Err(error) => {
                drop(guard);
                Err(refuse(&self.head, error, t, &bounds, true))
            }
        }
    }

    fn append_exemplar(&mut self, series: SeriesRef, exemplar: Exemplar) -> Result<(), AppendError> {
        let log_ref = self.pages.lock(series).map(|guard| guard.log_ref).ok_or(AppendError::UnknownSeries)?;
        let labels = self.head.table.labels(series).ok_or(AppendError::UnknownSeries)?;
        self.head.exemplars.lock().check(&labels, &exemplar)?;
        self.pending.exemplars.push((series, log_ref, exemplar));
        Ok(())
    }

    fn set_metadata(&mut self, series: SeriesRef, metadata: &Metadata) -> Result<(), AppendError> {
        let log_ref = self.pages.lock(series).map(|guard| guard.log_ref).ok_or(AppendError::UnknownSeries)?;
        if self.head.metadata.lock().get(&series).is_none_or(|known| **known != *metadata) {
            self.pending.metadata.push((series, log_ref, metadata.clone()));
        }
        Ok(())
    }

    fn reject_out_of_order(&mut self, reject: bool) {
        self.refuse_late = reject;
    }

    fn commit(mut self: Box<Self>) -> Result<Committed, CommitError> {
        let result = self.commit_gathered();
        result.map_err(|e| CommitError { disk_full: e.is_disk_full(), reason: e.to_string() })
    }

    fn rollback(self: Box<Self>) {}
}

impl Drop for HeadAppender {
    fn drop(&mut self) {
        self.head.traffic.active_appenders.add(-1);
        self.pending.release(&self.pages);
    }
}
