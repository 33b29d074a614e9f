//! The store: write-ahead log, head, blocks and index, in Prometheus's formats.

pub mod codec;
pub mod error;
pub mod fs;

pub use error::{Corruption, StorageError};
