//! File names, magic numbers, versions and limits of what all stores have on disk, and where each comes from.

// --- The directory ---

/// The lock file's name. Source: Prometheus `tsdb/tsdbutil/dir_locker.go`.
pub const LOCK_FILE: &str = "lock";

// --- Blocks ---

/// Magic number of an index file. Source: Prometheus `tsdb/index/index.go`.
pub const INDEX_MAGIC: u32 = 0xBAAA_D700;
/// The index version that is written; 1 and 3 are read too.
pub const INDEX_VERSION: u8 = 2;
/// An index file's name in its block.
pub const INDEX_FILE: &str = "index";
/// An index file's greatest length: postings hold 32-bit numbers of 16-byte slots.
pub const INDEX_LEN_MAX: u64 = 16 * u32::MAX as u64;
/// Series of an index start at multiples of this.
pub const INDEX_SERIES_ALIGN: u64 = 16;

/// Suffix of a block's directory while it is being written. Source: Prometheus `tsdb/db.go`.
pub const TMP_FOR_CREATION: &str = ".tmp-for-creation";
/// Suffix of a block's directory while it is being removed.
pub const TMP_FOR_DELETION: &str = ".tmp-for-deletion";
/// Suffix of a block's directory while it was being written, in old versions; also of a file being replaced.
pub const TMP: &str = ".tmp";

// --- Write-ahead log ---

/// A log segment consists of pages of this many bytes; no fragment crosses one. Source: Prometheus `tsdb/wlog/wlog.go`.
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
