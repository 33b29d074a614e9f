//! What makes a histogram contradict itself. Texts are Prometheus's, because users search for them.

use super::bounds::is_exponential;
use super::{FloatHistogram, Histogram, HistogramOf, Span};
use crate::go_float::FloatG;

/// Why a histogram is not valid, or why an operation does not apply to it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HistogramError {
    /// Buckets hold more than the count; some observations may have been NaN.
    #[error(
        "{in_buckets} observations found in buckets, but the Count field is {count}: histogram's observation count \
         should be at least the number of observations found in the buckets"
    )]
    CountNotBigEnough {
        /// Sum of all buckets.
        in_buckets: u64,
        /// The count field.
        count: u64,
    },
    /// Buckets do not add up to the count.
    #[error(
        "{in_buckets} observations found in buckets, but the Count field is {count}: histogram's observation count \
         should equal the number of observations found in the buckets (in absence of NaN)"
    )]
    CountMismatch {
        /// Sum of all buckets.
        in_buckets: u64,
        /// The count field.
        count: u64,
    },
    /// The count is below zero.
    #[error("observation count is  {}: histogram's observation count is negative", FloatG(*.0))]
    NegativeCount(f64),
    /// The zero bucket's count is below zero.
    #[error(
        "zero bucket has observation count of {}: histogram has a bucket whose observation count is negative",
        FloatG(*.0)
    )]
    NegativeZeroCount(f64),
    /// A bucket's count is below zero.
    #[error(
        "{side} side: bucket number {number} has observation count of {}: histogram has a bucket whose observation \
         count is negative",
        FloatG(*.count)
    )]
    NegativeBucketCount {
        /// `positive` or `negative`.
        side: &'static str,
        /// Counted from 1.
        number: usize,
        /// The count.
        count: f64,
    },
    /// A span that starts before the end of the one before it.
    #[error(
        "{place}span number {number} with offset {offset}: histogram has a span whose offset is negative"
    )]
    SpanNegativeOffset {
        /// `positive side: `, `negative side: `, `custom buckets: ` or nothing.
        place: &'static str,
        /// Counted from 1.
        number: usize,
        /// Its offset.
        offset: i32,
    },
    /// Spans need more or fewer buckets than there are.
    #[error(
        "{place}spans need {need} buckets, have {have} buckets: histogram spans specify different number of buckets \
         than provided"
    )]
    SpansBucketsMismatch {
        /// As in [`Self::SpanNegativeOffset`].
        place: &'static str,
        /// Sum of the spans' lengths.
        need: u64,
        /// Buckets there.
        have: usize,
    },
    /// Buckets beyond the custom bounds.
    #[error(
        "custom buckets: only {bounds} custom bounds defined which is insufficient to cover total span length of \
         {spans}: histogram custom bounds are too few"
    )]
    CustomBoundsTooFew {
        /// Bounds there.
        bounds: usize,
        /// One more than the highest bucket index.
        spans: i64,
    },
    /// Custom bounds out of order.
    #[error(
        "custom buckets: previous bound is {previous:.6} and current is {current:.6}: histogram custom bounds must \
         be in strictly increasing order"
    )]
    CustomBoundsOrder {
        /// The bound before.
        previous: f64,
        /// The one that is not above it.
        current: f64,
    },
    /// A custom bound of +Inf, which is implied.
    #[error(
        "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite"
    )]
    CustomBoundInfinite,
    /// A custom bound that is no number.
    #[error("custom buckets: histogram custom bounds must not be NaN")]
    CustomBoundNan,
    /// Custom buckets beside a zero count.
    #[error("custom buckets: must have zero count of 0")]
    CustomZeroCount,
    /// Custom buckets beside a zero threshold.
    #[error("custom buckets: must have zero threshold of 0")]
    CustomZeroThreshold,
    /// Custom buckets beside negative spans.
    #[error("custom buckets: must not have negative spans")]
    CustomNegativeSpans,
    /// Custom buckets beside negative buckets.
    #[error("custom buckets: must not have negative buckets")]
    CustomNegativeBuckets,
    /// Exponential buckets beside custom bounds.
    #[error("histogram with exponential schema must not have custom bounds")]
    ExponentialCustomBounds,
    /// A schema number without a meaning.
    #[error(
        "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom \
         buckets, got schema {0}"
    )]
    InvalidSchema(i32),
    /// The target is not a coarser exponential schema.
    #[error("cannot reduce resolution from schema {from} to {to}")]
    CannotReduce {
        /// The schema there is.
        from: i32,
        /// The schema wanted.
        to: i32,
    },
}

impl FloatHistogram {
    /// Checks that layout, counts and schema fit together. Whether buckets add up to the count is not checked, because
    /// rounding would make false alarms.
    pub fn validate(&self) -> Result<(), HistogramError> {
        check_layout(self)?;
        check_counts("negative", self.negative_buckets.iter().copied())?;
        if self.zero_count < 0.0 {
            return Err(HistogramError::NegativeZeroCount(self.zero_count));
        }
        check_unused(self, self.zero_count == 0.0)?;
        if self.count < 0.0 {
            return Err(HistogramError::NegativeCount(self.count));
        }
        check_counts("positive", self.positive_buckets.iter().copied())?;
        Ok(())
    }
}

