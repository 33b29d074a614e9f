//! File names, magic numbers, versions and limits of everything on disk, and where each comes from.

// --- Write-ahead log ---

/// The directory of the write-ahead log. Source: Prometheus `tsdb/db.go`.
pub const WAL_DIR: &str = "wal";
/// The directory of the log of out-of-order samples. Source: Prometheus `tsdb/wlog/wlog.go`.
pub const WBL_DIR: &str = "wbl";
/// A log segment consists of pages of so many bytes; no fragment crosses one. Source: Prometheus `tsdb/wlog/wlog.go`.
pub const WAL_PAGE: usize = 32 << 10;
/// Bytes before a fragment's data: type, length, checksum.
pub const WAL_FRAGMENT_HEADER: usize = 7;
/// A log segment is ended before it exceeds this length in bytes, unless one record alone does.
pub const WAL_SEGMENT_LEN: u64 = 128 << 20;
/// The longest record that is read, in bytes after decompression. Ours: Prometheus has no limit, and its longest
/// record is what one scrape or one remote write request (at most 32 MiB) gives.
pub const WAL_RECORD_LEN_MAX: usize = 512 << 20;
/// How many digits a log segment's name is padded to.
pub const WAL_NAME_DIGITS: usize = 8;
/// A checkpoint's directory is this and the padded number of the last segment it covers. Source: Prometheus
/// `tsdb/wlog/checkpoint.go`.
pub const CHECKPOINT_PREFIX: &str = "checkpoint.";
/// Suffix of a checkpoint's directory while it is being written.
pub const CHECKPOINT_TMP: &str = ".tmp";
/// Suffix of what a repair sets aside. Ours: Prometheus deletes it, and overlooks names that are not numbers.
pub const WAL_ASIDE: &str = ".corrupt";
/// Suffix of the sound part of a damaged segment while it is being copied.
pub const WAL_REPAIR_TMP: &str = ".repair";

// --- Histograms ---

/// The coarsest exponential schema that stored histograms may have. Source: Prometheus `model/histogram/generic.go`.
pub const HISTOGRAM_SCHEMA_MIN: i32 = -9;
/// The finest exponential schema that stored histograms may have; above 8 they are reduced when read.
pub const HISTOGRAM_SCHEMA_MAX: i32 = 52;
