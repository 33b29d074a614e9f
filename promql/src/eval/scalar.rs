//! Scalars over the steps, and the ways between scalars and vectors.

use query::QueryError;
use query::matrix::{Row, count_last};
use query::value::is_absent;

use super::binary::scalar_op;
use super::build::{Builder, PlanPart};
use super::call::CallSite;
use super::date::Date;
use super::plan::{Op, ScalarRef, ScopeId};
use super::{Evaluator, NodeValue, ScalarColumn, ScalarSamples, math};

/// Builds `time`.
pub(crate) fn build_time(builder: &mut Builder<'_>, _: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    Ok(builder.scalar_node(Op::Time))
}

/// Builds `pi`.
pub(crate) fn build_pi(_: &mut Builder<'_>, _: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    Ok(PlanPart::Scalar(ScalarRef::Const(std::f64::consts::PI)))
}

/// Builds `max_of`.
pub(crate) fn build_max_of(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let (left, right) = (builder.scalar(site.arg(0)?)?, builder.scalar(site.arg(1)?)?);
    Ok(builder.scalar_node(Op::ScalarExtreme { extreme: math::go_max, left, right }))
}

/// Builds `min_of`.
pub(crate) fn build_min_of(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let (left, right) = (builder.scalar(site.arg(0)?)?, builder.scalar(site.arg(1)?)?);
    Ok(builder.scalar_node(Op::ScalarExtreme { extreme: math::go_min, left, right }))
}

/// Builds `scalar`.
pub(crate) fn build_scalar(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let input = builder.vector(site.arg(0)?)?;
    Ok(builder.scalar_node(Op::ScalarOf(input)))
}

/// Builds `vector`.
pub(crate) fn build_vector(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let scalar = builder.scalar(site.arg(0)?)?;
    Ok(builder.vector_node(Op::VectorOf(scalar)))
}

impl Evaluator<'_> {
    /// Evaluates the operations that give a column of scalars.
    pub(crate) fn scalar_node(&mut self, scope: ScopeId, op: &Op) -> Result<NodeValue, QueryError> {
        let grid = self.plan.scopes[scope].grid;
        let steps = grid.steps();
        let column =
            |values: &[NodeValue], scalar: ScalarRef| ScalarColumn::new(scalar, values).values(steps);
        let zip = |values: &[NodeValue], left, right, f: &dyn Fn(f64, f64) -> f64| {
            let (left, right) = (ScalarColumn::new(left, values), ScalarColumn::new(right, values));
            (0..steps).map(|step| f(left.at(step), right.at(step))).collect()
        };
        let values = match op {
            Op::Time => (0..steps).map(|step| grid.time(step) as f64 / 1000.0).collect(),
            Op::ScalarBinary { op, left, right } => {
                self.give_back(&[*left, *right], steps)?;
                zip(&self.values, *left, *right, &|a, b| scalar_op(*op, a, b))
            }
            Op::ScalarNegate(inner) => column(&self.values, *inner).into_iter().map(|v| -v).collect(),
            Op::ScalarExtreme { extreme, left, right } => {
                self.give_back(&[*left, *right], steps)?;
                zip(&self.values, *left, *right, extreme)
            }
            Op::ScalarOf(input) => {
                let (rows, held) = self.collect_input(scope, input)?;
                self.count.touch(count_last(&rows, steps) + steps)?;
                self.count.release(held);
                only_floats(&rows, steps)
            }
            Op::VectorOf(scalar) => {
                let values = column(&self.values, *scalar);
                let rows =
                    if steps == 0 { Vec::new() } else { vec![Row::floats(model::Labels::empty(), values)] };
                let operand = ScalarSamples::new(&[*scalar], &self.values, steps);
                return self.rows_value(rows, operand.held, operand.more);
            }
            Op::DateNow(part) => {
                let at = |step| part(&Date::of_seconds(grid.time(step) / 1000)) as f64;
                let values: Vec<f64> = (0..steps).map(at).collect();
                let rows =
                    if steps == 0 { Vec::new() } else { vec![Row::floats(model::Labels::empty(), values)] };
                return self.rows_value(rows, 0, 0);
            }
            _ => Vec::new(),
        };
        self.scalar_value(values)
    }

    /// Counts the operands of an operation on scalars as held beside its result, and then as given back.
    fn give_back(&mut self, operands: &[ScalarRef], steps: usize) -> Result<(), QueryError> {
        let operands = ScalarSamples::new(operands, &self.values, steps);
        self.count.touch(operands.more + steps)?;
        self.count.release(operands.held);
        Ok(())
    }
}

/// For each step the only float of a vector, or NaN.
fn only_floats(rows: &[Row], steps: usize) -> Vec<f64> {
    let mut found = vec![0u32; steps];
    let mut values = vec![f64::NAN; steps];
    for row in rows {
        for (step, v) in row.span().zip(&row.values) {
            if !is_absent(*v) {
                found[step] += 1;
                values[step] = *v;
            }
        }
    }
    for (v, found) in values.iter_mut().zip(found) {
        if found != 1 {
            *v = f64::NAN;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use query::value::ABSENT;

    use super::*;

    #[test]
    fn scalar_of_one_float_only() {
        let rows = [
            Row::floats(Labels::empty(), vec![1.0, 2.0, ABSENT]),
            Row::floats(Labels::empty(), vec![ABSENT, 3.0, ABSENT]),
        ];
        let got = only_floats(&rows, 3);
        assert_eq!(got[0], 1.0);
        assert!(got[1].is_nan() && got[2].is_nan());
    }
}
