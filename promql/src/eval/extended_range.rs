//! `anchored` and `smoothed` selectors: windows that take samples around them into account, by picking the nearest
//! value before the window's start, or by interpolating at its bounds.
//! Source: Prometheus `extendedRate`, `extendedHistogramRate`, `smoothSeries`.

use std::sync::Arc;

use model::Value;
use model::histogram::{FloatHistogram, ResetHint};
use model::labels::METRIC_NAME;
use model::read::Columns;
use query::matrix::Row;
use query::value::ABSENT;
use query::{Annotations, Grid, Pos};

use super::histogram::{add, sub};
use super::plan::{Extent, InstantSelector};
use super::range::RangeFn;
use super::rate::{is_counter, seconds};
use super::samples::{Floats, Histograms};
use super::stream::Notes;
use super::window::{Window, WindowContext};
use crate::annotations::Annotate;

/// The value between two samples; a counter that was reset between them rises from zero.
fn interpolate(a: (i64, f64), b: (i64, f64), t: i64, is_counter: bool) -> f64 {
    let from = if is_counter && b.1 < a.1 { 0.0 } else { a.1 };
    from + (b.1 - from) * (t - a.0) as f64 / (b.0 - a.0) as f64
}

/// The samples that bound a window: the last at or before its start (or the first of all), and the last of all, or
/// for smoothed windows the first at or after its end. `None` when no sample lies in the window.
fn bounds(t: &[i64], start: i64, end: i64, smoothed: bool) -> Option<(usize, usize)> {
    let last = t.len().checked_sub(1)?;
    let first = t[..last].partition_point(|t| *t <= start).saturating_sub(1);
    let last = if smoothed { t[..last].partition_point(|t| *t < end) } else { last };
    if t[last] <= start || (smoothed && t[first] > end) {
        return None;
    }
    Some((first, last))
}

fn sample(floats: Floats<'_>, at: usize) -> (i64, f64) {
    (floats.t[at], floats.v[at])
}

/// The values at a window's bounds.
fn edges(
    floats: Floats<'_>,
    (first, last): (usize, usize),
    (start, end): (i64, i64),
    smoothed: bool,
    is_counter: bool,
) -> (f64, f64) {
    let left = if smoothed && floats.t[first] < start {
        interpolate(sample(floats, first), sample(floats, first + 1), start, is_counter)
    } else {
        floats.v[first]
    };
    let right = if smoothed && last > 0 && floats.t[last] > end {
        interpolate(sample(floats, last - 1), sample(floats, last), end, is_counter)
    } else {
        floats.v[last]
    };
    (left, right)
}

/// The samples strictly within a window's bounds.
fn inner(t: &[i64], (first, last): (usize, usize), (start, end): (i64, i64)) -> std::ops::Range<usize> {
    let from = first + usize::from(t[first] <= start);
    let to = last + usize::from(t[last] < end);
    from..to.max(from)
}

/// `rate`, `increase`, `delta` of a window of floats.
pub(crate) fn float_rate(context: &WindowContext<'_>, window: &Window<'_>) -> Option<f64> {
    let floats = window.floats;
    let smoothed = matches!(context.extent, Extent::Smoothed(_));
    let is_counter = is_counter(context.func);
    let (start, end) = (window.start, window.end);
    let ends = bounds(floats.t, start, end, smoothed)?;
    let (left, right) = edges(floats, ends, (start, end), smoothed, is_counter);
    let mut increase = right - left;
    if is_counter {
        let mut correction = 0.0;
        let mut before = left;
        for v in &floats.v[inner(floats.t, ends, (start, end))] {
            if *v < before {
                correction += before;
            }
            before = *v;
        }
        if right < before {
            correction += before;
        }
        increase += correction;
    }
    Some(if context.func == RangeFn::Rate { increase / seconds(context.range) } else { increase })
}

