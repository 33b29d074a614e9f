//! The store's numbers under Prometheus's names (`prometheus_tsdb_*`).

use std::sync::Arc;

use storage::Storage;
use storage::stats::{Distribution, LogStats, Stats, Timing};
use telemetry::{Collect, Gather};

/// Collects a store's numbers.
pub struct StoreMetrics(pub Arc<Storage>);

impl Collect for StoreMetrics {
    fn collect(&self, out: &mut Gather) {
        let stats = self.0.stats();
        head(out, &stats);
        refused(out, &stats);
        log(out, &WAL, &stats.wal);
        if let Some(wbl) = &stats.wbl {
            log(out, &WBL, wbl);
        }
        checkpoints(out, &stats);
        blocks(out, &stats);
        exemplars(out, &stats);
    }
}

type Numbers<'a> = &'a [(&'static str, &'static str, f64)];

fn counters(out: &mut Gather, numbers: Numbers<'_>) {
    for (name, help, value) in numbers {
        out.counter(name, help, &[], *value);
    }
}

fn gauges(out: &mut Gather, numbers: Numbers<'_>) {
    for (name, help, value) in numbers {
        out.gauge(name, help, &[], *value);
    }
}

fn timing(out: &mut Gather, name: &'static str, help: &'static str, t: &Timing) {
    out.timing(name, help, t.count, t.seconds);
}

fn distribution(out: &mut Gather, name: &'static str, help: &'static str, d: &Distribution) {
    out.buckets(name, help, d.bounds, &d.counts, d.sum);
}

fn by_type(out: &mut Gather, name: &'static str, help: &'static str, floats: u64, histograms: u64) {
    out.counter(name, help, &[("type", "float")], floats as f64);
    out.counter(name, help, &[("type", "histogram")], histograms as f64);
}

/// Milliseconds of an empty head are Go's extremes; in seconds they are just that divided.
fn seconds(t_ms: i64) -> f64 {
    (t_ms / 1000) as f64
}

fn head(out: &mut Gather, s: &Stats) {
    gauges(
        out,
        &[
            (
                "prometheus_tsdb_head_series",
                "Total number of series in the head block.",
                s.head_series as f64,
            ),
            (
                "prometheus_tsdb_head_stale_series",
                "Total number of stale series in the head block.",
                s.head_stale_series as f64,
            ),
            (
                "prometheus_tsdb_head_native_histogram_series",
                "Series in the head block whose newest sample is a native histogram.",
                s.head_histogram_series as f64,
            ),
            (
                "prometheus_tsdb_head_native_histogram_buckets",
                "Buckets of the newest native histograms in the head block.",
                s.head_histogram_buckets as f64,
            ),
            (
                "prometheus_tsdb_head_chunks",
                "Total number of chunks in the head block.",
                s.head_chunks as f64,
            ),
            (
                "prometheus_tsdb_head_chunks_storage_size_bytes",
                "Size of the chunks_head directory.",
                s.chunks_bytes as f64,
            ),
            ("prometheus_tsdb_head_min_time", "Minimum time bound of the head block.", s.head_min_t as f64),
            ("prometheus_tsdb_head_max_time", "Maximum timestamp of the head block.", s.head_max_t as f64),
            (
                "prometheus_tsdb_head_min_time_seconds",
                "Minimum time bound of the head block.",
                seconds(s.head_min_t),
            ),
            (
                "prometheus_tsdb_head_max_time_seconds",
                "Maximum timestamp of the head block.",
                seconds(s.head_max_t),
            ),
            (
                "prometheus_tsdb_head_active_appenders",
                "Number of currently active appender transactions.",
                s.active_appenders as f64,
            ),
            (
                "prometheus_tsdb_isolation_low_watermark",
                "The lowest commit that is still referenced.",
                s.low_watermark as f64,
            ),
            (
                "prometheus_tsdb_isolation_high_watermark",
                "The highest commit that has been given out.",
                s.high_watermark as f64,
            ),
            (
                "prometheus_tsdb_data_replay_duration_seconds",
                "Time taken to replay the data on disk.",
                s.replay_seconds,
            ),
            ("prometheus_tsdb_clean_start", CLEAN_START, f64::from(s.clean_start)),
        ],
    );
    counters(
        out,
        &[
            (
                "prometheus_tsdb_head_series_created_total",
                "Total number of series created in the head.",
                s.series_created as f64,
            ),
            (
                "prometheus_tsdb_head_series_removed_total",
                "Total number of series removed in the head.",
                s.series_removed as f64,
            ),
            (
                "prometheus_tsdb_head_series_not_found_total",
                "Total number of requests for series that were not found.",
                s.series_not_found as f64,
            ),
            (
                "prometheus_tsdb_head_chunks_created_total",
                "Total number of chunks created in the head.",
                s.chunks_created as f64,
            ),
            (
                "prometheus_tsdb_head_chunks_removed_total",
                "Total number of chunks removed in the head.",
                s.chunks_removed as f64,
            ),
            (
                "prometheus_tsdb_head_appenders_created_total",
                "Total number of appender transactions created.",
                s.appenders_created as f64,
            ),
            (
                "prometheus_tsdb_head_truncations_total",
                "Total number of head truncations attempted.",
                s.truncations as f64,
            ),
            (
                "prometheus_tsdb_head_truncations_failed_total",
                "Total number of head truncations that failed.",
                s.truncations_failed as f64,
            ),
            (
                "prometheus_tsdb_mmap_chunks_total",
                "Total number of chunks that were memory-mapped.",
                s.chunks_mapped as f64,
            ),
            (
                "prometheus_tsdb_mmap_chunk_corruptions_total",
                "Total number of memory-mapped chunk corruptions.",
                s.chunk_corruptions as f64,
            ),
        ],
    );
    timing(
        out,
        "prometheus_tsdb_head_gc_duration_seconds",
        "Runtime of garbage collection in the head block.",
        &s.gc,
    );
    by_type(
        out,
        "prometheus_tsdb_head_samples_appended_total",
        "Total number of appended samples.",
        s.floats_appended,
        s.histograms_appended,
    );
    by_type(
        out,
        "prometheus_tsdb_head_out_of_order_samples_appended_total",
        "Total number of appended out of order samples.",
        s.late_floats_appended,
        s.late_histograms_appended,
    );
}

