//! Aggregations over groups of series.
//!
//! Those that need one pass ([`Folding`]) consume series as they come, in their order, so that sums agree with
//! Prometheus's to the last bit; [`topk`], [`quantile`] and [`count_values`] look at all series of a step.

mod average;
mod count;
pub mod count_values;
mod extreme;
mod groups;
mod histograms;
pub mod quantile;
mod spread;
mod sum;
pub mod topk;

use model::Labels;

use crate::matrix::Row;
use crate::{Interrupt, QueryError};

pub use average::Average;
pub use count::Count;
pub use extreme::Extreme;
pub use groups::Groups;
pub use spread::Spread;
pub use sum::Sum;

/// The operators that need one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldOp {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `count`
    Count,
    /// `group`
    Group,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
}

impl FoldOp {
    /// Whether results do not depend on the order in which series come, but for the order of the groups.
    pub fn takes_any_order(self) -> bool {
        matches!(self, Self::Count | Self::Group)
    }
}

/// Is called for what the user should know about the histograms of an aggregation.
pub trait FoldNotes {
    /// The operator takes floats only.
    fn histogram_ignored(&mut self);
    /// At some step, floats met histograms; there is no result.
    fn mixed_floats_and_histograms(&mut self);
    /// A histogram of this row has a schema that does not go with those before; there is no result.
    fn mixed_bucket_schemas(&mut self, row: &Row);
    /// Custom bounds differed and were brought together.
    fn custom_buckets_reconciled(&mut self);
    /// Some histograms say that they follow a counter reset and others that they do not.
    fn counter_resets_collide(&mut self);
}

/// The state of one group over all steps.
pub trait Fold: Sized {
    /// The state before the first series.
    fn new(op: FoldOp, steps: usize) -> Self;
    /// Takes in one series.
    fn take(&mut self, row: &Row, notes: &mut impl FoldNotes);
    /// The group's results.
    fn finish(self, labels: Labels, notes: &mut impl FoldNotes) -> Row;
    /// About how many bytes the state takes.
    fn bytes(steps: usize) -> usize {
        size_of::<Self>() + 16 * steps
    }
}

/// A group under way.
struct Group<F> {
    labels: Labels,
    fold: F,
    drop_name: bool,
}

/// A one-pass aggregation under way.
pub struct Folding<F> {
    op: FoldOp,
    steps: usize,
    groups: Groups,
    states: Vec<Group<F>>,
}

impl<F: Fold> Folding<F> {
    /// An aggregation that has seen no series.
    pub fn new(op: FoldOp, groups: Groups, steps: usize) -> Self {
        Self { op, steps, groups, states: Vec::new() }
    }

    /// Takes in some series.
    pub fn take(
        &mut self,
        rows: &[Row],
        interrupt: &Interrupt<'_>,
        notes: &mut impl FoldNotes,
    ) -> Result<(), QueryError> {
        for row in rows {
            let (number, new) = self.groups.number(row);
            if let Some(labels) = new {
                interrupt.allocated(F::bytes(self.steps))?;
                self.states.push(Group { labels, fold: F::new(self.op, self.steps), drop_name: false });
            }
            let group = &mut self.states[number];
            group.drop_name |= row.drop_name;
            group.fold.take(row, notes);
        }
        interrupt.worked(rows.len() as u64 * self.steps as u64)
    }

    /// The results, a row for each group that has any. With `delayed`, names that must go are still there.
    pub fn finish(self, delayed: bool, notes: &mut impl FoldNotes) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.states.len());
        for group in self.states {
            let mut row = group.fold.finish(group.labels, notes);
            row.drop_name = delayed && group.drop_name;
            if row.trim() {
                rows.push(row);
            }
        }
        rows
    }
}
