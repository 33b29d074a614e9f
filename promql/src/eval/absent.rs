//! `absent` and `absent_over_time`: 1 where a vector is empty.

use std::collections::HashSet;

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, MatchOp, Matcher};
use query::QueryError;
use query::matrix::{Row, count_last};
use query::value::ABSENT;

use super::build::{Builder, PlanPart};
use super::call::{CallSite, VectorFn};
use super::plan::{Input, ScopeId};
use super::{Evaluator, NodeValue};
use crate::ast::{Expr, ExprKind};

/// A call of either function.
#[derive(Debug)]
pub(crate) struct Absent {
    input: Input,
    labels: Labels,
    /// The operand's samples are gone by the time Prometheus counts.
    over_time: bool,
}

impl Absent {
    /// `absent_over_time` of a range, whose windows with samples come as `input`.
    pub(crate) fn over_time(input: Input, range: &Expr) -> Self {
        Self { input, labels: labels(range), over_time: true }
    }
}

/// Builds `absent`.
pub(crate) fn build(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let operand = site.arg(0)?;
    let input = builder.vector(operand)?;
    Ok(builder.vector_call(Absent { input, labels: labels(operand), over_time: false }))
}

impl VectorFn for Absent {
    fn input(&self) -> &Input {
        &self.input
    }

    fn ignores_labels(&self) -> bool {
        true
    }

    fn evaluate(&self, evaluator: &mut Evaluator<'_>, scope: ScopeId) -> Result<NodeValue, QueryError> {
        let steps = evaluator.plan.scopes[scope].grid.steps();
        let (mut seen, mut gathered) = (SeenSteps::new(steps), 0);
        let held = evaluator.consume_input(scope, &self.input, &mut |rows| {
            gathered += count_last(&rows, steps);
            rows.iter().for_each(|row| seen.see(row));
            Ok(())
        })?;
        let rows = seen.complement(self.labels.clone()).into_iter().collect();
        if self.over_time {
            return evaluator.replace(rows, held);
        }
        evaluator.rows_value(rows, held, gathered)
    }
}

/// The labels of the result: those that a selector fixes to one value.
fn labels(operand: &Expr) -> Labels {
    let matchers: &[Matcher] = match &operand.kind {
        ExprKind::Vector(vector) => &vector.matchers,
        ExprKind::Matrix(matrix) => &matrix.vector.matchers,
        _ => return Labels::empty(),
    };
    let mut labels = LabelsBuilder::new();
    let mut fixed = HashSet::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME) {
        if matcher.op() == MatchOp::Equal && fixed.insert(matcher.name()) {
            labels.set(matcher.name(), matcher.value());
        } else {
            labels.remove(matcher.name());
        }
    }
    labels.finish()
}

/// Notes at which steps a vector has samples.
struct SeenSteps(Vec<bool>);

impl SeenSteps {
    fn new(steps: usize) -> Self {
        Self(vec![false; steps])
    }

    /// Takes in one series.
    fn see(&mut self, row: &Row) {
        row.present().for_each(|step| self.0[step] = true);
    }

    /// The series that is there where nothing else is; `None` when something always is.
    fn complement(self, labels: Labels) -> Option<Row> {
        let values = self.0.into_iter().map(|seen| if seen { ABSENT } else { 1.0 }).collect();
        let mut row = Row::floats(labels, values);
        row.trim().then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_where_nothing_is() {
        let mut seen = SeenSteps::new(3);
        seen.see(&Row::floats(Labels::empty(), vec![1.0, ABSENT, ABSENT]));
        let row = seen.complement(Labels::empty()).unwrap();
        assert_eq!(row.present().collect::<Vec<_>>(), [1, 2]);
        let mut seen = SeenSteps::new(1);
        seen.see(&Row::floats(Labels::empty(), vec![f64::NAN]));
        assert!(seen.complement(Labels::empty()).is_none());
    }
}
