//! What each kind of record does to the head that is being brought back.

use std::sync::Arc;

use model::HistogramValue;
use model::sample::Exemplar;

use super::Replay;
use crate::head::series::END_OF_TIME;
use crate::record::{self, LogRef, Record, RefSample};
use crate::replay::column_batch::FloatOf;
use crate::replay::record_layout::RecordLayout;

impl Replay<'_> {
    /// Takes the samples of a record of floats one by one.
    pub(super) fn apply_floats(&mut self, record: &[u8]) -> Result<(), String> {
        if self.out_of_order_follows > 0 {
            self.out_of_order_follows -= 1;
            return Ok(());
        }
        // Ten bytes at least for each.
        if self.batch.is_full(record.len() / 10) {
            self.store();
        }
        self.floats.clear();
        let mut unknown = Vec::new();
        let (min_valid_t, numbers, floats) = (self.min_valid_t, &self.numbers, &mut self.floats);
        // All or nothing of a record is taken.
        let read = record::each_float(record, |RefSample { series: number, t, start_t, v }| {
            if (min_valid_t..END_OF_TIME).contains(&t) {
                match numbers.get(number) {
                    Some(slot) => floats.push(FloatOf { slot, t, start_t, v }),
                    None => unknown.push(number),
                }
            }
        });
        read.map_err(|e| e.to_string())?;
        self.floats.iter().for_each(|float| self.batch.push_float(*float));
        for number in unknown {
            let _ = self.find(number, "samples");
        }
        Ok(())
    }

    /// Takes a record of floats of a known layout; its values begin at `at` of a block.
    pub(super) fn apply_laid_out(
        &mut self,
        layout: &Arc<RecordLayout>,
        base_t: i64,
        block: &Arc<Vec<u64>>,
        at: usize,
    ) {
        if self.out_of_order_follows > 0 {
            self.out_of_order_follows -= 1;
            return;
        }
        if self.batch.is_full(layout.samples()) {
            self.store();
        }
        if let Some((first_t, last_t)) = layout.span(base_t)
            && first_t >= self.min_valid_t
            && last_t < END_OF_TIME
            && self.batch.take(layout, &self.numbers, (base_t, last_t), block, at)
        {
            return;
        }
        for (sample, (number, bits)) in layout.numbers().iter().zip(&block[at..]).enumerate() {
            let t = base_t.wrapping_add(layout.dt(sample));
            if (self.min_valid_t..END_OF_TIME).contains(&t)
                && let Some(slot) = self.find(*number, "samples")
            {
                self.batch.push_float(FloatOf { slot, t, start_t: 0, v: f64::from_bits(*bits) });
            }
        }
    }

    fn gather_histograms(
        &mut self,
        samples: impl ExactSizeIterator<Item = (LogRef, (i64, i64), HistogramValue)>,
        kind: &'static str,
    ) {
        if self.batch.is_full(samples.len()) {
            self.store();
        }
        for (number, (t, start_t), v) in samples {
            if (self.min_valid_t..END_OF_TIME).contains(&t)
                && let Some(slot) = self.find(number, kind)
            {
                self.batch.push_histogram(slot, t, start_t, v);
            }
        }
    }

    /// An error says that the record makes no sense and that nothing of it was taken.
    pub(super) fn apply(&mut self, record: Record) -> Result<(), String> {
        if self.out_of_order_follows > 0 {
            self.out_of_order_follows -= 1;
            return Ok(());
        }
        let kind = record.kind();
        let min_valid_t = self.min_valid_t;
        match record {
            Record::Series(series) => {
                series.iter().for_each(|series| self.add_series(series));
                self.done.push(series);
            }
            Record::Histograms(samples) => {
                let samples = samples.into_iter();
                let samples = samples.map(|s| (s.series, (s.t, s.start_t), HistogramValue::Integer(s.v)));
                self.gather_histograms(samples, kind);
            }
            Record::FloatHistograms(samples) => {
                let samples = samples.into_iter();
                let samples = samples.map(|s| (s.series, (s.t, s.start_t), HistogramValue::Float(s.v)));
                self.gather_histograms(samples, kind);
            }
            Record::Tombstones(tombstones) => {
                for tombstone in tombstones {
                    self.delete(tombstone, kind);
                }
            }
            Record::Exemplars(exemplars) => {
                for exemplar in exemplars.into_iter().filter(|exemplar| exemplar.t >= min_valid_t) {
                    let series = self.find_reference(exemplar.series, kind);
                    if let Some(labels) = series.and_then(|series| self.head.table.labels(series)) {
                        let exemplar = Exemplar {
                            labels: exemplar.labels,
                            v: exemplar.v,
                            t: None,
                            sample_t: exemplar.t,
                        };
                        // Duplicates are part of a log that was replayed before.
                        let _ = self.head.exemplars.lock().add(&labels, exemplar);
                    }
                }
            }
            Record::Metadata(metadata) => {
                for metadata in metadata {
                    if let Some(series) = self.find_reference(metadata.series, kind) {
                        self.head.metadata.lock().insert(series, Arc::new(metadata.metadata));
                    }
                }
            }
            Record::OutOfOrderFollows(records) => self.out_of_order_follows = records,
            // Floats come as they are encoded.
            Record::Samples(_)
            | Record::MmapMarkers(_)
            | Record::OutOfOrderCovered(_)
            | Record::Unknown(_) => {}
        }
        Ok(())
    }
}
