//! `*_over_time` on one window.

use model::Value;
use query::histogram_total::HistogramTotal;
use query::kahan::{Kahan, Mean, variance};
use query::{Annotations, quantile};

use super::range::RangeFn;
use super::samples::Floats;
use super::window::{Window, WindowContext, histogram_value};
use crate::annotations::{Annotate, HistogramOp};

/// `sum_over_time`
pub(crate) fn sum(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Option<Value> {
    if window.floats.is_empty() {
        return histogram_total(context, window, notes);
    }
    is_not_mixed(context, window, notes)
        .then(|| Value::Float(window.floats.v.iter().fold(Kahan::default(), |sum, v| sum.plus(*v)).total()))
}

/// `avg_over_time`
pub(crate) fn avg(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Option<Value> {
    if window.floats.is_empty() {
        return histogram_total(context, window, notes);
    }
    let v = window.floats.v;
    is_not_mixed(context, window, notes)
        .then(|| Value::Float(v[1..].iter().fold(Mean::of(v[0]), |mean, v| mean.plus(*v)).total()))
}

/// Tells the user when floats and histograms do not add up.
fn is_not_mixed(context: &WindowContext<'_>, window: &Window<'_>, notes: &mut Annotations) -> bool {
    let is_mixed = !window.histograms.is_empty();
    if is_mixed {
        notes.mixed_floats_histograms(context.metric_name(), context.pos);
    }
    !is_mixed
}

/// Functions of floats; a window without any has no result.
pub(crate) fn of_floats(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    notes: &mut Annotations,
    f: impl Fn(Floats<'_>) -> f64,
) -> Option<Value> {
    if window.floats.is_empty() {
        return None;
    }
    note_ignored_histograms(context, window, notes);
    Some(Value::Float(f(window.floats)))
}

/// `min_over_time`
pub(crate) fn min(floats: Floats<'_>) -> f64 {
    floats.v[extreme(floats.v, |v, min| v < min)]
}

/// `max_over_time`
pub(crate) fn max(floats: Floats<'_>) -> f64 {
    floats.v[extreme(floats.v, |v, max| v > max)]
}

/// `ts_of_min_over_time`: of equal ones the last.
pub(crate) fn time_of_min(floats: Floats<'_>) -> f64 {
    in_seconds(floats.t[extreme(floats.v, |v, min| v <= min)])
}

/// `ts_of_max_over_time`: of equal ones the last.
pub(crate) fn time_of_max(floats: Floats<'_>) -> f64 {
    in_seconds(floats.t[extreme(floats.v, |v, max| v >= max)])
}

/// `stddev_over_time`
pub(crate) fn stddev(floats: Floats<'_>) -> f64 {
    variance(floats.v).sqrt()
}

/// `stdvar_over_time`
pub(crate) fn stdvar(floats: Floats<'_>) -> f64 {
    variance(floats.v)
}

/// `mad_over_time`
pub(crate) fn median_deviation(floats: Floats<'_>) -> f64 {
    if floats.v.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let mut values = floats.v.to_vec();
    let median = quantile::quantile(0.5, &mut values);
    values.iter_mut().for_each(|v| *v = (*v - median).abs());
    quantile::quantile(0.5, &mut values)
}

/// `first_over_time` of a window with samples.
pub(crate) fn first(window: &Window<'_>) -> Value {
    match first_is_float(window) {
        true => Value::Float(window.floats.v[0]),
        false => Value::Histogram(window.histograms.v[0].clone()),
    }
}

/// `last_over_time` of a window with samples.
pub(crate) fn last(window: &Window<'_>) -> Value {
    let Window { floats, histograms, .. } = window;
    match last_is_float(window) {
        true => Value::Float(floats.v[floats.len() - 1]),
        false => Value::Histogram(histograms.v[histograms.len() - 1].clone()),
    }
}

/// `ts_of_first_over_time` of a window with samples.
pub(crate) fn time_of_first(window: &Window<'_>) -> Value {
    let t = if first_is_float(window) { window.floats.t[0] } else { window.histograms.t[0] };
    Value::Float(in_seconds(t))
}

/// `ts_of_last_over_time` of a window with samples.
pub(crate) fn time_of_last(window: &Window<'_>) -> Value {
    let Window { floats, histograms, .. } = window;
    let is_float = last_is_float(window);
    let t = if is_float { floats.t[floats.len() - 1] } else { histograms.t[histograms.len() - 1] };
    Value::Float(in_seconds(t))
}

fn first_is_float(Window { floats, histograms, .. }: &Window<'_>) -> bool {
    !floats.is_empty() && (histograms.is_empty() || floats.t[0] < histograms.t[0])
}

fn last_is_float(Window { floats, histograms, .. }: &Window<'_>) -> bool {
    !floats.is_empty()
        && (histograms.is_empty() || floats.t[floats.len() - 1] > histograms.t[histograms.len() - 1])
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

fn in_seconds(t: i64) -> f64 {
    t as f64 / 1000.0
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
        let of = |v: &[f64]| median_deviation(Floats { t: &[], v, start_t: &[] });
        assert_eq!(of(&[4.0, 6.0, 2.0, 1.0, 999.0, 1.0, 2.0]), 1.0);
        assert!(of(&[1.0, f64::NAN]).is_nan());
    }

    #[test]
    fn nan_is_beaten_by_anything() {
        assert_eq!(extreme(&[f64::NAN, 2.0, 3.0, f64::NAN], |v, min| v < min), 1);
        assert_eq!(extreme(&[2.0, 1.0, 1.0], |v, min| v <= min), 2);
        assert_eq!(extreme(&[f64::NAN, f64::NAN], |v, max| v > max), 1);
    }
}
