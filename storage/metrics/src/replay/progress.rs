//! How far replay of the logs is.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// How far replay is, for others to look at.
#[derive(Debug, Default)]
pub struct Progress {
    /// Set to end replay early, with [`StorageError::Stopping`].
    pub stop: AtomicBool,
    /// First segment.
    pub(crate) first: AtomicU64,
    /// Segment being stored.
    pub(crate) segment: AtomicU64,
    /// Last segment.
    pub(crate) last: AtomicU64,
    /// Bytes of records read.
    pub(crate) bytes: AtomicU64,
    /// Bytes of all records.
    pub(crate) bytes_total: AtomicU64,
}

/// How far replay was at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayProgress {
    /// Number of the first segment.
    pub first: u64,
    /// Number of the segment that is being replayed.
    pub segment: u64,
    /// Number of the last segment.
    pub last: u64,
    /// Hundredths of all bytes that are read.
    pub percent: u64,
}

impl Progress {
    /// How far it is now.
    pub fn now(&self) -> ReplayProgress {
        let (bytes, total) = (self.bytes.load(Relaxed), self.bytes_total.load(Relaxed));
        ReplayProgress {
            first: self.first.load(Relaxed),
            segment: self.segment.load(Relaxed),
            last: self.last.load(Relaxed),
            percent: (bytes * 100 / total.max(1)).min(100),
        }
    }
}

impl std::fmt::Display for ReplayProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { segment, last, percent, .. } = self;
        write!(f, "the write-ahead log is being replayed, segment {segment} of {last}, {percent}% of all")
    }
}
