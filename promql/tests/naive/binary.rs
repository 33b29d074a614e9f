//! Operators between scalars and vectors.

use model::labels::METRIC_NAME;
use model::{Labels, Value};
use promql::ast::{Binary, BinaryOp, Cardinality, Matching};

use super::{Answer, Failure, Grid, Naive, Sample, error, unique, without_name};

/// What arithmetic gives; NaN for operators that are none.
pub fn arithmetic(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Atan2 => a.atan2(b),
        BinaryOp::Pow => a.powf(b),
        _ => f64::NAN,
    }
}

fn holds(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Eq => a == b,
        BinaryOp::Ne => a != b,
        BinaryOp::Lt => a < b,
        BinaryOp::Le => a <= b,
        BinaryOp::Gt => a > b,
        BinaryOp::Ge => a >= b,
        _ => false,
    }
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// What two points give: the value, and whether it stays unless `bool` is asked for. `None` where the operator has no
/// meaning for them.
fn combine(op: BinaryOp, a: &Value, b: &Value) -> Option<(Value, bool)> {
    let changed = |h: &model::histogram::FloatHistogram,
                   change: &dyn Fn(&mut model::histogram::FloatHistogram)| {
        let mut h = h.clone();
        change(&mut h);
        Some((Value::Histogram(h.into()), true))
    };
    match (a, b) {
        (Value::Float(_), Value::Float(_)) if matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper) => None,
        (Value::Float(a), Value::Float(b)) if op.is_comparison() => {
            Some((Value::Float(*a), holds(op, *a, *b)))
        }
        (Value::Float(a), Value::Float(b)) => Some((Value::Float(arithmetic(op, *a, *b)), true)),
        (Value::Float(v), Value::Histogram(h)) => match op {
            BinaryOp::Mul => changed(h, &|h| h.mul(*v)),
            _ => None,
        },
        (Value::Histogram(h), Value::Float(v)) => match op {
            BinaryOp::Mul => changed(h, &|h| h.mul(*v)),
            BinaryOp::Div => changed(h, &|h| h.div(*v)),
            BinaryOp::TrimUpper => changed(h, &|h| h.trim_upper(*v)),
            BinaryOp::TrimLower => changed(h, &|h| h.trim_lower(*v)),
            _ => None,
        },
        (Value::Histogram(a), Value::Histogram(b)) => match op {
            BinaryOp::Add | BinaryOp::Sub => {
                let mut sum = a.as_ref().clone();
                let combined = if op == BinaryOp::Add { sum.add(b) } else { sum.sub(b) };
                if op == BinaryOp::Sub {
                    sum.reset_hint = model::histogram::ResetHint::Gauge;
                }
                sum.compact(0);
                combined.ok().map(|_| (Value::Histogram(sum.into()), true))
            }
            BinaryOp::Eq => Some((Value::Histogram(a.clone()), a.equals(b))),
            BinaryOp::Ne => Some((Value::Histogram(a.clone()), !a.equals(b))),
            _ => None,
        },
    }
}

/// Whether the result is no longer of the metric that the name says.
fn is_arithmetic(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Mod
            | BinaryOp::Pow
            | BinaryOp::Atan2
    )
}

impl Naive {
    /// A binary expression.
    pub fn binary(&self, binary: &Binary, grid: Grid, t: i64) -> Result<Answer, Failure> {
        let left = self.at(&binary.left, grid, t)?;
        let right = self.at(&binary.right, grid, t)?;
        let op = binary.op;
        match (left, right) {
            (Answer::Scalar(a), Answer::Scalar(b)) if op.is_comparison() => {
                Ok(Answer::Scalar(truth(holds(op, a, b))))
            }
            (Answer::Scalar(a), Answer::Scalar(b)) => Ok(Answer::Scalar(arithmetic(op, a, b))),
            (Answer::Vector(samples), Answer::Scalar(v)) => with_scalar(binary, &samples, v, false),
            (Answer::Scalar(v), Answer::Vector(samples)) => with_scalar(binary, &samples, v, true),
            (Answer::Vector(left), Answer::Vector(right)) => {
                let matching = binary.matching.clone().unwrap_or_default();
                if op.is_set() {
                    unique(set(op, &matching, left, right))
                } else {
                    unique(matched(binary, &matching, left, right)?)
                }
            }
            _ => error("an operator between texts"),
        }
    }
}

fn with_scalar(binary: &Binary, samples: &[Sample], v: f64, scalar_first: bool) -> Result<Answer, Failure> {
    let (op, scalar) = (binary.op, Value::Float(v));
    let mut result = Vec::new();
    for sample in samples {
        let (a, b) = if scalar_first { (&scalar, &sample.value) } else { (&sample.value, &scalar) };
        let Some((value, stays)) = combine(op, a, b) else { continue };
        if binary.return_bool {
            result.push(sample.derived(Value::Float(truth(stays))));
        } else if is_arithmetic(op) {
            result.push(sample.derived(value));
        } else if stays {
            // A comparison keeps the vector's value on whichever side it stands.
            let kept = if op.is_comparison() { sample.value.clone() } else { value };
            result.push(Sample { labels: sample.labels.clone(), value: kept });
        }
    }
    unique(result)
}

