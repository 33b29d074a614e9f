//! The write-ahead log: what was committed since the last blocks, so that a crash loses nothing.
//!
//! A log is a directory of numbered [`segment`] files. A [`writer::Writer`] appends a [`batch::Batch`] of records in
//! one write; a [`reader::Reader`] gives them back and says where damage begins; [`repair`] cuts the damage off; a
//! [`checkpoint`] replaces old segments by what is still needed of them. [`frame`] splits records into checksummed
//! fragments, [`compress`] shrinks them; [`parts`] lets several threads read a segment. None of these knows what a
//! record means: [`record`] holds the kinds that the metrics store logs, and another store may log others. The log of
//! out-of-order samples is the same in another directory. Source of the format: Prometheus `tsdb/wlog`.

pub mod batch;
pub mod checkpoint;
pub mod compress;
pub mod frame;
pub mod parts;
pub mod reader;
pub mod record;
pub mod repair;
pub mod segment;
pub mod writer;

pub use batch::Batch;
pub use reader::{Damage, RawRecord, Reader, StoredRecord};
pub use writer::Writer;

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
