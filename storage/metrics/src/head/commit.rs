//! What `commit` does with what an appender gathered.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use model::append::{AppendError, Committed, SeriesRef};
use model::histogram::{FloatHistogram, Histogram};
use model::sample::is_stale;
use model::{HistogramValue, SampleValue};
use storage_base::StorageError;

use crate::codec::chunk::Encoding;
use crate::head::Head;
use crate::head::append::{Pending, PendingSample};
use crate::head::isolation::Commit;
use crate::head::log::Logs;
use crate::head::open_chunk::CutRule;
use crate::head::out_of_order::OutOfOrderSample;
use crate::head::series::{Bounds, Place, Series};
use crate::head::table::Pages;
use crate::record::{LogRef, RefSample, RefSeries};

impl Head {
    /// Logs and stores what an appender gathered.
    pub(crate) fn commit(
        &self,
        pages: &Pages,
        bounds: Option<Bounds>,
        pending: &mut Pending,
    ) -> Result<Committed, StorageError> {
        if pending.is_empty() {
            return Ok(Committed::default());
        }
        let mut logs = self.logs.lock();
        if let Some(successor) = self.successor.get() {
            drop(logs);
            return successor.adopt(self, bounds, pending);
        }
        logs.check_open()?;
        // Without samples there is nothing to measure against them.
        let mut bounds = bounds.unwrap_or(Bounds {
            min_valid_t: i64::MIN,
            head_max_t: i64::MIN,
            window: 0,
            refuse_late: false,
        });
        self.log(&mut logs, pages, pending)?;
        // A flush may have begun since the appender was made.
        bounds.min_valid_t = bounds.min_valid_t.max(self.times.min_valid_t.load(SeqCst));

        let mut apply = Apply {
            head: self,
            pages,
            bounds,
            rule: self.cut_rule(),
            commit: self.isolation.begin(),
            overtaken: Vec::new(),
            tally: Tally::default(),
        };
        for batch in &pending.batches {
            for (sample, series) in batch.floats.iter().zip(&batch.float_series) {
                apply.float(*series, sample);
            }
            for sample in &batch.histograms {
                apply.histogram(sample);
            }
        }
        for sample in pending.out_of_order.drain(..) {
            apply.out_of_order(sample);
        }
        apply.overtaken(&mut logs);
        let Apply { commit, tally, .. } = apply;
        self.apply_exemplars(pending);
        for (series, _, metadata) in pending.metadata.drain(..) {
            self.metadata.lock().insert(series, Arc::new(metadata));
        }
        if let Some((min_t, max_t)) = tally.in_order {
            self.times.note(min_t, max_t);
        }
        if let Some((min_t, max_t)) = tally.out_of_order_span {
            self.times.note_out_of_order(min_t, max_t);
        }
        self.isolation.end(commit);
        drop(logs);
        pending.clear();

        self.traffic.appended.floats.add(tally.floats);
        self.traffic.appended.histograms.add(tally.histograms);
        self.traffic.out_of_order_appended.floats.add(tally.out_of_order[0]);
        self.traffic.out_of_order_appended.histograms.add(tally.out_of_order[1]);
        Ok(Committed {
            samples: (tally.floats + tally.histograms + tally.out_of_order[0] + tally.out_of_order[1])
                as usize,
            dropped: tally.dropped as usize,
        })
    }

    /// Writes the logs: the out-of-order log first, because it can be taken back.
    fn log(&self, logs: &mut Logs, pages: &Pages, pending: &mut Pending) -> Result<(), StorageError> {
        let unlogged: Vec<_> = pending
            .unlogged
            .drain(..)
            .filter(|series| pages.lock(*series).is_some_and(|guard| !guard.logged))
            .collect();
        logs.clear();
        if !unlogged.is_empty() {
            let index = self.table.index().read();
            let series: Vec<_> = unlogged
                .iter()
                .filter_map(|series| {
                    let guard = pages.lock(*series)?;
                    let labels = index.labels(guard.pairs);
                    Some(RefSeries { series: guard.log_ref, labels })
                })
                .collect();
            drop(index);
            logs.put_series(&series);
        }
        if self.log_metadata {
            logs.put_metadata(&pending.metadata);
        }
        for batch in &pending.batches {
            logs.put_floats(&batch.floats);
            logs.put_samples(&batch.histograms);
        }
        logs.put_exemplars(&pending.exemplars);
        // OutOfOrder samples are in both logs: the write-ahead log is what a remote reader follows.
        logs.put_out_of_order(&pending.out_of_order);
        let taken_back = if pending.out_of_order.is_empty() {
            None
        } else {
            let markers = self.make_room(pages, &pending.out_of_order);
            Some(logs.write_out_of_order(&markers, &pending.out_of_order)?)
        };
        if let Err(error) = logs.write() {
            if let Some(position) = taken_back {
                logs.take_back_out_of_order(position);
            }
            return Err(error);
        }
        for series in unlogged {
            if let Some(mut guard) = pages.lock(series) {
                guard.logged = true;
            }
        }
        Ok(())
    }

