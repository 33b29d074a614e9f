//! The store's numbers, as plain data; the owner gives them Prometheus's names.

/// Observations counted into buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Upper bounds, ascending, inclusive; +Inf is implied.
    pub bounds: &'static [f64],
    /// Observations for each bound and, last, above all of them; not cumulative.
    pub counts: Vec<u64>,
    /// Sum of all observations.
    pub sum: f64,
    /// Number of all observations.
    pub count: u64,
}

impl Distribution {
    /// A distribution without observations.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0, count: 0 }
    }

    /// Counts one observation.
    pub fn observe(&mut self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at] += 1;
        self.sum += value;
        self.count += 1;
    }
}

/// Total time and number of something that is done again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// How often.
    pub count: u64,
    /// Seconds in all.
    pub seconds: f64,
}

/// One write-ahead log's numbers (`prometheus_tsdb_wal_*`, `prometheus_tsdb_out_of_order_wbl_*`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogStats {
    /// Number of the segment being written; -1 without one.
    pub segment: i64,
    /// `fsync_duration_seconds`.
    pub fsync: Timing,
    /// `page_flushes_total`.
    pub page_flushes: u64,
    /// `completed_pages_total`.
    pub completed_pages: u64,
    /// `truncations_total`.
    pub truncations: u64,
    /// `truncations_failed_total`.
    pub truncations_failed: u64,
    /// `truncate_duration_seconds`.
    pub truncate: Timing,
    /// `writes_failed_total`.
    pub writes_failed: u64,
    /// `storage_size_bytes`.
    pub bytes: u64,
    /// `record_part_writes_total`.
    pub record_parts: u64,
    /// `record_parts_bytes_written_total`.
    pub record_part_bytes: u64,
    /// `record_bytes_saved_total`: what compression saved.
    pub bytes_saved: u64,
    /// `corruptions_total`: repairs.
    pub corruptions: u64,
    /// `replay_unknown_refs_total`, for each record kind with any: `series`, `samples`, `tombstones`, …
    pub unknown_refs: Vec<(&'static str, u64)>,
}

/// All numbers of a store. Times are milliseconds unless they say otherwise. Counters count since open.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// Series in the head.
    pub head_series: u64,
    /// Series whose newest sample is a staleness mark.
    pub head_stale_series: u64,
    /// Series whose newest sample is a native histogram.
    pub head_histogram_series: u64,
    /// Buckets of those newest histograms.
    pub head_histogram_buckets: u64,
    /// Chunks in the head, open and mapped.
    pub head_chunks: u64,
    /// Oldest time in the head; `i64::MAX` while it is empty.
    pub head_min_t: i64,
    /// Newest time in the head; `i64::MIN` while it is empty.
    pub head_max_t: i64,
    /// Series created.
    pub series_created: u64,
    /// Series dropped.
    pub series_removed: u64,
    /// Requests for references that the head did not know.
    pub series_not_found: u64,
    /// Chunks created.
    pub chunks_created: u64,
    /// Chunks dropped.
    pub chunks_removed: u64,
    /// Bytes of the chunks_head directory.
    pub chunks_bytes: u64,
    /// Chunks written to chunks_head.
    pub chunks_mapped: u64,
    /// Damage found in chunks_head.
    pub chunk_corruptions: u64,
    /// Float samples appended in order.
    pub floats_appended: u64,
    /// Histogram samples appended in order.
    pub histograms_appended: u64,
    /// Float samples appended out of order.
    pub late_floats_appended: u64,
    /// Histogram samples appended out of order.
    pub late_histograms_appended: u64,
    /// Refused as out of order, floats.
    pub out_of_order_floats: u64,
    /// Refused as out of order, histograms.
    pub out_of_order_histograms: u64,
    /// Refused as out of bounds, floats.
    pub out_of_bounds_floats: u64,
    /// Refused as out of bounds, histograms.
    pub out_of_bounds_histograms: u64,
    /// Refused as too old, floats.
    pub too_old_floats: u64,
    /// Refused as too old, histograms.
    pub too_old_histograms: u64,
    /// By how many seconds out-of-order samples are late, accepted or not.
    pub late_by: Distribution,
    /// Appenders open now.
    pub active_appenders: u64,
    /// Appenders made.
    pub appenders_created: u64,
    /// Head garbage collections.
    pub gc: Timing,
    /// Head truncations.
    pub truncations: u64,
    /// Head truncations that failed.
    pub truncations_failed: u64,
    /// Oldest commit that a live snapshot still tells apart.
    pub low_watermark: u64,
    /// Newest commit.
    pub high_watermark: u64,
    /// Seconds that replay took at open.
    pub replay_seconds: f64,
    /// The write-ahead log.
    pub wal: LogStats,
    /// The out-of-order log; `None` while there is none.
    pub wbl: Option<LogStats>,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Checkpoints that failed.
    pub checkpoints_failed: u64,
    /// Checkpoints removed.
    pub checkpoint_deletions: u64,
    /// Checkpoints that could not be removed.
    pub checkpoint_deletions_failed: u64,
    /// Blocks in use.
    pub blocks: u64,
    /// Bytes of all blocks.
    pub block_bytes: u64,
    /// Bytes of memory for the symbols of blocks.
    pub symbol_bytes: u64,
    /// Oldest time in blocks or head; `i64::MAX` while there is nothing.
    pub lowest_t: i64,
    /// Size limit in force, in bytes; 0 for none.
    pub retention_bytes: u64,
    /// Time limit in force; 0 for none.
    pub retention_time: i64,
    /// Percentage in force; 0 for none.
    pub retention_percentage: f64,
    /// Blocks removed for their age.
    pub time_retentions: u64,
    /// Blocks removed for size.
    pub size_retentions: u64,
    /// Blocks written by flush or merge.
    pub compactions: u64,
    /// Rounds of background work that failed.
    pub compactions_failed: u64,
    /// Rounds of background work.
    pub compactions_triggered: u64,
    /// Rounds that were skipped because background work is off.
    pub compactions_skipped: u64,
    /// Seconds that a block took.
    pub compaction_seconds: Distribution,
    /// Whether a block is being written.
    pub populating_block: bool,
    /// Merges of overlapping blocks.
    pub vertical_compactions: u64,
    /// Bytes of chunks as they first enter a block.
    pub chunk_bytes: Distribution,
    /// Samples of chunks as they first enter a block.
    pub chunk_samples: Distribution,
    /// Seconds spanned by chunks as they first enter a block.
    pub chunk_seconds: Distribution,
    /// Times the list of blocks was read from disk.
    pub reloads: u64,
    /// Times that failed.
    pub reloads_failed: u64,
    /// Runs of `clean_tombstones`.
    pub tombstone_cleanup: Distribution,
    /// Exemplars appended.
    pub exemplars_appended: u64,
    /// Exemplars refused as out of order.
    pub exemplars_out_of_order: u64,
    /// Exemplars kept now.
    pub exemplars: u64,
    /// Series that have any of them.
    pub exemplar_series: u64,
    /// How many may be kept.
    pub max_exemplars: u64,
    /// Time of the oldest exemplar kept; 0 without one.
    pub oldest_exemplar_t: i64,
    /// -1 without lock file, 0 when a lock file was left by an unclean stop, 1 after a clean one.
    pub clean_start: i8,
}

