//! Sums, means, deviations and variances of windows. Those that must be taken in order go through four windows at a
//! time, so that their additions overlap.

use super::Windows;
use crate::kahan::{Kahan, Mean, Variance, variance};

/// Appends the sum, or the mean, of each window.
pub fn totals(v: &[f64], windows: &Windows<'_>, is_mean: bool, out: &mut Vec<f64>) {
    let held = windows.sizes();
    if held.total > 2 * held.fresh && sums_are_exact(v) {
        // Nothing is lost in any order, so that compensations are zero, and a window's sum is a difference.
        let mut sum = 0.0;
        let mut up_to = Vec::with_capacity(v.len() + 1);
        up_to.push(sum);
        up_to.extend(v.iter().map(|v| {
            sum += v;
            sum
        }));
        windows.each(out, |lo, hi, _| {
            let sum = up_to[hi] - up_to[lo];
            if is_mean { sum / (hi - lo) as f64 } else { sum }
        });
        return;
    }
    if is_mean {
        let one = |lo: usize, hi: usize| mean(&v[lo..hi]);
        fours(windows, out, one, |four| {
            let sums = sums(v, four.map(|(lo, hi)| (lo + 1, hi)), four.map(|(lo, _)| v[lo]));
            std::array::from_fn(|i| {
                let (Kahan { sum, c }, (lo, hi)) = (sums[i], four[i]);
                let count = (hi - lo) as f64;
                if sums[i].total().is_finite() { sum / count + c / count } else { mean(&v[lo..hi]) }
            })
        });
    } else {
        let one =
            |lo: usize, hi: usize| v[lo..hi].iter().fold(Kahan::default(), |sum, v| sum.plus(*v)).total();
        fours(windows, out, one, |four| {
            let totals = sums(v, four, [0.0; 4]).map(Kahan::total);
            std::array::from_fn(|i| if totals[i].is_finite() { totals[i] } else { one(four[i].0, four[i].1) })
        });
    }
}

/// Appends the standard deviation, or the variance, of each window.
pub fn spreads(v: &[f64], windows: &Windows<'_>, is_deviation: bool, out: &mut Vec<f64>) {
    let of_variance = |variance: f64| if is_deviation { variance.sqrt() } else { variance };
    let one = |lo: usize, hi: usize| of_variance(variance(&v[lo..hi]));
    fours(windows, out, one, |four| {
        let mut states = [Variance::default(); 4];
        let rest = in_step(v, four, |_, values| {
            for (state, v) in states.iter_mut().zip(values) {
                *state = state.plus(v);
            }
        });
        std::array::from_fn(|i| {
            of_variance(rest[i].iter().fold(states[i], |state, v| state.plus(*v)).total())
        })
    });
}

/// Appends the results of windows, four at a time where four successive ones have samples.
fn fours(
    windows: &Windows<'_>,
    out: &mut Vec<f64>,
    one: impl Fn(usize, usize) -> f64,
    four: impl Fn([(usize, usize); 4]) -> [f64; 4],
) {
    for at in (0..windows.steps()).step_by(4) {
        let part = windows.part(at, 4);
        if part.steps() < 4 || part.spans().any(|(lo, hi)| lo == hi) {
            part.each(out, |lo, hi, _| one(lo, hi));
        } else {
            out.extend(four(std::array::from_fn(|i| (part.lo[i] as usize, part.hi[i] as usize))));
        }
    }
}

/// Whether every sum of some of the values, in any order, is exact: all are integers, and not too large together.
fn sums_are_exact(v: &[f64]) -> bool {
    /// From here on floats have no fractions.
    const WHOLE: f64 = (1u64 << 52) as f64;
    let limit = WHOLE / v.len() as f64;
    let is_sound = |v: f64| {
        let size = v.abs();
        // A lone -0 is its own sum.
        (size < limit) & ((size + WHOLE) - WHOLE == size) & (v.to_bits() != (-0.0f64).to_bits())
    };
    // Most series that are not sound show it at once; the others are looked at without an exit in the middle.
    let (head, rest) = v.split_at(v.len().min(16));
    head.iter().all(|v| is_sound(*v)) && rest.iter().fold(true, |sound, v| sound & is_sound(*v))
}

/// Adds the values of four windows to four sums, each in order; right where sums are finite in the end.
fn sums(v: &[f64], spans: [(usize, usize); 4], mut sum: [f64; 4]) -> [Kahan; 4] {
    let mut c = [0.0; 4];
    let rest = in_step(v, spans, |_, values| {
        // Arrays, so that two or four go into one register.
        for i in 0..4 {
            Kahan { sum: sum[i], c: c[i] } = Kahan { sum: sum[i], c: c[i] }.plus_finite(values[i]);
        }
    });
    std::array::from_fn(|i| rest[i].iter().fold(Kahan { sum: sum[i], c: c[i] }, |sum, v| sum.plus_finite(*v)))
}

/// Goes through four windows at once, as far as the shortest reaches: what one waits for, the others do. `take` gets a
/// place and the four values there. Gives what is left of the windows.
#[inline(always)]
pub fn in_step(v: &[f64], spans: [(usize, usize); 4], mut take: impl FnMut(usize, [f64; 4])) -> [&[f64]; 4] {
    let windows = spans.map(|(lo, hi)| &v[lo..hi]);
    let common = windows.iter().map(|window| window.len()).min().unwrap_or(0);
    let [a, b, c, d] = windows.map(|window| &window[..common]);
    for (at, (((a, b), c), d)) in a.iter().zip(b).zip(c).zip(d).enumerate() {
        take(at, [*a, *b, *c, *d]);
    }
    windows.map(|window| &window[common..])
}

fn mean(v: &[f64]) -> f64 {
    v[1..].iter().fold(Mean::of(v[0]), |mean, v| mean.plus(*v)).total()
}
