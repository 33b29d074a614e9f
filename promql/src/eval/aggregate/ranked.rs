//! `quantile`: needs all values of a group at a step.

use super::super::quantile;
use super::super::row::Row;
use super::{AggregateNode, Groups};
use crate::annotations::Annotations;
use crate::engine::QueryError;
use crate::limits::Interrupt;
use crate::value::is_absent;

/// Evaluates `quantile`.
pub(super) fn quantile(
    node: &AggregateNode,
    rows: &[Row],
    params: &[f64],
    steps: usize,
    interrupt: &Interrupt<'_>,
    annotations: &mut Annotations,
) -> Result<Vec<Row>, QueryError> {
    note_invalid(node, params, annotations);
    let mut groups = Groups::new(&node.grouping, node.without, true);
    let mut members: Vec<(Row, Vec<&Row>)> = Vec::new();
    for row in rows {
        let (number, new) = groups.number(row);
        if let Some(labels) = new {
            members.push((Row::blank(labels, steps), Vec::new()));
        }
        let (result, rows) = &mut members[number];
        result.drop_name |= row.drop_name;
        rows.push(row);
        if row.histograms.is_some() {
            annotations.histogram_ignored_in_aggregation("quantile", node.operand_pos);
        }
    }
    // Some steps at a time, so that each row's values are read where they lie together.
    let mut values: [Vec<f64>; 16] = Default::default();
    let mut results = Vec::with_capacity(members.len());
    for (mut result, rows) in members {
        for (block, qs) in params.chunks(values.len()).enumerate() {
            let first = block * values.len();
            values.iter_mut().for_each(Vec::clear);
            for row in &rows {
                for (step, values) in (first..).zip(&mut values[..qs.len()]) {
                    let v = row.float(step);
                    if !is_absent(v) {
                        values.push(v);
                    }
                }
            }
            for ((step, values), q) in (first..).zip(&mut values).zip(qs) {
                if !values.is_empty() {
                    result.values[step] = quantile::quantile(*q, values);
                }
            }
            interrupt.worked(50 * (rows.len() * qs.len()) as u64)?;
        }
        if result.trim() {
            results.push(result);
        }
    }
    Ok(results)
}

fn note_invalid(node: &AggregateNode, params: &[f64], annotations: &mut Annotations) {
    if params.iter().any(|q| q.is_nan()) {
        annotations.invalid_quantile(f64::NAN, node.param_pos);
    }
    let max = params.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let min = params.iter().copied().fold(f64::INFINITY, f64::min);
    if max > 1.0 {
        annotations.invalid_quantile(max, node.param_pos);
    }
    if min < 0.0 {
        annotations.invalid_quantile(min, node.param_pos);
    }
}