/// `prometheus_tsdb_sample_ooo_delta`.
pub const LATE_BOUNDS: &[f64] = &[600.0, 1800.0, 3600.0, 7200.0, 10800.0, 21600.0, 43200.0];
/// `prometheus_tsdb_compaction_duration_seconds`.
pub const COMPACTION_BOUNDS: &[f64] =
    &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];
/// `prometheus_tsdb_compaction_chunk_size_bytes`.
pub const CHUNK_BYTES_BOUNDS: &[f64] = &[
    32.0,
    48.0,
    72.0,
    108.0,
    162.0,
    243.0,
    364.5,
    546.75,
    820.125,
    1_230.187_5,
    1_845.281_25,
    2_767.921_875,
];
/// `prometheus_tsdb_compaction_chunk_samples`.
pub const CHUNK_SAMPLES_BOUNDS: &[f64] = &[
    4.0,
    6.0,
    9.0,
    13.5,
    20.25,
    30.375,
    45.5625,
    68.343_75,
    102.515_625,
    153.773_437_5,
    230.660_156_25,
    345.990_234_375,
];
/// `prometheus_tsdb_compaction_chunk_range_seconds`.
pub const CHUNK_SECONDS_BOUNDS: &[f64] =
    &[100.0, 400.0, 1600.0, 6400.0, 25600.0, 102_400.0, 409_600.0, 1_638_400.0, 6_553_600.0, 26_214_400.0];

impl Default for Stats {
    fn default() -> Self {
        Self {
            head_series: 0,
            head_stale_series: 0,
            head_histogram_series: 0,
            head_histogram_buckets: 0,
            head_chunks: 0,
            head_min_t: i64::MAX,
            head_max_t: i64::MIN,
            series_created: 0,
            series_removed: 0,
            series_not_found: 0,
            chunks_created: 0,
            chunks_removed: 0,
            chunks_bytes: 0,
            chunks_mapped: 0,
            chunk_corruptions: 0,
            floats_appended: 0,
            histograms_appended: 0,
            late_floats_appended: 0,
            late_histograms_appended: 0,
            out_of_order_floats: 0,
            out_of_order_histograms: 0,
            out_of_bounds_floats: 0,
            out_of_bounds_histograms: 0,
            too_old_floats: 0,
            too_old_histograms: 0,
            late_by: Distribution::new(LATE_BOUNDS),
            active_appenders: 0,
            appenders_created: 0,
            gc: Timing::default(),
            truncations: 0,
            truncations_failed: 0,
            low_watermark: 0,
            high_watermark: 0,
            replay_seconds: 0.0,
            wal: LogStats::default(),
            wbl: None,
            checkpoints: 0,
            checkpoints_failed: 0,
            checkpoint_deletions: 0,
            checkpoint_deletions_failed: 0,
            blocks: 0,
            block_bytes: 0,
            symbol_bytes: 0,
            lowest_t: i64::MAX,
            retention_bytes: 0,
            retention_time: 0,
            retention_percentage: 0.0,
            time_retentions: 0,
            size_retentions: 0,
            compactions: 0,
            compactions_failed: 0,
            compactions_triggered: 0,
            compactions_skipped: 0,
            compaction_seconds: Distribution::new(COMPACTION_BOUNDS),
            populating_block: false,
            vertical_compactions: 0,
            chunk_bytes: Distribution::new(CHUNK_BYTES_BOUNDS),
            chunk_samples: Distribution::new(CHUNK_SAMPLES_BOUNDS),
            chunk_seconds: Distribution::new(CHUNK_SECONDS_BOUNDS),
            reloads: 0,
            reloads_failed: 0,
            tombstone_cleanup: Distribution::new(&[]),
            exemplars_appended: 0,
            exemplars_out_of_order: 0,
            exemplars: 0,
            exemplar_series: 0,
            max_exemplars: 0,
            oldest_exemplar_t: 0,
            clean_start: -1,
        }
    }
}
