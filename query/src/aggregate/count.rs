//! `count`, `group`

use model::Labels;

use super::{Fold, FoldNotes, FoldOp};
use crate::matrix::Row;
use crate::value::{ABSENT, is_absent};

/// How many samples there are by step.
pub struct Count {
    /// Whether it only matters that there is one.
    is_group: bool,
    counts: Vec<f64>,
}

impl Fold for Count {
    fn new(op: FoldOp, steps: usize) -> Self {
        Self { is_group: op == FoldOp::Group, counts: vec![0.0; steps] }
    }

    fn take(&mut self, row: &Row, _: &mut impl FoldNotes) {
        let counts = &mut self.counts;
        for (count, v) in counts[row.span()].iter_mut().zip(&row.values) {
            *count += f64::from(u8::from(!is_absent(*v)));
        }
        if row.histograms.is_some() {
            row.span().filter(|step| row.histogram(*step).is_some()).for_each(|step| counts[step] += 1.0);
        }
    }

    fn finish(self, labels: Labels, _: &mut impl FoldNotes) -> Row {
        let is_group = self.is_group;
        let value = |count: f64| match count {
            0.0 => ABSENT,
            _ if is_group => 1.0,
            count => count,
        };
        Row::floats(labels, self.counts.into_iter().map(value).collect())
    }
}
