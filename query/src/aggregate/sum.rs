//! `sum`

use model::Labels;

use super::histograms::HistogramTotals;
use super::{Fold, FoldNotes, FoldOp};
use crate::kahan::Kahan;
use crate::matrix::Row;
use crate::value::{ABSENT, is_absent};

/// Compensated sums by step, and the totals of histograms.
pub struct Sum {
    sum: Vec<f64>,
    c: Vec<f64>,
    totals: HistogramTotals,
}

impl Fold for Sum {
    fn new(_: FoldOp, steps: usize) -> Self {
        Self { sum: vec![ABSENT; steps], c: vec![0.0; steps], totals: HistogramTotals::new(false) }
    }

    fn take(&mut self, row: &Row, notes: &mut impl FoldNotes) {
        let steps = self.sum.len();
        let span = row.span();
        if row.histograms.is_none() && self.totals.is_empty() {
            add_all(&mut self.sum[span.clone()], &mut self.c[span], &row.values);
            return;
        }
        let Self { sum, c, totals } = self;
        for step in span {
            if let Some(h) = row.histogram(step) {
                totals.add(steps, step, h, row, notes);
            } else if row.has(step) && !totals.failed(step) {
                add(&mut sum[step], &mut c[step], row.float(step), Kahan::plus);
            }
        }
    }

    fn finish(self, labels: Labels, notes: &mut impl FoldNotes) -> Row {
        let total = |(sum, c): (&f64, &f64)| if is_absent(*sum) { ABSENT } else { sum + c };
        let values = self.sum.iter().zip(&self.c).map(total).collect();
        let mut row = Row::floats(labels, values);
        self.totals.finish(&mut row, notes);
        row
    }
}

/// Adds a series to sums, step by step.
fn add_all(sums: &mut [f64], cs: &mut [f64], values: &[f64]) {
    let is_finite = sums_stay_finite(sums, values);
    let places = sums.iter_mut().zip(cs).zip(values);
    if is_finite {
        places.for_each(|((sum, c), v)| add(sum, c, *v, Kahan::plus_finite));
    } else {
        places.for_each(|((sum, c), v)| add(sum, c, *v, Kahan::plus));
    }
}

/// Adds a value, unless it is absent, to a sum, which is absent before the first. Without branches.
#[inline(always)]
fn add(sum: &mut f64, c: &mut f64, v: f64, plus: impl Fn(Kahan, f64) -> Kahan) {
    // Nothing is lost to -0, and it does not turn a lone -0 into 0.
    let next = plus(Kahan { sum: if is_absent(*sum) { -0.0 } else { *sum }, c: *c }, v);
    let stays = is_absent(v);
    *sum = if stays { *sum } else { next.sum };
    *c = if stays { *c } else { next.c };
}

/// Whether adding values, some of which may be absent, to sums cannot overflow.
pub(super) fn sums_stay_finite(sums: &[f64], values: &[f64]) -> bool {
    const LARGE: f64 = f64::MAX / 4.0;
    sums.iter().zip(values).fold(true, |small, (sum, v)| small & !((sum.abs() > LARGE) | (v.abs() > LARGE)))
}
