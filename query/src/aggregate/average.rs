//! `avg`

use model::Labels;

use super::histograms::HistogramTotals;
use super::sum::sums_stay_finite;
use super::{Fold, FoldNotes, FoldOp};
use crate::kahan::{Kahan, Mean};
use crate::matrix::Row;
use crate::value::{ABSENT, is_absent};

/// Means by step, and the totals of histograms.
pub struct Average {
    count: Vec<f64>,
    sum: Vec<f64>,
    c: Vec<f64>,
    /// Whether means are built up value by value, once a sum has become too large.
    incremental: Option<Vec<bool>>,
    totals: HistogramTotals,
}

impl Average {
    fn add(&mut self, step: usize, v: f64) {
        let Self { count, sum, c, incremental, .. } = self;
        let state = Kahan { sum: sum[step], c: c[step] };
        let is_incremental = incremental.as_ref().is_some_and(|incremental| incremental[step]);
        let mean = match count[step] {
            0.0 => Mean::of(v),
            count => Mean { count, state, incremental: is_incremental }.plus(v),
        };
        Mean { count: count[step], state: Kahan { sum: sum[step], c: c[step] }, .. } = mean;
        if mean.incremental && !is_incremental {
            incremental.get_or_insert_with(|| vec![false; sum.len()])[step] = true;
        }
    }
}

impl Fold for Average {
    fn new(_: FoldOp, steps: usize) -> Self {
        Self {
            count: vec![0.0; steps],
            // Nothing is lost to -0, and it does not turn a lone -0 into 0.
            sum: vec![-0.0; steps],
            c: vec![0.0; steps],
            incremental: None,
            totals: HistogramTotals::new(true),
        }
    }

    fn take(&mut self, row: &Row, notes: &mut impl FoldNotes) {
        let steps = self.sum.len();
        let span = row.span();
        if row.histograms.is_none() && self.totals.is_empty() {
            if self.incremental.is_none() && sums_stay_finite(&self.sum[span.clone()], &row.values) {
                add_to_means(
                    &mut self.count[span.clone()],
                    &mut self.sum[span.clone()],
                    &mut self.c[span],
                    &row.values,
                );
                return;
            }
            for (step, v) in span.zip(&row.values).filter(|(_, v)| !is_absent(**v)) {
                self.add(step, *v);
            }
            return;
        }
        for step in span {
            if let Some(h) = row.histogram(step) {
                self.totals.add(steps, step, h, row, notes);
            } else if row.has(step) && !self.totals.failed(step) {
                self.add(step, row.float(step));
            }
        }
    }

    fn finish(self, labels: Labels, notes: &mut impl FoldNotes) -> Row {
        let Self { count, sum, c, incremental, totals } = self;
        let mean = |step: usize| match count[step] {
            0.0 => ABSENT,
            count => {
                let incremental = incremental.as_ref().is_some_and(|incremental| incremental[step]);
                Mean { count, state: Kahan { sum: sum[step], c: c[step] }, incremental }.total()
            }
        };
        let mut row = Row::floats(labels, (0..sum.len()).map(mean).collect());
        totals.finish(&mut row, notes);
        row
    }

    fn bytes(steps: usize) -> usize {
        size_of::<Self>() + 24 * steps
    }
}

/// Adds a series to sums and counts, step by step. Without branches.
fn add_to_means(counts: &mut [f64], sums: &mut [f64], cs: &mut [f64], values: &[f64]) {
    for (((count, sum), c), v) in counts.iter_mut().zip(sums).zip(cs).zip(values) {
        let next = Kahan { sum: *sum, c: *c }.plus_finite(*v);
        let stays = is_absent(*v);
        *count += if stays { 0.0 } else { 1.0 };
        *sum = if stays { *sum } else { next.sum };
        *c = if stays { *c } else { next.c };
    }
}