const CLEAN_START: &str = "-1: lockfile is disabled. 0: a lockfile from a previous execution was replaced. 1: lockfile creation was clean";

fn refused(out: &mut Gather, s: &Stats) {
    by_type(
        out,
        "prometheus_tsdb_out_of_order_samples_total",
        "Total number of out of order samples ingestion failed attempts due to out of order being disabled.",
        s.out_of_order_floats,
        s.out_of_order_histograms,
    );
    by_type(
        out,
        "prometheus_tsdb_too_old_samples_total",
        "Total number of out of order samples ingestion failed attempts with out of support enabled, but sample \
         outside of time window.",
        s.too_old_floats,
        s.too_old_histograms,
    );
    by_type(
        out,
        "prometheus_tsdb_out_of_bound_samples_total",
        "Total number of out of bound samples ingestion failed attempts with out of order support disabled.",
        s.out_of_bounds_floats,
        s.out_of_bounds_histograms,
    );
    distribution(
        out,
        "prometheus_tsdb_sample_ooo_delta",
        "Delta in seconds by which a sample is considered out of order (reported regardless of OOO time window and \
         whether sample is accepted or not).",
        &s.late_by,
    );
}

/// The names of one log's families.
struct LogNames {
    segment: &'static str,
    fsync: &'static str,
    page_flushes: &'static str,
    completed_pages: &'static str,
    truncations: &'static str,
    truncations_failed: &'static str,
    writes_failed: &'static str,
    bytes: &'static str,
    parts: &'static str,
    part_bytes: &'static str,
    saved: &'static str,
    unknown: &'static str,
}

const WAL: LogNames = LogNames {
    segment: "prometheus_tsdb_wal_segment_current",
    fsync: "prometheus_tsdb_wal_fsync_duration_seconds",
    page_flushes: "prometheus_tsdb_wal_page_flushes_total",
    completed_pages: "prometheus_tsdb_wal_completed_pages_total",
    truncations: "prometheus_tsdb_wal_truncations_total",
    truncations_failed: "prometheus_tsdb_wal_truncations_failed_total",
    writes_failed: "prometheus_tsdb_wal_writes_failed_total",
    bytes: "prometheus_tsdb_wal_storage_size_bytes",
    parts: "prometheus_tsdb_wal_record_part_writes_total",
    part_bytes: "prometheus_tsdb_wal_record_parts_bytes_written_total",
    saved: "prometheus_tsdb_wal_record_bytes_saved_total",
    unknown: "prometheus_tsdb_wal_replay_unknown_refs_total",
};

