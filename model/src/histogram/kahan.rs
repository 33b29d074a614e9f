//! Sums with compensation: what rounding loses is kept aside and added at the end (Kahan's method, as Neumaier
//! improved it).

use super::add::{Combined, IncompatibleSchemas, combine};
use super::cells::Count;
use super::{FloatHistogram, HistogramOf};

/// Adds `inc` to `sum`; returns the sum and the new compensation. The true sum is nearest to `sum + compensation`.
#[inline]
pub fn kahan_add(inc: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + inc;
    // The larger in magnitude loses nothing when the total is taken off it. Chosen without a branch: it is the inner
    // step of every sum.
    let (large, small) = if sum.abs() >= inc.abs() { (sum, inc) } else { (inc, sum) };
    let compensation = compensation + ((large - total) + small);
    (total, if total.is_infinite() { 0.0 } else { compensation })
}

/// As [`kahan_add`], in half of its time, as long as nothing overflows: then sum and compensation are finite. Once one
/// of them is not, it stays so (Knuth, The Art of Computer Programming, 4.2.2).
#[inline]
pub fn kahan_add_finite(inc: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + inc;
    let added = total - sum;
    (total, compensation + ((sum - (total - added)) + (inc - added)))
}

/// A count with its compensation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Compensated {
    sum: f64,
    lost: f64,
}

impl Compensated {
    fn total(self) -> f64 {
        self.sum + self.lost
    }

    fn each(&mut self, f: impl Fn(f64) -> f64) {
        self.sum = f(self.sum);
        self.lost = f(self.lost);
    }
}

impl From<f64> for Compensated {
    fn from(sum: f64) -> Self {
        Self { sum, lost: 0.0 }
    }
}

impl Count for Compensated {
    fn is_empty(self) -> bool {
        self.sum == 0.0 && self.lost == 0.0
    }

    fn merge(&mut self, other: Self) {
        (self.sum, self.lost) = kahan_add(other.sum, self.sum, self.lost);
        if other.lost != 0.0 {
            (self.sum, self.lost) = kahan_add(other.lost, self.sum, self.lost);
        }
    }
}

/// A running sum of histograms, or a running mean that is rescaled between additions, compensated in every count.
#[derive(Clone, Debug)]
pub struct KahanHistogram {
    counts: HistogramOf<Compensated, Compensated>,
    sum_lost: f64,
}

impl KahanHistogram {
    /// Starts with a first histogram.
    pub fn new(first: &FloatHistogram) -> Self {
        let counts = |counts: &[f64]| counts.iter().copied().map(Compensated::from).collect();
        Self {
            counts: HistogramOf {
                reset_hint: first.reset_hint,
                schema: first.schema,
                zero_threshold: first.zero_threshold,
                zero_count: first.zero_count.into(),
                count: first.count.into(),
                sum: first.sum,
                positive_spans: first.positive_spans.clone(),
                negative_spans: first.negative_spans.clone(),
                positive_buckets: counts(&first.positive_buckets),
                negative_buckets: counts(&first.negative_buckets),
                custom_values: first.custom_values.clone(),
            },
            sum_lost: 0.0,
        }
    }

    /// Adds a histogram, as [`FloatHistogram::add`] does. Nothing changes on error.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Combined, IncompatibleSchemas> {
        let combined = combine(&mut self.counts, other, Compensated::from)?;
        (self.counts.sum, self.sum_lost) = kahan_add(other.sum, self.counts.sum, self.sum_lost);
        Ok(combined)
    }

    /// Multiplies everything; see [`FloatHistogram::mul`].
    pub fn mul(&mut self, factor: f64) {
        self.counts.each_count(|count| count.each(|n| n * factor));
        self.counts.sum *= factor;
        self.sum_lost *= factor;
        self.counts.note_factor(factor);
    }

    /// Divides everything; see [`FloatHistogram::div`].
    pub fn div(&mut self, divisor: f64) {
        self.counts.each_count(|count| count.each(|n| n / divisor));
        self.counts.sum /= divisor;
        self.sum_lost /= divisor;
        self.counts.note_divisor(divisor);
    }

    /// Whether a count or the sum has become infinite.
    pub fn has_overflow(&self) -> bool {
        let counts = &self.counts;
        [counts.sum, counts.count.sum, counts.zero_count.sum].into_iter().any(f64::is_infinite)
            || counts.positive_buckets.iter().chain(&counts.negative_buckets).any(|n| n.sum.is_infinite())
            || counts.custom_values.iter().any(|v| v.is_infinite())
    }

    /// The hint of the sum so far.
    pub fn reset_hint(&self) -> super::ResetHint {
        self.counts.reset_hint
    }

    /// The result, with the compensation added.
    pub fn finish(self) -> FloatHistogram {
        let counts = self.counts;
        let totals = |side: Vec<Compensated>| side.into_iter().map(Compensated::total).collect();
        FloatHistogram {
            reset_hint: counts.reset_hint,
            schema: counts.schema,
            zero_threshold: counts.zero_threshold,
            zero_count: counts.zero_count.total(),
            count: counts.count.total(),
            sum: counts.sum + self.sum_lost,
            positive_spans: counts.positive_spans,
            negative_spans: counts.negative_spans,
            positive_buckets: totals(counts.positive_buckets),
            negative_buckets: totals(counts.negative_buckets),
            custom_values: counts.custom_values,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Span;
    use super::*;

    #[test]
    fn small_terms_survive_large_ones() {
        let of = |n: f64| FloatHistogram {
            count: n,
            sum: n,
            zero_count: n,
            positive_spans: vec![Span { offset: 0, length: 1 }],
            positive_buckets: vec![n],
            ..Default::default()
        };
        let mut sum = KahanHistogram::new(&of(1e100));
        sum.add(&of(1.0)).unwrap();
        sum.add(&of(-1e100)).unwrap();
        assert!(!sum.has_overflow());
        assert_eq!(sum.clone().finish(), of(1.0));
        sum.mul(4.0);
        sum.div(2.0);
        assert_eq!(sum.finish(), of(2.0));
    }

    #[test]
    fn overflow_is_seen() {
        let of = |n: f64| FloatHistogram { count: n, sum: n, ..Default::default() };
        let mut sum = KahanHistogram::new(&of(1e308));
        sum.add(&of(1e308)).unwrap();
        assert!(sum.has_overflow());
        assert_eq!(sum.finish().count, f64::INFINITY);
    }

    proptest! {
        #[test]
        fn finite_sums_are_the_same(values in prop::collection::vec(prop_oneof![
            4 => any::<f64>(),
            4 => (-1000i32..1000).prop_map(|v| f64::from(v) / 100.0),
            1 => prop::sample::select(vec![
                0.0, -0.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, f64::INFINITY, f64::NEG_INFINITY,
                f64::NAN, f64::EPSILON, 1.0, 9_007_199_254_740_992.0, f64::MAX / 2.0, -f64::MAX / 3.0,
            ]),
        ], 0..40)) {
            let (mut fast, mut slow) = ((0.0, 0.0), (0.0, 0.0));
            for v in values {
                fast = kahan_add_finite(v, fast.0, fast.1);
                slow = kahan_add(v, slow.0, slow.1);
                if f64::is_finite(fast.0) && f64::is_finite(fast.1) {
                    prop_assert_eq!((fast.0.to_bits(), fast.1.to_bits()), (slow.0.to_bits(), slow.1.to_bits()));
                }
            }
        }
    }
}
