//! The metrics store: the head, which holds recent samples in memory, and what reads and moves them.
//!
//! A series lives in a slot of the [`table`]; its samples are in an open chunk, in full chunks written to
//! [`head_chunks`], and, when they came too late for either, in [`late`] chunks. [`append`] brings samples in, through
//! the write-ahead log, and [`isolation`] numbers its commits. [`select`] reads head and blocks as one;
//! [`flush`] makes blocks of the head's past; [`replay`] brings a head back from disk.

pub mod exemplars;
pub mod head_chunks;
pub mod isolation;
pub mod late;
pub mod series;
pub mod table;
