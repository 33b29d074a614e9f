//! Blocks: immutable directories, each holding one stretch of time of one store.
//!
//! A block's name is its id, a ULID. [`publish`] makes a new one appear whole or not at all; [`set`] is the list of
//! those being served; [`plan`] decides what to merge. None of these knows what a block holds: a store says of each of
//! its blocks what they need to know.

use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

pub mod plan;
pub mod publish;
pub mod set;

pub use set::{Block, BlockSet};
pub use ulid::Ulid;

/// The id that a directory's name stands for, if it is a block's.
pub fn block_id(dir_name: &str) -> Option<Ulid> {
    Ulid::from_str(dir_name).ok()
}

/// A new id: `now_ms` is the time since the epoch in milliseconds, `random` 80 random bits.
pub fn new_id(now_ms: i64, random: u128) -> Ulid {
    Ulid::from_parts(now_ms.max(0) as u64, random)
}

/// A new id with bits that no other process has.
pub fn random_id(now_ms: i64) -> Ulid {
    let random = RandomState::new();
    new_id(now_ms, u128::from(random.hash_one(0)) << 64 | u128::from(random.hash_one(1)))
}
