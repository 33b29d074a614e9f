//! Settings of the metrics store: those that stay while it is open, and those that may change.

/// Settings of a metrics store. [`Options::default`] is what Prometheus does without flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Smallest block's span in milliseconds; also the range of a head chunk. Prometheus: 2 h.
    pub min_block: i64,
    /// Largest block's span in milliseconds. Prometheus: a tenth of the retention, at most 31 days.
    pub max_block: i64,
    /// Samples that a head chunk aims at.
    pub samples_per_chunk: u16,
    /// Samples in an open out-of-order chunk before it is written out.
    pub out_of_order_chunk_samples: u8,
    /// Largest chunk segment file of a block in bytes.
    pub block_segment_bytes: u64,
    /// Whether blocks are merged because their times overlap.
    pub merge_overlapping: bool,
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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            min_block: 2 * 3_600_000,
            max_block: 36 * 3_600_000,
            samples_per_chunk: 120,
            out_of_order_chunk_samples: 32,
            block_segment_bytes: 512 << 20,
            merge_overlapping: true,
            log_metadata: false,
            start_t: false,
            histogram_start_t: false,
            zero_at_start: false,
            exemplars: false,
        }
    }
}

/// Settings of the metrics store that may change while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Blocks wholly older than this, counted from the newest block's end, are removed. Milliseconds; 0 for never.
    pub retention_time: i64,
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
