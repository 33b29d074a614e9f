//! The interim head: it takes commits while the log is replayed into the head that lasts.
//!
//! Its commits are logged as always, in segments behind those that are replayed, under numbers that the log has not
//! used. Replay goes on into those segments, and when it has caught up the lasting head takes over: it is then what a
//! start at that moment would have made it, the interim head goes, and what still holds one of its appenders or
//! references is sent on.
//!
//! Full chunks stay in memory, out-of-order samples in open chunks: both are in the logs, and the places of head chunk
//! files belong to the lasting head.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use model::SampleValue;
use model::append::{Appender, Committed, SeriesRef};
use storage_base::StorageError;
use storage_base::fs::Disk;

use crate::head::append::{HeadAppender, Pending};
use crate::head::head_chunks::HeadChunks;
use crate::head::log::Logs;
use crate::head::series::Bounds;
use crate::head::table::{SeriesTable, slot_of};
use crate::head::translation::{INTERIM_GENERATION, Translation};
use crate::head::{Head, HeadOptions};
use crate::record::LogRef;
use crate::replay::log_scan::LogScan;

impl Head {
    /// An interim head until `self` has been brought back, whose logs are open. `scan` is of the log that is being
    /// replayed.
    pub(crate) fn interim(
        &self,
        disk: Arc<dyn Disk>,
        logs: Logs,
        min_valid_t: i64,
        options: HeadOptions,
        scan: &LogScan,
    ) -> Self {
        let options = HeadOptions { out_of_order_chunk_samples: usize::MAX, ..options };
        let mut head = Self::new(HeadChunks::in_memory(disk), logs, min_valid_t, options);
        head.traffic = self.traffic.clone();
        head.table = SeriesTable::from_generation(INTERIM_GENERATION);
        if let Some((_, last)) = scan.numbers {
            head.table.reserve_log_ref(last);
        }
        if let Some(max_t) = scan.max_t {
            // What is not newer than the log may be out of order in the lasting head, and must go into its log as such.
            head.times.note(max_t, max_t);
            head.times.min_valid_t.fetch_max(max_t.saturating_add(1), SeqCst);
        }
        head
    }

    /// Frees what only old references need. A series of which one comes later is found by its labels.
    pub(crate) fn forget_old_references(&self) {
        if self.translation.read().as_ref().is_some_and(Translation::is_old) {
            *self.translation.write() = None;
        }
    }

    /// What this head calls the series of a reference that the interim head gave.
    pub(crate) fn translated(&self, reference: SeriesRef) -> Option<SeriesRef> {
        self.translation.read().as_ref()?.get(reference)
    }

    /// Takes over from an interim head, whose logs the caller holds locked and that has nothing which this head lacks.
    /// `named` gives this head's series of a number in the log.
    pub(crate) fn succeed(
        self: &Arc<Self>,
        interim: &Head,
        logs: &mut Logs,
        named: impl Fn(LogRef) -> Option<SeriesRef>,
    ) {
        let pages = interim.table.pages();
        let references = interim.table.references();
        let slots = references.iter().map(|series| slot_of(*series) as usize + 1).max().unwrap_or(0);
        let mut translation = vec![0; slots];
        for series in references {
            let number = pages.lock(series).filter(|series| series.logged).map(|series| series.log_ref);
            if let Some(named) = number.and_then(&named) {
                translation[slot_of(series) as usize] = named.0;
            }
        }
        let translation = Translation::new(translation);
        {
            let mut metadata = self.metadata.lock();
            for (series, known) in interim.metadata.lock().drain() {
                if let Some(series) = translation.get(series) {
                    metadata.insert(series, known);
                }
            }
        }
        *self.translation.write() = Some(translation);
        std::mem::swap(logs, &mut *self.logs.lock());
        // It is set once.
        let _ = interim.successor.set(self.clone());
    }

    /// Stores what was gathered for a head that this one has succeeded, measured as it was there.
    pub(crate) fn adopt(
        self: &Arc<Self>,
        interim: &Head,
        bounds: Option<Bounds>,
        pending: &mut Pending,
    ) -> Result<Committed, StorageError> {
        let mut appender = HeadAppender::with_bounds(self.clone(), bounds);
        let mut dropped = 0;
        let mut add = |series, (t, start_t), value| {
            let Some(labels) = interim.table.labels(series) else { return false };
            appender.append_value(None, &labels, t, value, start_t).is_ok()
        };
        for batch in &mut pending.batches {
            for (sample, series) in batch.floats.drain(..).zip(batch.float_series.drain(..)) {
                dropped +=
                    usize::from(!add(series, (sample.t, sample.start_t), SampleValue::Float(sample.v)));
            }
            for sample in batch.histograms.drain(..) {
                dropped += usize::from(!add(sample.series, (sample.t, sample.start_t), sample.value));
            }
        }
        for sample in pending.out_of_order.drain(..) {
            dropped += usize::from(!add(sample.series, (sample.t, sample.start_t), sample.value));
        }
        for (series, _, exemplar) in pending.exemplars.drain(..) {
            if let Some(series) = interim.table.labels(series).and_then(|labels| self.table.get(&labels)) {
                // What was taken since is counted by the ring.
                let _ = appender.append_exemplar(series, exemplar);
            }
        }
        for (series, _, metadata) in pending.metadata.drain(..) {
            if let Some(series) = interim.table.labels(series).and_then(|labels| self.table.get(&labels)) {
                let _ = appender.set_metadata(series, &metadata);
            }
        }
        pending.clear();
        let committed = appender.commit_gathered()?;
        Ok(Committed { dropped: committed.dropped + dropped, ..committed })
    }
}
