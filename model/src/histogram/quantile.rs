//! Estimates from buckets: quantiles, fractions, mean and variance.

use super::FloatHistogram;
use super::bucket::Bucket;
use super::kahan::kahan_add;
use crate::go_math::{exp2, log2};

/// What NaN observations, which are in no bucket, did to an estimate; for the user's information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanNote {
    /// The quantile lies among them; the result is NaN.
    Result,
    /// They count as the greatest observations and so skew the result towards higher values, or leave the fraction
    /// short.
    Skew,
}

/// A quantile and what to tell about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// The estimate.
    pub value: f64,
    /// Whether NaN observations matter.
    pub note: Option<NanNote>,
}

/// A fraction of observations and what to tell about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fraction {
    /// The estimate, from 0 to 1.
    pub value: f64,
    /// Whether NaN observations were left out.
    pub note: Option<NanNote>,
}

impl FloatHistogram {
    /// The `q`-quantile: -Inf below 0, +Inf above 1, NaN without observations. Within a bucket observations are taken
    /// to be spread evenly: on the logarithmic scale for exponential buckets, linearly for custom ones and for the
    /// zero bucket, which starts (or ends) at 0 when there are only positive (or negative) buckets.
    pub fn quantile(&self, q: f64) -> Quantile {
        let plain = |value| Quantile { value, note: None };
        if q < 0.0 {
            return plain(f64::NEG_INFINITY);
        }
        if q > 1.0 {
            return plain(f64::INFINITY);
        }
        if self.count == 0.0 || q.is_nan() {
            return plain(f64::NAN);
        }
        // From whichever end is nearer, for precision. NaN observations count as the greatest, so then from below.
        let maybe_nan = self.sum.is_nan();
        if maybe_nan || q < 0.5 {
            let rank = q * self.count;
            self.quantile_in(&mut self.buckets(), rank, maybe_nan, |_, before| rank - before)
        } else {
            let rank = (1.0 - q) * self.count;
            self.quantile_in(&mut self.buckets_reversed(), rank, maybe_nan, |count, _| count - rank)
        }
    }

