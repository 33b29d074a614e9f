//! The full chunks of a series, in files: where and what each is.
//!
//! Every series of a head has some, so an entry is packed into 24 bytes ([`Packed`]) and a list takes what it needs.

use crate::codec::chunk::Encoding;

/// A chunk in a chunks_head file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedChunk {
    /// File number and offset.
    pub at: u64,
    /// First sample's time.
    pub min_t: i64,
    /// Last sample's time.
    pub max_t: i64,
    /// How its bytes are to be read.
    pub encoding: Encoding,
    /// Samples in it.
    pub samples: u16,
}

/// A chunk spans fewer milliseconds than this, which are 34 years.
pub const SPAN_END: i64 = 1 << 40;

/// Chunks that do not overlap, ascending in time.
#[derive(Debug, Default)]
pub struct ClosedChunks(Box<[Packed]>);

/// A [`ClosedChunk`], with its last time as the distance from the first in 40 bits.
#[derive(Clone, Copy, Debug)]
struct Packed {
    at: u64,
    min_t: i64,
    span_low: u32,
    span_high: u8,
    encoding: Encoding,
    samples: u16,
}

impl Packed {
    /// `None` when it spans too much.
    fn new(chunk: ClosedChunk) -> Option<Self> {
        let ClosedChunk { at, min_t, max_t, encoding, samples } = chunk;
        let span = max_t.checked_sub(min_t).filter(|span| (0..SPAN_END).contains(span))?;
        Some(Self { at, min_t, span_low: span as u32, span_high: (span >> 32) as u8, encoding, samples })
    }

    fn max_t(&self) -> i64 {
        self.min_t.wrapping_add(i64::from(self.span_high) << 32 | i64::from(self.span_low))
    }

    fn unpack(&self) -> ClosedChunk {
        let Self { at, min_t, encoding, samples, .. } = *self;
        ClosedChunk { at, min_t, max_t: self.max_t(), encoding, samples }
    }
}

impl ClosedChunks {
    /// The chunks, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = ClosedChunk> {
        self.0.iter().map(Packed::unpack)
    }

    /// The oldest.
    pub fn first(&self) -> Option<ClosedChunk> {
        self.0.first().map(Packed::unpack)
    }

    /// The newest.
    #[inline]
    pub fn last(&self) -> Option<ClosedChunk> {
        self.0.last().map(Packed::unpack)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a chunk in its place among the others. False when it overlaps one or spans too much.
    pub fn insert(&mut self, chunk: ClosedChunk) -> bool {
        let at = self.0.partition_point(|other| other.max_t() < chunk.min_t);
        let free = self.0.get(at).is_none_or(|next| next.min_t > chunk.max_t);
        let Some(packed) = Packed::new(chunk).filter(|_| free) else { return false };
        let mut list = std::mem::take(&mut self.0).into_vec();
        list.reserve_exact(1);
        list.insert(at, packed);
        self.0 = list.into_boxed_slice();
        true
    }

    /// Drops chunks that end before `min_t`.
    pub fn truncate(&mut self, min_t: i64) {
        let keep_from = self.0.partition_point(|chunk| chunk.max_t() < min_t);
        if let Some(kept) = self.0.get(keep_from..).filter(|_| keep_from > 0) {
            self.0 = kept.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Packed>(), 24);
    }

    proptest! {
        #[test]
        fn a_list_is_sorted_and_without_overlaps(
            chunks in prop::collection::vec((-50i64..50, prop_oneof![3 => 0i64..20, 1 => 0..SPAN_END + 2]), 0..20),
            min_t in -60i64..60,
        ) {
            let mut list = ClosedChunks::default();
            let mut want: Vec<ClosedChunk> = Vec::new();
            for (n, (min_t, span)) in chunks.into_iter().enumerate() {
                let chunk = ClosedChunk {
                    at: u64::MAX - n as u64,
                    min_t,
                    max_t: min_t + span,
                    encoding: Encoding::Histogram,
                    samples: n as u16,
                };
                let free = want.iter().all(|other| other.max_t < chunk.min_t || other.min_t > chunk.max_t);
                prop_assert_eq!(list.insert(chunk), free && span < SPAN_END);
                if free && span < SPAN_END {
                    want.push(chunk);
                    want.sort_by_key(|chunk| chunk.min_t);
                }
                prop_assert!(list.iter().eq(want.iter().copied()));
            }
            list.truncate(min_t);
            want.retain(|chunk| chunk.max_t >= min_t);
            prop_assert!(list.iter().eq(want.iter().copied()));
            prop_assert_eq!((list.first(), list.last()), (want.first().copied(), want.last().copied()));
            prop_assert_eq!((list.len(), list.is_empty()), (want.len(), want.is_empty()));
        }
    }
}
