//! `count_values`: how often each value occurs at a step.

use std::collections::HashMap;

use model::go_float::FloatF;
use model::{Labels, Value};

use crate::label_subset::{KeyHasher, LabelSubset};
use crate::matrix::Row;
use crate::value::is_absent;
use crate::{Interrupt, QueryError};

/// How often each value occurs in a group at a step; the value becomes that of `label`.
pub fn evaluate(
    label: &str,
    grouping: &[String],
    without: bool,
    rows: &[Row],
    steps: usize,
    interrupt: &Interrupt<'_>,
) -> Result<Vec<Row>, QueryError> {
    let mut grouping = grouping.to_vec();
    if !without {
        grouping.push(label.to_owned());
    }
    let subset = LabelSubset::new(!without, &grouping);
    let mut places: HashMap<Labels, usize, KeyHasher> = HashMap::with_hasher(KeyHasher);
    let mut results: Vec<Row> = Vec::new();
    for row in rows {
        // Values often stay the same from step to step.
        let mut last: Option<(Value, usize)> = None;
        for step in row.present() {
            let Some(value) = row.value(step) else { continue };
            let place = match &last {
                Some((before, place)) if same(before, &value) => *place,
                _ => {
                    let text = match &value {
                        Value::Float(v) => FloatF(*v).to_string(),
                        Value::Histogram(h) => h.to_string(),
                    };
                    let mut labels = row.labels.to_builder();
                    labels.set(label, &text);
                    let labels = subset.labels(&labels.finish(), false);
                    let place = *places.entry(labels.clone()).or_insert(results.len());
                    if place == results.len() {
                        interrupt.allocated(8 * steps)?;
                        results.push(Row::blank(labels, steps));
                    }
                    last = Some((value, place));
                    place
                }
            };
            let count = &mut results[place].values[step];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
        interrupt.worked(20 * row.values.len() as u64)?;
    }
    Ok(results)
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        _ => false,
    }
}
