//! The contracts by which query languages read stores. The languages never see `storage`; both meet here.
//!
//! One file for each kind of data: [`series`] for metrics.

mod series;
mod watch;

pub use watch::{Unwatched, Watch};

pub use series::{Columns, Cursor, Hints, Selection, Series, SeriesSet, SeriesSource};

/// A store's answer that could not be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The caller gave up, or its deadline passed.
    #[error("reading was cancelled")]
    Cancelled,
    /// Bytes on disk are not what was written there.
    #[error("{file}: corrupt at offset {offset}: {reason}")]
    Corrupt {
        /// Path of the file.
        file: String,
        /// Offset of the damaged record in bytes.
        offset: u64,
        /// What was found.
        reason: String,
    },
    /// The disk or the store failed otherwise.
    #[error("{0}")]
    Failed(String),
}
