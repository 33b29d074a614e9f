//! `max_over_time` and `min_over_time` over sliding windows: each sample is looked at twice, however wide they are.
//!
//! The samples of a window are those before a fence, of which the best of every tail is known, and those from it on,
//! of which the best so far is kept. When a window begins behind the fence, the fence moves to its end.

use super::Windows;

/// Appends the best value of each window: the one that nothing beats; of equal ones the first, NaN only if there is
/// nothing else. `worst` is beaten by or equal to everything but NaN.
pub fn slide(
    v: &[f64],
    windows: &Windows<'_>,
    worst: f64,
    beats: impl Fn(f64, f64) -> bool + Copy,
    out: &mut Vec<f64>,
) {
    // NaN and which of +0 and -0 comes first need the order of samples.
    let in_order = |v: &f64| v.is_nan() | (v.to_bits() == (-0.0f64).to_bits());
    if v.iter().fold(false, |any, v| any | in_order(v)) {
        windows.each(out, |lo, hi, _| first_best(&v[lo..hi], beats));
        return;
    }
    let better = |best: f64, v: f64| if beats(v, best) { v } else { best };
    let best_of = |v: &[f64], best: f64| v.iter().fold(best, |best, v| better(best, *v));
    let mut tails: Vec<f64> = Vec::new();
    // Windows before the fence begin at `base` or later; samples from the fence to `end` have `best`.
    let (mut base, mut fence, mut end, mut best) = (0, 0, 0, worst);
    windows.each(out, |lo, hi, _| {
        if lo < fence {
            best = best_of(&v[end..hi], best);
            end = hi;
            return better(tails[lo - base], best);
        }
        let mut tail = worst;
        tails.clear();
        tails.resize(hi - lo, worst);
        for (place, v) in tails.iter_mut().zip(&v[lo..hi]).rev() {
            tail = better(tail, *v);
            *place = tail;
        }
        (base, fence, end, best) = (lo, hi, hi, worst);
        tail
    });
}

fn first_best(v: &[f64], beats: impl Fn(f64, f64) -> bool) -> f64 {
    v.iter().fold(v[0], |best, v| if beats(*v, best) || best.is_nan() { *v } else { best })
}
