//! `stddev`, `stdvar`

use model::Labels;

use super::{Fold, FoldNotes, FoldOp};
use crate::matrix::Row;
use crate::value::{ABSENT, is_absent};

/// Welford's running variance, without compensation as in Prometheus.
#[derive(Clone, Copy, Default)]
struct Variance {
    count: f64,
    mean: f64,
    squares: f64,
}

/// Running variances by step.
pub struct Spread {
    is_deviation: bool,
    variances: Vec<Variance>,
}

impl Fold for Spread {
    fn new(op: FoldOp, steps: usize) -> Self {
        Self { is_deviation: op == FoldOp::Stddev, variances: vec![Variance::default(); steps] }
    }

    fn take(&mut self, row: &Row, notes: &mut impl FoldNotes) {
        let variances = &mut self.variances;
        let float = |step: usize, v: f64| {
            let state: &mut Variance = &mut variances[step];
            state.count += 1.0;
            if state.count == 1.0 {
                *state =
                    Variance { count: 1.0, mean: v, squares: if v.is_finite() { 0.0 } else { f64::NAN } };
                return;
            }
            let delta = v - state.mean;
            state.mean += delta / state.count;
            state.squares += delta * (v - state.mean);
        };
        each_float(row, float);
        for _ in row.histograms.iter().flatten().flatten() {
            notes.histogram_ignored();
        }
    }

    fn finish(self, labels: Labels, _: &mut impl FoldNotes) -> Row {
        let is_deviation = self.is_deviation;
        let value = |state: Variance| match state.count {
            0.0 => ABSENT,
            count if is_deviation => (state.squares / count).sqrt(),
            count => state.squares / count,
        };
        Row::floats(labels, self.variances.into_iter().map(value).collect())
    }

    fn bytes(steps: usize) -> usize {
        size_of::<Self>() + size_of::<Variance>() * steps
    }
}

/// Calls `take` with every float of a row and its step.
fn each_float(row: &Row, mut take: impl FnMut(usize, f64)) {
    for (step, v) in row.span().zip(&row.values) {
        if !is_absent(*v) {
            take(step, *v);
        }
    }
}
