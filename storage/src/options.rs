//! What a store is told when it opens, and what may change while it runs.

use std::time::Duration;

/// Settings of a store. [`Options::default`] is what Prometheus does without flags.
#[derive(Clone, Debug)]
pub struct Options {
    /// What may change later through [`crate::Storage::set_limits`].
    pub limits: Limits,
    /// Smallest block's span in milliseconds; also the range of a head chunk. Prometheus: 2 h.
    pub min_block: i64,
    /// Largest block's span in milliseconds. Prometheus: a tenth of the retention, at most 31 days.
    pub max_block: i64,
    /// Compression of write-ahead log records.
    pub wal_compression: Compression,
    /// Size of a write-ahead log segment in bytes; a multiple of 32 KiB.
    pub wal_segment_bytes: u64,
    /// When the write-ahead log is synced.
    pub sync: SyncPolicy,
    /// Samples that a head chunk aims at.
    pub samples_per_chunk: u16,
    /// Samples in an open out-of-order chunk before it is written out.
    pub late_chunk_samples: u8,
    /// Largest chunk segment file of a block in bytes.
    pub block_segment_bytes: u64,
    /// Whether metadata goes into the write-ahead log (`--enable-feature=metadata-wal-records`).
    pub log_metadata: bool,
    /// Whether the logs carry start timestamps (`--enable-feature=st-storage`). Needs [`FloatEncoding::Xor2`], or
    /// opening is refused.
    pub start_t: bool,
    /// Whether histogram chunks carry start timestamps (`--enable-feature=histograms-st-encoding`).
    pub histogram_start_t: bool,
    /// Whether a 0 is stored where a cumulative series began, if that is after its newest sample
    /// (`--enable-feature=created-timestamp-zero-ingestion`).
    pub zero_at_start: bool,
    /// Whether exemplars are kept (`--enable-feature=exemplar-storage`); their number is in [`Limits`].
    pub exemplars: bool,
    /// Whether to do without the lock file.
    pub no_lock_file: bool,
    /// Whether blocks are merged and the head is written out in the background.
    pub background: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            min_block: 2 * 3_600_000,
            max_block: 36 * 3_600_000,
            wal_compression: Compression::Snappy,
            wal_segment_bytes: 128 << 20,
            sync: SyncPolicy::SegmentEnd,
            samples_per_chunk: 120,
            late_chunk_samples: 32,
            block_segment_bytes: 512 << 20,
            log_metadata: false,
            start_t: false,
            histogram_start_t: false,
            zero_at_start: false,
            exemplars: false,
            no_lock_file: false,
            background: true,
        }
    }
}

/// Settings that a configuration reload may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Blocks wholly older than this, counted from the newest block's end, are removed. Milliseconds; 0 for never.
    pub retention_time: i64,
    /// The oldest blocks are removed while all files together are larger. Bytes; 0 for no limit.
    pub retention_bytes: u64,
    /// As `retention_bytes`, in percent of the file system's size; wins over it. 0 for no limit.
    pub retention_percentage: f64,
    /// How much older than the head's newest sample a sample may be. Milliseconds; 0 refuses out-of-order samples.
    pub out_of_order_window: i64,
    /// How many exemplars are kept; 0 for none.
    pub max_exemplars: usize,
    /// How new float chunks are encoded.
    pub floats: FloatEncoding,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            retention_time: 15 * 86_400_000,
            retention_bytes: 0,
            retention_percentage: 0.0,
            out_of_order_window: 0,
            max_exemplars: 100_000,
            floats: FloatEncoding::Xor,
        }
    }
}

/// Why a store that is to keep start timestamps refuses XOR chunks; Prometheus's text.
pub const XOR_WITHOUT_START_T: &str = "float chunk encoding \"xor\" is incompatible with start-timestamp storage; XOR \
     chunks do not store start timestamps, use \"xor2\"";

/// How float chunks are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FloatEncoding {
    /// Without start timestamps, as Prometheus does by default.
    #[default]
    Xor,
    /// With start timestamps.
    Xor2,
}

/// How write-ahead log records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy blocks, as Prometheus does by default.
    #[default]
    Snappy,
    /// Zstandard.
    Zstd,
}

/// When the write-ahead log is made durable. Commits always reach the operating system before they are acknowledged,
/// so a crash of the process loses nothing under either policy; this bounds what a power cut may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// When a segment is full and at close, as Prometheus does.
    #[default]
    SegmentEnd,
    /// At the latest so long after a commit.
    Every(Duration),
}
