//! `rate`, `increase`, `delta` by extrapolation, and `irate`, `idelta`.

use model::Value;
use model::histogram::{FloatHistogram, ResetHint};

use super::select::Window;

/// All floats or all histograms of a window; `None` where both are.
pub enum Kind {
    Floats(Vec<(i64, f64)>),
    Histograms(Vec<(i64, FloatHistogram)>),
    Mixed,
}

impl Kind {
    pub fn of(window: &Window) -> Self {
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for (t, value) in &window.samples {
            match value {
                Value::Float(v) => floats.push((*t, *v)),
                Value::Histogram(h) => histograms.push((*t, h.as_ref().clone())),
            }
        }
        match (floats.is_empty(), histograms.is_empty()) {
            (false, false) => Self::Mixed,
            (_, true) => Self::Floats(floats),
            (true, false) => Self::Histograms(histograms),
        }
    }
}

/// A histogram that is a difference of others.
pub fn as_gauge(mut h: FloatHistogram) -> Value {
    h.reset_hint = ResetHint::Gauge;
    h.compact(0);
    Value::Histogram(h.into())
}

pub fn is_counter(function: &str) -> bool {
    function != "delta"
}

/// `rate`, `increase`, `delta` of a window.
pub fn rate(function: &str, window: &Window) -> Option<Value> {
    let is_counter = is_counter(function);
    let range = (window.end - window.start) as f64 / 1000.0;
    let per_second = if function == "rate" { range } else { 1.0 };
    match Kind::of(window) {
        Kind::Floats(samples) if samples.len() >= 2 => {
            let (first, last) = (samples[0].1, samples[samples.len() - 1].1);
            let mut increase = last - first;
            for pair in samples.windows(2) {
                if is_counter && pair[1].1 < pair[0].1 {
                    increase += pair[0].1;
                }
            }
            let times: Vec<i64> = samples.iter().map(|(t, _)| *t).collect();
            let factor = factor(window, &times, is_counter, first, increase) / per_second;
            Some(Value::Float(increase * factor))
        }
        Kind::Histograms(samples) if samples.len() >= 2 => {
            let resets: Vec<bool> =
                samples.windows(2).map(|pair| pair[1].1.detect_reset(&pair[0].1)).collect();
            let mut increase = samples[samples.len() - 1].1.clone();
            // What came before a reset right at the beginning was all lost.
            if !(is_counter && resets[0]) {
                increase.sub(&samples[0].1).ok()?;
            }
            for (pair, reset) in samples.windows(2).zip(&resets).skip(1) {
                if is_counter && *reset {
                    increase.add(&pair[0].1).ok()?;
                }
            }
            let times: Vec<i64> = samples.iter().map(|(t, _)| *t).collect();
            let factor = factor(window, &times, is_counter, samples[0].1.count, increase.count) / per_second;
            increase.mul(factor);
            Some(as_gauge(increase))
        }
        _ => None,
    }
}

/// How much longer than the time from the first sample to the last is the time that the increase stands for.
fn factor(window: &Window, times: &[i64], is_counter: bool, first: f64, increase: f64) -> f64 {
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
    let (first_t, last_t) = (times[0], times[times.len() - 1]);
    let sampled = seconds(first_t, last_t);
    let distance = sampled / (times.len() as f64 - 1.0);
    // A sample that is missing shows that the series began or ended within the window.
    let reach = |gap: f64| if gap < distance * 1.1 { gap } else { distance / 2.0 };
    let mut before = reach(seconds(window.start, first_t));
    if is_counter && increase > 0.0 && first >= 0.0 {
        // There the line through the samples would be at zero.
        before = before.min(sampled * (first / increase));
    }
    (sampled + before + reach(seconds(last_t, window.end))) / sampled
}

/// `irate`, `idelta`: the last two samples.
pub fn instant_rate(function: &str, window: &Window) -> Option<Value> {
    let [.., (before_t, before), (last_t, last)] = window.samples.as_slice() else {
        return None;
    };
    let is_rate = function == "irate";
    let seconds = (last_t - before_t) as f64 / 1000.0;
    match (before, last) {
        (Value::Float(a), Value::Float(b)) => {
            let difference = if is_rate && b < a { *b } else { b - a };
            Some(Value::Float(if is_rate { difference / seconds } else { difference }))
        }
        (Value::Histogram(a), Value::Histogram(b)) => {
            let mut difference = b.as_ref().clone();
            if !(is_rate && b.detect_reset(a)) {
                difference.sub(a).ok()?;
            }
            if is_rate {
                difference.div(seconds);
            }
            Some(as_gauge(difference))
        }
        _ => None,
    }
}