/// The samples of a window with values at both bounds; none when no sample lies in the window.
pub(crate) fn extend(floats: Floats<'_>, start: i64, end: i64, extent: Extent) -> (Vec<i64>, Vec<f64>) {
    let smoothed = matches!(extent, Extent::Smoothed(_));
    let Some(last) = floats.len().checked_sub(1) else {
        return Default::default();
    };
    let first = floats.t[..last].partition_point(|t| *t <= start).saturating_sub(1);
    let last = if smoothed { floats.t[..last].partition_point(|t| *t < end) } else { last };
    if floats.t[last] <= start {
        return Default::default();
    }
    let (left, right) = edges(floats, (first, last), (start, end), smoothed, false);
    let inner = inner(floats.t, (first, last), (start, end));
    let (mut t, mut v) = (vec![start], vec![left]);
    t.extend_from_slice(&floats.t[inner.clone()]);
    v.extend_from_slice(&floats.v[inner]);
    t.push(end);
    v.push(right);
    (t, v)
}

/// What goes into the interpolation of histograms beside them.
struct Interpolation<'n> {
    is_counter: bool,
    metric: &'n str,
    pos: Pos,
}

impl Interpolation<'_> {
    /// The histogram between two; `None`, with a note, when they do not go together.
    fn between(
        &self,
        a: (i64, &FloatHistogram),
        b: (i64, &FloatHistogram),
        t: i64,
        notes: &mut Annotations,
    ) -> Option<FloatHistogram> {
        if t == a.0 {
            return Some(a.1.clone());
        }
        if t == b.0 {
            return Some(b.1.clone());
        }
        let fraction = (t - a.0) as f64 / (b.0 - a.0) as f64;
        let mut result = b.1.clone();
        if self.is_counter && b.1.detect_reset(a.1) {
            result.mul(fraction);
            return Some(result);
        }
        if !sub(&mut result, a.1, self.metric, self.pos, notes) {
            return None;
        }
        result.mul(fraction);
        add(&mut result, a.1, self.metric, self.pos, notes).then_some(result)
    }
}

