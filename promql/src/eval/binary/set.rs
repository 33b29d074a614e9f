//! `and`, `or`, `unless`: which rows' samples stay depends on the other side's at the same step.

use std::collections::HashMap;

use query::QueryError;
use query::label_subset::{KeyHasher, LabelSubset};
use query::matrix::{EqualLabels, Row, unite};

use crate::ast::BinaryOp;

/// At which steps a signature occurs.
type StepsBySignature = HashMap<Vec<u8>, Vec<bool>, KeyHasher>;

/// Evaluates a set operator.
pub(crate) fn evaluate(
    op: BinaryOp,
    subset: &LabelSubset,
    left: Vec<Row>,
    right: Vec<Row>,
    steps: usize,
) -> Result<Vec<Row>, QueryError> {
    match op {
        BinaryOp::And | BinaryOp::Unless => {
            let present = presence(subset, &right, steps);
            Ok(filter(subset, left, &present, op == BinaryOp::And))
        }
        _ => {
            // The left side as it is, and of the right side what has no counterpart there.
            let present = presence(subset, &left, steps);
            let right = filter(subset, right, &present, false);
            unite(left.into_iter().chain(right).collect(), EqualLabels::Merge)
        }
    }
}

fn presence(subset: &LabelSubset, rows: &[Row], steps: usize) -> StepsBySignature {
    let mut present = StepsBySignature::with_capacity_and_hasher(rows.len(), KeyHasher);
    let mut key = Vec::new();
    for row in rows {
        subset.key(&row.labels, false, &mut key);
        let marks = match present.get_mut(&key) {
            Some(marks) => marks,
            None => present.entry(key.clone()).or_insert_with(|| vec![false; steps]),
        };
        row.present().for_each(|step| marks[step] = true);
    }
    present
}

/// Keeps the samples at whose step the signature is present, or is not.
fn filter(
    subset: &LabelSubset,
    mut rows: Vec<Row>,
    present: &StepsBySignature,
    when_present: bool,
) -> Vec<Row> {
    let mut key = Vec::new();
    rows.retain_mut(|row| {
        subset.key(&row.labels, false, &mut key);
        let Some(marks) = present.get(&key) else {
            return !when_present;
        };
        for step in row.span() {
            if marks[step] != when_present {
                row.clear(step);
            }
        }
        row.trim()
    });
    rows
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use query::value::ABSENT;

    use super::*;

    fn row(a: &str, b: &str, values: [f64; 3]) -> Row {
        Row::floats(Labels::from_pairs([("a", a), ("b", b)]), values.to_vec())
    }

    #[test]
    fn step_by_step() {
        let left = || vec![row("1", "x", [1.0, 2.0, ABSENT]), row("2", "x", [5.0, 6.0, 7.0])];
        let right = || vec![row("1", "y", [9.0, ABSENT, 8.0]), row("3", "y", [0.0, ABSENT, ABSENT])];
        let on = LabelSubset::new(true, &["a".to_owned()]);
        let of = |op| {
            let rows = evaluate(op, &on, left(), right(), 3).unwrap();
            let show = |r: &Row| (r.labels.get("a").unwrap().to_owned(), r.present().collect::<Vec<_>>());
            rows.iter().map(show).collect::<Vec<_>>()
        };
        let one = |a: &str, steps: &[usize]| (a.to_owned(), steps.to_vec());
        assert_eq!(of(BinaryOp::And), [one("1", &[0])]);
        assert_eq!(of(BinaryOp::Unless), [one("1", &[1]), one("2", &[0, 1, 2])]);
        assert_eq!(
            of(BinaryOp::Or),
            [one("1", &[0, 1]), one("2", &[0, 1, 2]), one("1", &[2]), one("3", &[0])]
        );
    }
}
