//! Settings of a data directory: those that stay while it is open, and those that may change.

use std::time::Duration;

use storage_base::retention::SizeLimit;
use storage_base::wal::WriterOptions;
use storage_base::worker::{ROUND, SyncPolicy};

/// Settings of a data directory and of each of its stores. [`Options::default`] is what Prometheus does without flags.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What may change later through [`crate::Storage::set_limits`].
    pub limits: Limits,
    /// How write-ahead logs are written.
    pub wal: WriterOptions,
    /// When write-ahead logs are synced.
    pub sync: SyncPolicy,
    /// How often blocks are looked for on disk, and retention and merging are considered.
    pub round_every: Duration,
    /// Whether to do without the lock file.
    pub no_lock_file: bool,
    /// Whether blocks are merged and memory is written out in the background.
    pub background: bool,
    /// Settings of the metrics store.
    pub metrics: storage_metrics::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            wal: WriterOptions::default(),
            sync: SyncPolicy::SegmentEnd,
            round_every: ROUND,
            no_lock_file: false,
            background: true,
            metrics: storage_metrics::Options::default(),
        }
    }
}

/// Settings that a configuration reload may change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// How much all files together may take; the oldest blocks go first.
    pub size: SizeLimit,
    /// Limits of the metrics store.
    pub metrics: storage_metrics::Limits,
}
