//! `min`, `max`: NaN only where there is nothing else.

use model::Labels;

use super::{Fold, FoldNotes, FoldOp};
use crate::matrix::Row;
use crate::value::{ABSENT, is_absent};

/// The least or greatest value by step.
pub struct Extreme {
    is_max: bool,
    best: Vec<f64>,
}

impl Fold for Extreme {
    fn new(op: FoldOp, steps: usize) -> Self {
        Self { is_max: op == FoldOp::Max, best: vec![ABSENT; steps] }
    }

    fn take(&mut self, row: &Row, notes: &mut impl FoldNotes) {
        let best = &mut self.best[row.span()];
        if self.is_max {
            keep_better(best, &row.values, |best, v| best < v);
        } else {
            keep_better(best, &row.values, |best, v| best > v);
        }
        for _ in row.histograms.iter().flatten().flatten() {
            notes.histogram_ignored();
        }
    }

    fn finish(self, labels: Labels, _: &mut impl FoldNotes) -> Row {
        Row::floats(labels, self.best)
    }
}

/// Puts values in the place of those that they beat. Without branches.
fn keep_better(places: &mut [f64], values: &[f64], is_beaten: impl Fn(f64, f64) -> bool) {
    for (place, v) in places.iter_mut().zip(values) {
        // The absent mark is a NaN, which anything replaces.
        let goes = !is_absent(*v) & (place.is_nan() | is_beaten(*place, *v));
        *place = if goes { *v } else { *place };
    }
}
