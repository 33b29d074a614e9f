//! `rate`, `increase`, `delta` with extrapolation to the window's bounds, and `irate`, `idelta`.
//! Source: Prometheus `extrapolatedRate`, `instantValue`.

use std::sync::Arc;

use model::Value;
use model::histogram::{FloatHistogram, ResetHint};
use query::Annotations;

use super::histogram::{add, sub};
use super::plan::Extent;
use super::range::RangeFn;
use super::samples::{Floats, Histograms};
use super::window::{Window, WindowContext, histogram_value, owned};
use crate::annotations::{Annotate, HistogramOp};

/// A range's width in seconds, as Go's `Duration.Seconds` rounds it.
pub(crate) fn seconds(ms: i64) -> f64 {
    (ms / 1000) as f64 + (ms % 1000 * 1_000_000) as f64 / 1e9
}

/// Whether a counter started anew between two samples, by their start times (0 for unknown).
pub(crate) fn is_start_reset(previous_start: i64, previous_t: i64, start: i64, t: i64) -> bool {
    if start == 0 || start >= t || start < previous_t {
        return false;
    }
    if start > previous_t {
        return true;
    }
    // It starts right at the previous sample: so do deltas, and cumulative series whose start is unknown.
    previous_start <= previous_t && previous_start != 0 && previous_start != previous_t
}

/// Whether a sample says it started before the previous sample, but not when that started.
fn starts_overlap(previous_start: i64, previous_t: i64, start: i64) -> bool {
    start != 0 && start < previous_t && start != previous_start
}

/// Samples of a window as extrapolation sees them.
pub(crate) struct Observed {
    pub(crate) first_t: i64,
    pub(crate) last_t: i64,
    /// Number of samples less one.
    pub(crate) intervals: usize,
    /// The first value (or count).
    pub(crate) first: f64,
    /// The increase between first and last (or of the count).
    pub(crate) increase: f64,
    /// The counter is known to have started at zero here, within the window.
    pub(crate) zero_at: Option<i64>,
}