const WBL: LogNames = LogNames {
    segment: "prometheus_tsdb_out_of_order_wbl_segment_current",
    fsync: "prometheus_tsdb_out_of_order_wbl_fsync_duration_seconds",
    page_flushes: "prometheus_tsdb_out_of_order_wbl_page_flushes_total",
    completed_pages: "prometheus_tsdb_out_of_order_wbl_completed_pages_total",
    truncations: "prometheus_tsdb_out_of_order_wbl_truncations_total",
    truncations_failed: "prometheus_tsdb_out_of_order_wbl_truncations_failed_total",
    writes_failed: "prometheus_tsdb_out_of_order_wbl_writes_failed_total",
    bytes: "prometheus_tsdb_out_of_order_wbl_storage_size_bytes",
    parts: "prometheus_tsdb_out_of_order_wbl_record_part_writes_total",
    part_bytes: "prometheus_tsdb_out_of_order_wbl_record_parts_bytes_written_total",
    saved: "prometheus_tsdb_out_of_order_wbl_record_bytes_saved_total",
    unknown: "prometheus_tsdb_wbl_replay_unknown_refs_total",
};

fn log(out: &mut Gather, names: &LogNames, s: &LogStats) {
    gauges(
        out,
        &[
            (
                names.segment,
                "Write log segment index that the store is currently writing to.",
                s.segment as f64,
            ),
            (names.bytes, "Size of the write log directory.", s.bytes as f64),
        ],
    );
    timing(out, names.fsync, "Duration of write log fsync.", &s.fsync);
    counters(
        out,
        &[
            (names.page_flushes, "Total number of page flushes.", s.page_flushes as f64),
            (names.completed_pages, "Total number of completed pages.", s.completed_pages as f64),
            (names.truncations, "Total number of write log truncations attempted.", s.truncations as f64),
            (
                names.truncations_failed,
                "Total number of write log truncations that failed.",
                s.truncations_failed as f64,
            ),
            (names.writes_failed, "Total number of write log writes that failed.", s.writes_failed as f64),
            (names.parts, "Total number of record parts written before flushing.", s.record_parts as f64),
            (
                names.part_bytes,
                "Total number of record part bytes written before flushing, including CRC and compression headers.",
                s.record_part_bytes as f64,
            ),
        ],
    );
    out.counter(
        names.saved,
        "Total number of bytes saved by the optional record compression.",
        &[("compression", "snappy")],
        s.bytes_saved as f64,
    );
    for (kind, count) in &s.unknown_refs {
        out.counter(
            names.unknown,
            "Total number of unknown series references encountered during replay.",
            &[("type", kind)],
            *count as f64,
        );
    }
}

fn checkpoints(out: &mut Gather, s: &Stats) {
    counters(
        out,
        &[
            (
                "prometheus_tsdb_wal_corruptions_total",
                "Total number of WAL corruptions.",
                s.wal.corruptions as f64,
            ),
            (
                "prometheus_tsdb_checkpoint_creations_total",
                "Total number of checkpoint creations attempted.",
                s.checkpoints as f64,
            ),
            (
                "prometheus_tsdb_checkpoint_creations_failed_total",
                "Total number of checkpoint creations that failed.",
                s.checkpoints_failed as f64,
            ),
            (
                "prometheus_tsdb_checkpoint_deletions_total",
                "Total number of checkpoint deletions attempted.",
                s.checkpoint_deletions as f64,
            ),
            (
                "prometheus_tsdb_checkpoint_deletions_failed_total",
                "Total number of checkpoint deletions that failed.",
                s.checkpoint_deletions_failed as f64,
            ),
        ],
    );
    timing(
        out,
        "prometheus_tsdb_wal_truncate_duration_seconds",
        "Duration of WAL truncation.",
        &s.wal.truncate,
    );
}

