//! `--storage.tsdb.*`.

use super::value::Values;
use super::{Notice, Severity};
use crate::sections::storage::Retention;

/// How records of the write-ahead log are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalCompression {
    /// Not at all.
    None,
    /// Snappy.
    Snappy,
    /// Zstandard.
    Zstd,
}

/// `--storage.tsdb.*`
#[derive(Clone, Debug)]
pub struct StorageFlags {
    /// Data directory.
    pub path: String,
    /// Default 2h.
    pub min_block_duration_ms: i64,
    /// `None`: a tenth of the retention, at most 31d; see [`Flags::max_block_duration_ms`].
    pub max_block_duration_ms: Option<i64>,
    /// 0 for the default.
    pub max_block_chunk_segment_size: i64,
    /// 0 for the default.
    pub wal_segment_size: i64,
    /// What to keep when the configuration file does not say.
    pub retention: Retention,
    /// No lock file.
    pub no_lockfile: bool,
    /// Merge overlapping blocks.
    pub allow_overlapping_compaction: bool,
    /// Of the write-ahead log.
    pub wal_compression: WalCompression,
    /// 0 writes head chunks at once.
    pub head_chunks_write_queue_size: i64,
    /// Default 120.
    pub samples_per_chunk: i64,
    /// Percent of the block range.
    pub delayed_compaction_max_percent: i64,
    /// "" for none.
    pub delay_compact_file: String,
    /// At least 1s.
    pub block_reload_interval_ms: i64,
}

const DEFAULT_RETENTION_MS: i64 = 15 * 86_400_000;

pub(super) fn storage_flags(v: &Values<'_>, notices: &mut Vec<Notice>) -> StorageFlags {
    let mut retention = Retention {
        time_ms: v.ms("storage.tsdb.retention.time"),
        size_bytes: v.bytes("storage.tsdb.retention.size"),
        percentage: 0.0,
    };
    if retention.time_ms == 0 && retention.size_bytes == 0 {
        retention.time_ms = DEFAULT_RETENTION_MS;
    }
    let mut block_reload_interval_ms = v.ms("storage.tsdb.block-reload-interval");
    if block_reload_interval_ms < 1_000 {
        block_reload_interval_ms = 1_000;
        notices.push(Notice {
            severity: Severity::Warning,
            text: "less than 1s is raised to 1s to avoid overload".to_owned(),
            option: "storage.tsdb.block-reload-interval".to_owned(),
        });
    }
    let wal_compression = match v.text("storage.tsdb.wal-compression-type").as_str() {
        _ if !v.bool("storage.tsdb.wal-compression") => WalCompression::None,
        "zstd" => WalCompression::Zstd,
        _ => WalCompression::Snappy,
    };
    StorageFlags {
        path: v.text("storage.tsdb.path"),
        min_block_duration_ms: v.ms("storage.tsdb.min-block-duration"),
        max_block_duration_ms: Some(v.ms("storage.tsdb.max-block-duration")).filter(|ms| *ms != 0),
        max_block_chunk_segment_size: v.bytes("storage.tsdb.max-block-chunk-segment-size"),
        wal_segment_size: v.bytes("storage.tsdb.wal-segment-size"),
        retention,
        no_lockfile: v.bool("storage.tsdb.no-lockfile"),
        allow_overlapping_compaction: v.bool("storage.tsdb.allow-overlapping-compaction"),
        wal_compression,
        head_chunks_write_queue_size: v.int("storage.tsdb.head-chunks-write-queue-size"),
        samples_per_chunk: v.int("storage.tsdb.samples-per-chunk"),
        delayed_compaction_max_percent: v.int("storage.tsdb.delayed-compaction.max-percent"),
        delay_compact_file: v.text("storage.tsdb.delay-compact-file.path"),
        block_reload_interval_ms,
    }
}
