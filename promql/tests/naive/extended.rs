//! `anchored` and `smoothed`: values at the very bounds of a window instead of extrapolation.

use model::Value;
use model::histogram::FloatHistogram;
use promql::ast::RangeMode;

use super::rate::{Kind, as_gauge, is_counter};
use super::select::Window;

/// What can lie between two samples.
trait Between: Clone {
    fn is_reset(&self, before: &Self) -> bool;
    /// Whether a reset lies on the line to here, so that it began at zero; floats are judged by their values alone.
    fn is_reset_on_line(&self, before: &Self) -> bool;
    /// The value on the line from `a` to `b`; a counter that was reset in between rises from zero.
    fn on_line(a: &(i64, Self), b: &(i64, Self), t: i64, is_counter: bool) -> Option<Self>;
    fn plus(&self, other: &Self) -> Option<Self>;
    fn minus(&self, other: &Self) -> Option<Self>;
}

impl Between for f64 {
    fn is_reset(&self, before: &Self) -> bool {
        self < before
    }
    fn is_reset_on_line(&self, _: &Self) -> bool {
        false
    }
    fn on_line(a: &(i64, Self), b: &(i64, Self), t: i64, is_counter: bool) -> Option<Self> {
        let from = if is_counter && b.1 < a.1 { 0.0 } else { a.1 };
        Some(from + (b.1 - from) * (t - a.0) as f64 / (b.0 - a.0) as f64)
    }
    fn plus(&self, other: &Self) -> Option<Self> {
        Some(self + other)
    }
    fn minus(&self, other: &Self) -> Option<Self> {
        Some(self - other)
    }
}

impl Between for FloatHistogram {
    fn is_reset(&self, before: &Self) -> bool {
        self.detect_reset(before)
    }
    fn is_reset_on_line(&self, before: &Self) -> bool {
        self.detect_reset(before)
    }
    fn on_line(a: &(i64, Self), b: &(i64, Self), t: i64, is_counter: bool) -> Option<Self> {
        let fraction = (t - a.0) as f64 / (b.0 - a.0) as f64;
        if is_counter && b.1.detect_reset(&a.1) {
            let mut risen = b.1.clone();
            risen.mul(fraction);
            return Some(risen);
        }
        let mut risen = b.1.minus(&a.1)?;
        risen.mul(fraction);
        risen.plus(&a.1)
    }
    fn plus(&self, other: &Self) -> Option<Self> {
        let mut sum = self.clone();
        sum.add(other).ok().map(|_| sum)
    }
    fn minus(&self, other: &Self) -> Option<Self> {
        let mut difference = self.clone();
        difference.sub(other).ok().map(|_| difference)
    }
}

/// The value at a time: between the samples around it, or the last one's when none follows.
pub fn smooth(around: &[(i64, Value)], t: i64) -> Option<Value> {
    let window = Window { labels: Default::default(), samples: around.to_vec(), start: t, end: t };
    match Kind::of(&window) {
        Kind::Mixed => None,
        Kind::Floats(samples) => smooth_value(&samples, t, false).map(Value::Float),
        Kind::Histograms(samples) => smooth_value(&samples, t, true).map(|h| Value::Histogram(h.into())),
    }
}

fn smooth_value<V: Between>(samples: &[(i64, V)], t: i64, is_counter: bool) -> Option<V> {
    let before = samples.iter().rev().find(|(at, _)| *at <= t)?;
    match samples.iter().find(|(at, _)| *at >= t) {
        Some(after) if after.0 > t => V::on_line(before, after, t, is_counter),
        _ => Some(before.1.clone()),
    }
}

/// `rate`, `increase`, `delta` between the values at the bounds.
pub fn rate(function: &str, mode: RangeMode, window: &Window) -> Option<Value> {
    let range = (window.end - window.start) as f64 / 1000.0;
    let is_rate = function == "rate";
    match Kind::of(window) {
        Kind::Mixed => None,
        Kind::Floats(samples) => {
            let increase = increase(&samples, mode, window, is_counter(function))?;
            Some(Value::Float(if is_rate { increase / range } else { increase }))
        }
        Kind::Histograms(samples) => {
            let mut increase = increase(&samples, mode, window, is_counter(function))?;
            if is_rate {
                increase.div(range);
            }
            Some(as_gauge(increase))
        }
    }
}

fn increase<V: Between>(
    samples: &[(i64, V)],
    mode: RangeMode,
    window: &Window,
    is_counter: bool,
) -> Option<V> {
    let smoothed = mode == RangeMode::Smoothed;
    // From the last sample at or before the window's start to the first at or after its end, as far as there are.
    let from = samples.iter().rposition(|(t, _)| *t <= window.start).unwrap_or(0);
    let to = samples.iter().position(|(t, _)| smoothed && *t >= window.end).unwrap_or(samples.len() - 1);
    if samples[to].0 <= window.start || samples[from].0 > window.end {
        return None;
    }
    let before_start = smoothed && samples[from].0 < window.start;
    let after_end = smoothed && samples[to].0 > window.end;
    let left = match before_start {
        true => V::on_line(&samples[from], &samples[from + 1], window.start, is_counter)?,
        false => samples[from].1.clone(),
    };
    let right = match after_end && to > 0 {
        true => V::on_line(&samples[to - 1], &samples[to], window.end, is_counter)?,
        false => samples[to].1.clone(),
    };
    let mut lost: Option<V> = None;
    let mut before = &left;
    for at in from + 1..=to {
        let value = if at == to { &right } else { &samples[at].1 };
        // The line to the left bound began at zero already if a reset lies on it.
        let begins_at_zero =
            at == from + 1 && before_start && samples[at].1.is_reset_on_line(&samples[from].1);
        if is_counter && !begins_at_zero && value.is_reset(before) {
            lost = Some(match &lost {
                Some(lost) => lost.plus(before)?,
                None => before.clone(),
            });
        }
        before = value;
    }
    let increase = right.minus(&left)?;
    match lost {
        Some(lost) => increase.plus(&lost),
        None => Some(increase),
    }
}
