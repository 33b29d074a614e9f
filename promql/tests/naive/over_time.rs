//! Functions over all samples of a window.

use model::Value;
use model::histogram::{FloatHistogram, KahanHistogram};

use super::rate::{instant_rate, rate};
use super::select::Window;
use super::sums::{Sum, mean, quantile, sum, variance};
use super::{Failure, error};

/// The value of a range function for one window; scalar arguments in order.
pub fn apply(function: &str, window: &Window, params: &[f64], t: i64) -> Result<Option<Value>, Failure> {
    let samples = &window.samples;
    let floats: Vec<(i64, f64)> = samples
        .iter()
        .filter_map(|(t, value)| match value {
            Value::Float(v) => Some((*t, *v)),
            Value::Histogram(_) => None,
        })
        .collect();
    let v: Vec<f64> = floats.iter().map(|(_, v)| *v).collect();
    let of_floats = |f: &dyn Fn() -> f64| if v.is_empty() { None } else { Some(Value::Float(f())) };
    let seconds = |t: i64| Some(Value::Float(t as f64 / 1000.0));
    Ok(match function {
        "rate" | "increase" | "delta" => rate(function, window),
        "irate" | "idelta" => instant_rate(function, window),
        "count_over_time" => Some(Value::Float(samples.len() as f64)),
        "present_over_time" => Some(Value::Float(1.0)),
        "first_over_time" => Some(samples[0].1.clone()),
        "last_over_time" => Some(samples[samples.len() - 1].1.clone()),
        "ts_of_first_over_time" => seconds(samples[0].0),
        "ts_of_last_over_time" => seconds(samples[samples.len() - 1].0),
        "ts_of_max_over_time" => newest_best(&floats, |v, best| v >= best).and_then(|(t, _)| seconds(t)),
        "ts_of_min_over_time" => newest_best(&floats, |v, best| v <= best).and_then(|(t, _)| seconds(t)),
        "max_over_time" => newest_best(&floats, |v, best| v >= best).map(|(_, v)| Value::Float(v)),
        "min_over_time" => newest_best(&floats, |v, best| v <= best).map(|(_, v)| Value::Float(v)),
        "sum_over_time" | "avg_over_time" if v.len() == samples.len() => {
            of_floats(&|| if function == "sum_over_time" { sum(&v) } else { mean(&v) })
        }
        "sum_over_time" | "avg_over_time" if !v.is_empty() => None,
        "sum_over_time" | "avg_over_time" => histogram_total(samples, function == "avg_over_time"),
        "quantile_over_time" => of_floats(&|| quantile(params[0], &v)),
        "stdvar_over_time" => of_floats(&|| variance(&v, true)),
        "stddev_over_time" => of_floats(&|| variance(&v, true).sqrt()),
        "mad_over_time" => of_floats(&|| median_deviation(&v)),
        "changes" => Some(Value::Float(between(samples, changed))),
        "resets" => Some(Value::Float(between(samples, was_reset))),
        "deriv" if v.len() >= 2 => Some(Value::Float(line(&floats, floats[0].0).0)),
        "predict_linear" if v.len() >= 2 => {
            let (slope, now) = line(&floats, t);
            Some(Value::Float(slope * params[0] + now))
        }
        "deriv" | "predict_linear" => None,
        "double_exponential_smoothing" => smoothed(&v, params[0], params[1])?.map(Value::Float),
        _ => return error(format!("unknown range function {function}")),
    })
}

/// The last of the best samples; any number is better than NaN.
fn newest_best(floats: &[(i64, f64)], is_better: fn(f64, f64) -> bool) -> Option<(i64, f64)> {
    let mut best = *floats.first()?;
    for (t, v) in floats {
        if best.1.is_nan() || is_better(*v, best.1) {
            best = (*t, *v);
        }
    }
    Some(best)
}

fn histogram_total(samples: &[(i64, Value)], mean: bool) -> Option<Value> {
    let histograms = samples.iter().filter_map(|(_, value)| match value {
        Value::Histogram(h) => Some(h.as_ref()),
        Value::Float(_) => None,
    });
    add_up(histograms, mean).map(|h| Value::Histogram(h.into()))
}

/// The sum or mean of histograms; `None` when they do not fit together.
pub fn add_up<'a>(
    mut histograms: impl Iterator<Item = &'a FloatHistogram>,
    mean: bool,
) -> Option<FloatHistogram> {
    let mut total = KahanHistogram::new(histograms.next()?);
    let mut count = 1.0;
    for h in histograms {
        total.add(h).ok()?;
        count += 1.0;
    }
    if mean {
        total.div(count);
    }
    Some(total.finish())
}

fn median_deviation(v: &[f64]) -> f64 {
    if v.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let median = quantile(0.5, v);
    let deviations: Vec<f64> = v.iter().map(|v| (v - median).abs()).collect();
    quantile(0.5, &deviations)
}

/// How many neighbours differ.
pub fn between(samples: &[(i64, Value)], differ: fn(&Value, &Value) -> bool) -> f64 {
    samples.windows(2).filter(|pair| differ(&pair[0].1, &pair[1].1)).count() as f64
}

pub fn changed(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Float(a), Value::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
        (Value::Histogram(a), Value::Histogram(b)) => !a.equals(b),
        _ => true,
    }
}

pub fn was_reset(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Float(a), Value::Float(b)) => b < a,
        (Value::Histogram(a), Value::Histogram(b)) => b.detect_reset(a),
        _ => true,
    }
}

/// Slope per second and value at a time of the line by least squares.
fn line(samples: &[(i64, f64)], at: i64) -> (f64, f64) {
    let first = samples[0].1;
    if samples.iter().all(|(_, y)| *y == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let total = |f: &dyn Fn(f64, f64) -> f64| {
        let mut sum = Sum::default();
        samples.iter().for_each(|(t, y)| sum.add(f((t - at) as f64 / 1000.0, *y)));
        sum.total()
    };
    let (x, y, xy, xx) = (total(&|x, _| x), total(&|_, y| y), total(&|x, y| x * y), total(&|x, _| x * x));
    let n = samples.len() as f64;
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

/// Holt's method: a level and a trend, both smoothed.
fn smoothed(v: &[f64], level_factor: f64, trend_factor: f64) -> Result<Option<f64>, Failure> {
    for factor in [level_factor, trend_factor] {
        if factor <= 0.0 || factor >= 1.0 {
            return error("factors lie between 0 and 1");
        }
    }
    if v.len() < 2 {
        return Ok(None);
    }
    let (mut level, mut trend) = (v[0], v[1] - v[0]);
    for (i, value) in v.iter().enumerate().skip(1) {
        let next = level_factor * value + (1.0 - level_factor) * (level + trend);
        // The first step goes along the first two samples.
        if i + 1 < v.len() {
            trend = trend_factor * (next - level) + (1.0 - trend_factor) * trend;
        }
        level = next;
    }
    Ok(Some(level))
}
