//! Blocks: immutable directories, each holding one stretch of time of one store.
//!
//! A block's name is its id, a ULID; [`meta`] says which time it covers, what it was made of and what it holds.
//! [`publish`] makes a new one appear whole or not at all; [`set`] is the list of those being served; [`plan`] decides,
//! from metas alone, what to merge and what to drop. None of these knows what a block holds. What metrics put into
//! theirs besides an index: [`chunks`] and [`tombstones`].

pub mod chunks;
pub mod meta;
pub mod plan;
pub mod publish;
pub mod set;
pub mod tombstones;

pub use meta::BlockMeta;
pub use ulid::Ulid;
