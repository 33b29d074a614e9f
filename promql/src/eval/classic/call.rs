//! Calls of `histogram_quantile`, `histogram_quantiles` and `histogram_fraction`.

use query::matrix::{EqualLabels, count_last, unite};
use query::{Pos, QueryError};

use super::super::build::{Builder, PlanPart};
use super::super::call::{CallSite, VectorFn};
use super::super::plan::{Input, ScalarRef, ScopeId};
use super::super::{Evaluator, NodeValue, ScalarColumn, ScalarSamples};
use super::{Context, HistogramFn};
use crate::ast::Expr;

/// A call in the plan.
#[derive(Debug)]
struct HistogramCall {
    input: Input,
    func: HistogramFn<ScalarRef>,
    /// Where the vector stands.
    pos: Pos,
}

/// Builds `histogram_quantile`.
pub(crate) fn build_quantile(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let q = site.arg(0)?;
    let func = HistogramFn::Quantile { q: builder.held_scalar(q)?, pos: q.pos };
    build(builder, func, site.arg(1)?)
}

/// Builds `histogram_quantiles`.
pub(crate) fn build_quantiles(
    builder: &mut Builder<'_>,
    site: &CallSite<'_>,
) -> Result<PlanPart, QueryError> {
    let mut qs = Vec::new();
    for q in site.args.iter().skip(2) {
        qs.push((builder.scalar(q)?, q.pos));
    }
    let func = HistogramFn::Quantiles { label: builder.text(site.arg(1)?)?, qs };
    build(builder, func, site.arg(0)?)
}

/// Builds `histogram_fraction`.
pub(crate) fn build_fraction(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let lower = builder.held_scalar(site.arg(0)?)?;
    let func = HistogramFn::Fraction { lower, upper: builder.held_scalar(site.arg(1)?)? };
    build(builder, func, site.arg(2)?)
}

fn build(
    builder: &mut Builder<'_>,
    func: HistogramFn<ScalarRef>,
    vector: &Expr,
) -> Result<PlanPart, QueryError> {
    let input = builder.vector(vector)?;
    Ok(builder.vector_call(HistogramCall { input, func, pos: vector.pos }))
}

impl HistogramFn<ScalarRef> {
    fn operands(&self) -> Vec<ScalarRef> {
        match self {
            Self::Quantile { q, .. } => vec![*q],
            Self::Quantiles { qs, .. } => qs.iter().map(|(q, _)| *q).collect(),
            Self::Fraction { lower, upper } => vec![*lower, *upper],
        }
    }

    /// With the parameters of each step.
    fn resolved(&self, values: &[NodeValue], steps: usize) -> HistogramFn<Vec<f64>> {
        let column = |scalar: &ScalarRef| ScalarColumn::new(*scalar, values).values(steps);
        match self {
            Self::Quantile { q, pos } => HistogramFn::Quantile { q: column(q), pos: *pos },
            Self::Quantiles { label, qs } => HistogramFn::Quantiles {
                label: label.clone(),
                qs: qs.iter().map(|(q, pos)| (column(q), *pos)).collect(),
            },
            Self::Fraction { lower, upper } => {
                HistogramFn::Fraction { lower: column(lower), upper: column(upper) }
            }
        }
    }
}

impl VectorFn for HistogramCall {
    fn input(&self) -> &Input {
        &self.input
    }

    fn evaluate(&self, evaluator: &mut Evaluator<'_>, scope: ScopeId) -> Result<NodeValue, QueryError> {
        let grid = evaluator.plan.scopes[scope].grid;
        let steps = grid.steps();
        let (rows, held) = evaluator.collect_input(scope, &self.input)?;
        let operands = ScalarSamples::new(&self.func.operands(), &evaluator.values, steps);
        let gathered = count_last(&rows, steps) + operands.more;
        let func = self.func.resolved(&evaluator.values, steps);
        let time = |step| grid.time(step);
        let context = Context {
            steps,
            time: &time,
            pos: self.pos,
            delayed: evaluator.options.delayed_name_removal,
            interrupt: evaluator.interrupt,
        };
        let rows = super::evaluate(&func, &rows, &context, &mut evaluator.annotations)?;
        evaluator.rows_value(unite(rows, EqualLabels::Merge)?, held + operands.held, gathered)
    }
}
