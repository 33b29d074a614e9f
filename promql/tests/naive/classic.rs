//! Histogram functions of vectors: classic histograms, whose buckets are samples of their own, and native ones.

use model::histogram::FloatHistogram;
use model::labels::BUCKET_LABEL;
use model::{Labels, Value};

use super::{Answer, Failure, Sample, unique, without_name};

/// What is asked of each histogram.
#[derive(Clone, Copy)]
pub enum Question {
    Quantile(f64),
    Fraction(f64, f64),
}

struct Family {
    labels: Labels,
    /// Upper bounds and cumulative counts.
    buckets: Vec<(f64, f64)>,
    native: Option<FloatHistogram>,
}

/// Asks all histograms of a vector; with a label, several questions are told apart by it.
pub fn ask(input: &[Sample], questions: &[(Option<(String, String)>, Question)]) -> Result<Answer, Failure> {
    let mut families: Vec<Family> = Vec::new();
    for sample in input {
        let (bound, labels) = match &sample.value {
            Value::Float(_) => {
                let Ok(bound) = sample.labels.get(BUCKET_LABEL).unwrap_or("").parse::<f64>() else {
                    continue;
                };
                (bound, Labels::from_pairs(sample.labels.iter().filter(|(name, _)| *name != BUCKET_LABEL)))
            }
            Value::Histogram(_) => (f64::NAN, sample.labels.clone()),
        };
        let at = families.iter().position(|family| family.labels == labels).unwrap_or_else(|| {
            families.push(Family { labels, buckets: Vec::new(), native: None });
            families.len() - 1
        });
        match &sample.value {
            Value::Float(v) => families[at].buckets.push((bound, *v)),
            Value::Histogram(h) => families[at].native = Some(h.as_ref().clone()),
        }
    }
    let mut result = Vec::new();
    for family in families.iter_mut().filter(|family| family.buckets.is_empty() || family.native.is_none()) {
        for (told_by, question) in questions {
            let v = match (&family.native, question) {
                (Some(h), Question::Quantile(q)) => h.quantile(*q).value,
                (Some(h), Question::Fraction(lower, upper)) => h.fraction(*lower, *upper).value,
                (None, Question::Quantile(q)) => quantile(*q, &family.buckets),
                (None, Question::Fraction(lower, upper)) => fraction(*lower, *upper, &family.buckets),
            };
            let mut labels = without_name(&family.labels).to_builder();
            if let Some((name, value)) = told_by {
                labels.set(name, value);
            }
            result.push(Sample { labels: labels.finish(), value: Value::Float(v) });
        }
    }
    unique(result)
}

/// Ascending buckets, those of equal bounds added; `None` unless the last is the one of +Inf.
fn ordered(buckets: &[(f64, f64)]) -> Option<Vec<(f64, f64)>> {
    let mut buckets = buckets.to_vec();
    buckets.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap());
    let mut ordered: Vec<(f64, f64)> = Vec::new();
    for (bound, count) in buckets {
        match ordered.last_mut().filter(|last| last.0 == bound) {
            Some(last) => last.1 += count,
            None => ordered.push((bound, count)),
        }
    }
    (ordered.last()?.0 == f64::INFINITY).then_some(ordered)
}

fn quantile(q: f64, buckets: &[(f64, f64)]) -> f64 {
    match q {
        _ if q.is_nan() => return f64::NAN,
        _ if q < 0.0 => return f64::NEG_INFINITY,
        _ if q > 1.0 => return f64::INFINITY,
        _ => {}
    }
    let Some(mut buckets) = ordered(buckets) else { return f64::NAN };
    // Counts never fall; differences as small as rounding makes them are none.
    for i in 1..buckets.len() {
        let (before, count) = (buckets[i - 1].1, buckets[i].1);
        let is_close = (count - before).abs() < 1e-12 * (count.abs() + before.abs());
        if is_close || count < before {
            buckets[i].1 = before;
        }
    }
    let total = buckets[buckets.len() - 1].1;
    if buckets.len() < 2 || total == 0.0 {
        return f64::NAN;
    }
    let rank = q * total;
    let last = buckets.len() - 1;
    let at = buckets[..last].iter().position(|(_, count)| *count >= rank).unwrap_or(last);
    if at == last {
        return buckets[last - 1].0;
    }
    if at == 0 && buckets[0].0 <= 0.0 {
        return buckets[0].0;
    }
    let (lower, below) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
    let (upper, count) = buckets[at];
    lower + (upper - lower) * ((rank - below) / (count - below))
}

fn fraction(lower: f64, upper: f64, buckets: &[(f64, f64)]) -> f64 {
    let Some(buckets) = ordered(buckets) else { return f64::NAN };
    let total = buckets[buckets.len() - 1].1;
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (below(upper, &buckets).min(total) - below(lower, &buckets).min(total)) / total
}

/// How many observations lie below a value.
fn below(v: f64, buckets: &[(f64, f64)]) -> f64 {
    let mut lower = if buckets[0].0 <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut under = 0.0;
    for (upper, count) in buckets {
        if v <= lower {
            return under;
        }
        if v < *upper {
            // Nothing is known of where observations lie in a bucket without end: not below.
            return match lower {
                f64::NEG_INFINITY => *count,
                _ => under + (count - under) * (v - lower) / (upper - lower),
            };
        }
        (lower, under) = (*upper, *count);
    }
    under
}
