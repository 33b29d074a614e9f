//! One side of a histogram as cells: bucket index and count. Spans are decoded and encoded here and nowhere else.
//!
//! Indices wrap around instead of overflowing and a side ends where spans or counts run out, so that a histogram that
//! was never validated gives odd numbers, not a panic.

use super::Span;

/// A bucket's count that can be merged with another one.
pub trait Count: Copy + Default {
    /// Whether the bucket may be left out.
    fn is_empty(self) -> bool;
    /// Adds another count.
    fn merge(&mut self, other: Self);
}

impl Count for f64 {
    fn is_empty(self) -> bool {
        self == 0.0
    }

    fn merge(&mut self, other: Self) {
        *self += other;
    }
}

impl Count for i64 {
    fn is_empty(self) -> bool {
        self == 0
    }

    fn merge(&mut self, other: Self) {
        *self = self.wrapping_add(other);
    }
}

/// The cells of a side, nearest to zero first.
pub(super) fn cells<'a, B: Copy>(spans: &'a [Span], buckets: &'a [B]) -> Cells<'a, B> {
    Cells { spans: spans.iter(), left: 0, index: 0, buckets: buckets.iter() }
}

/// See [`cells`].
#[derive(Clone)]
pub(super) struct Cells<'a, B> {
    spans: std::slice::Iter<'a, Span>,
    /// Buckets that remain of the current span.
    left: u32,
    /// Index of the next bucket if it belongs to the current span.
    index: i32,
    buckets: std::slice::Iter<'a, B>,
}

impl<B: Copy> Iterator for Cells<'_, B> {
    type Item = (i32, B);

    fn next(&mut self) -> Option<Self::Item> {
        while self.left == 0 {
            let span = self.spans.next()?;
            self.index = self.index.wrapping_add(span.offset);
            self.left = span.length;
        }
        let count = *self.buckets.next()?;
        let index = self.index;
        self.left -= 1;
        self.index = index.wrapping_add(1);
        Some((index, count))
    }
}

/// The cells of a side, furthest from zero first.
pub(super) fn cells_reversed<'a, B: Copy>(spans: &'a [Span], buckets: &'a [B]) -> CellsReversed<'a, B> {
    let end =
        spans.iter().fold(0i32, |at, span| at.wrapping_add(span.offset).wrapping_add(span.length as i32));
    CellsReversed { spans: spans.iter(), left: 0, offset: 0, index: end, buckets: buckets.iter() }
}

/// See [`cells_reversed`].
#[derive(Clone)]
pub(super) struct CellsReversed<'a, B> {
    spans: std::slice::Iter<'a, Span>,
    left: u32,
    /// Gap before the current span.
    offset: i32,
    /// One above the next bucket's index if it belongs to the current span.
    index: i32,
    buckets: std::slice::Iter<'a, B>,
}

impl<B: Copy> Iterator for CellsReversed<'_, B> {
    type Item = (i32, B);

    fn next(&mut self) -> Option<Self::Item> {
        while self.left == 0 {
            self.index = self.index.wrapping_sub(self.offset);
            let span = self.spans.next_back()?;
            self.offset = span.offset;
            self.left = span.length;
        }
        let count = *self.buckets.next_back()?;
        self.left -= 1;
        self.index = self.index.wrapping_sub(1);
        Some((self.index, count))
    }
}

/// Builds a side from cells in ascending index order.
pub(super) struct Side<B> {
    pub(super) spans: Vec<Span>,
    pub(super) buckets: Vec<B>,
    /// One above the last index.
    next: i32,
}

impl<B: Count> Side<B> {
    /// An empty side with room for `capacity` buckets.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { spans: Vec::new(), buckets: Vec::with_capacity(capacity), next: 0 }
    }

    /// Appends a bucket.
    pub(super) fn push(&mut self, index: i32, count: B) {
        match self.spans.last_mut() {
            Some(last) if index == self.next => last.length += 1,
            // The first span's offset is absolute: `next` starts at 0.
            _ => self.spans.push(Span { offset: index.wrapping_sub(self.next), length: 1 }),
        }
        self.next = index.wrapping_add(1);
        self.buckets.push(count);
    }

    /// Appends a bucket, or adds to the last one when that has the same index.
    pub(super) fn push_or_merge(&mut self, index: i32, count: B) {
        match self.buckets.last_mut() {
            Some(last) if index.wrapping_add(1) == self.next => last.merge(count),
            _ => self.push(index, count),
        }
    }

    /// Builds a side from cells in ascending order; equal indices are merged.
    pub(super) fn collect(cells: impl Iterator<Item = (i32, B)>, capacity: usize) -> Self {
        let mut side = Self::with_capacity(capacity);
        for (index, count) in cells {
            side.push_or_merge(index, count);
        }
        side
    }

    /// Hands the side over to a histogram's fields.
    pub(super) fn store(self, spans: &mut Vec<Span>, buckets: &mut Vec<B>) {
        *spans = self.spans;
        *buckets = self.buckets;
    }
}

/// Absolute counts of delta-coded buckets.
pub(super) fn from_deltas(deltas: &[i64]) -> Vec<i64> {
    let mut last = 0i64;
    deltas
        .iter()
        .map(|delta| {
            last = last.wrapping_add(*delta);
            last
        })
        .collect()
}

/// Delta-codes absolute counts.
pub(super) fn to_deltas(counts: &[i64]) -> Vec<i64> {
    let mut last = 0i64;
    counts.iter().map(|count| count.wrapping_sub(std::mem::replace(&mut last, *count))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPANS: [Span; 4] = [
        Span { offset: -2, length: 2 },
        Span { offset: 3, length: 0 },
        Span { offset: 1, length: 1 },
        Span { offset: 0, length: 1 },
    ];

    #[test]
    fn walks_both_ways() {
        let buckets = [1.0, 2.0, 3.0, 4.0];
        let want = vec![(-2, 1.0), (-1, 2.0), (4, 3.0), (5, 4.0)];
        assert_eq!(cells(&SPANS, &buckets).collect::<Vec<_>>(), want);
        let mut back: Vec<_> = cells_reversed(&SPANS, &buckets).collect();
        back.reverse();
        assert_eq!(back, want);
        let side = Side::collect(want.into_iter(), 4);
        assert_eq!(side.spans, [Span { offset: -2, length: 2 }, Span { offset: 4, length: 2 }]);
        assert_eq!(side.buckets, buckets);
    }

    #[test]
    fn survives_contradictions() {
        assert_eq!(cells(&SPANS, &[1.0]).collect::<Vec<_>>(), [(-2, 1.0)]);
        assert_eq!(cells::<f64>(&SPANS, &[]).count(), 0);
        assert_eq!(cells(&[], &[1.0]).count(), 0);
        assert_eq!(cells_reversed(&[], &[1.0]).count(), 0);
        let wild = [Span { offset: i32::MAX, length: u32::MAX }, Span { offset: i32::MIN, length: 9 }];
        assert_eq!(cells(&wild, &[1.0, 1.0]).count(), 2);
        assert_eq!(cells_reversed(&wild, &[1.0, 1.0]).count(), 2);
    }

    #[test]
    fn deltas() {
        assert_eq!(from_deltas(&[3, -1, 0, 5]), [3, 2, 2, 7]);
        assert_eq!(to_deltas(&[3, 2, 2, 7]), [3, -1, 0, 5]);
    }
}