impl Histogram {
    /// Checks that layout, counts and schema fit together. Buckets must add up to the count, or to less when the sum is
    /// NaN, because NaN observations are in no bucket.
    pub fn validate(&self) -> Result<(), HistogramError> {
        check_layout(self)?;
        let negative = check_deltas("negative", &self.negative_buckets)?;
        check_unused(self, self.zero_count == 0)?;
        let positive = check_deltas("positive", &self.positive_buckets)?;
        let in_buckets = negative.wrapping_add(positive).wrapping_add(self.zero_count);
        let count = self.count;
        if self.sum.is_nan() {
            if in_buckets > count {
                return Err(HistogramError::CountNotBigEnough { in_buckets, count });
            }
        } else if in_buckets != count {
            return Err(HistogramError::CountMismatch { in_buckets, count });
        }
        Ok(())
    }
}

/// Schema, spans and bounds.
fn check_layout<C, B>(h: &HistogramOf<C, B>) -> Result<(), HistogramError> {
    if h.has_custom_buckets() {
        check_custom_bounds(&h.custom_values)?;
        check_custom_spans(&h.custom_values, &h.positive_spans, h.positive_buckets.len())
    } else if is_exponential(h.schema) {
        check_side("positive side: ", &h.positive_spans, h.positive_buckets.len())?;
        check_side("negative side: ", &h.negative_spans, h.negative_buckets.len())
    } else {
        Err(HistogramError::InvalidSchema(h.schema))
    }
}

/// Fields that the schema has no use for.
fn check_unused<C, B>(h: &HistogramOf<C, B>, no_zero_count: bool) -> Result<(), HistogramError> {
    if !h.has_custom_buckets() {
        return if h.custom_values.is_empty() {
            Ok(())
        } else {
            Err(HistogramError::ExponentialCustomBounds)
        };
    }
    if !no_zero_count {
        Err(HistogramError::CustomZeroCount)
    } else if h.zero_threshold != 0.0 {
        Err(HistogramError::CustomZeroThreshold)
    } else if !h.negative_spans.is_empty() {
        Err(HistogramError::CustomNegativeSpans)
    } else if !h.negative_buckets.is_empty() {
        Err(HistogramError::CustomNegativeBuckets)
    } else {
        Ok(())
    }
}

/// Checks one side's spans against the number of its buckets.
pub(super) fn check_spans(spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    check_side("", spans, buckets)
}

fn check_side(place: &'static str, spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    if let Some((at, span)) = spans.iter().enumerate().skip(1).find(|(_, span)| span.offset < 0) {
        return Err(HistogramError::SpanNegativeOffset { place, number: at + 1, offset: span.offset });
    }
    check_lengths(place, spans, buckets)
}

fn check_lengths(place: &'static str, spans: &[Span], have: usize) -> Result<(), HistogramError> {
    let need = spans.iter().map(|span| u64::from(span.length)).sum();
    if need != have as u64 {
        return Err(HistogramError::SpansBucketsMismatch { place, need, have });
    }
    Ok(())
}

fn check_custom_bounds(bounds: &[f64]) -> Result<(), HistogramError> {
    let mut previous = f64::NEG_INFINITY;
    for (i, current) in bounds.iter().copied().enumerate() {
        if current.is_nan() {
            return Err(HistogramError::CustomBoundNan);
        }
        if i > 0 && current <= previous {
            return Err(HistogramError::CustomBoundsOrder { previous, current });
        }
        previous = current;
    }
    if previous == f64::INFINITY {
        return Err(HistogramError::CustomBoundInfinite);
    }
    Ok(())
}

fn check_custom_spans(bounds: &[f64], spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    const PLACE: &str = "custom buckets: ";
    if let Some((at, span)) = spans.iter().enumerate().find(|(_, span)| span.offset < 0) {
        let (number, offset) = (at + 1, span.offset);
        return Err(HistogramError::SpanNegativeOffset { place: PLACE, number, offset });
    }
    check_lengths(PLACE, spans, buckets)?;
    let total = spans.iter().map(|span| i64::from(span.length) + i64::from(span.offset)).sum();
    if (bounds.len() as i64 + 1) < total {
        return Err(HistogramError::CustomBoundsTooFew { bounds: bounds.len(), spans: total });
    }
    Ok(())
}

fn check_counts(side: &'static str, counts: impl Iterator<Item = f64>) -> Result<(), HistogramError> {
    match counts.enumerate().find(|(_, count)| *count < 0.0) {
        Some((at, count)) => Err(HistogramError::NegativeBucketCount { side, number: at + 1, count }),
        None => Ok(()),
    }
}

