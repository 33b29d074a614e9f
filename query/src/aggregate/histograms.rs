//! Histograms in `sum` and `avg`.

use model::Value;
use model::histogram::FloatHistogram;

use super::FoldNotes;
use crate::histogram_total::HistogramTotal;
use crate::matrix::Row;

/// The total of a group's histograms at one step; `Err` once they did not go together.
type StepTotal = Option<Result<Box<HistogramTotal>, ()>>;

/// The sums or means of a group's histograms by step.
pub(super) struct HistogramTotals {
    is_mean: bool,
    /// Empty for none at any step.
    totals: Vec<StepTotal>,
}

impl HistogramTotals {
    pub(super) fn new(is_mean: bool) -> Self {
        Self { is_mean, totals: Vec::new() }
    }

    /// Whether the group has no histogram so far.
    pub(super) fn is_empty(&self) -> bool {
        self.totals.is_empty()
    }

    /// Takes in the histogram of a row at a step.
    pub(super) fn add(
        &mut self,
        steps: usize,
        step: usize,
        h: &FloatHistogram,
        row: &Row,
        notes: &mut impl FoldNotes,
    ) {
        if self.totals.is_empty() {
            self.totals.resize_with(steps, || None);
        }
        let place = &mut self.totals[step];
        match place {
            None => *place = Some(Ok(Box::new(HistogramTotal::new(h)))),
            Some(Err(())) => {}
            Some(Ok(total)) => {
                let added = if self.is_mean { total.add_to_mean(h) } else { total.add(h) };
                if total.reconciled {
                    notes.custom_buckets_reconciled();
                }
                if added.is_err() {
                    notes.mixed_bucket_schemas(row);
                    *place = Some(Err(()));
                }
            }
        }
    }

    /// Whether floats do not count any more at a step.
    pub(super) fn failed(&self, step: usize) -> bool {
        matches!(self.totals.get(step), Some(Some(Err(()))))
    }

    /// Puts the totals into a row that holds the floats' results.
    pub(super) fn finish(self, row: &mut Row, notes: &mut impl FoldNotes) {
        for (step, total) in self.totals.into_iter().enumerate() {
            let Some(total) = total else { continue };
            if row.has(step) {
                notes.mixed_floats_and_histograms();
                row.clear(step);
                continue;
            }
            let Ok(total) = total else { continue };
            if total.hints_collide() {
                notes.counter_resets_collide();
            }
            let mut h = if self.is_mean { total.mean() } else { total.sum() };
            h.compact(0);
            row.set(step, Value::Histogram(h.into()));
        }
    }
}
