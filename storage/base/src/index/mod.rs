//! The inverted index: from label names and values to series.
//!
//! A series has a number, a `u32` that is local to its head or block. The numbers that have one label value are its
//! [`postings`]. A head keeps them in a [`mem::MemIndex`]; a block has them in a file in Prometheus's index format,
//! written by [`writer::IndexWriter`] and read, mapped, by [`reader::IndexReader`]. Both indexes implement
//! [`select::LabelIndex`], over which [`select`] turns matchers into postings.

pub mod mem;
pub mod pair_lists;
pub mod postings;
pub mod projection;
pub mod reader;
pub mod select;
pub mod series;
pub mod series_labels;
mod symbols;
pub mod writer;

pub use symbols::Symbols;

/// One chunk of a series as an index knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkMeta {
    /// Time of its first sample, in milliseconds.
    pub min_t: i64,
    /// Time of its last sample, in milliseconds.
    pub max_t: i64,
    /// Where its bytes are: segment number, counting from 0, in the upper half, offset in the lower.
    pub at: u64,
}

impl ChunkMeta {
    /// Whether it has a part in `min_t..=max_t`.
    #[inline]
    pub fn overlaps(&self, min_t: i64, max_t: i64) -> bool {
        self.min_t <= max_t && min_t <= self.max_t
    }
}
