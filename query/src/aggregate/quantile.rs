//! `quantile`: needs all values of a group at a step.

use super::Groups;
use crate::matrix::Row;
use crate::quantile::quantile;
use crate::value::is_absent;
use crate::{Interrupt, QueryError};

/// The quantile of each group; `params` has that of each step. `histogram_ignored` is called for series with histograms,
/// which have no rank.
pub fn evaluate(
    mut groups: Groups,
    rows: &[Row],
    params: &[f64],
    interrupt: &Interrupt<'_>,
    mut histogram_ignored: impl FnMut(),
) -> Result<Vec<Row>, QueryError> {
    let mut members: Vec<(Row, Vec<&Row>)> = Vec::new();
    for row in rows {
        let (number, new) = groups.number(row);
        if let Some(labels) = new {
            members.push((Row::blank(labels, params.len()), Vec::new()));
        }
        let (result, rows) = &mut members[number];
        result.drop_name |= row.drop_name;
        rows.push(row);
        if row.histograms.is_some() {
            histogram_ignored();
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
                    result.values[step] = quantile(*q, values);
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
