//! `*_over_time` on one window.

use model::Value;
use query::histogram_total::HistogramTotal;
use query::kahan::{Kahan, Mean, variance};
use query::{Annotations, quantile};

use super::range::{RangeFn, Window, WindowContext, histogram_value};
use crate::annotations::{Annotate, HistogramOp};

/// Evaluates the functions that take nothing but the range.
pub(crate) fn evaluate(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Option<Value> {
    let (floats, histograms) = (&window.floats, &window.histograms);
    let first_is_float = !floats.is_empty() && (histograms.is_empty() || floats.t[0] < histograms.t[0]);
    let last_is_float = !floats.is_empty()
        && (histograms.is_empty() || floats.t[floats.len() - 1] > histograms.t[histograms.len() - 1]);
    Some(match context.func {
        RangeFn::Sum | RangeFn::Avg if floats.is_empty() => return histogram_total(context, window, notes),
        RangeFn::Sum | RangeFn::Avg if !histograms.is_empty() => {
            notes.mixed_floats_histograms(context.metric_name(), context.pos);
            return None;
        }
        RangeFn::Sum => Value::Float(floats.v.iter().fold(Kahan::default(), |sum, v| sum.plus(*v)).total()),
        RangeFn::Avg => {
            Value::Float(floats.v[1..].iter().fold(Mean::of(floats.v[0]), |mean, v| mean.plus(*v)).total())
        }
        RangeFn::Count => Value::Float((floats.len() + histograms.len()) as f64),
        RangeFn::Present | RangeFn::Absent => Value::Float(1.0),
        RangeFn::First if first_is_float => Value::Float(floats.v[0]),
        RangeFn::First => Value::Histogram(histograms.v[0].clone()),
        RangeFn::Last if last_is_float => Value::Float(floats.v[floats.len() - 1]),
        RangeFn::Last => Value::Histogram(histograms.v[histograms.len() - 1].clone()),
        RangeFn::TimeOfFirst if first_is_float => in_seconds(floats.t[0]),
        RangeFn::TimeOfFirst => in_seconds(histograms.t[0]),
        RangeFn::TimeOfLast if last_is_float => in_seconds(floats.t[floats.len() - 1]),
        RangeFn::TimeOfLast => in_seconds(histograms.t[histograms.len() - 1]),
        _ => {
            if floats.is_empty() {
                return None;
            }
            note_ignored_histograms(context, window, notes);
            match context.func {
                RangeFn::Min => Value::Float(floats.v[extreme(floats.v, |v, min| v < min)]),
                RangeFn::Max => Value::Float(floats.v[extreme(floats.v, |v, max| v > max)]),
                // Of equal extremes the last.
                RangeFn::TimeOfMin => in_seconds(floats.t[extreme(floats.v, |v, min| v <= min)]),
                RangeFn::TimeOfMax => in_seconds(floats.t[extreme(floats.v, |v, max| v >= max)]),
                RangeFn::Stddev => Value::Float(variance(floats.v).sqrt()),
                RangeFn::Stdvar => Value::Float(variance(floats.v)),
                RangeFn::Mad => Value::Float(median_deviation(floats.v)),
                _ => return None,
            }
        }
    })
}

/// `quantile_over_time` of one window.
pub(crate) fn quantile(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    q: f64,
    notes: &mut Annotations,
) -> Option<Value> {
    if window.floats.is_empty() {
        return None;
    }
    if q.is_nan() || !(0.0..=1.0).contains(&q) {
        notes.invalid_quantile(q, context.pos);
    }
    note_ignored_histograms(context, window, notes);
    Some(Value::Float(quantile::quantile(q, &mut window.floats.v.to_vec())))
}

/// Tells the user that only floats of a mixed range count.
pub(crate) fn note_ignored_histograms(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    notes: &mut Annotations,
) {
    if !window.histograms.is_empty() {
        notes.histogram_ignored_in_mixed_range(context.metric_name(), context.pos);
    }
}

fn in_seconds(t: i64) -> Value {
    Value::Float(t as f64 / 1000.0)
}

/// The place of the value that nothing beats; NaN is beaten by anything.
fn extreme(values: &[f64], beats: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (at, v) in values.iter().enumerate() {
        if beats(*v, values[best]) || values[best].is_nan() {
            best = at;
        }
    }
    best
}

fn median_deviation(values: &[f64]) -> f64 {
    if values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let mut values = values.to_vec();
    let median = quantile::quantile(0.5, &mut values);
    values.iter_mut().for_each(|v| *v = (*v - median).abs());
    quantile::quantile(0.5, &mut values)
}

fn histogram_total(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Option<Value> {
    let is_mean = context.func == RangeFn::Avg;
    let mut total = HistogramTotal::new(window.histograms.v.first()?);
    for h in &window.histograms.v[1..] {
        let added = if is_mean { total.add_to_mean(h) } else { total.add(h) };
        if added.is_err() {
            notes.mixed_exponential_custom(context.metric_name(), context.pos);
            return None;
        }
    }
    if total.hints_collide() {
        notes.counter_reset_collision(HistogramOp::Aggregation, context.pos);
    }
    if total.reconciled {
        notes.mismatched_custom_buckets(HistogramOp::Aggregation, context.pos);
    }
    Some(histogram_value(if is_mean { total.mean() } else { total.sum() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread() {
        assert_eq!(variance(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), 4.0);
        assert_eq!(variance(&[1.5990505637277868; 3]), 0.0);
        assert_eq!(median_deviation(&[4.0, 6.0, 2.0, 1.0, 999.0, 1.0, 2.0]), 1.0);
        assert!(median_deviation(&[1.0, f64::NAN]).is_nan());
    }

    #[test]
    fn nan_is_beaten_by_anything() {
        assert_eq!(extreme(&[f64::NAN, 2.0, 3.0, f64::NAN], |v, min| v < min), 1);
        assert_eq!(extreme(&[2.0, 1.0, 1.0], |v, min| v <= min), 2);
        assert_eq!(extreme(&[f64::NAN, f64::NAN], |v, max| v > max), 1);
    }
}
