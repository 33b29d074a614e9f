//! The trim operators: `h </ v` keeps the observations below a value, `h >/ v` those above.

use super::FloatHistogram;
use super::bucket::Bucket;

/// Which observations stay.
#[derive(Clone, Copy, PartialEq)]
enum Keep {
    Below,
    Above,
}

/// What stays of a bucket: observations, and the value at which each is counted into the new sum.
#[derive(Clone, Copy)]
struct Kept {
    count: f64,
    centre: f64,
}

const NOTHING: Kept = Kept { count: 0.0, centre: 0.0 };

impl FloatHistogram {
    /// `h </ limit`: drops the observations above `limit`. A bucket that contains the limit is divided by
    /// interpolation. When anything was dropped, count and sum are estimated anew and empty buckets removed.
    pub fn trim_upper(&mut self, limit: f64) {
        self.trim(limit, Keep::Below);
    }

    /// `h >/ limit`: drops the observations below `limit`; see [`Self::trim_upper`].
    pub fn trim_lower(&mut self, limit: f64) {
        self.trim(limit, Keep::Above);
    }

    fn trim(&mut self, limit: f64, keep: Keep) {
        let (mut count, mut sum, mut trimmed) = (0.0, 0.0, false);
        let mut note = |stays: Kept, was: f64| {
            count += stays.count;
            sum += stays.centre * stays.count;
            trimmed |= stays.count != was;
            stays.count
        };
        let linear = self.has_custom_buckets();
        let positive: Vec<f64> = self
            .positive()
            .map(|b| if b.count == 0.0 { 0.0 } else { note(keep_of(b, limit, keep, true, linear), b.count) })
            .collect();
        let negative: Vec<f64> = self
            .negative()
            .map(|b| if b.count == 0.0 { 0.0 } else { note(keep_of(b, limit, keep, false, linear), b.count) })
            .collect();
        let has = |buckets: &[f64]| buckets.iter().any(|n| *n != 0.0);
        if let Some(mut zero) = self.zero_bucket() {
            match (has(&self.negative_buckets), has(&self.positive_buckets)) {
                (true, false) => zero.upper = 0.0,
                (false, true) => zero.lower = 0.0,
                _ => {}
            }
            self.zero_count = note(keep_of_zero(zero, limit, keep), zero.count);
        }
        if trimmed {
            self.positive_buckets = positive;
            self.negative_buckets = negative;
            self.count = count;
            self.sum = sum;
            self.compact(0);
        }
    }
}

fn keep_of(b: Bucket, limit: f64, keep: Keep, positive: bool, linear: bool) -> Kept {
    let (whole, part) = match keep {
        Keep::Below => (b.upper <= limit, b.lower < limit),
        Keep::Above => (b.lower >= limit, b.upper > limit),
    };
    if whole {
        return Kept { count: b.count, centre: centre(b.lower, b.upper, positive, linear) };
    }
    if !part {
        return NOTHING;
    }
    if b.lower == f64::NEG_INFINITY || b.upper == f64::INFINITY {
        return keep_of_endless(b, limit, keep);
    }
    let below = b.count * b.fraction_below(limit, linear);
    match keep {
        Keep::Below => Kept { count: below, centre: centre(b.lower, limit, positive, linear) },
        Keep::Above => Kept { count: b.count - below, centre: centre(limit, b.upper, positive, linear) },
    }
}

/// A bucket without lower or upper end that contains the limit. Nobody knows where its observations are, except that a
/// first custom bucket with a positive bound is taken to start at 0.
fn keep_of_endless(b: Bucket, limit: f64, keep: Keep) -> Kept {
    let from_zero = b.lower == f64::NEG_INFINITY && b.upper > 0.0 && b.upper.is_finite();
    match keep {
        Keep::Below if b.lower == f64::NEG_INFINITY => {
            if limit > 0.0 && from_zero {
                Kept { count: b.count * limit / b.upper, centre: limit / 2.0 }
            } else if b.upper <= 0.0 {
                Kept { count: b.count, centre: limit }
            } else {
                NOTHING
            }
        }
        Keep::Above if b.lower == f64::NEG_INFINITY => {
            if limit >= 0.0 && from_zero {
                Kept { count: b.count * (1.0 - limit / b.upper), centre: (limit + b.upper) / 2.0 }
            } else {
                NOTHING
            }
        }
        Keep::Below => NOTHING,
        Keep::Above => Kept { count: b.count, centre: limit },
    }
}

