//! Replay of the out-of-order log.

use model::{HistogramValue, SampleValue};

use crate::head::append::PendingSample;
use crate::head::out_of_order::OutOfOrderSample;
use crate::head::series::END_OF_TIME;
use crate::head::table::SeriesTable;
use crate::record::{LogRef, Record};
use crate::replay::Replay;

impl Replay<'_> {
    /// As [`Replay::apply`], for the out-of-order log.
    pub(crate) fn apply_out_of_order(&mut self, record: Record) -> Result<(), String> {
        let kind = record.kind();
        match record {
            Record::Samples(samples) => {
                for sample in samples {
                    self.insert_out_of_order(
                        sample.series,
                        kind,
                        (sample.t, sample.start_t),
                        SampleValue::Float(sample.v),
                    );
                }
            }
            Record::Histograms(samples) => {
                for sample in samples {
                    let value = SampleValue::Histogram(HistogramValue::Integer(sample.v));
                    self.insert_out_of_order(sample.series, kind, (sample.t, sample.start_t), value);
                }
            }
            Record::FloatHistograms(samples) => {
                for sample in samples {
                    let value = SampleValue::Histogram(HistogramValue::Float(sample.v));
                    self.insert_out_of_order(sample.series, kind, (sample.t, sample.start_t), value);
                }
            }
            Record::MmapMarkers(markers) => {
                // A mark counts when its chunk is there. 0 stands for samples that went into a block.
                for marker in markers {
                    if marker.chunk != 0 && !self.found.out_of_order_places.contains(&marker.chunk) {
                        // A power cut took the chunk, and maybe its file: the mark must not mean another one day.
                        let behind = (marker.chunk >> 32 << 32).saturating_add(1 << 32);
                        if self.head.chunks.could_begin_at(behind) {
                            self.chunks_from = self.chunks_from.max(behind);
                        }
                        if let Some(slot) = self.numbers.get(marker.series) {
                            self.lost_marks.insert(slot, 0);
                        }
                        continue;
                    }
                    let slot = self.find(marker.series, kind);
                    if let Some(slot) = slot {
                        self.lost_marks.remove(&slot);
                    }
                    if let Some(slot) = slot
                        && let Some(mut guard) = self.series(slot)
                        && let Some(out_of_order) = &mut guard.out_of_order
                        && !out_of_order.open.is_empty()
                    {
                        out_of_order.open = Vec::new();
                        self.head.figures.chunks_dropped(1);
                    }
                }
            }
            Record::OutOfOrderCovered(place) => {
                if !self.head.chunks.could_begin_at(place) {
                    return Err(format!("no head chunk file begins at {place:#x}"));
                }
                self.chunks_from = self.chunks_from.max(place);
                for (_, slot) in self.numbers.iter() {
                    let Some(mut guard) = self.series(slot) else { continue };
                    let before = guard.chunks();
                    if let Some(out_of_order) = &mut guard.out_of_order {
                        out_of_order.closed.retain(|out_of_order| out_of_order.chunk.at >= place);
                    }
                    self.head.figures.chunks_dropped((before - guard.chunks()) as u64);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The samples that a mark hides from Prometheus, which takes a mark's chunk for present once there is a newer one.
    /// Logged once more behind the mark, they are hidden no longer.
    pub(crate) fn behind_lost_marks(&self) -> Vec<PendingSample> {
        let mut hidden = Vec::new();
        for (&slot, &behind) in &self.lost_marks {
            let Some(guard) = self.series(slot) else { continue };
            let (Some(out_of_order), Some(series)) =
                (&guard.out_of_order, SeriesTable::reference_of(slot, &guard))
            else {
                continue;
            };
            if behind < out_of_order.open.len() {
                hidden.extend(out_of_order.open.iter().map(|sample| PendingSample {
                    series,
                    log_ref: guard.log_ref,
                    t: sample.t,
                    start_t: sample.start_t,
                    value: sample.value.clone(),
                }));
            }
        }
        hidden.sort_unstable_by_key(|sample| (sample.log_ref, sample.t));
        hidden
    }

    fn insert_out_of_order(
        &mut self,
        number: LogRef,
        kind: &'static str,
        (t, start_t): (i64, i64),
        value: SampleValue,
    ) {
        let Some(slot) = self.find(number, kind).filter(|_| t != END_OF_TIME) else { return };
        if let Some(behind) = self.lost_marks.get_mut(&slot) {
            *behind += 1;
        }
        let Some(mut guard) = self.series(slot) else { return };
        let encodings = self.head.cut_rule().encodings;
        let out_of_order = guard.out_of_order.get_or_insert_default();
        let opens = out_of_order.open.is_empty();
        if out_of_order.insert(OutOfOrderSample::new(t, start_t, value, self.commit.id, encodings)) {
            self.head.figures.chunks_added(u64::from(opens));
            self.head.times.note_out_of_order(t, t);
        }
    }
}
