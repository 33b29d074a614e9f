//! `deriv`, `predict_linear` by least squares, and `double_exponential_smoothing`.

use model::Value;
use model::go_float::FloatF;
use query::kahan::Kahan;
use query::{Annotations, QueryError};

use super::over_time::note_ignored_histograms;
use super::samples::Floats;
use super::window::{Window, WindowContext};

/// Slope per second, and the value at a time in milliseconds, of the line through the samples.
fn line(floats: &Floats<'_>, at: i64) -> (f64, f64) {
    let first = floats.v[0];
    if floats.v.iter().all(|v| *v == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) =
        (Kahan::default(), Kahan::default(), Kahan::default(), Kahan::default());
    for (t, y) in floats.t.iter().zip(floats.v) {
        let x = (t - at) as f64 / 1e3;
        x_sum = x_sum.plus(x);
        y_sum = y_sum.plus(*y);
        xy_sum = xy_sum.plus(x * y);
        xx_sum = xx_sum.plus(x * x);
    }
    let n = floats.len() as f64;
    let (x, y, xy, xx) = (x_sum.total(), y_sum.total(), xy_sum.total(), xx_sum.total());
    let slope = slope(n, x, y, xy, xx);
    (slope, y / n - slope * x / n)
}

/// How many milliseconds successive samples are apart; `None` unless that is the same everywhere.
pub(crate) fn distance(t: &[i64]) -> Option<i64> {
    let distance = t.get(1)? - t[0];
    let is_even = t.windows(2).fold(true, |even, pair| even & (pair[1] - pair[0] == distance));
    is_even.then_some(distance)
}

/// The sums over values that a slope takes, and of how many; right if they are finite in the end.
#[derive(Clone, Copy, Default)]
pub(crate) struct ValueSums {
    len: usize,
    y: Kahan,
    xy: Kahan,
}

impl ValueSums {
    /// The sums after one more value.
    #[inline]
    #[must_use]
    pub(crate) fn plus(self, x: f64, y: f64) -> Self {
        Self { len: self.len + 1, y: self.y.plus_finite(y), xy: self.xy.plus_finite(x * y) }
    }
}

/// The times of samples that are equally far apart, from the first of a window on, and their sums, kept from window to
/// window: they depend on the number of samples alone.
pub(crate) struct Times {
    seconds: Vec<f64>,
    len: usize,
    x: f64,
    xx: f64,
}

impl Times {
    /// For samples `distance` milliseconds apart, in windows of at most `len` samples.
    pub(crate) fn new(distance: i64, widest: usize) -> Self {
        let seconds = (0..widest as i64).map(|at| (at * distance) as f64 / 1e3).collect();
        Self { seconds, len: 0, x: 0.0, xx: 0.0 }
    }

    /// The time of a window's sample.
    #[inline]
    pub(crate) fn seconds(&self, at: usize) -> f64 {
        self.seconds[at]
    }

    /// The slope per second of a window of two values or more, of which some may be summed up already.
    pub(crate) fn slope(&mut self, v: &[f64], sums: ValueSums) -> f64 {
        let first = v[0];
        if v.iter().all(|v| *v == first) {
            return if first.is_infinite() { f64::NAN } else { 0.0 };
        }
        let samples = || self.seconds.iter().zip(v);
        if self.len != v.len() {
            let (mut x_sum, mut xx_sum) = (Kahan::default(), Kahan::default());
            for (x, _) in samples() {
                x_sum = x_sum.plus(*x);
                xx_sum = xx_sum.plus(x * x);
            }
            (self.len, self.x, self.xx) = (v.len(), x_sum.total(), xx_sum.total());
        }
        let sums = samples().skip(sums.len).fold(sums, |sums, (x, y)| sums.plus(*x, *y));
        let (mut y, mut xy) = (sums.y.total(), sums.xy.total());
        if !y.is_finite() || !xy.is_finite() {
            y = v.iter().fold(Kahan::default(), |sum, y| sum.plus(*y)).total();
            xy = samples().fold(Kahan::default(), |sum, (x, y)| sum.plus(x * y)).total();
        }
        slope(v.len() as f64, self.x, y, xy, self.xx)
    }
}

fn slope(n: f64, x: f64, y: f64, xy: f64, xx: f64) -> f64 {
    (xy - x * y / n) / (xx - x * x / n)
}

/// Whether there are floats enough for a line; notes what is ignored.
fn enough(context: &WindowContext<'_>, window: &Window<'_>, notes: &mut Annotations) -> bool {
    if !window.floats.is_empty() {
        note_ignored_histograms(context, window, notes);
    }
    window.floats.len() >= 2
}

/// `deriv` of one window.
pub(crate) fn deriv(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Option<Value> {
    // Times near those of the samples keep precision.
    enough(context, window, notes).then(|| Value::Float(line(&window.floats, window.floats.t[0]).0))
}

/// `predict_linear` of one window.
pub(crate) fn predict_linear(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    seconds: f64,
    notes: &mut Annotations,
) -> Option<Value> {
    enough(context, window, notes).then(|| {
        let (slope, now) = line(&window.floats, window.t);
        Value::Float(slope * seconds + now)
    })
}

/// `double_exponential_smoothing` of one window.
pub(crate) fn double_exponential_smoothing(
    context: &WindowContext<'_>,
    window: &Window<'_>,
    smoothing: f64,
    trend: f64,
    notes: &mut Annotations,
) -> Result<Option<Value>, QueryError> {
    check_factor("smoothing factor", "sf", smoothing)?;
    check_factor("trend factor", "tf", trend)?;
    if !enough(context, window, notes) {
        return Ok(None);
    }
    let v = window.floats.v;
    let (mut before, mut level) = (0.0, v[0]);
    let mut slope = v[1] - v[0];
    for (at, value) in v.iter().enumerate().skip(1) {
        if at > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        (before, level) = (level, next);
    }
    Ok(Some(Value::Float(level)))
}

fn check_factor(what: &str, short: &str, v: f64) -> Result<(), QueryError> {
    if v <= 0.0 || v >= 1.0 {
        let got = if v.is_finite() { format!("{v:.6}") } else { FloatF(v).to_string() };
        return Err(QueryError::Execution(format!("invalid {what}. Expected: 0 < {short} < 1, got: {got}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let of = |v: &[f64], at| {
            let t: Vec<i64> = (0..v.len() as i64).map(|i| i * 1000).collect();
            line(&Floats { t: &t, v, start_t: &[] }, at)
        };
        assert_eq!(of(&[1.0, 3.0, 5.0], 10_000), (2.0, 21.0));
        assert_eq!(of(&[4.0, 4.0], 0), (0.0, 4.0));
        assert!(of(&[f64::INFINITY, f64::INFINITY], 0).0.is_nan());
    }

    #[test]
    fn factors_are_checked() {
        assert!(check_factor("trend factor", "tf", 0.5).is_ok());
        let error = check_factor("trend factor", "tf", 1.0).unwrap_err().to_string();
        assert_eq!(error, "invalid trend factor. Expected: 0 < tf < 1, got: 1.000000");
    }
}