/// The sum of delta-coded buckets.
fn check_deltas(side: &'static str, deltas: &[i64]) -> Result<u64, HistogramError> {
    let (mut count, mut sum) = (0i64, 0u64);
    for (at, delta) in deltas.iter().enumerate() {
        count = count.wrapping_add(*delta);
        if count < 0 {
            return Err(HistogramError::NegativeBucketCount { side, number: at + 1, count: count as f64 });
        }
        sum = sum.wrapping_add(count as u64);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::super::CUSTOM_BUCKETS_SCHEMA;
    use super::*;

    fn span(offset: i32, length: u32) -> Span {
        Span { offset, length }
    }

    #[test]
    fn integer_histograms() {
        let base = || Histogram {
            count: 9,
            zero_count: 1,
            positive_spans: vec![span(-3, 1), span(2, 1)],
            positive_buckets: vec![2, 1],
            negative_spans: vec![span(0, 1)],
            negative_buckets: vec![3],
            ..Default::default()
        };
        let custom = || Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 3,
            positive_spans: vec![span(0, 2)],
            positive_buckets: vec![1, 1],
            custom_values: vec![1.0],
            ..Default::default()
        };
        assert_eq!(base().validate(), Ok(()));
        assert_eq!(custom().validate(), Ok(()));
        type Case<'a> = (fn() -> Histogram, &'a dyn Fn(&mut Histogram), &'a str);
        let cases: &[Case<'_>] = &[
            (
                base,
                &|h| h.schema = 9,
                "histogram has an invalid schema, which must be between -4 and 8 for \
             exponential buckets, or -53 for custom buckets, got schema 9",
            ),
            (
                base,
                &|h| h.count = 8,
                "9 observations found in buckets, but the Count field is 8: histogram's \
             observation count should equal the number of observations found in the buckets (in absence of NaN)",
            ),
            (
                base,
                &|h| {
                    h.count = 8;
                    h.sum = f64::NAN
                },
                "9 observations found in buckets, but the Count field is \
             8: histogram's observation count should be at least the number of observations found in the buckets",
            ),
            (
                base,
                &|h| h.positive_spans[1].offset = -1,
                "positive side: span number 2 with offset -1: histogram has \
             a span whose offset is negative",
            ),
            (
                base,
                &|h| h.negative_buckets.clear(),
                "negative side: spans need 1 buckets, have 0 buckets: histogram \
             spans specify different number of buckets than provided",
            ),
            (
                base,
                &|h| h.positive_buckets[1] = -3,
                "positive side: bucket number 2 has observation count of -1: \
             histogram has a bucket whose observation count is negative",
            ),
            (
                base,
                &|h| h.custom_values = vec![1.0],
                "histogram with exponential schema must not have custom bounds",
            ),
            (
                custom,
                &|h| h.custom_values.clear(),
                "custom buckets: only 0 custom bounds defined which is \
             insufficient to cover total span length of 2: histogram custom bounds are too few",
            ),
            (
                custom,
                &|h| h.custom_values = vec![2.0, 1.0],
                "custom buckets: previous bound is 2.000000 and current \
             is 1.000000: histogram custom bounds must be in strictly increasing order",
            ),
            (
                custom,
                &|h| h.custom_values = vec![1.0, f64::INFINITY],
                "custom buckets: last +Inf bound must not be \
             explicitly defined: histogram custom bounds must be finite",
            ),
            (
                custom,
                &|h| h.custom_values = vec![f64::NAN],
                "custom buckets: histogram custom bounds must not be NaN",
            ),
            (custom, &|h| h.zero_count = 1, "custom buckets: must have zero count of 0"),
            (custom, &|h| h.zero_threshold = 0.1, "custom buckets: must have zero threshold of 0"),
            (
                custom,
                &|h| h.negative_spans = vec![span(0, 0)],
                "custom buckets: must not have negative spans",
            ),
            (custom, &|h| h.negative_buckets = vec![0], "custom buckets: must not have negative buckets"),
            (
                custom,
                &|h| h.positive_spans[0].offset = -1,
                "custom buckets: span number 1 with offset -1: histogram \
             has a span whose offset is negative",
            ),
        ];
        for (base, change, want) in cases {
            let mut h = base();
            change(&mut h);
            assert_eq!(h.validate().unwrap_err().to_string(), *want);
        }
        let fewer = Histogram { count: 12, sum: f64::NAN, ..base() };
        assert_eq!(fewer.validate(), Ok(()), "NaN observations are in no bucket");
    }

    #[test]
    fn float_histograms() {
        let base = FloatHistogram { count: 1.0, zero_count: 5.0, ..Default::default() };
        assert_eq!(base.validate(), Ok(()));
        for (h, want) in [
            (
                FloatHistogram { count: -1.0, ..base.clone() },
                "observation count is  -1: histogram's observation count is negative",
            ),
            (
                FloatHistogram { zero_count: -1.0, ..base.clone() },
                "zero bucket has observation count of -1: histogram has a bucket whose observation count is negative",
            ),
            (
                FloatHistogram {
                    positive_spans: vec![span(0, 1)],
                    positive_buckets: vec![-0.5],
                    ..base.clone()
                },
                "positive side: bucket number 1 has observation count of -0.5: histogram has a bucket whose \
                 observation count is negative",
            ),
        ] {
            assert_eq!(h.validate().unwrap_err().to_string(), want);
        }
    }
}
