//! Histograms with different custom bounds brought to the bounds that they share.

use super::Span;
use super::cells::{Count, cells};

/// The bounds that occur in both lists; both ascend.
pub(super) fn shared_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut shared = Vec::with_capacity(a.len().min(b.len()));
    let (mut i, mut j) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if x == y {
            shared.push(*x);
        }
        // Moves on even when a bound is NaN and nothing compares.
        let behind = x < y;
        i += usize::from(behind || x == y);
        j += usize::from(!behind);
    }
    shared
}

/// Adds each cell's count to the bucket of `target` (one more than `target_bounds`; the last ends at +Inf) that its
/// bucket lies in. `target_bounds` is a part of `bounds`.
pub(super) fn map_onto<B: Copy, T: Count>(
    spans: &[Span],
    buckets: &[B],
    bounds: &[f64],
    target_bounds: &[f64],
    target: &mut [T],
    count: impl Fn(B) -> T,
) {
    let mut at = 0;
    for (index, bucket) in cells(spans, buckets) {
        match usize::try_from(index).ok().map(|i| bounds.get(i)) {
            Some(Some(bound)) => {
                while target_bounds.get(at).is_some_and(|b| b < bound) {
                    at += 1;
                }
            }
            Some(None) => at = target_bounds.len(),
            // A negative index is below all bounds.
            None => {}
        }
        if let Some(slot) = target.get_mut(at) {
            slot.merge(count(bucket));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared() {
        assert_eq!(shared_bounds(&[1.0, 2.0, 5.0], &[0.0, 2.0, 3.0, 5.0, 7.0]), [2.0, 5.0]);
        assert!(shared_bounds(&[], &[1.0]).is_empty());
        assert!(shared_bounds(&[1.0], &[2.0]).is_empty());
        assert!(shared_bounds(&[f64::NAN], &[f64::NAN, 1.0]).is_empty());
    }

    #[test]
    fn mapping() {
        let spans = [Span { offset: 0, length: 4 }];
        let mut target = [0.0; 3];
        map_onto(&spans, &[1.0, 2.0, 4.0, 8.0], &[1.0, 2.0, 5.0], &[1.0, 5.0], &mut target, |n: f64| n);
        assert_eq!(target, [1.0, 6.0, 8.0]);
    }
}
