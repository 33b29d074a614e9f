//! `count_values`: how often each value occurs at a step.

use std::collections::HashMap;

use model::Labels;
use model::float::FloatF;
use model::labels::Quoted;

use super::super::label::is_label_name;
use super::super::label_key::{KeyHasher, LabelSubset};
use super::super::row::Row;
use super::AggregateNode;
use crate::engine::QueryError;
use crate::limits::Interrupt;
use crate::value::{Point, is_absent};

/// Evaluates `count_values`.
pub(super) fn evaluate(
    node: &AggregateNode,
    rows: &[Row],
    steps: usize,
    query: &str,
    interrupt: &Interrupt<'_>,
) -> Result<Vec<Row>, QueryError> {
    let label = node.text.as_deref().unwrap_or("");
    if !is_label_name(label) {
        return Err(QueryError::Execution(format!("invalid label name {}", as_written(query, node, label))));
    }
    let mut grouping = node.grouping.clone();
    if !node.without {
        grouping.push(label.to_owned());
    }
    let subset = LabelSubset::new(!node.without, &grouping);
    let mut places: HashMap<Labels, usize, KeyHasher> = HashMap::with_hasher(KeyHasher);
    let mut results: Vec<Row> = Vec::new();
    for row in rows {
        // Values often stay the same from step to step.
        let mut last: Option<(Point, usize)> = None;
        for step in row.present() {
            let Some(point) = row.point(step) else { continue };
            let place = match &last {
                Some((before, place)) if same(before, &point) => *place,
                _ => {
                    let text = match &point {
                        Point::Float(v) => FloatF(*v).to_string(),
                        Point::Histogram(h) => h.to_string(),
                    };
                    let mut labels = row.labels.to_builder();
                    labels.set(label, &text);
                    let labels = subset.labels(&labels.finish(), false);
                    let place = *places.entry(labels.clone()).or_insert(results.len());
                    if place == results.len() {
                        interrupt.allocated(8 * steps)?;
                        results.push(Row::blank(labels, steps));
                    }
                    last = Some((point, place));
                    place
                }
            };
            let count = &mut results[place].values[step];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
        interrupt.worked(20 * row.values.len() as u64)?;
    }
    interrupt.freed(8 * steps * results.len());
    Ok(results)
}

/// A string literal as the query has it, where it may hold what no label can.
fn as_written(query: &str, node: &AggregateNode, value: &str) -> String {
    match query.get(node.param_pos.start..node.param_pos.end) {
        Some(literal) if literal.starts_with('"') => literal.to_owned(),
        _ => Quoted(value).to_string(),
    }
}

fn same(a: &Point, b: &Point) -> bool {
    match (a, b) {
        (Point::Float(a), Point::Float(b)) => a.to_bits() == b.to_bits(),
        _ => false,
    }
}