/// `rate`, `increase`, `delta` of a window of histograms.
pub(crate) fn histogram_rate(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Option<FloatHistogram> {
    let histograms = window.histograms;
    let smoothed = matches!(context.extent, Extent::Smoothed(_));
    let is_counter = is_counter(context.func);
    let (start, end) = (window.start, window.end);
    let (metric, pos) = (context.metric_name(), context.pos);
    let (first, last) = bounds(histograms.t, start, end, smoothed)?;
    let custom = histograms.get(first).has_custom_buckets();
    for at in first..=last {
        let h = histograms.get(at);
        if h.has_custom_buckets() != custom {
            notes.mixed_exponential_custom(metric, pos);
            return None;
        }
        if is_counter && h.reset_hint == ResetHint::Gauge {
            notes.histogram_not_counter(metric, pos);
        }
    }
    let interpolation = Interpolation { is_counter, metric, pos };
    let sample = |at: usize| (histograms.t[at], histograms.get(at));
    let left = if smoothed && histograms.t[first] < start {
        interpolation.between(sample(first), sample(first + 1), start, notes)?
    } else {
        histograms.get(first).clone()
    };
    let right = if smoothed && last > 0 && histograms.t[last] > end {
        interpolation.between(sample(last - 1), sample(last), end, notes)?
    } else {
        histograms.get(last).clone()
    };
    let is_gauge = |h: &FloatHistogram| h.reset_hint == ResetHint::Gauge;
    let gauges = is_gauge(&left) && is_gauge(&right);
    if !is_counter && !gauges {
        notes.histogram_not_gauge(metric, pos);
    }
    let mut increase = right.clone();
    if !sub(&mut increase, &left, metric, pos, notes) {
        return None;
    }
    if is_counter {
        let spans_reset = smoothed
            && histograms.t[first] < start
            && histograms.get(first + 1).detect_reset(histograms.get(first));
        let correction =
            correction(context, &histograms, (first, last), (&left, &right), spans_reset, notes)?;
        if let Some(correction) = correction
            && !add(&mut increase, &correction, metric, pos, notes)
        {
            return None;
        }
    }
    if context.func == RangeFn::Rate {
        increase.div(seconds(context.range));
    }
    increase.reset_hint = ResetHint::Gauge;
    increase.compact(0);
    Some(increase)
}

/// What counter resets took away between the bounds. The outer `None` when histograms do not go together.
fn correction(
    context: &WindowContext<'_>,
    histograms: &Histograms<'_>,
    (first, last): (usize, usize),
    (left, right): (&FloatHistogram, &FloatHistogram),
    spans_reset: bool,
    notes: &mut Annotations,
) -> Option<Option<FloatHistogram>> {
    // The first sample is represented by `left`. If that was interpolated across a reset, the reset is accounted for.
    let (mut before, from) =
        if spans_reset { (histograms.get(first + 1), first + 2) } else { (left, first + 1) };
    // The last one is represented by `right`.
    if from > last {
        return Some(None);
    }
    let mut correction: Option<FloatHistogram> = None;
    let inner = (from..last).map(|at| histograms.get(at)).chain([right]);
    for h in inner {
        if h.detect_reset(before) {
            match &mut correction {
                None => correction = Some(before.clone()),
                Some(sum) => {
                    if !add(sum, before, context.metric_name(), context.pos, notes) {
                        return None;
                    }
                }
            }
        }
        before = h;
    }
    Some(correction)
}

/// A smoothed instant selector: the value at the very step, between the samples around it; the last value where none
/// follows within the lookback.
pub(crate) fn smooth(
    selector: &InstantSelector,
    grid: &Grid,
    columns: &mut Columns,
    labels: &model::Labels,
    row: &mut Row,
    notes: &mut Notes,
) {
    let samples = super::samples::SeriesSamples::of_store(columns);
    let metric = labels.get(METRIC_NAME).unwrap_or("");
    let notes = &mut notes.annotations;
    row.values.resize(grid.steps(), ABSENT);
    for step in 0..grid.steps() {
        let t = selector.moment.seen_from(grid.time(step));
        let (from, to) = (t - selector.lookback, t + selector.lookback);
        let within = |t: &[i64]| (t.partition_point(|t| *t <= from), t.partition_point(|t| *t <= to));
        let (lo, hi) = within(samples.floats.t);
        let floats = samples.floats.slice(lo, hi);
        let (lo, hi) = within(samples.histograms.t);
        let histograms = samples.histograms.slice(lo, hi);
        let value = match (floats.is_empty(), histograms.is_empty()) {
            (true, true) => None,
            (false, false) => {
                notes.mixed_floats_histograms(metric, selector.pos);
                None
            }
            (false, true) => smooth_float(floats, t).map(Value::Float),
            (true, false) => smooth_histogram(histograms, t, metric, selector.pos, notes),
        };
        if let Some(value) = value {
            row.set(step, value);
        }
    }
}

fn smooth_float(floats: Floats<'_>, t: i64) -> Option<f64> {
    let next = floats.t.partition_point(|sample| *sample < t);
    match floats.t.get(next) {
        Some(exact) if *exact == t => Some(floats.v[next]),
        Some(_) => Some(interpolate(sample(floats, next.checked_sub(1)?), sample(floats, next), t, false)),
        None => floats.v.last().copied(),
    }
}

fn smooth_histogram(
    histograms: Histograms<'_>,
    t: i64,
    metric: &str,
    pos: Pos,
    notes: &mut Annotations,
) -> Option<Value> {
    let next = histograms.t.partition_point(|sample| *sample < t);
    match histograms.t.get(next) {
        Some(exact) if *exact == t => Some(Value::Histogram(Arc::clone(&histograms.v[next]))),
        Some(_) => {
            let before = next.checked_sub(1)?;
            let (a, b) = (histograms.get(before), histograms.get(next));
            if a.has_custom_buckets() != b.has_custom_buckets() {
                notes.mixed_exponential_custom(metric, pos);
                return None;
            }
            let is_counter = !(a.reset_hint == ResetHint::Gauge && b.reset_hint == ResetHint::Gauge);
            let interpolation = Interpolation { is_counter, metric, pos };
            let sample = |at: usize| (histograms.t[at], histograms.get(at));
            let h = interpolation.between(sample(before), sample(next), t, notes)?;
            Some(Value::Histogram(Arc::new(h)))
        }
        None => {
            // A hint is about neighbouring samples, not about the value carried on.
            let mut h = FloatHistogram::clone(histograms.v.last()?);
            h.reset_hint = ResetHint::Unknown;
            Some(Value::Histogram(Arc::new(h)))
        }
    }
}
