//! Between the integer and the float form.

use super::cells::{from_deltas, to_deltas};
use super::{FloatHistogram, Histogram};

impl Histogram {
    /// The same histogram with float counts.
    pub fn to_float(&self) -> FloatHistogram {
        let counts = |deltas: &[i64]| {
            let mut count = 0.0;
            deltas
                .iter()
                .map(|delta| {
                    count += *delta as f64;
                    count
                })
                .collect()
        };
        FloatHistogram {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            count: self.count as f64,
            sum: self.sum,
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            positive_buckets: counts(&self.positive_buckets),
            negative_buckets: counts(&self.negative_buckets),
            custom_values: self.custom_values.clone(),
        }
    }

    /// Absolute counts of `positive_buckets`.
    pub fn positive_counts(&self) -> Vec<i64> {
        from_deltas(&self.positive_buckets)
    }

    /// Absolute counts of `negative_buckets`.
    pub fn negative_counts(&self) -> Vec<i64> {
        from_deltas(&self.negative_buckets)
    }
}

impl FloatHistogram {
    /// The same histogram with integer counts; `None` when a count is not a whole number from 0 to 2^53.
    pub fn to_integer(&self) -> Option<Histogram> {
        let side = |counts: &[f64]| {
            let counts: Option<Vec<i64>> = counts.iter().map(|c| whole(*c).map(|n| n as i64)).collect();
            Some(to_deltas(&counts?))
        };
        Some(Histogram {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: whole(self.zero_count)?,
            count: whole(self.count)?,
            sum: self.sum,
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            positive_buckets: side(&self.positive_buckets)?,
            negative_buckets: side(&self.negative_buckets)?,
            custom_values: self.custom_values.clone(),
        })
    }
}

fn whole(count: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    ((0.0..=EXACT).contains(&count) && count.fract() == 0.0).then_some(count as u64)
}
