//! The store: write-ahead log, head, blocks and index, in Prometheus's formats.

pub mod block;
pub mod codec;
pub mod error;
pub mod format;
pub mod fs;
pub mod index;
pub mod metrics;

pub use error::{Corruption, StorageError};
