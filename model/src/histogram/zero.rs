//! Zero buckets of different width brought together.

use std::cmp::Ordering;

use super::bucket::Bucket;
use super::cells::{Count, cells};
use super::{FloatHistogram, HistogramOf};

/// Widens the zero bucket of `h` until both histograms can have it, moving buckets of `h` into it, and returns the
/// zero count that `other` has then, each of its counts passed through `convert`.
pub(super) fn reconcile_zero_buckets<T: Count>(
    h: &mut HistogramOf<T, T>,
    other: &FloatHistogram,
    convert: impl Fn(f64) -> T + Copy,
) -> T {
    let mut other_zero = convert(other.zero_count);
    let mut other_threshold = other.zero_threshold;
    // Each round widens one of the two, up to a bucket bound at most.
    loop {
        match other_threshold.partial_cmp(&h.zero_threshold) {
            Some(Ordering::Less) => {
                (other_zero, other_threshold) = zero_count_at(other, h.zero_threshold, convert);
            }
            Some(Ordering::Greater) => {
                (h.zero_count, h.zero_threshold) = zero_count_at(h, other_threshold, |count| count);
                empty_covered_buckets(h);
            }
            // Nothing can be done about NaN.
            Some(Ordering::Equal) | None => return other_zero,
        }
    }
}

/// The zero count that `h` would have with a wider zero bucket. A threshold that falls into a populated bucket is moved
/// to that bucket's far bound; the threshold is returned too.
pub(super) fn zero_count_at<B: Count, T: Count>(
    h: &HistogramOf<B, B>,
    threshold: f64,
    convert: impl Fn(B) -> T + Copy,
) -> (T, f64) {
    if threshold == h.zero_threshold {
        return (convert(h.zero_count), threshold);
    }
    let mut threshold = threshold;
    loop {
        let mut zero = convert(h.zero_count);
        let mut add_side = |buckets: &mut dyn Iterator<Item = Bucket<B>>| {
            for bucket in buckets.take_while(|b| b.lower < threshold) {
                zero.merge(convert(bucket.count));
                if bucket.upper > threshold {
                    return (!bucket.count.is_empty()).then_some(bucket.upper);
                }
            }
            None
        };
        if let Some(wider) = add_side(&mut magnitudes(h, true)) {
            threshold = wider;
            continue;
        }
        match add_side(&mut magnitudes(h, false)) {
            Some(wider) => threshold = wider,
            None => return (zero, threshold),
        }
    }
}

/// One side's buckets as if they were positive.
fn magnitudes<B: Count>(h: &HistogramOf<B, B>, positive: bool) -> impl Iterator<Item = Bucket<B>> + '_ {
    let (spans, buckets) = if positive {
        (&h.positive_spans, &h.positive_buckets)
    } else {
        (&h.negative_spans, &h.negative_buckets)
    };
    cells(spans, buckets).map(|(index, count)| Bucket::new(index, count, true, h.schema, &[]))
}

/// Removes the buckets that the zero bucket covers, and empty ones with them.
fn empty_covered_buckets<T: Count>(h: &mut HistogramOf<T, T>) {
    let covered = |h: &HistogramOf<T, T>, positive| {
        magnitudes(h, positive).take_while(|b| b.lower < h.zero_threshold).count()
    };
    let (positive, negative) = (covered(h, true), covered(h, false));
    h.positive_buckets[..positive].fill(T::default());
    h.negative_buckets[..negative].fill(T::default());
    h.compact_sides(0);
}