/// The factor by which the observed increase grows when the samples' slope goes on to the window's bounds: all the
/// way where a sample is near, by half an interval where not, never below zero for a counter.
#[inline]
pub(crate) fn extrapolation(observed: &Observed, start: i64, end: i64, is_counter: bool) -> f64 {
    let mut to_start = (observed.first_t - start) as f64 / 1000.0;
    let mut to_end = (end - observed.last_t) as f64 / 1000.0;
    let mut sampled = (observed.last_t - observed.first_t) as f64 / 1000.0;
    let average = if observed.intervals > 0 { sampled / observed.intervals as f64 } else { 0.0 };
    let threshold = average * 1.1;
    if let Some(zero_at) = observed.zero_at {
        to_start = 0.0;
        sampled = (observed.last_t - zero_at) as f64 / 1000.0;
    } else {
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if is_counter && observed.increase > 0.0 && observed.first >= 0.0 {
            let to_zero = sampled * (observed.first / observed.increase);
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled }
}

/// `rate`, `increase`, `delta` of one window.
pub(crate) fn rate(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Option<Value> {
    let has_floats = !window.floats.is_empty();
    if has_floats && !window.histograms.is_empty() {
        notes.mixed_floats_histograms(context.metric_name(), context.pos);
        return None;
    }
    match (context.extent, has_floats) {
        (Extent::Plain, true) => float_rate(context, window, notes).map(Value::Float),
        (Extent::Plain, false) => histogram_rate(context, window, notes).map(histogram_value),
        (_, true) => super::extended_range::float_rate(context, window).map(Value::Float),
        (_, false) => super::extended_range::histogram_rate(context, window, notes).map(histogram_value),
    }
}

/// Whether counter resets matter to a function.
pub(crate) fn is_counter(func: RangeFn) -> bool {
    func != RangeFn::Delta
}

/// Where a counter is known to have been zero: at the start of its first sample, if that lies within the window.
fn zero_at(start_t: &[i64], first_t: i64, start: i64, is_counter: bool) -> Option<i64> {
    start_t.first().copied().filter(|t| is_counter && *t != 0 && *t > start && *t < first_t)
}

fn float_rate(context: &WindowContext<'_>, window: &Window<'_>, notes: &mut Annotations) -> Option<f64> {
    let Floats { t, v, start_t } = window.floats;
    let last = v.len() - 1;
    let is_counter = is_counter(context.func);
    let mut increase = v[last] - v[0];
    if is_counter {
        let mut overlapped = false;
        for at in 1..v.len() {
            let mut reset = v[at] < v[at - 1];
            if !start_t.is_empty() {
                if !overlapped && starts_overlap(start_t[at - 1], t[at - 1], start_t[at]) {
                    notes.start_time_overlap(context.metric_name(), context.pos);
                    overlapped = true;
                }
                reset |= is_start_reset(start_t[at - 1], t[at - 1], start_t[at], t[at]);
            }
            if reset {
                increase += v[at - 1];
            }
        }
    }
    let zero_at = zero_at(start_t, t[0], window.start, is_counter);
    if zero_at.is_some() {
        increase += v[0];
    } else if last == 0 {
        return None;
    }
    let observed =
        Observed { first_t: t[0], last_t: t[last], intervals: last, first: v[0], increase, zero_at };
    let mut factor = extrapolation(&observed, window.start, window.end, is_counter);
    if context.func == RangeFn::Rate {
        factor /= seconds(context.range);
    }
    Some(increase * factor)
}

fn histogram_rate(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Option<FloatHistogram> {
    let Histograms { t, start_t, .. } = window.histograms;
    let last = t.len() - 1;
    let first = window.histograms.get(0);
    let is_counter = is_counter(context.func);
    let mut increase = if last > 0 { Some(histogram_increase(context, window, notes)?) } else { None };
    let zero_at = zero_at(start_t, t[0], window.start, is_counter);
    if zero_at.is_some() {
        match &mut increase {
            None => increase = Some(first.clone()),
            Some(sum) => {
                if !add(sum, first, context.metric_name(), context.pos, notes) {
                    return None;
                }
            }
        }
    }
    let mut increase = increase?;
    let observed = Observed {
        first_t: t[0],
        last_t: t[last],
        intervals: last,
        first: first.count,
        increase: increase.count,
        zero_at,
    };
    let mut factor = extrapolation(&observed, window.start, window.end, is_counter);
    if context.func == RangeFn::Rate {
        factor /= seconds(context.range);
    }
    increase.mul(factor);
    Some(increase)
}

/// The increase between the first and the last histogram, resets made good. `None`, with a note, when they do not go
/// together.
fn histogram_increase(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Option<FloatHistogram> {
    let Histograms { t, v, start_t } = window.histograms;
    let (metric, pos) = (context.metric_name(), context.pos);
    let is_counter = is_counter(context.func);
    let last = window.histograms.get(v.len() - 1);
    let is_gauge = |h: &FloatHistogram| h.reset_hint == ResetHint::Gauge;
    let start_reset =
        |at: usize| !start_t.is_empty() && is_start_reset(start_t[at - 1], t[at - 1], start_t[at], t[at]);
    let mut mine = Annotations::default();
    if is_counter && (is_gauge(&v[0]) || is_gauge(last)) {
        mine.histogram_not_counter(metric, pos);
    }
    let mixed = |notes: &mut Annotations| {
        notes.mixed_exponential_custom(metric, pos);
        None
    };
    // A first histogram right before a reset does not matter, nor does its layout.
    let blank;
    let mut previous: &FloatHistogram = &v[0];
    let mut custom = previous.has_custom_buckets();
    if is_counter && (start_reset(1) || v[1].detect_reset(previous)) {
        blank = FloatHistogram {
            schema: v[1].schema,
            custom_values: v[1].custom_values.clone(),
            ..FloatHistogram::default()
        };
        previous = &blank;
        custom = v[1].has_custom_buckets();
    }
    if last.has_custom_buckets() != custom {
        notes.merge(mine);
        return mixed(notes);
    }
    let mut schema = last.schema.min(previous.schema);
    if is_counter {
        for h in &v[1..v.len() - 1] {
            if is_gauge(h) {
                mine.histogram_not_counter(metric, pos);
            }
            schema = schema.min(h.schema);
            if h.has_custom_buckets() != custom {
                return mixed(notes);
            }
        }
    }
    let mut increase = last.copy_to_schema(schema);
    match increase.sub(previous) {
        Ok(combined) if combined.bounds_reconciled => {
            mine.mismatched_custom_buckets(HistogramOp::Subtraction, pos);
        }
        Ok(_) => {}
        Err(_) => return mixed(notes),
    }
    if is_counter {
        let mut overlapped = false;
        for at in 1..v.len() {
            if !start_t.is_empty() && !overlapped && starts_overlap(start_t[at - 1], t[at - 1], start_t[at]) {
                mine.start_time_overlap(metric, pos);
                overlapped = true;
            }
            if start_reset(at) || v[at].detect_reset(previous) {
                match increase.add(previous) {
                    Ok(combined) if combined.bounds_reconciled => {
                        mine.mismatched_custom_buckets(HistogramOp::Addition, pos);
                    }
                    Ok(_) => {}
                    Err(_) => return mixed(notes),
                }
            }
            previous = &v[at];
        }
    } else if !is_gauge(&v[0]) || !is_gauge(last) {
        mine.histogram_not_gauge(metric, pos);
    }
    notes.merge(mine);
    increase.reset_hint = ResetHint::Gauge;
    increase.compact(0);
    Some(increase)
}

/// A sample with its times.
struct Timed {
    t: i64,
    start_t: i64,
    value: Value,
}

/// `irate`, `idelta` of one window: the difference of its last two samples.
pub(crate) fn instant_rate(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Option<Value> {
    let is_rate = context.func == RangeFn::Irate;
    let (before, newest) = last_two(window)?;
    let interval = newest.t - before.t;
    if interval == 0 {
        return None;
    }
    let start_reset = is_start_reset(before.start_t, before.t, newest.start_t, newest.t);
    let (metric, pos) = (context.metric_name(), context.pos);
    match (&before.value, &newest.value) {
        (Value::Float(a), Value::Float(b)) => {
            let reset = is_rate && (b < a || start_reset);
            let difference = if reset { *b } else { b - a };
            Some(Value::Float(if is_rate { difference / (interval as f64 / 1000.0) } else { difference }))
        }
        (Value::Histogram(a), Value::Histogram(b)) => {
            let gauges = [a, b].into_iter().filter(|h| h.reset_hint == ResetHint::Gauge).count();
            if is_rate && gauges > 0 {
                notes.histogram_not_counter(metric, pos);
            }
            if !is_rate && gauges < 2 {
                notes.histogram_not_gauge(metric, pos);
            }
            let mut difference = owned(b);
            let reset = is_rate && (start_reset || b.detect_reset(a));
            if !reset && !sub(&mut difference, a, metric, pos, notes) {
                return None;
            }
            difference.reset_hint = ResetHint::Gauge;
            difference.compact(0);
            if is_rate {
                difference.div(interval as f64 / 1000.0);
            }
            Some(histogram_value(difference))
        }
        _ => {
            notes.mixed_floats_histograms(metric, pos);
            None
        }
    }
}

/// The last two samples, floats and histograms together.
fn last_two(window: &Window<'_>) -> Option<(Timed, Timed)> {
    let (floats, histograms) = (&window.floats, &window.histograms);
    let (mut f, mut h) = (floats.len(), histograms.len());
    let mut take = || {
        let float_t = f.checked_sub(1).map(|at| floats.t[at]);
        let histogram_t = h.checked_sub(1).map(|at| histograms.t[at]);
        if float_t > histogram_t {
            f -= 1;
            let start_t = floats.start_t.get(f).copied().unwrap_or(0);
            Some(Timed { t: floats.t[f], start_t, value: Value::Float(floats.v[f]) })
        } else {
            h = h.checked_sub(1)?;
            let start_t = histograms.start_t.get(h).copied().unwrap_or(0);
            Some(Timed { t: histograms.t[h], start_t, value: Value::Histogram(Arc::clone(&histograms.v[h])) })
        }
    };
    let newest = take()?;
    Some((take()?, newest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extrapolates_near_bounds_and_not_below_zero() {
        let observed = |first, increase| Observed {
            first_t: 10_000,
            last_t: 50_000,
            intervals: 4,
            first,
            increase,
            zero_at: None,
        };
        // Samples each 10 s; both bounds are near: 5 s more on either side.
        assert_eq!(extrapolation(&observed(100.0, 40.0), 5_000, 55_000, true), 50.0 / 40.0);
        // Far bounds: half an interval on either side.
        assert_eq!(extrapolation(&observed(100.0, 40.0), -20_000, 90_000, true), 50.0 / 40.0);
        // A counter that was zero 2 s before the first sample.
        assert_eq!(extrapolation(&observed(2.0, 40.0), 0, 50_000, true), 42.0 / 40.0);
        assert_eq!(extrapolation(&observed(2.0, 40.0), 0, 50_000, false), 50.0 / 40.0);
        let single = Observed { zero_at: Some(8_000), intervals: 0, last_t: 10_000, ..observed(5.0, 5.0) };
        assert_eq!(extrapolation(&single, 0, 20_000, true), 1.0);
    }

    #[test]
    fn start_times_tell_resets() {
        for (previous_start, previous_t, start, t, want) in [
            (1, 10, 0, 20, false),
            (1, 10, 1, 20, false),
            (1, 10, 15, 20, true),
            (1, 10, 20, 20, false),
            (1, 10, 10, 20, true),
            (0, 10, 10, 20, false),
            (10, 10, 10, 20, false),
            (11, 10, 10, 20, false),
        ] {
            assert_eq!(is_start_reset(previous_start, previous_t, start, t), want);
        }
    }
}
