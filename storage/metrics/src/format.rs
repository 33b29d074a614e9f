//! File names, magic numbers, versions and limits of what metrics alone have on disk, and where each comes from.

// --- Blocks ---

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

// --- Head chunks ---

/// The directory of the head's full chunks. Source: Prometheus `tsdb/chunks/head_chunks.go`.
pub const HEAD_CHUNKS_DIR: &str = "chunks_head";
/// Magic number of a head chunk file.
pub const HEAD_CHUNKS_MAGIC: u32 = 0x0130_bc91;
/// The only version of head chunk files.
pub const HEAD_CHUNKS_VERSION: u8 = 1;

// --- Logs ---

/// The directory of the write-ahead log. Source: Prometheus `tsdb/db.go`.
pub const WAL_DIR: &str = "wal";
/// The directory of the log of out-of-order samples. Source: Prometheus `tsdb/wlog/wlog.go`.
pub const WBL_DIR: &str = "wbl";

// --- Histograms ---

/// The coarsest exponential schema that stored histograms may have. Source: Prometheus `model/histogram/generic.go`.
pub const HISTOGRAM_SCHEMA_MIN: i32 = -9;
/// The finest exponential schema that stored histograms may have; above 8 they are reduced when read.
pub const HISTOGRAM_SCHEMA_MAX: i32 = 52;
