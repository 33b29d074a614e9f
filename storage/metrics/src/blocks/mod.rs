//! Blocks of metrics: reading, writing, merging, and what they consist of besides an index.

pub mod block;
pub mod block_writer;
pub mod chunk_samples;
pub mod chunk_segments;
pub mod info;
pub mod merge;
pub mod meta;
pub mod tombstones;
