//! Quantiles of plain numbers.

use std::cmp::Ordering;

/// Up to this number of values, sorting is faster than selecting, above all when they are in order already.
const SMALL: usize = 128;

/// The `q`-quantile, interpolated linearly; reorders the values. NaN for none or a NaN `q`, infinities for a `q` outside
/// 0 to 1. NaN values count as the smallest.
pub fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if values.len() <= SMALL {
        values.sort_unstable_by(nan_first);
        return of_sorted(q, values);
    }
    let (lower, weight) = rank(q, values.len());
    // Only the two values around the rank need to be in their places.
    let (_, lower, above) = values.select_nth_unstable_by(lower, nan_first);
    let upper = above.iter().copied().min_by(nan_first).unwrap_or(*lower);
    *lower * (1.0 - weight) + upper * weight
}

/// The `q`-quantile, `q` from 0 to 1, of values that ascend, of which there is one or more.
#[inline]
pub fn of_sorted(q: f64, values: &[f64]) -> f64 {
    let (lower, weight) = rank(q, values.len());
    let upper = values[(lower + 1).min(values.len() - 1)];
    values[lower] * (1.0 - weight) + upper * weight
}

/// The place of the value below the quantile, and the weight of the next.
#[inline]
fn rank(q: f64, len: usize) -> (usize, f64) {
    let rank = q * (len as f64 - 1.0);
    (rank.floor().max(0.0) as usize, rank - rank.floor())
}

/// Ascending, with NaN first.
#[inline]
pub fn nan_first(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_sorting() {
        for n in (1..30u32).chain([127, 128, 129, 500]) {
            let values: Vec<f64> = (0..n).map(|i| f64::from(i * 7919 % 31 % 11)).collect();
            let mut sorted = values.clone();
            sorted.sort_by(nan_first);
            for percent in 0..=100 {
                let q = f64::from(percent) / 100.0;
                let rank = q * f64::from(n - 1);
                let at = |place: f64| sorted[(place as usize).min(sorted.len() - 1)];
                let weight = rank - rank.floor();
                let want = at(rank.floor()) * (1.0 - weight) + at(rank.floor() + 1.0) * weight;
                assert_eq!(quantile(q, &mut values.clone()), want);
            }
        }
    }

    #[test]
    fn interpolates() {
        for (q, want) in [(0.0, 0.0), (0.5, 1.0), (0.75, 1.5), (1.0, 2.0), (-1.0, f64::NEG_INFINITY)] {
            assert_eq!(quantile(q, &mut [2.0, 0.0, 1.0]), want);
        }
        assert!(quantile(0.5, &mut []).is_nan() && quantile(f64::NAN, &mut [1.0]).is_nan());
        assert_eq!(quantile(1.0, &mut [3.0, f64::NAN, 1.0]), 3.0);
        assert!(quantile(0.0, &mut [3.0, f64::NAN, 1.0]).is_nan());
    }
}
