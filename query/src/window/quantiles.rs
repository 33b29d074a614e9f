//! `quantile_over_time` over sliding windows: the values of a window stay sorted while samples enter and leave.

use std::cmp::Ordering;

use super::Windows;
use crate::quantile::{nan_first, of_sorted, quantile};

/// Appends a quantile of each window.
pub fn slide(v: &[f64], windows: &Windows<'_>, q: f64, out: &mut Vec<f64>) {
    // To keep them sorted pays where windows overlap much. Which of +0 and -0 is taken shows in the result.
    let held = windows.sizes();
    let has_negative_zero = || v.iter().fold(false, |any, v| any | (v.to_bits() == (-0.0f64).to_bits()));
    if held.total < 4 * held.fresh || has_negative_zero() {
        windows.each(out, |lo, hi, _| quantile(q, &mut v[lo..hi].to_vec()));
        return;
    }
    let mut sorted: Vec<f64> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    windows.each(out, |lo, hi, _| {
        if lo >= end || hi - end > (hi - lo) / 4 {
            // Little is left of the window before.
            sorted.clear();
            sorted.extend_from_slice(&v[lo..hi]);
            sorted.sort_unstable_by(exactly);
        } else {
            for gone in &v[begin..lo] {
                // Every value that left is among them.
                if let Ok(at) = sorted.binary_search_by(|v| exactly(v, gone)) {
                    sorted.remove(at);
                }
            }
            for new in &v[end..hi] {
                let at = sorted.partition_point(|v| exactly(v, new).is_lt());
                sorted.insert(at, *new);
            }
        }
        (begin, end) = (lo, hi);
        of_sorted(q, &sorted)
    });
}

/// NaN first, equal only to the same bits.
fn exactly(a: &f64, b: &f64) -> Ordering {
    nan_first(a, b).then_with(|| a.total_cmp(b))
}
