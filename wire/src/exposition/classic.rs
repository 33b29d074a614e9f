//! Classic buckets gathered into a native histogram with custom buckets. Source: Prometheus `util/convertnhcb`.

use std::sync::Arc;

use model::HistogramValue;
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span};

/// The first count that no `i64` holds.
const COUNT_END: f64 = 9_223_372_036_854_775_808.0;

/// Why buckets make no histogram; texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum ClassicError {
    #[error("bucket count must be non-negative: le={le}, count={count}")]
    NegativeBucket { le: f64, count: f64 },
    #[error("bucket boundary must not be NaN")]
    NanBound,
    #[error("count must be non-negative: count={0}")]
    NegativeCount(f64),
    #[error("count is not cumulative: {0} < {1}")]
    NotCumulative(f64, f64),
    #[error("count mismatch: count={count} != le={le} count={bucket}")]
    Mismatch { count: f64, le: f64, bucket: f64 },
}

/// A classic histogram as its series come in.
#[derive(Clone, Debug, Default)]
pub(super) struct ClassicHistogram {
    /// Upper bound and cumulative count, bounds ascending.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl ClassicHistogram {
    /// Adds a bucket, in any order; of equal bounds the first counts.
    pub fn add_bucket(&mut self, le: f64, count: f64) -> Result<(), ClassicError> {
        if le.is_nan() {
            return Err(ClassicError::NanBound);
        }
        if count < 0.0 {
            return Err(ClassicError::NegativeBucket { le, count });
        }
        let at = self.buckets.partition_point(|(bound, _)| *bound < le);
        if self.buckets.get(at).is_some_and(|(bound, _)| *bound == le) {
            return Ok(());
        }
        if let Some((_, below)) = at.checked_sub(1).and_then(|below| self.buckets.get(below))
            && count < *below
        {
            return Err(ClassicError::NotCumulative(count, *below));
        }
        if let Some((_, above)) = self.buckets.get(at)
            && count > *above
        {
            return Err(ClassicError::NotCumulative(*above, count));
        }
        self.buckets.insert(at, (le, count));
        Ok(())
    }

    /// Sets the number of observations.
    pub fn set_count(&mut self, count: f64) -> Result<(), ClassicError> {
        if count < 0.0 {
            return Err(ClassicError::NegativeCount(count));
        }
        self.count = Some(count);
        Ok(())
    }

    /// Sets the sum of observations.
    pub fn set_sum(&mut self, sum: f64) {
        self.sum = sum;
    }

    /// The histogram; with integer counts if all are whole.
    pub fn convert(mut self) -> Result<HistogramValue, ClassicError> {
        let last = self.buckets.last().copied();
        let count = self.count.or(last.map(|(_, count)| count)).unwrap_or(0.0);
        if last.is_none_or(|(bound, _)| bound != f64::INFINITY) {
            if let Some((_, highest)) = last.filter(|(_, highest)| count < *highest) {
                return Err(ClassicError::NotCumulative(count, highest));
            }
            self.buckets.push((f64::INFINITY, count));
        }
        if let Some((le, bucket)) = self.buckets.last().copied()
            && bucket != count
        {
            return Err(ClassicError::Mismatch { count, le, bucket });
        }
        let spans = vec![Span { offset: 0, length: u32::try_from(self.buckets.len()).unwrap_or(u32::MAX) }];
        let bounds = self.buckets.iter().map(|(bound, _)| *bound).filter(|bound| *bound != f64::INFINITY);
        let custom_values: Vec<f64> = bounds.collect();
        let is_whole = |v: f64| v.trunc() == v && v < COUNT_END;
        if self.buckets.iter().all(|(_, count)| is_whole(*count)) {
            return Ok(HistogramValue::Integer(Arc::new(self.integer(count, spans, custom_values))));
        }
        let mut below = 0.0;
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: spans,
            positive_buckets: self
                .buckets
                .iter()
                .map(|(_, count)| count - std::mem::replace(&mut below, *count))
                .collect(),
            custom_values,
            ..FloatHistogram::default()
        };
        histogram.compact(0);
        Ok(HistogramValue::Float(Arc::new(histogram)))
    }

    fn integer(&self, count: f64, positive_spans: Vec<Span>, custom_values: Vec<f64>) -> Histogram {
        let (mut below, mut before) = (0, 0);
        let deltas = self.buckets.iter().map(|(_, cumulative)| {
            let cumulative = *cumulative as i64;
            let own = cumulative - std::mem::replace(&mut below, cumulative);
            own - std::mem::replace(&mut before, own)
        });
        let mut histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: count as u64,
            sum: self.sum,
            positive_spans,
            positive_buckets: deltas.collect(),
            custom_values,
            ..Histogram::default()
        };
        histogram.compact(2);
        histogram
    }
}

/// Whether a histogram is one that a store takes.
pub(super) fn is_valid(histogram: &HistogramValue) -> bool {
    histogram.validate().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(buckets: &[(f64, f64)], count: Option<f64>) -> Result<HistogramValue, ClassicError> {
        let mut classic = ClassicHistogram::default();
        for (le, count) in buckets {
            classic.add_bucket(*le, *count)?;
        }
        if let Some(count) = count {
            classic.set_count(count)?;
        }
        classic.set_sum(1.5);
        classic.convert()
    }

    #[test]
    fn whole_counts() {
        let buckets = [(1.0, 2.0), (4.0, 7.0), (2.0, 2.0), (1.0, 9.0)];
        let Ok(HistogramValue::Integer(h)) = converted(&buckets, Some(8.0)) else { panic!() };
        assert_eq!(h.schema, CUSTOM_BUCKETS_SCHEMA);
        assert_eq!((h.count, h.sum), (8, 1.5));
        assert_eq!(h.custom_values, [1.0, 2.0, 4.0]);
        assert_eq!(h.positive_counts(), [2, 0, 5, 1]);
        assert!(h.validate().is_ok());
        // The highest bucket counts when nothing else does.
        let Ok(HistogramValue::Integer(h)) = converted(&buckets, None) else { panic!() };
        assert_eq!(h.count, 7);
        let Ok(HistogramValue::Integer(h)) = converted(&[], Some(3.0)) else { panic!() };
        assert_eq!((h.count, h.positive_counts()), (3, vec![3]));
    }

    #[test]
    fn broken_counts() {
        let Ok(HistogramValue::Float(h)) = converted(&[(1.0, 0.5), (f64::INFINITY, 2.0)], None) else {
            panic!()
        };
        assert_eq!((h.count, &h.positive_buckets[..]), (2.0, &[0.5, 1.5][..]));
        for (buckets, count, error) in [
            (&[(1.0, 2.0), (2.0, 1.0)][..], None, ClassicError::NotCumulative(1.0, 2.0)),
            (&[(2.0, 1.0), (1.0, 2.0)], None, ClassicError::NotCumulative(1.0, 2.0)),
            (&[(1.0, 9e18)], Some(0.0), ClassicError::NotCumulative(0.0, 9e18)),
            (&[(1.0, -1.0)], None, ClassicError::NegativeBucket { le: 1.0, count: -1.0 }),
            (&[(f64::NAN, 1.0)], None, ClassicError::NanBound),
            (&[], Some(-2.0), ClassicError::NegativeCount(-2.0)),
            (
                &[(f64::INFINITY, 3.0)],
                Some(4.0),
                ClassicError::Mismatch { count: 4.0, le: f64::INFINITY, bucket: 3.0 },
            ),
        ] {
            let got = converted(buckets, count).map(|_| ()).unwrap_err();
            assert_eq!(got.to_string(), error.to_string());
        }
    }
}
