//! The write-ahead log: what was committed since the last blocks, so that a crash loses nothing.
//!
//! A log is a directory of numbered [`segment`] files. A [`writer::Writer`] appends a [`batch::Batch`] of records in
//! one write; a [`reader::Reader`] gives them back and says where damage begins; [`repair`] cuts the damage off; a
//! [`checkpoint`] takes the place of old segments. [`frame`] splits records into checksummed fragments, [`compress`]
//! shrinks them; [`parts`] lets several threads read a segment. None of these knows what a record means: each store has
//! its kinds, and decides what a checkpoint keeps of them. Source of the format: Prometheus `tsdb/wlog`.

pub mod batch;
pub mod checkpoint;
pub mod compress;
pub mod frame;
pub mod parts;
pub mod reader;
pub mod repair;
pub mod segment;
pub mod writer;

pub use batch::Batch;
pub use compress::Compression;
pub use reader::{Damage, RawRecord, Reader, StoredRecord};
pub use writer::{Writer, WriterOptions};

/// A place in a log: everything before it is covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Number of the segment.
    pub segment: u64,
    /// Offset in it, in bytes.
    pub offset: u64,
}

#[cfg(test)]
mod tests;
