//! The metrics store.

pub mod block;
pub mod block_writer;
pub mod exemplars;
pub mod merge;
mod recode;