fn blocks(out: &mut Gather, s: &Stats) {
    gauges(
        out,
        &[
            ("prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks", s.blocks as f64),
            (
                "prometheus_tsdb_storage_blocks_bytes",
                "The number of bytes that are currently used for local storage by all blocks.",
                s.block_bytes as f64,
            ),
            (
                "prometheus_tsdb_symbol_table_size_bytes",
                "Size of symbol table in memory for loaded blocks",
                s.symbol_bytes as f64,
            ),
            (
                "prometheus_tsdb_lowest_timestamp",
                "Lowest timestamp value stored in the database.",
                s.lowest_t as f64,
            ),
            (
                "prometheus_tsdb_lowest_timestamp_seconds",
                "Lowest timestamp value stored in the database.",
                seconds(s.lowest_t),
            ),
            (
                "prometheus_tsdb_retention_limit_bytes",
                "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled",
                s.retention_bytes as f64,
            ),
            (
                "prometheus_tsdb_retention_limit_seconds",
                "How long to retain samples in storage.",
                s.retention_time as f64 / 1000.0,
            ),
            (
                "prometheus_tsdb_retention_limit_percentage",
                "Max percentage of total storage space to be retained in the tsdb blocks, configured 0 means disabled",
                s.retention_percentage,
            ),
            (
                "prometheus_tsdb_compaction_populating_block",
                "Set to 1 when a block is currently being written to the disk.",
                f64::from(u8::from(s.populating_block)),
            ),
        ],
    );
    counters(
        out,
        &[
            (
                "prometheus_tsdb_time_retentions_total",
                "The number of times that blocks were deleted because the maximum time limit was exceeded.",
                s.time_retentions as f64,
            ),
            (
                "prometheus_tsdb_size_retentions_total",
                "The number of times that blocks were deleted because the maximum number of bytes was exceeded.",
                s.size_retentions as f64,
            ),
            (
                "prometheus_tsdb_compactions_total",
                "Total number of compactions that were executed for the partition.",
                s.compactions as f64,
            ),
            (
                "prometheus_tsdb_compactions_failed_total",
                "Total number of compactions that failed for the partition.",
                s.compactions_failed as f64,
            ),
            (
                "prometheus_tsdb_compactions_triggered_total",
                "Total number of triggered compactions for the partition.",
                s.compactions_triggered as f64,
            ),
            (
                "prometheus_tsdb_compactions_skipped_total",
                "Total number of skipped compactions due to disabled auto compaction.",
                s.compactions_skipped as f64,
            ),
            (
                "prometheus_tsdb_vertical_compactions_total",
                "Total number of compactions done on overlapping blocks.",
                s.vertical_compactions as f64,
            ),
            (
                "prometheus_tsdb_reloads_total",
                "Number of times the database reloaded block data from disk.",
                s.reloads as f64,
            ),
            (
                "prometheus_tsdb_reloads_failures_total",
                "Number of times the database failed to reload block data from disk.",
                s.reloads_failed as f64,
            ),
        ],
    );
    distribution(
        out,
        "prometheus_tsdb_compaction_duration_seconds",
        "Duration of compaction runs",
        &s.compaction_seconds,
    );
    distribution(
        out,
        "prometheus_tsdb_compaction_chunk_size_bytes",
        "Final size of chunks on their first compaction",
        &s.chunk_bytes,
    );
    distribution(
        out,
        "prometheus_tsdb_compaction_chunk_samples",
        "Final number of samples on their first compaction",
        &s.chunk_samples,
    );
    distribution(
        out,
        "prometheus_tsdb_compaction_chunk_range_seconds",
        "Final time range of chunks on their first compaction",
        &s.chunk_seconds,
    );
    distribution(
        out,
        "prometheus_tsdb_tombstone_cleanup_seconds",
        "The time taken to recompact blocks to remove tombstones.",
        &s.tombstone_cleanup,
    );
}

fn exemplars(out: &mut Gather, s: &Stats) {
    counters(
        out,
        &[
            (
                "prometheus_tsdb_exemplar_exemplars_appended_total",
                "Total number of appended exemplars.",
                s.exemplars_appended as f64,
            ),
            (
                "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
                "Total number of out of order exemplar ingestion failed attempts.",
                s.exemplars_out_of_order as f64,
            ),
        ],
    );
    gauges(
        out,
        &[
            (
                "prometheus_tsdb_exemplar_exemplars_in_storage",
                "Number of exemplars currently in circular storage.",
                s.exemplars as f64,
            ),
            (
                "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
                "Number of series with exemplars currently in circular storage.",
                s.exemplar_series as f64,
            ),
            (
                "prometheus_tsdb_exemplar_max_exemplars",
                "Total number of exemplars the exemplar storage can store, resizeable.",
                s.max_exemplars as f64,
            ),
            (
                "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
                "The timestamp of the oldest exemplar stored in circular storage.",
                s.oldest_exemplar_t as f64 / 1000.0,
            ),
        ],
    );
}