    /// Finds the bucket at which the running count reaches `rank` and interpolates. `rank_in` gets the running count
    /// with and without that bucket and gives the rank within it from its lower bound.
    fn quantile_in(
        &self,
        buckets: &mut dyn Iterator<Item = Bucket>,
        rank: f64,
        maybe_nan: bool,
        rank_in: impl Fn(f64, f64) -> f64,
    ) -> Quantile {
        let plain = |value| Quantile { value, note: None };
        let custom = self.has_custom_buckets();
        let mut count = 0.0;
        let mut bucket = Bucket::zero(0.0, 0.0);
        for next in &mut *buckets {
            bucket = next;
            if bucket.count != 0.0 {
                count += bucket.count;
                if count >= rank {
                    break;
                }
            }
        }
        if !custom && bucket.lower < 0.0 && bucket.upper > 0.0 {
            self.clip_zero_bucket(&mut bucket);
        } else if custom {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return plain(bucket.upper);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return plain(bucket.lower);
            }
        }
        // Rounding may have carried the running count above the whole.
        count = count.min(self.count);
        if count < rank {
            // NaN observations, or imprecise counts.
            return if maybe_nan {
                Quantile { value: f64::NAN, note: Some(NanNote::Result) }
            } else {
                plain(bucket.upper)
            };
        }
        let rank = rank_in(count, count - bucket.count);
        let mut note = None;
        if maybe_nan {
            // Infinities also make the sum NaN; only missing observations tell. Prometheus interpolates in the last
            // bucket it looks at here, and so must we.
            for next in buckets {
                bucket = next;
                count += bucket.count;
            }
            if count < self.count {
                note = Some(NanNote::Skew);
            }
        }
        let fraction = rank / bucket.count;
        let value = if custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
            bucket.lower + (bucket.upper - bucket.lower) * fraction
        } else {
            let lower = log2(bucket.lower.abs());
            let upper = log2(bucket.upper.abs());
            if bucket.lower > 0.0 {
                exp2(lower + (upper - lower) * fraction)
            } else {
                -exp2(upper + (lower - upper) * (1.0 - fraction))
            }
        };
        Quantile { value, note }
    }

    /// A zero bucket beside buckets of one sign only ends at 0.
    fn clip_zero_bucket(&self, bucket: &mut Bucket) {
        match (self.negative_buckets.is_empty(), self.positive_buckets.is_empty()) {
            (true, false) => bucket.lower = 0.0,
            (false, true) => bucket.upper = 0.0,
            _ => {}
        }
    }

    /// The estimated fraction of observations between two values, interpolated as [`Self::quantile`] does; its inverse.
    /// NaN without observations or with a NaN bound, 0 when `lower >= upper`.
    pub fn fraction(&self, lower: f64, upper: f64) -> Fraction {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return Fraction { value: f64::NAN, note: None };
        }
        if lower >= upper {
            return Fraction { value: 0.0, note: None };
        }
        let custom = self.has_custom_buckets();
        let (mut count, mut rank) = (0.0, 0.0);
        let (mut lower_rank, mut upper_rank) = (None, None);
        let mut buckets = self.buckets();
        for mut b in buckets.by_ref() {
            count += b.count;
            let zero = b.lower <= 0.0 && b.upper >= 0.0;
            if zero {
                self.clip_zero_bucket(&mut b);
            }
            // The number of observations below `v`, if this bucket can tell.
            let rank_of = |v: f64| {
                if b.lower >= v {
                    Some(rank)
                } else if b.upper > v {
                    let linear = custom || zero;
                    // No interpolation in a bucket without lower end: it counts as below.
                    Some(if linear && b.lower == f64::NEG_INFINITY {
                        b.count
                    } else {
                        rank + b.count * b.fraction_below(v, linear)
                    })
                } else {
                    None
                }
            };
            lower_rank = lower_rank.or_else(|| rank_of(lower));
            upper_rank = upper_rank.or_else(|| rank_of(upper));
            if lower_rank.is_some() && upper_rank.is_some() {
                break;
            }
            rank += b.count;
        }
        let mut note = None;
        if self.sum.is_nan() {
            count += buckets.map(|b| b.count).sum::<f64>();
            if count < self.count {
                note = Some(NanNote::Skew);
            }
        } else {
            count = self.count;
        }
        let within = |rank: Option<f64>| rank.filter(|rank| *rank <= count).unwrap_or(count);
        Fraction { value: (within(upper_rank) - within(lower_rank)) / self.count, note }
    }

    /// The mean of all observations.
    pub fn average(&self) -> f64 {
        self.sum / self.count
    }

    /// The estimated variance: every observation counts as its bucket's centre, which is the arithmetic mean of custom
    /// bounds, the geometric mean of exponential ones, and 0 for the zero bucket.
    pub fn variance(&self) -> f64 {
        let mean = self.average();
        let (mut sum, mut lost) = (0.0, 0.0);
        for b in self.populated() {
            let centre = if self.has_custom_buckets() {
                (b.upper + b.lower) / 2.0
            } else if b.lower <= 0.0 && b.upper >= 0.0 {
                0.0
            } else {
                (b.upper * b.lower).sqrt().copysign(b.upper)
            };
            let delta = centre - mean;
            (sum, lost) = kahan_add(b.count * delta * delta, sum, lost);
        }
        (sum + lost) / self.count
    }

    /// The square root of [`Self::variance`].
    pub fn deviation(&self) -> f64 {
        self.variance().sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CUSTOM_BUCKETS_SCHEMA, Span};
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        a == b || (a.is_nan() && b.is_nan()) || ((a - b) / a.abs().max(b.abs())).abs() < 1e-12
    }

    fn positive(zero: f64, counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            zero_threshold: 0.001,
            zero_count: zero,
            count: zero + counts.iter().sum::<f64>(),
            sum: 1.0,
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            ..Default::default()
        }
    }

    fn negative(zero: f64, counts: &[f64]) -> FloatHistogram {
        let mut h = positive(zero, counts);
        std::mem::swap(&mut h.positive_spans, &mut h.negative_spans);
        std::mem::swap(&mut h.positive_buckets, &mut h.negative_buckets);
        h
    }

    fn custom(bounds: &[f64], counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: counts.iter().sum(),
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            custom_values: bounds.to_vec(),
            ..Default::default()
        }
    }

    #[test]
    fn quantiles() {
        let h = positive(2.0, &[3.0, 2.0, 1.0, 4.0]);
        let n = negative(2.0, &[3.0, 2.0, 1.0, 4.0]);
        let c = custom(&[5.0, 10.0, 15.0, 20.0], &[1.0, 4.0, 0.0, 5.0, 2.0]);
        for (h, q, want) in [
            (&h, -0.1, f64::NEG_INFINITY),
            (&h, 1.1, f64::INFINITY),
            (&h, f64::NAN, f64::NAN),
            (&h, 0.0, 0.0),
            (&h, 1.0, 8.0),
            (&h, 5.0 / 12.0, 1.0),
            (&h, 0.5, 2f64.sqrt()),
            (&h, 1.0 / 12.0, 0.0005),
            (&h, 10.0 / 12.0, 2f64.powf(2.5)),
            (&n, 0.0, -8.0),
            (&n, 1.0, 0.0),
            (&n, 2.0 / 12.0, -(2f64.powf(2.5))),
            (&c, 0.5, 16.0),
            (&c, 0.05, 3.0),
            (&c, 1.0, 20.0),
            (&custom(&[-1.0], &[1.0, 1.0]), 0.1, -1.0),
            (&positive(0.0, &[0.0]), 0.5, f64::NAN),
        ] {
            let got = h.quantile(q);
            assert!(close(got.value, want), "{q}: {got:?} {want}");
            assert_eq!(got.note, None);
        }
    }

    #[test]
    fn nan_observations() {
        let mut h = positive(0.0, &[4.0, 4.0]);
        h.count = 10.0;
        h.sum = f64::NAN;
        assert_eq!(h.quantile(0.9).note, Some(NanNote::Result));
        assert!(h.quantile(0.9).value.is_nan());
        assert_eq!(h.quantile(0.7).note, Some(NanNote::Skew));
        assert!(close(h.quantile(0.6).value, 2f64.powf(0.5)));
        assert_eq!(h.fraction(0.0, 9.0), Fraction { value: 0.8, note: Some(NanNote::Skew) });
        h.count = 8.0;
        assert_eq!(h.quantile(0.6).note, None, "infinities make the sum NaN too");
    }

    #[test]
    fn fractions() {
        let h = positive(2.0, &[3.0, 2.0, 1.0, 4.0]);
        let n = negative(2.0, &[3.0, 2.0, 1.0, 4.0]);
        let c = custom(&[5.0, 10.0, 15.0, 20.0], &[1.0, 4.0, 0.0, 5.0, 2.0]);
        for (h, lower, upper, want) in [
            (&h, f64::NEG_INFINITY, f64::INFINITY, 1.0),
            (&h, 0.0, 0.0005, 1.0 / 12.0),
            (&h, 0.001, 1.0, 3.0 / 12.0),
            (&h, 2f64.sqrt(), 4.0, 2.0 / 12.0),
            (&h, 3.0, 3.0, 0.0),
            (&h, 3.0, 2.0, 0.0),
            (&h, f64::NAN, 2.0, f64::NAN),
            (&h, 9.0, 10.0, 0.0),
            (&n, -1.0, 0.0, 5.0 / 12.0),
            (&n, -0.0005, 1.0, 1.0 / 12.0),
            (&c, 0.0, 7.5, 3.0 / 12.0),
            (&c, 17.5, f64::INFINITY, 4.5 / 12.0),
            (&c, 25.0, f64::INFINITY, 2.0 / 12.0),
            (&FloatHistogram::default(), 0.0, 1.0, f64::NAN),
        ] {
            let got = h.fraction(lower, upper);
            assert!(close(got.value, want), "{lower} {upper}: {got:?} {want}");
        }
    }

    #[test]
    fn moments() {
        let mut h = positive(0.0, &[2.0, 0.0, 2.0]);
        h.sum = 8.0;
        assert_eq!(h.average(), 2.0);
        let (low, high) = (0.5f64.sqrt() - 2.0, 8f64.sqrt() - 2.0);
        assert!(close(h.variance(), (low * low + high * high) / 2.0));
        assert!(close(h.deviation(), h.variance().sqrt()));
        let mut c = custom(&[0.0, 2.0, 4.0], &[0.0, 1.0, 1.0]);
        c.sum = 4.0;
        assert_eq!(c.variance(), 1.0);
        let mut n = negative(1.0, &[1.0]);
        n.sum = 0.0;
        assert!(close(n.variance(), 0.25));
    }
}
