//! Samples looked at and read, by scope and where wanted by step. Source: Prometheus `util/stats/query_stats.go`.

use query::Grid;

use super::Evaluator;
use super::plan::{RangeInput, Scope, ScopeId};
use crate::stats::{SampleStats, StepCount};

/// The figures of one scope.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScopeStats {
    pub(crate) total: i64,
    pub(crate) read: i64,
    /// Total and read by step.
    pub(crate) by_step: Option<Vec<(i64, i64)>>,
}

impl ScopeStats {
    pub(crate) fn new(scope: &Scope) -> Self {
        Self { by_step: scope.by_step.then(|| vec![(0, 0); scope.grid.steps()]), ..Self::default() }
    }

    /// Adds figures by step; their sums are added by the caller.
    pub(crate) fn add_by_step(&mut self, more: Option<Vec<(i64, i64)>>) {
        if let (Some(mine), Some(more)) = (&mut self.by_step, more) {
            for (mine, more) in mine.iter_mut().zip(more) {
                mine.0 += more.0;
                mine.1 += more.1;
            }
        }
    }

    /// Adds to one step.
    pub(crate) fn add_at(&mut self, step: usize, total: i64, read: i64) {
        self.total += total;
        self.read += read;
        if let Some(place) = self.by_step.as_mut().and_then(|by_step| by_step.get_mut(step)) {
            place.0 += total;
            place.1 += read;
        }
    }

    /// The figures as reported to the user.
    pub(crate) fn report(&self, grid: &Grid, peak: usize, by_step: bool) -> SampleStats {
        let column = |pick: fn(&(i64, i64)) -> i64| {
            let counts = self.by_step.as_ref().filter(|_| by_step)?;
            let at = |(step, count)| StepCount { t: grid.time(step), samples: pick(count) };
            Some(counts.iter().enumerate().map(at).collect())
        };
        SampleStats {
            total: self.total,
            read: self.read,
            peak,
            total_per_step: column(|count| count.0),
            read_per_step: column(|count| count.1),
        }
    }
}

impl Evaluator<'_> {
    /// A part evaluated once counts as looked at in every step, and as read in the first.
    pub(crate) fn account_invariant(&mut self, outer: ScopeId, inner: ScopeId, steps: usize) {
        if outer == inner {
            return;
        }
        let part = std::mem::take(&mut self.stats[inner]);
        for step in 0..steps {
            self.stats[outer].add_at(step, part.total, if step == 0 { part.read } else { 0 });
        }
    }

    /// What a subquery read counts for the outer step that uses it first; what no window uses does not count. What it
    /// looked at is counted by the windows over it.
    pub(crate) fn account_subquery(&mut self, outer: ScopeId, inner: ScopeId, input: &RangeInput) {
        let part = std::mem::take(&mut self.stats[inner]);
        let grid = self.plan.scopes[outer].grid;
        let steps = grid.steps();
        if steps <= 1 {
            self.stats[outer].add_at(0, 0, part.read);
            return;
        }
        let inner_grid = self.plan.scopes[inner].grid;
        for (step, (_, read)) in part.by_step.unwrap_or_default().into_iter().enumerate() {
            if read == 0 {
                continue;
            }
            let t = inner_grid.time(step) + input.moment.offset;
            let after = (t - grid.start).max(0);
            let user = (((after + grid.interval - 1) / grid.interval) as usize).min(steps - 1);
            if t > grid.time(user) - input.range {
                self.stats[outer].add_at(user, 0, read);
            }
        }
    }
}
