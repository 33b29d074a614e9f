//! Equality of data: bit for bit, whatever the spans look like.

use super::{FloatHistogram, Histogram, HistogramOf, Span};

impl FloatHistogram {
    /// Whether both hold the same data: the same buckets, empty ones included, and the same bits in sum and counts (two
    /// staleness marks are equal). Reset hints and spans of length 0 do not matter.
    pub fn equals(&self, other: &Self) -> bool {
        let same = |a: &f64, b: &f64| a.to_bits() == b.to_bits();
        same_data(self, other, same, same)
    }
}

impl Histogram {
    /// As [`FloatHistogram::equals`].
    pub fn equals(&self, other: &Self) -> bool {
        same_data(self, other, u64::eq, i64::eq)
    }
}

fn same_data<C, B>(
    a: &HistogramOf<C, B>,
    b: &HistogramOf<C, B>,
    same_count: impl Fn(&C, &C) -> bool,
    same_bucket: impl Fn(&B, &B) -> bool,
) -> bool {
    let same_buckets =
        |a: &[B], b: &[B]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_bucket(a, b));
    a.schema == b.schema
        && same_count(&a.count, &b.count)
        && a.sum.to_bits() == b.sum.to_bits()
        && (!a.has_custom_buckets() || a.custom_values == b.custom_values)
        && a.zero_threshold == b.zero_threshold
        && same_count(&a.zero_count, &b.zero_count)
        && same_layout(&a.positive_spans, &b.positive_spans)
        && same_layout(&a.negative_spans, &b.negative_spans)
        && same_buckets(&a.positive_buckets, &b.positive_buckets)
        && same_buckets(&a.negative_buckets, &b.negative_buckets)
}

fn same_layout(a: &[Span], b: &[Span]) -> bool {
    a == b || without_empty(a).eq(without_empty(b))
}

/// The spans, empty ones folded into the gap before the next.
fn without_empty(spans: &[Span]) -> impl Iterator<Item = Span> + '_ {
    let mut gap = 0i32;
    spans.iter().filter_map(move |span| {
        gap = gap.wrapping_add(span.offset);
        (span.length > 0).then(|| Span { offset: std::mem::take(&mut gap), length: span.length })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_decides() {
        let span = |offset, length| Span { offset, length };
        let base = FloatHistogram {
            count: f64::NAN,
            sum: crate::sample::STALE_NAN,
            positive_spans: vec![span(1, 1), span(2, 1)],
            positive_buckets: vec![1.0, 2.0],
            ..Default::default()
        };
        assert!(base.equals(&base));
        let with = |f: &dyn Fn(&mut FloatHistogram)| {
            let mut h = base.clone();
            f(&mut h);
            h
        };
        assert!(
            base.equals(&with(&|h| h.positive_spans = vec![span(0, 0), span(1, 1), span(1, 0), span(1, 1)]))
        );
        assert!(base.equals(&with(&|h| h.positive_spans.push(span(7, 0)))));
        assert!(base.equals(&with(&|h| h.reset_hint = super::super::ResetHint::Gauge)));
        assert!(!base.equals(&with(&|h| h.sum = f64::NAN)));
        assert!(!base.equals(&with(&|h| h.schema = 1)));
        assert!(!base.equals(&with(&|h| h.zero_count = -0.0)));
        assert!(!base.equals(&with(&|h| h.positive_spans[1].offset = 3)));
        assert!(!base.equals(&with(&|h| h.positive_buckets[1] = 3.0)));
    }
}
