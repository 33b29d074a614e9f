//! Quantiles of plain numbers.

use std::cmp::Ordering;

/// The `q`-quantile, interpolated linearly; sorts the values. NaN for none or a NaN `q`, infinities for a `q` outside
/// 0 to 1. NaN values count as the smallest.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(nan_first);
    let n = values.len() as f64;
    let rank = q * (n - 1.0);
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(n - 1.0);
    let weight = rank - rank.floor();
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
}

/// Ascending, with NaN first.
pub(crate) fn nan_first(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
