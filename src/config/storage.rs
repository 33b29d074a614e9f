//! The `storage` section.

/// Default size of the exemplar ring.
pub const DEFAULT_MAX_EXEMPLARS: i64 = 100_000;

/// The `storage` section, retention flags included.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// The `tsdb` section.
    pub tsdb: Tsdb,
    /// `exemplars.max_exemplars` when the section is written; 0 or less switches the ring off.
    pub max_exemplars: Option<i64>,
}

/// The `storage.tsdb` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Tsdb {
    /// How far behind the newest sample of a series a sample may be; 0 for not at all.
    pub out_of_order_time_window_ms: i64,
    /// Share of stale series in the head that starts their compaction; 0 for never.
    pub stale_series_compaction_threshold: f64,
    /// Encoding of new float chunks; `None` leaves it to the feature flag.
    pub float_chunk_encoding: Option<FloatChunkEncoding>,
    /// What to keep.
    pub retention: Retention,
}

/// Encoding of float chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatChunkEncoding {
    /// `xor`
    Xor,
    /// `xor2`
    Xor2,
}

/// How much to keep; each bound alone may trigger deletion. 0 is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Retention {
    /// Age of samples.
    pub time_ms: i64,
    /// Bytes of blocks, WAL and head chunks.
    pub size_bytes: i64,
    /// Share of the file system in percent; wins over `size_bytes`.
    pub percentage: f64,
}
