//! `absent` and `absent_over_time`: 1 where a vector is empty.

use std::collections::HashSet;

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, MatchOp, Matcher};
use query::matrix::Row;
use query::value::ABSENT;

use crate::ast::{Expr, ExprKind};

/// The labels of the result: those that a selector fixes to one value.
pub(crate) fn labels(operand: &Expr) -> Labels {
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
pub(crate) struct Presence(Vec<bool>);

impl Presence {
    pub(crate) fn new(steps: usize) -> Self {
        Self(vec![false; steps])
    }

    /// Takes in one series.
    pub(crate) fn see(&mut self, row: &Row) {
        row.present().for_each(|step| self.0[step] = true);
    }

    /// The series that is there where nothing else is; `None` when something always is.
    pub(crate) fn complement(self, labels: Labels) -> Option<Row> {
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
        let mut presence = Presence::new(3);
        presence.see(&Row::floats(Labels::empty(), vec![1.0, ABSENT, ABSENT]));
        let row = presence.complement(Labels::empty()).unwrap();
        assert_eq!(row.present().collect::<Vec<_>>(), [1, 2]);
        let mut presence = Presence::new(1);
        presence.see(&Row::floats(Labels::empty(), vec![f64::NAN]));
        assert!(presence.complement(Labels::empty()).is_none());
    }
}
