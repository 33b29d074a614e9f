//! File names, magic numbers, versions and limits of everything on disk, and where each comes from.

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

/// Magic number of a chunk segment. Source: Prometheus `tsdb/chunks/chunks.go`.
pub const CHUNKS_MAGIC: u32 = 0x85BD_40DD;
/// The only version of chunk segments.
pub const CHUNKS_VERSION: u8 = 1;
/// The directory of a block that holds its chunk segments.
pub const CHUNKS_DIR: &str = "chunks";
/// A chunk segment is ended before it exceeds this length in bytes, unless one chunk alone does.
pub const CHUNK_SEGMENT_LEN_MAX: u64 = 512 << 20;

/// Magic number of a tombstones file. Source: Prometheus `tsdb/tombstones/tombstones.go`.
pub const TOMBSTONES_MAGIC: u32 = 0x0130_BA30;
/// The only version of tombstones files.
pub const TOMBSTONES_VERSION: u8 = 1;
/// A tombstones file's name in its block.
pub const TOMBSTONES_FILE: &str = "tombstones";

/// Name of the file that describes a block. Source: Prometheus `tsdb/block.go`.
pub const META_FILE: &str = "meta.json";
/// The only version of `meta.json`.
pub const META_VERSION: u32 = 1;

/// Suffix of a block's directory while it is being written. Source: Prometheus `tsdb/db.go`.
pub const TMP_FOR_CREATION: &str = ".tmp-for-creation";
/// Suffix of a block's directory while it is being removed.
pub const TMP_FOR_DELETION: &str = ".tmp-for-deletion";
/// Suffix of a block's directory while it was being written, in old versions; also of a file being replaced.
pub const TMP: &str = ".tmp";
