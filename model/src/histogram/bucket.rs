//! Whole buckets: bounds, inclusiveness and count, in either direction.

use std::fmt;

use super::bounds::bound;
use super::cells::{cells, cells_reversed};
use super::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram};
use crate::go_float::FloatG;
use crate::go_math::log2;

/// One bucket of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket<C = f64> {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Whether an observation of exactly `lower` is in the bucket.
    pub lower_inclusive: bool,
    /// Whether an observation of exactly `upper` is in the bucket.
    pub upper_inclusive: bool,
    /// Observations in the bucket.
    pub count: C,
    /// Index within the schema and side; 0 for the zero bucket.
    pub index: i32,
}

impl<C> Bucket<C> {
    pub(super) fn new(index: i32, count: C, positive: bool, schema: i32, custom_values: &[f64]) -> Self {
        let near = bound(index.wrapping_sub(1), schema, custom_values);
        let far = bound(index, schema, custom_values);
        let (lower, upper) = if positive { (near, far) } else { (-far, -near) };
        let (lower_inclusive, upper_inclusive) =
            if schema == CUSTOM_BUCKETS_SCHEMA { (index == 0, true) } else { (lower < 0.0, upper > 0.0) };
        Self { lower, upper, lower_inclusive, upper_inclusive, count, index }
    }

    pub(super) fn zero(threshold: f64, count: C) -> Self {
        Self {
            lower: -threshold,
            upper: threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count,
            index: 0,
        }
    }

    /// The number by which the HTTP API says which bounds are inclusive: 0 upper, 1 lower, 2 neither, 3 both.
    pub fn boundary_rule(&self) -> u8 {
        match (self.lower_inclusive, self.upper_inclusive) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        }
    }
}

impl Bucket {
    /// The share of the bucket's observations at or below `v`, which lies strictly between two finite bounds: linear
    /// for custom and zero buckets, else on the logarithmic scale that the bounds are on.
    pub fn fraction_below(&self, v: f64, linear: bool) -> f64 {
        if linear {
            return (v - self.lower) / (self.upper - self.lower);
        }
        let lower = log2(self.lower.abs());
        let upper = log2(self.upper.abs());
        let at = log2(v.abs());
        if v > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - ((at - upper) / (lower - upper)) }
    }
}

/// `(0.5,1]:3`.
impl<C: CountText> fmt::Display for Bucket<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.lower_inclusive { "[" } else { "(" })?;
        write!(f, "{},{}", FloatG(self.lower), FloatG(self.upper))?;
        f.write_str(if self.upper_inclusive { "]:" } else { "):" })?;
        self.count.write(f)
    }
}

/// A count that can be printed.
pub trait CountText: Copy {
    /// Writes it as Prometheus does.
    fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl CountText for f64 {
    fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&FloatG(self), f)
    }
}

impl CountText for u64 {
    fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self, f)
    }
}

impl FloatHistogram {
    /// Buckets above zero, lowest first; all buckets of a histogram with custom bounds.
    pub fn positive(&self) -> impl Iterator<Item = Bucket> + '_ {
        cells(&self.positive_spans, &self.positive_buckets).map(|(i, n)| self.bucket(i, n, true))
    }

    /// Buckets below zero, highest first.
    pub fn negative(&self) -> impl Iterator<Item = Bucket> + '_ {
        cells(&self.negative_spans, &self.negative_buckets).map(|(i, n)| self.bucket(i, n, false))
    }

    /// Buckets above zero, highest first.
    pub fn positive_reversed(&self) -> impl Iterator<Item = Bucket> + '_ {
        cells_reversed(&self.positive_spans, &self.positive_buckets).map(|(i, n)| self.bucket(i, n, true))
    }

    /// Buckets below zero, lowest first.
    pub fn negative_reversed(&self) -> impl Iterator<Item = Bucket> + '_ {
        cells_reversed(&self.negative_spans, &self.negative_buckets).map(|(i, n)| self.bucket(i, n, false))
    }

    /// The zero bucket, unless it is empty or the histogram has custom bounds.
    pub fn zero_bucket(&self) -> Option<Bucket> {
        (self.zero_count > 0.0 && !self.has_custom_buckets())
            .then(|| Bucket::zero(self.zero_threshold, self.zero_count))
    }

    /// All buckets with the zero bucket between, lowest first. Bounds that lie within the zero bucket are moved to
    /// its edge.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.negative_reversed()
            .map(|b| self.outside_zero(b))
            .chain(self.zero_bucket())
            .chain(self.positive().map(|b| self.outside_zero(b)))
    }

    /// As [`Self::buckets`], highest first.
    pub fn buckets_reversed(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.positive_reversed()
            .map(|b| self.outside_zero(b))
            .chain(self.zero_bucket())
            .chain(self.negative().map(|b| self.outside_zero(b)))
    }

    /// The buckets that the HTTP API lists: all that are not empty, lowest first.
    pub fn populated(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.buckets().filter(|b| b.count != 0.0)
    }

    fn bucket(&self, index: i32, count: f64, positive: bool) -> Bucket {
        Bucket::new(index, count, positive, self.schema, &self.custom_values)
    }

    fn outside_zero(&self, mut bucket: Bucket) -> Bucket {
        if bucket.upper < 0.0 && bucket.upper > -self.zero_threshold {
            bucket.upper = -self.zero_threshold;
        } else if bucket.lower > 0.0 && bucket.lower < self.zero_threshold {
            bucket.lower = self.zero_threshold;
        }
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::super::Span;
    use super::*;

    #[test]
    fn exponential_buckets_in_order() {
        let h = FloatHistogram {
            zero_threshold: 0.3,
            zero_count: 2.0,
            positive_spans: vec![Span { offset: -1, length: 2 }],
            positive_buckets: vec![1.0, 0.0],
            negative_spans: vec![Span { offset: 1, length: 1 }],
            negative_buckets: vec![4.0],
            ..Default::default()
        };
        let text = |b: Vec<Bucket>| b.iter().map(|b| b.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(text(h.buckets().collect()), "[-2,-1):4 [-0.3,0.3]:2 (0.3,0.5]:1 (0.5,1]:0");
        assert_eq!(text(h.buckets_reversed().collect()), "(0.5,1]:0 (0.3,0.5]:1 [-0.3,0.3]:2 [-2,-1):4");
        assert_eq!(text(h.populated().collect()), "[-2,-1):4 [-0.3,0.3]:2 (0.3,0.5]:1");
        let rules: Vec<u8> = h.populated().map(|b| b.boundary_rule()).collect();
        assert_eq!(rules, [1, 3, 0]);
    }

    #[test]
    fn custom_buckets() {
        let h = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive_buckets: vec![1.0, 2.0, 3.0],
            custom_values: vec![1.0, 5.0],
            ..Default::default()
        };
        let text: Vec<_> = h.buckets().map(|b| b.to_string()).collect();
        assert_eq!(text, ["[-Inf,1]:1", "(1,5]:2", "(5,+Inf]:3"]);
    }
}