/// The labels by which samples of both sides find each other.
fn key(matching: &Matching, labels: &Labels) -> Labels {
    let is_named = |name: &str| matching.labels.iter().any(|label| label == name);
    Labels::from_pairs(labels.iter().filter(|(name, _)| match matching.on {
        true => is_named(name),
        false => !is_named(name) && *name != METRIC_NAME,
    }))
}

fn set(op: BinaryOp, matching: &Matching, left: Vec<Sample>, right: Vec<Sample>) -> Vec<Sample> {
    let is_in = |sample: &Sample, others: &[Sample]| {
        others.iter().any(|other| key(matching, &other.labels) == key(matching, &sample.labels))
    };
    match op {
        BinaryOp::And => left.iter().filter(|sample| is_in(sample, &right)).cloned().collect(),
        BinaryOp::Unless => left.iter().filter(|sample| !is_in(sample, &right)).cloned().collect(),
        _ => {
            let more: Vec<Sample> = right.into_iter().filter(|sample| !is_in(sample, &left)).collect();
            left.into_iter().chain(more).collect()
        }
    }
}

/// Arithmetic and comparisons between vectors. The "one" side has at most one sample for each key; the "many" side is
/// the left one unless `group_right` stands there.
fn matched(
    binary: &Binary,
    matching: &Matching,
    left: Vec<Sample>,
    right: Vec<Sample>,
) -> Result<Vec<Sample>, Failure> {
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    if left.is_empty() && right.is_empty() || (left.is_empty() || right.is_empty()) && !fills {
        return Ok(Vec::new());
    }
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    for (i, sample) in one.iter().enumerate() {
        if one[..i].iter().any(|other| key(matching, &other.labels) == key(matching, &sample.labels)) {
            return error("found duplicate series for the match group");
        }
    }
    // Pairs of many and one; what is missing is filled in, whichever side `swapped` makes it.
    let filled = |labels: &Labels, v: f64| Sample { labels: key(matching, labels), value: Value::Float(v) };
    let mut pairs: Vec<(Sample, Sample)> = Vec::new();
    for sample in &many {
        let partner = one.iter().find(|other| key(matching, &other.labels) == key(matching, &sample.labels));
        match (partner, matching.fill_right) {
            (Some(partner), _) => pairs.push((sample.clone(), partner.clone())),
            (None, Some(v)) => pairs.push((sample.clone(), filled(&sample.labels, v))),
            (None, None) => {}
        }
    }
    let combined = |(many, one): &(Sample, Sample)| match swapped {
        true => combine(binary.op, &one.value, &many.value),
        false => combine(binary.op, &many.value, &one.value),
    };
    // Samples whose only partners are of a type that the operator does not take count as missing one.
    let met = |sample: &Sample| {
        pairs.iter().any(|pair| {
            key(matching, &pair.1.labels) == key(matching, &sample.labels) && combined(pair).is_some()
        })
    };
    let lonely: Vec<(Sample, Sample)> = match matching.fill_left {
        Some(v) => {
            let lonely = one.iter().filter(|sample| !met(sample));
            lonely.map(|sample| (filled(&sample.labels, v), sample.clone())).collect()
        }
        None => Vec::new(),
    };
    pairs.extend(lonely);
    let mut seen: Vec<(Labels, Labels)> = Vec::new();
    let mut result = Vec::new();
    for pair in &pairs {
        let Some((value, stays)) = combined(pair) else { continue };
        let labels = result_labels(binary, matching, &pair.0.labels, &pair.1.labels);
        let identity = match matching.cardinality {
            Cardinality::OneToOne => (key(matching, &pair.0.labels), Labels::empty()),
            _ => (key(matching, &pair.0.labels), labels.clone()),
        };
        if seen.contains(&identity) {
            return error("multiple matches for labels");
        }
        seen.push(identity);
        if binary.return_bool {
            result.push(Sample { labels, value: Value::Float(truth(stays)) });
        } else if stays {
            result.push(Sample { labels, value });
        }
    }
    Ok(result)
}

fn result_labels(binary: &Binary, matching: &Matching, many: &Labels, one: &Labels) -> Labels {
    let drops_name = binary.return_bool || is_arithmetic(binary.op);
    let base = if drops_name { without_name(many) } else { many.clone() };
    let is_named = |name: &str| matching.labels.iter().any(|label| label == name);
    let mut labels = match matching.cardinality {
        Cardinality::OneToOne => {
            Labels::from_pairs(base.iter().filter(|(name, _)| is_named(name) == matching.on))
        }
        _ => base,
    }
    .to_builder();
    for name in &matching.include {
        labels.set(name, one.get(name).unwrap_or(""));
    }
    labels.finish()
}
