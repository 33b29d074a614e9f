//! Selectors and subqueries: their times, their selections, and what the store may leave out.

use model::read::{Hints, Selection};
use query::{Pos, QueryError, ValueType};

use super::{Builder, PlanPart, wrong_type};
use crate::ast::{MatrixSelector, RangeMode, Subquery, VectorSelector};
use crate::eval::moment::{Moment, subquery_grid};
use crate::eval::plan::{
    Extent, Input, InstantOutput, InstantSelector, Op, RangeInput, RangeSamples, Scope, Source, Stream,
};
use crate::eval::resolve_duration::{Sign, resolve};

impl Builder<'_> {
    /// Builds an instant selector; `gives` other than values for the functions that look at times.
    pub(crate) fn selector(
        &mut self,
        selector: &VectorSelector,
        pos: Pos,
        gives: Option<InstantOutput>,
    ) -> Result<Input, QueryError> {
        let moment = self.moment(selector.at, &selector.offset)?;
        let smoothed = selector.mode == RangeMode::Smoothed && gives.is_none();
        let gives = gives.unwrap_or(if smoothed { InstantOutput::Smoothed } else { InstantOutput::Value });
        let extent = if smoothed { Extent::Smoothed(self.lookback) } else { Extent::Plain };
        let reach = if smoothed { 0 } else { self.lookback };
        // At a single moment, nothing but the newest sample is looked at.
        let newest = !smoothed && (self.grid().steps() == 1 || moment.at.is_some());
        let selection = self.select(selector, moment, reach, extent, newest);
        let stats_only = self.stats_only();
        let source = Source::Instant(InstantSelector {
            selection,
            moment,
            lookback: self.lookback,
            gives,
            stats_only,
            pos,
        });
        Ok(Input::Stream(Box::new(Stream { source, stages: Vec::new() })))
    }

    fn stats_only(&self) -> bool {
        self.histogram_needs.stats_suffice && !self.histogram_needs.buckets
    }

    /// Adds the selection of a selector that looks `reach` into the past of the moments it sees. `newest`: the newest
    /// sample is enough.
    fn select(
        &mut self,
        selector: &VectorSelector,
        moment: Moment,
        reach: i64,
        extent: Extent,
        newest: bool,
    ) -> usize {
        let grid = self.grid();
        let min_t = moment.seen_from(grid.start).saturating_sub(reach + extent.before()).saturating_add(1);
        let max_t = moment.seen_from(grid.last()).saturating_add(extent.after());
        self.plan.selection(Selection {
            matchers: selector.matchers.clone(),
            min_t,
            max_t,
            limit: 0,
            hints: Hints { newest, ..Hints::default() },
        })
    }

    pub(crate) fn matrix(&mut self, matrix: &MatrixSelector) -> Result<RangeInput, QueryError> {
        let range = resolve(&matrix.range, self.shape(), Sign::Positive)?;
        let moment = self.moment(matrix.vector.at, &matrix.vector.offset)?;
        let extent = match matrix.vector.mode {
            RangeMode::Plain => Extent::Plain,
            RangeMode::Anchored => Extent::Anchored(self.lookback),
            RangeMode::Smoothed => Extent::Smoothed(self.lookback),
        };
        let selection = self.select(&matrix.vector, moment, range, extent, false);
        let samples = RangeSamples::Selection { id: selection, stats_only: self.stats_only() };
        Ok(RangeInput { samples, moment, range, extent })
    }

    pub(crate) fn subquery(&mut self, subquery: &Subquery) -> Result<RangeInput, QueryError> {
        let moment = self.moment(subquery.at, &subquery.offset)?;
        let step = match &subquery.step {
            Some(step) => resolve(step, self.shape(), Sign::Positive)?,
            None => self.options.default_interval,
        };
        let range = resolve(&subquery.range, self.shape(), Sign::Positive)?;
        let outer = self.grid();
        let grid = if outer.steps() == 0 { outer } else { subquery_grid(&outer, moment, range, step.max(1)) };
        let before = (self.scope, self.invariant, self.histogram_needs);
        // Counter resets between the picked samples show in the buckets only.
        self.histogram_needs.buckets = true;
        self.plan.scopes.push(Scope { grid, by_step: true });
        self.scope = self.plan.scopes.len() - 1;
        self.invariant = grid.is_instant();
        let wrap = self.variance(&subquery.expr).0;
        let built = self.wrapped(&subquery.expr, wrap)?;
        let (node, scope) = match built {
            PlanPart::Vector(input) => (self.place(input), self.scope),
            PlanPart::Scalar(scalar) => (self.push(Op::VectorOf(scalar)), self.scope),
            PlanPart::Text(_) | PlanPart::Range(_) => {
                return Err(wrong_type(&subquery.expr, ValueType::Vector));
            }
        };
        (self.scope, self.invariant, self.histogram_needs) = before;
        let samples = RangeSamples::Subquery { node, scope };
        Ok(RangeInput { samples, moment, range, extent: Extent::Plain })
    }
}
