//! Aggregations of a vector.

use model::go_float::FloatF;
use model::histogram::FloatHistogram;
use model::labels::METRIC_NAME;
use model::{Labels, Value};
use promql::ast::{Aggregate, AggregateOp};

use super::over_time::add_up;
use super::sums::{mean, quantile, sum, variance};
use super::{Answer, Failure, Grid, Naive, Sample, error};

/// The labels that a group's samples share.
fn group_labels(aggregate: &Aggregate, labels: &Labels) -> Labels {
    let is_named = |name: &str| aggregate.grouping.iter().any(|label| label == name);
    Labels::from_pairs(labels.iter().filter(|(name, _)| match aggregate.without {
        true => !is_named(name) && *name != METRIC_NAME,
        false => is_named(name),
    }))
}

impl Naive {
    /// An aggregation.
    pub fn aggregate(&self, aggregate: &Aggregate, grid: Grid, t: i64) -> Result<Answer, Failure> {
        let input = self.vector(&aggregate.expr, grid, t)?;
        let mut groups: Vec<(Labels, Vec<Sample>)> = Vec::new();
        for sample in &input {
            let labels = group_labels(aggregate, &sample.labels);
            match groups.iter_mut().find(|group| group.0 == labels) {
                Some(group) => group.1.push(sample.clone()),
                None => groups.push((labels, vec![sample.clone()])),
            }
        }
        let param = match &aggregate.param {
            Some(param) => Some(self.at(param, grid, t)?),
            None => None,
        };
        let mut result = Vec::new();
        match (aggregate.op, param) {
            (AggregateOp::CountValues, Some(Answer::Text(label))) => {
                return Ok(Answer::Vector(count_values(aggregate, &label, &input)));
            }
            (AggregateOp::Topk | AggregateOp::Bottomk, Some(Answer::Scalar(k))) => {
                if k.is_nan() {
                    return error("Parameter value is NaN");
                }
                for (_, group) in &groups {
                    result.extend(extremes(group, k as usize, aggregate.op == AggregateOp::Topk)?);
                }
            }
            (op, param) => {
                let q = if let Some(Answer::Scalar(q)) = param { q } else { f64::NAN };
                for (labels, group) in groups {
                    if let Some(value) = fold(op, q, &group)? {
                        result.push(Sample { labels, value });
                    }
                }
            }
        }
        Ok(Answer::Vector(result))
    }
}

/// One value for all samples of a group.
fn fold(op: AggregateOp, q: f64, group: &[Sample]) -> Result<Option<Value>, Failure> {
    let v: Vec<f64> = group.iter().filter_map(Sample::float).collect();
    let histograms: Vec<&FloatHistogram> = group
        .iter()
        .filter_map(|sample| match &sample.value {
            Value::Histogram(h) => Some(h.as_ref()),
            Value::Float(_) => None,
        })
        .collect();
    match op {
        AggregateOp::Count => return Ok(Some(Value::Float(group.len() as f64))),
        AggregateOp::Group => return Ok(Some(Value::Float(1.0))),
        AggregateOp::Sum | AggregateOp::Avg if !histograms.is_empty() => {
            if !v.is_empty() {
                return Ok(None);
            }
            let total = add_up(histograms.into_iter(), op == AggregateOp::Avg);
            return Ok(total.map(|h| Value::Histogram(h.into())));
        }
        _ if v.is_empty() => return Ok(None),
        _ => {}
    }
    let best = |is_better: fn(&f64, &f64) -> bool| {
        let numbers = v.iter().copied().filter(|v| !v.is_nan());
        numbers.reduce(|best, v| if is_better(&v, &best) { v } else { best }).unwrap_or(f64::NAN)
    };
    Ok(Some(Value::Float(match op {
        AggregateOp::Sum => sum(&v),
        AggregateOp::Avg => mean(&v),
        AggregateOp::Min => best(f64::lt),
        AggregateOp::Max => best(f64::gt),
        AggregateOp::Stdvar => variance(&v, false),
        AggregateOp::Stddev => variance(&v, false).sqrt(),
        AggregateOp::Quantile => quantile(q, &v),
        _ => return error(format!("unknown aggregation {}", op.as_str())),
    })))
}

/// The `k` greatest or least floats; NaN comes last either way.
fn extremes(group: &[Sample], k: usize, greatest: bool) -> Result<Vec<Sample>, Failure> {
    let mut floats: Vec<(f64, &Sample)> =
        group.iter().filter_map(|sample| sample.float().map(|v| (v, sample))).collect();
    floats.sort_by(|(a, _), (b, _)| match (a.is_nan(), b.is_nan()) {
        (false, false) if greatest => b.partial_cmp(a).unwrap(),
        (false, false) => a.partial_cmp(b).unwrap(),
        (a, b) => a.cmp(&b),
    });
    if 0 < k && k < floats.len() {
        let (last, next) = (floats[k - 1].0, floats[k].0);
        if last == next || last.is_nan() {
            return Err(Failure::Ambiguous);
        }
    }
    Ok(floats.into_iter().take(k).map(|(_, sample)| sample.clone()).collect())
}

fn count_values(aggregate: &Aggregate, label: &str, input: &[Sample]) -> Vec<Sample> {
    let mut aggregate = aggregate.clone();
    if !aggregate.without {
        aggregate.grouping.push(label.to_owned());
    }
    let mut counts: Vec<(Labels, f64)> = Vec::new();
    for sample in input {
        let text = match &sample.value {
            Value::Float(v) => FloatF(*v).to_string(),
            Value::Histogram(h) => h.to_string(),
        };
        let mut labels = sample.labels.to_builder();
        labels.set(label, &text);
        let labels = group_labels(&aggregate, &labels.finish());
        match counts.iter_mut().find(|count| count.0 == labels) {
            Some(count) => count.1 += 1.0,
            None => counts.push((labels, 1.0)),
        }
    }
    counts.into_iter().map(|(labels, v)| Sample { labels, value: Value::Float(v) }).collect()
}
