//! Compaction: empty buckets out, spans merged or split accordingly.

use super::cells::{Count, Side, cells, from_deltas, to_deltas};
use super::{Histogram, HistogramOf, Span};

/// Compacts one side. Between two populated buckets at most `max_empty` empty ones stay; more become a gap.
fn compact_side<B: Count>(spans: &mut Vec<Span>, buckets: &mut Vec<B>, max_empty: usize) {
    let wide = spans.iter().skip(1).all(|s| s.offset > 0 && s.offset as usize > max_empty);
    if wide && spans.iter().all(|s| s.length > 0) && !buckets.iter().any(|b| b.is_empty()) {
        return;
    }
    let mut side = Side::with_capacity(buckets.len());
    let mut last: Option<i32> = None;
    for (index, count) in cells(spans, buckets).filter(|(_, count)| !count.is_empty()) {
        if let Some(last) = last {
            let gap = index.wrapping_sub(last).wrapping_sub(1);
            if gap > 0 && gap as usize <= max_empty {
                for empty in 1..=gap {
                    side.push(last.wrapping_add(empty), B::default());
                }
            }
        }
        side.push(index, count);
        last = Some(index);
    }
    side.store(spans, buckets);
}

fn compact_deltas(spans: &mut Vec<Span>, deltas: &mut Vec<i64>, max_empty: usize) {
    let mut counts = from_deltas(deltas);
    compact_side(spans, &mut counts, max_empty);
    *deltas = to_deltas(&counts);
}

impl<B: Count> HistogramOf<B, B> {
    pub(super) fn compact_sides(&mut self, max_empty: usize) {
        compact_side(&mut self.positive_spans, &mut self.positive_buckets, max_empty);
        compact_side(&mut self.negative_spans, &mut self.negative_buckets, max_empty);
    }
}

impl super::FloatHistogram {
    /// Removes empty buckets at the edges of spans, joins spans that are at most `max_empty` buckets apart, and splits
    /// spans that have more than `max_empty` consecutive empty buckets. Memory grows by up to `max_empty` buckets for
    /// each span.
    pub fn compact(&mut self, max_empty: usize) {
        self.compact_sides(max_empty);
    }
}

impl Histogram {
    /// As [`super::FloatHistogram::compact`].
    pub fn compact(&mut self, max_empty: usize) {
        compact_deltas(&mut self.positive_spans, &mut self.positive_buckets, max_empty);
        compact_deltas(&mut self.negative_spans, &mut self.negative_buckets, max_empty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides() {
        let span = |(offset, length)| Span { offset, length };
        type Case<'a> = (&'a [(i32, u32)], &'a [i64], usize, &'a [(i32, u32)], &'a [i64]);
        let cases: &[Case<'_>] = &[
            (&[], &[], 0, &[], &[]),
            (&[(-5, 3)], &[0, 0, 0], 3, &[], &[]),
            (&[(2, 3)], &[0, 1, 0], 0, &[(3, 1)], &[1]),
            (&[(0, 4)], &[1, 0, 0, 2], 1, &[(0, 1), (2, 1)], &[1, 2]),
            (&[(0, 4)], &[1, 0, 0, 2], 2, &[(0, 4)], &[1, 0, 0, 2]),
            (&[(0, 1), (2, 1), (1, 2)], &[1, 2, 3, 4], 1, &[(0, 1), (2, 4)], &[1, 2, 0, 3, 4]),
            (&[(0, 1), (2, 1)], &[1, 2], 2, &[(0, 4)], &[1, 0, 0, 2]),
            (&[(0, 1), (0, 2), (3, 0), (1, 1)], &[1, 2, 3, 4], 0, &[(0, 3), (4, 1)], &[1, 2, 3, 4]),
            (&[(-9, 0), (4, 2)], &[1, 0], 0, &[(-5, 1)], &[1]),
        ];
        for (i, (spans, counts, max_empty, want_spans, want)) in cases.iter().enumerate() {
            let mut got_spans: Vec<Span> = spans.iter().copied().map(span).collect();
            let mut deltas = to_deltas(counts);
            compact_deltas(&mut got_spans, &mut deltas, *max_empty);
            assert_eq!(got_spans, want_spans.iter().copied().map(span).collect::<Vec<_>>(), "case {i}");
            assert_eq!(from_deltas(&deltas), *want, "case {i}");
            let mut spans: Vec<Span> = spans.iter().copied().map(span).collect();
            let mut floats: Vec<f64> = counts.iter().map(|c| *c as f64).collect();
            compact_side(&mut spans, &mut floats, *max_empty);
            assert_eq!(spans, got_spans, "case {i}");
        }
    }
}
