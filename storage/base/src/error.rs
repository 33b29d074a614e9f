//! What can go wrong in the store. World failures carry a path; corruption also carries an offset.

use std::io;
use std::path::Path;

use ulid::Ulid;

use crate::fs::Disk;

/// A failure of the store. Each variant says whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system refused: the environment's fault.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried, as a gerund: `writing`, `mapping`.
        action: &'static str,
        /// The file or directory as an operator would write it.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes on disk are not what was written there: the environment's fault, or that of another program.
    #[error("{0}")]
    Corrupt(#[from] Corruption),
    /// The file of a block's deletions is damaged, so that what was deleted is not known. The block is withheld.
    #[error(
        "{0}; the block is withheld, or what was deleted from it would show again: restore the file, or remove it to \
         accept that"
    )]
    DeletionsUnreadable(Corruption),
    /// A block cannot be read, for damage or for a refusal of the operating system.
    #[error("corrupted block {block}: {reason}")]
    BlockUnreadable {
        /// The block's id.
        block: Ulid,
        /// What is wrong, with the file.
        reason: String,
    },
    /// Another process uses the data directory: the operator's choice.
    #[error(
        "data directory is locked by another process: {path}; stop it, or choose another --storage.tsdb.path"
    )]
    Locked {
        /// The lock file.
        path: String,
    },
    /// A background thread panicked, or the log could not be replayed; the store refuses writes until it is opened
    /// again. Our fault, or that of the failure that the text names.
    #[error("the store stopped after an internal error: {0}")]
    Poisoned(String),
    /// The write-ahead log is being replayed, as the text says; what was asked for must wait until that is done.
    #[error("{0}; try again when that is done")]
    Replaying(String),
    /// The store closes, and what was under way breaks off.
    #[error("the store is closing")]
    Stopping,
    /// The reader wants no answer any more.
    #[error("reading was cancelled")]
    Cancelled,
    /// The store was closed before.
    #[error("the store is closed")]
    Closed,
    /// What was to be written does not fit into the file format: nobody's fault.
    #[error("{file}: exceeds {limit}, more than its format has room for")]
    TooLarge {
        /// The file as an operator would write it.
        file: String,
        /// The format's limit.
        limit: String,
    },
    /// What the store made of its own data makes no sense: our fault.
    #[error("internal error: {0}")]
    Internal(String),
    /// The request or a setting makes no sense: the caller's fault.
    #[error("{0}")]
    Invalid(String),
}

/// Damaged bytes: which file, where, what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: corrupt at offset {offset}: {reason}")]
pub struct Corruption {
    /// The file as an operator would write it.
    pub file: String,
    /// Offset in bytes of what could not be read.
    pub offset: u64,
    /// What was found and what was expected.
    pub reason: String,
}

impl StorageError {
    /// A refusal of the operating system: `action` is a gerund, such as `writing`.
    pub fn io(action: &'static str, disk: &dyn Disk, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: disk.display(path), source }
    }

    /// The same for `map_err`: the error for a refusal of the operating system while doing `action` with `path`.
    pub fn io_while(action: &'static str, path: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Whether a file or directory is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the disk was full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

impl From<StorageError> for model::read::ReadError {
    fn from(e: StorageError) -> Self {
        match e {
            StorageError::Corrupt(Corruption { file, offset, reason }) => {
                Self::Corrupt { file, offset, reason }
            }
            StorageError::Cancelled => Self::Cancelled,
            other => Self::Failed(other.to_string()),
        }
    }
}
