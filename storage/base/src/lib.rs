//! What every store of a data directory is built of, whatever its signal.
//!
//! [`fs`] is the disk as a trait: the real one, and a simulated one that crashes. [`bytes`] reads and checks fields,
//! [`index`] finds series by labels, [`wal`] frames records that mean nothing to it, [`block`] lists, plans and
//! publishes immutable directories. [`store::Store`] is what the one [`worker`] of a directory drives, and
//! [`retention`] weighs the blocks of all stores against one limit. Nothing here knows a sample, a log line or a span.

#[cfg(test)]
extern crate self as storage_base;

pub mod block;
pub mod bytes;
pub mod error;
pub mod format;
pub mod fs;
pub mod index;
pub mod observer;
pub mod retention;
pub mod store;
pub mod wal;
pub mod worker;

#[cfg(test)]
#[path = "../../testing/files.rs"]
mod file_testing;
#[cfg(test)]
#[path = "../../testing/index.rs"]
mod index_testing;

pub use error::{Corruption, StorageError};
pub use observer::{Event, Observer, Severity};
pub use store::Store;
pub use ulid::Ulid;