    /// Closes full open out-of-order chunks of the samples' series. Returns each series' number and the chunks' places.
    fn make_room(&self, pages: &Pages, samples: &[PendingSample]) -> Vec<(LogRef, u64)> {
        let mut markers = Vec::new();
        let encodings = self.cut_rule().encodings;
        for sample in samples {
            let Some(mut series) = pages.lock(sample.series) else { continue };
            let log_ref = series.log_ref;
            if let Some(out_of_order) = &mut series.out_of_order
                && out_of_order.open.len() >= self.out_of_order_chunk_samples
            {
                let places = out_of_order.close(log_ref, encodings, &self.chunks);
                self.figures.chunks_added((places.len() as u64).saturating_sub(1));
                markers.extend(places.into_iter().map(|place| (log_ref, place)));
            }
        }
        markers
    }

    fn apply_exemplars(&self, pending: &mut Pending) {
        if pending.exemplars.is_empty() {
            return;
        }
        let mut labelled = Vec::with_capacity(pending.exemplars.len());
        for (series, _, exemplar) in pending.exemplars.drain(..) {
            labelled.extend(self.table.labels(series).map(|labels| (labels, exemplar)));
        }
        let mut ring = self.exemplars.lock();
        for (labels, exemplar) in labelled {
            // What was refused since is counted by the ring.
            let _ = ring.add(&labels, exemplar);
        }
    }
}

/// One commit being applied.
struct Apply<'c> {
    head: &'c Head,
    pages: &'c Pages,
    bounds: Bounds,
    rule: CutRule,
    commit: Commit,
    /// Samples that were the next when they were added, and that the out-of-order window still takes.
    overtaken: Vec<PendingSample>,
    tally: Tally,
}

/// Counts of one commit.
#[derive(Default)]
struct Tally {
    floats: u64,
    histograms: u64,
    out_of_order: [u64; 2],
    dropped: u64,
    /// First and last time in order.
    in_order: Option<(i64, i64)>,
    /// First and last time out of order.
    out_of_order_span: Option<(i64, i64)>,
}

/// Takes a time into a range.
pub(crate) fn widen(range: &mut Option<(i64, i64)>, t: i64) {
    *range = Some(range.map_or((t, t), |(min_t, max_t)| (min_t.min(t), max_t.max(t))));
}

