//! What a store tells its owner while it works: an owner logs it and knows nothing of the store's inside.

use std::fmt;
use std::time::Duration;

use crate::Corruption;

/// How serious an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Normal work.
    Info,
    /// Something was repaired or set aside; the rest goes on.
    Warn,
    /// Work failed and will be tried again, or needs an operator.
    Error,
}

/// Something that happened in a store.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Replay of the write-ahead log came so far.
    Replaying {
        /// Number of the first segment.
        first: u64,
        /// Number of the segment that is being replayed.
        segment: u64,
        /// Number of the last segment.
        last: u64,
    },
    /// The head is as it was when the store closed or crashed.
    Replayed {
        /// Series in the head.
        series: usize,
        /// Time spent on all of it.
        took: Duration,
    },
    /// Damaged bytes were cut off or set aside; what could be read was kept.
    Repaired {
        /// The file.
        file: String,
        /// Where the damage begins, in bytes.
        offset: u64,
        /// What was found there.
        reason: String,
        /// What was done about it.
        action: String,
    },
    /// A block cannot be read and is left alone.
    BlockUnreadable {
        /// The block's directory.
        block: String,
        /// Why.
        reason: String,
    },
    /// Records of the log named series that it never introduced.
    UnknownReferences {
        /// `wal` or `wbl`.
        log: &'static str,
        /// How many records' samples were skipped.
        count: u64,
    },
    /// Segments of the write-ahead log are not there. What follows them is kept.
    SegmentsMissing {
        /// Path of the first that is missing.
        missing: String,
        /// Path of the first that is there.
        found: String,
        /// What they should follow: the checkpoint's path; `None` without one.
        checkpoint: Option<String>,
    },
    /// A leftover of an interrupted run was removed.
    LeftoverRemoved {
        /// The file or directory.
        path: String,
    },
    /// The head's oldest samples became a block.
    BlockWritten {
        /// The new block.
        block: String,
        /// First millisecond, inclusive.
        min_t: i64,
        /// Last millisecond, exclusive.
        max_t: i64,
        /// Samples in it.
        samples: u64,
        /// Time spent.
        took: Duration,
    },
    /// Blocks became one.
    BlocksMerged {
        /// The new block; `None` when nothing was left to keep.
        block: Option<String>,
        /// The blocks it replaces.
        parents: Vec<String>,
        /// Time spent.
        took: Duration,
    },
    /// A block was removed.
    BlockRemoved {
        /// The block.
        block: String,
        /// Why: `beyond time retention`, `beyond size retention`, `replaced`.
        reason: &'static str,
    },
    /// Memory and log were freed of what blocks hold.
    HeadTruncated {
        /// The head now begins here, in milliseconds.
        min_t: i64,
        /// Series that were dropped.
        series_removed: usize,
        /// Time spent.
        took: Duration,
    },
    /// The log's old segments were replaced by a checkpoint.
    Checkpointed {
        /// First segment covered.
        first: u64,
        /// Last segment covered.
        last: u64,
        /// Time spent.
        took: Duration,
    },
    /// Background work failed and will be tried again.
    Failed {
        /// What was tried, as a gerund phrase.
        work: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// A background thread panicked; the store refuses writes until it is opened again.
    Poisoned {
        /// What the panic said.
        reason: String,
    },
}

impl Event {
    /// Something was damaged, and this was done about it.
    pub fn repaired(damage: Corruption, action: impl Into<String>) -> Self {
        let Corruption { file, offset, reason } = damage;
        Self::Repaired { file, offset, reason, action: action.into() }
    }

    /// A record of a log has the right checksum and makes no sense.
    pub fn passed_over(damage: Corruption) -> Self {
        Self::repaired(damage, "the record was passed over")
    }

    /// How serious it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Repaired { .. }
            | Self::BlockUnreadable { .. }
            | Self::UnknownReferences { .. }
            | Self::SegmentsMissing { .. }
            | Self::LeftoverRemoved { .. } => Severity::Warn,
            Self::Failed { .. } | Self::Poisoned { .. } => Severity::Error,
            _ => Severity::Info,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaying { segment, last, .. } => {
                write!(f, "write-ahead log segment {segment} of {last} replayed")
            }
            Self::Replayed { series, took } => write!(f, "replay completed: {series} series in {took:.2?}"),
            Self::Repaired { file, offset, reason, action } => {
                write!(f, "{file}: corrupt at offset {offset}: {reason}; {action}")
            }
            Self::BlockUnreadable { block, reason } => {
                write!(f, "block {block} cannot be read and is left out: {reason}")
            }
            Self::UnknownReferences { log, count } => {
                write!(f, "{count} records of the {log} name unknown series and were skipped")
            }
            Self::SegmentsMissing { missing, found, checkpoint } => {
                write!(f, "write-ahead log segments from {missing} to before {found} are missing")?;
                match checkpoint {
                    Some(checkpoint) => write!(f, ", though {checkpoint} ends before them")?,
                    None => write!(f, ", and there is no checkpoint that stands for them")?,
                }
                write!(f, "; what follows is kept, the samples in between are lost")
            }
            Self::LeftoverRemoved { path } => write!(f, "removed {path}, left over from an interrupted run"),
            Self::BlockWritten { block, min_t, max_t, samples, took } => {
                write!(f, "wrote block {block}: {samples} samples of [{min_t}, {max_t}) in {took:.2?}")
            }
            Self::BlocksMerged { block: Some(block), parents, took } => {
                write!(f, "merged blocks {} into {block} in {took:.2?}", parents.join(", "))
            }
            Self::BlocksMerged { block: None, parents, took } => {
                write!(f, "merged blocks {}: nothing left to keep, in {took:.2?}", parents.join(", "))
            }
            Self::BlockRemoved { block, reason } => write!(f, "removed block {block}: {reason}"),
            Self::HeadTruncated { min_t, series_removed, took } => {
                write!(f, "head truncated to {min_t}: {series_removed} series removed in {took:.2?}")
            }
            Self::Checkpointed { first, last, took } => {
                write!(f, "write-ahead log segments {first} to {last} checkpointed in {took:.2?}")
            }
            Self::Failed { work, reason } => write!(f, "{work} failed: {reason}"),
            Self::Poisoned { reason } => {
                write!(f, "the store stopped accepting writes after an internal error: {reason}")
            }
        }
    }
}

/// Hears a store's events. Called from the store's threads; must not call back into the store.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event) {}
}