fn keep_of_zero(b: Bucket, limit: f64, keep: Keep) -> Kept {
    let whole = Kept { count: b.count, centre: (b.lower + b.upper) / 2.0 };
    let part = |from: f64, to: f64| Kept {
        count: b.count * ((to - from) / (b.upper - b.lower)),
        centre: (from + to) / 2.0,
    };
    match keep {
        Keep::Below if limit <= b.lower => NOTHING,
        Keep::Below if limit >= b.upper => whole,
        Keep::Below => part(b.lower, limit),
        Keep::Above if limit <= b.lower => whole,
        Keep::Above if limit >= b.upper => NOTHING,
        Keep::Above => part(limit, b.upper),
    }
}

/// The value that stands for the observations between two bounds.
fn centre(lower: f64, upper: f64, positive: bool, linear: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if linear => (lower + upper) / 2.0,
        (false, false) => {
            let mean = (lower * upper).abs().sqrt();
            if positive { mean } else { -mean }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CUSTOM_BUCKETS_SCHEMA, Span};
    use super::*;

    fn exponential() -> FloatHistogram {
        FloatHistogram {
            zero_threshold: 0.5,
            zero_count: 4.0,
            count: 12.0,
            sum: 77.0,
            positive_spans: vec![Span { offset: 1, length: 2 }],
            positive_buckets: vec![2.0, 2.0],
            negative_spans: vec![Span { offset: 1, length: 2 }],
            negative_buckets: vec![2.0, 2.0],
            ..Default::default()
        }
    }

    fn custom() -> FloatHistogram {
        FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 6.0,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive_buckets: vec![2.0, 2.0, 2.0],
            custom_values: vec![1.0, 3.0],
            ..Default::default()
        }
    }

    #[test]
    fn exponential_buckets() {
        type Case = (bool, f64, Option<f64>, &'static [f64], &'static [f64], f64);
        let cases: &[Case] = &[
            (true, 4.0, None, &[2.0, 2.0], &[2.0, 2.0], 4.0),
            (true, 2f64.sqrt(), Some(7.0 + 2.0), &[1.0], &[2.0, 2.0], 4.0),
            (true, 0.0, Some(6.0), &[], &[2.0, 2.0], 2.0),
            (true, -2.0, Some(2.0), &[], &[2.0], 0.0),
            (false, -4.0, None, &[2.0, 2.0], &[2.0, 2.0], 4.0),
            (false, 0.25, Some(5.0), &[2.0, 2.0], &[], 1.0),
            (false, 1.0, Some(4.0), &[2.0, 2.0], &[], 0.0),
            (false, 9.0, Some(0.0), &[], &[], 0.0),
            (true, f64::NEG_INFINITY, Some(0.0), &[], &[], 0.0),
        ];
        for (upper, limit, count, positive, negative, zero) in cases {
            let mut h = exponential();
            if *upper {
                h.trim_upper(*limit)
            } else {
                h.trim_lower(*limit)
            }
            assert!((h.count - count.unwrap_or(12.0)).abs() < 1e-9, "{upper} {limit} {h:?}");
            let near = |a: &[f64], b: &[f64]| {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
            };
            assert!(near(&h.positive_buckets, positive), "{limit} {h:?}");
            assert!(near(&h.negative_buckets, negative), "{limit} {h:?}");
            assert_eq!(h.zero_count, *zero, "{limit}");
            assert_eq!(h.sum == 77.0, count.is_none(), "{limit}");
        }
        let mut h = exponential();
        h.trim_lower(1.0);
        assert!((h.sum - (2.0 * 2f64.sqrt() + 2.0 * 8f64.sqrt())).abs() < 1e-9);
    }

    #[test]
    fn custom_buckets() {
        for (upper, limit, want, sum) in [
            (true, 0.5, vec![1.0], 0.25),
            (true, 2.0, vec![2.0, 1.0], 1.0 + 1.5),
            (true, 5.0, vec![2.0, 2.0], 1.0 + 4.0),
            (false, 0.5, vec![1.0, 2.0, 2.0], 0.75 + 4.0 + 6.0),
            (false, 2.0, vec![1.0, 2.0], 2.5 + 6.0),
            (false, 5.0, vec![2.0], 10.0),
        ] {
            let mut h = custom();
            if upper {
                h.trim_upper(limit)
            } else {
                h.trim_lower(limit)
            }
            assert_eq!(h.positive_buckets, want, "{limit}");
            assert_eq!(h.sum, sum, "{limit}");
            assert_eq!(h.count, want.iter().sum::<f64>());
        }
    }
}