impl Apply<'_> {
    fn float(&mut self, of: SeriesRef, sample: &RefSample) {
        let Some(mut series) = self.pages.lock(of) else {
            self.tally.dropped += 1;
            return;
        };
        series.pending = false;
        if is_stale(sample.v)
            && let Some(mark) = stale_mark(&series, sample.v)
        {
            drop(series);
            let value = SampleValue::Histogram(mark);
            return self.histogram(&PendingSample {
                series: of,
                log_ref: sample.series,
                t: sample.t,
                start_t: sample.start_t,
                value,
            });
        }
        let placed = series.place_float(sample.t, sample.v, &self.bounds, &self.head.chunks);
        if !matches!(placed, Ok(Place::Next)) {
            drop(series);
            let value = SampleValue::Float(sample.v);
            let RefSample { series, t, start_t, .. } = *sample;
            let sample = PendingSample { series: of, log_ref: series, t, start_t, value };
            return self.misplaced(placed, sample);
        }
        let before = series.tail();
        match series.push_float(self.commit, sample.t, sample.v, sample.start_t, self.rule, &self.head.chunks)
        {
            Ok(made) => {
                self.head.figures.chunks_added(u64::from(made));
                self.head.figures.tail_changed(before, series.tail());
                self.tally.floats += 1;
                widen(&mut self.tally.in_order, sample.t);
            }
            Err(_) => self.tally.dropped += 1,
        }
    }

    fn histogram(&mut self, sample: &PendingSample) {
        let SampleValue::Histogram(histogram) = &sample.value else { return };
        let Some(mut series) = self.pages.lock(sample.series) else {
            self.tally.dropped += 1;
            return;
        };
        series.pending = false;
        let placed = series.place_histogram(sample.t, histogram, &self.bounds, &self.head.chunks);
        if !matches!(placed, Ok(Place::Next)) {
            drop(series);
            return self.misplaced(placed, sample.clone());
        }
        let before = series.tail();
        let PendingSample { t, start_t, .. } = *sample;
        match series.push_histogram(self.commit, t, histogram, start_t, self.rule, &self.head.chunks) {
            Ok(made) => {
                self.head.figures.chunks_added(u64::from(made));
                self.head.figures.tail_changed(before, series.tail());
                self.tally.histograms += 1;
                widen(&mut self.tally.in_order, sample.t);
            }
            Err(_) => self.tally.dropped += 1,
        }
    }

    /// A sample that was the next when it was added and is not any more.
    fn misplaced(&mut self, placed: Result<Place, AppendError>, sample: PendingSample) {
        match placed {
            Ok(Place::OutOfOrder) => self.overtaken.push(sample),
            Ok(Place::Same | Place::Next) => {}
            Err(error) => {
                self.tally.dropped += 1;
                let counter = match error {
                    AppendError::TooOld => &self.head.traffic.too_old,
                    AppendError::OutOfBounds => &self.head.traffic.out_of_bounds,
                    _ => &self.head.traffic.out_of_order,
                };
                counter.of(matches!(sample.value, SampleValue::Histogram(_))).inc();
            }
        }
    }

    fn out_of_order(&mut self, sample: PendingSample) {
        let Some(mut series) = self.pages.lock(sample.series) else {
            self.tally.dropped += 1;
            return;
        };
        series.pending = false;
        let histogram = matches!(sample.value, SampleValue::Histogram(_));
        let new = series.out_of_order.is_none();
        let out_of_order = series.out_of_order.get_or_insert_default();
        out_of_order.forget_commits(self.commit.oldest_view);
        let opens = out_of_order.open.is_empty();
        let PendingSample { series: of, t, start_t, value, .. } = sample;
        let sample = OutOfOrderSample::new(t, start_t, value, self.commit.id, self.rule.encodings);
        if out_of_order.insert(sample) {
            self.head.figures.chunks_added(u64::from(opens));
            self.tally.out_of_order[usize::from(histogram)] += 1;
            widen(&mut self.tally.out_of_order_span, t);
        } else {
            self.tally.dropped += 1;
        }
        drop(series);
        if new {
            self.head.out_of_order_series.lock().insert(of);
        }
    }

    /// Logs and stores what was overtaken.
    fn overtaken(&mut self, logs: &mut Logs) {
        let samples = std::mem::take(&mut self.overtaken);
        if samples.is_empty() {
            return;
        }
        let markers = self.head.make_room(self.pages, &samples);
        if logs.write_out_of_order(&markers, &samples).is_err() {
            self.tally.dropped += samples.len() as u64;
            return;
        }
        for sample in samples {
            self.out_of_order(sample);
        }
    }
}

/// The staleness mark for a series whose newest sample is a histogram; `None` when it is a float or nothing.
pub(crate) fn stale_mark(series: &Series, v: f64) -> Option<HistogramValue> {
    match series.last_encoding() {
        Encoding::Histogram | Encoding::HistogramSt => {
            Some(HistogramValue::Integer(Arc::new(Histogram { sum: v, ..Histogram::default() })))
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            Some(HistogramValue::Float(Arc::new(FloatHistogram { sum: v, ..FloatHistogram::default() })))
        }
        Encoding::None | Encoding::Xor | Encoding::Xor2 => None,
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.batches.iter().all(|batch| batch.floats.is_empty() && batch.histograms.is_empty())
            && self.out_of_order.is_empty()
            && self.exemplars.is_empty()
            && self.metadata.is_empty()
            && self.unlogged.is_empty()
    }

    /// Forgets everything and keeps some memory for the next appender.
    pub(crate) fn clear(&mut self) {
        self.batches.truncate(1);
        if let Some(batch) = self.batches.first_mut() {
            batch.clear();
        }
        self.unlogged.clear();
        self.out_of_order.clear();
        self.exemplars.clear();
        self.metadata.clear();
    }

    /// Tells the series that nothing is coming.
    pub(crate) fn release(&self, pages: &Pages) {
        let floats = self.batches.iter().flat_map(|batch| batch.float_series.iter().copied());
        let others = self.batches.iter().flat_map(|batch| &batch.histograms).chain(&self.out_of_order);
        let series = floats.chain(others.map(|sample| sample.series)).chain(self.unlogged.iter().copied());
        for series in series {
            if let Some(mut guard) = pages.lock(series) {
                guard.pending = false;
            }
        }
    }
}
