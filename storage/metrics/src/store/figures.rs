//! The figures of the metrics store. Names and help are Prometheus's (`tsdb/db.go`, `tsdb/head.go`, `tsdb/wlog`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use storage_base::block::Block;
use storage_base::fs::bytes_below;
use storage_base::wal::writer::WriterStats;
use telemetry::{Collect, Counter, Gather, Histogram, IntGauge, Summary, figures};

use super::MetricsStore;
use crate::format::{WAL_DIR, WBL_DIR};
use crate::head::Head;

const COMPACTION_SECONDS: &[f64] =
    &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];
const CHUNK_BYTES: &[f64] = &[
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
const CHUNK_SAMPLES: &[f64] = &[
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
const CHUNK_SECONDS: &[f64] =
    &[100.0, 400.0, 1600.0, 6400.0, 25600.0, 102_400.0, 409_600.0, 1_638_400.0, 6_553_600.0, 26_214_400.0];

figures! {
    /// What is counted of blocks, and of what makes room for them.
    pub(crate) struct BlockFigures {
        pub(crate) compactions: Counter = "prometheus_tsdb_compactions_total",
            "Total number of compactions that were executed for the partition.";
        pub(crate) vertical_compactions: Counter = "prometheus_tsdb_vertical_compactions_total",
            "Total number of compactions done on overlapping blocks.";
        pub(crate) populating_block: IntGauge = "prometheus_tsdb_compaction_populating_block",
            "Set to 1 when a block is currently being written to the disk.";
        pub(crate) compaction_seconds: Histogram { Histogram::new(COMPACTION_SECONDS) } =
            "prometheus_tsdb_compaction_duration_seconds", "Duration of compaction runs";
        pub(crate) chunk_bytes: Histogram { Histogram::new(CHUNK_BYTES) } =
            "prometheus_tsdb_compaction_chunk_size_bytes", "Final size of chunks on their first compaction";
        pub(crate) chunk_samples: Histogram { Histogram::new(CHUNK_SAMPLES) } =
            "prometheus_tsdb_compaction_chunk_samples", "Final number of samples on their first compaction";
        pub(crate) chunk_seconds: Histogram { Histogram::new(CHUNK_SECONDS) } =
            "prometheus_tsdb_compaction_chunk_range_seconds", "Final time range of chunks on their first compaction";
        /// Always 0: the head is not written as a snapshot at shutdown, so none is read.
        pub(crate) snapshot_replay_errors: Counter = "prometheus_tsdb_snapshot_replay_error_total",
            "Total number snapshot replays that failed.";
        /// Prometheus has no bounds of its own here.
        pub(crate) tombstone_cleanup: Histogram { Histogram::new(&[]) } =
            "prometheus_tsdb_tombstone_cleanup_seconds", "The time taken to recompact blocks to remove tombstones.";
        pub(crate) reloads: Counter = "prometheus_tsdb_reloads_total",
            "Number of times the database reloaded block data from disk.";
        pub(crate) reloads_failed: Counter = "prometheus_tsdb_reloads_failures_total",
            "Number of times the database failed to reload block data from disk.";
        pub(crate) truncations: Counter = "prometheus_tsdb_head_truncations_total",
            "Total number of head truncations attempted.";
        pub(crate) truncations_failed: Counter = "prometheus_tsdb_head_truncations_failed_total",
            "Total number of head truncations that failed.";
        pub(crate) gc: Summary = "prometheus_tsdb_head_gc_duration_seconds",
            "Runtime of garbage collection in the head block.";
        pub(crate) wal_truncate: Summary = "prometheus_tsdb_wal_truncate_duration_seconds",
            "Duration of WAL truncation.";
        pub(crate) wal_truncations_failed: Counter = "prometheus_tsdb_wal_truncations_failed_total",
            "Total number of write log truncations that failed.";
        pub(crate) checkpoints: Counter = "prometheus_tsdb_checkpoint_creations_total",
            "Total number of checkpoint creations attempted.";
        pub(crate) checkpoints_failed: Counter = "prometheus_tsdb_checkpoint_creations_failed_total",
            "Total number of checkpoint creations that failed.";
        pub(crate) checkpoint_deletions: Counter = "prometheus_tsdb_checkpoint_deletions_total",
            "Total number of checkpoint deletions attempted.";
        pub(crate) checkpoint_deletions_failed: Counter = "prometheus_tsdb_checkpoint_deletions_failed_total",
            "Total number of checkpoint deletions that failed.";
    }
}

/// What a log says of itself at the time of a reading.
struct LogFigures {
    /// The segment being written; -1 without one.
    segment: f64,
    bytes: f64,
    writer: WriterStats,
    /// Number and seconds of syncs.
    fsync: (u64, f64),
    truncations: u64,
    /// Records whose series the log does not know, by kind.
    unknown: Vec<(&'static str, u64)>,
}

/// Gathers the families of a log, whose names begin with `$prefix`; the one of unknown references with `$replay`.
macro_rules! gather_log {
    ($out:expr, $prefix:literal, $replay:literal, $log:expr) => {{
        let (out, log): (&mut Gather, LogFigures) = ($out, $log);
        let writer = log.writer;
        let mut counter =
            |name: &'static str, help: &'static str, value: u64| out.counter(name, help, &[], value as f64);
        counter(concat!($prefix, "_page_flushes_total"), "Total number of page flushes.", writer.page_flushes);
        counter(
            concat!($prefix, "_completed_pages_total"),
            "Total number of completed pages.",
            writer.completed_pages,
        );
        counter(
            concat!($prefix, "_truncations_total"),
            "Total number of write log truncations attempted.",
            log.truncations,
        );
        counter(
            concat!($prefix, "_writes_failed_total"),
            "Total number of write log writes that failed.",
            writer.writes_failed,
        );
        counter(
            concat!($prefix, "_record_part_writes_total"),
            "Total number of record parts written before flushing.",
            writer.record_parts,
        );
        counter(
            concat!($prefix, "_record_parts_bytes_written_total"),
            "Total number of record part bytes written before flushing, including CRC and compression headers.",
            writer.record_part_bytes,
        );
        out.counter(
            concat!($prefix, "_record_bytes_saved_total"),
            "Total number of bytes saved by the optional record compression.",
            &[("compression", "snappy")],
            writer.bytes_saved as f64,
        );
        out.gauge(
            concat!($prefix, "_segment_current"),
            "Write log segment index that the store is currently writing to.",
            &[],
            log.segment,
        );
        out.gauge(concat!($prefix, "_storage_size_bytes"), "Size of the write log directory.", &[], log.bytes);
        out.timing(
            concat!($prefix, "_fsync_duration_seconds"),
            "Duration of write log fsync.",
            log.fsync.0,
            log.fsync.1,
        );
        for (kind, count) in log.unknown {
            out.counter(
                concat!($replay, "_replay_unknown_refs_total"),
                "Total number of unknown series references encountered during replay.",
                &[("type", kind)],
                count as f64,
            );
        }
    }};
}

/// Milliseconds as whole seconds; those of an empty head are extremes, as in Prometheus.
fn seconds(t_ms: i64) -> f64 {
    (t_ms / 1000) as f64
}

impl Collect for MetricsStore {
    fn collect(&self, out: &mut Gather) {
        self.figures.collect(out);
        self.head.figures.collect(out);
        self.head.traffic.collect(out);
        self.head.exemplars.lock().collect(out);
        self.collect_head(out);
        self.collect_blocks(out);
        self.collect_logs(out);
    }
}

impl MetricsStore {
    fn collect_head(&self, out: &mut Gather) {
        let mut gauge =
            |name: &'static str, help: &'static str, value: f64| out.gauge(name, help, &[], value);
        let head = &self.head;
        let newest = |head: &Arc<Head>| head.times.max_t.load(SeqCst);
        let min_t = head.times.min_t.load(SeqCst);
        let max_t = newest(head).max(self.interim().as_ref().map_or(i64::MIN, newest));
        gauge("prometheus_tsdb_head_min_time", "Minimum time bound of the head block.", min_t as f64);
        gauge("prometheus_tsdb_head_max_time", "Maximum timestamp of the head block.", max_t as f64);
        gauge(
            "prometheus_tsdb_head_min_time_seconds",
            "Minimum time bound of the head block.",
            seconds(min_t),
        );
        gauge(
            "prometheus_tsdb_head_max_time_seconds",
            "Maximum timestamp of the head block.",
            seconds(max_t),
        );
        gauge(
            "prometheus_tsdb_head_chunks_storage_size_bytes",
            "Size of the chunks_head directory.",
            head.chunks.bytes() as f64,
        );
        gauge(
            "prometheus_tsdb_isolation_low_watermark",
            "The lowest commit that is still referenced.",
            head.isolation.low_watermark() as f64,
        );
        gauge(
            "prometheus_tsdb_isolation_high_watermark",
            "The highest commit that has been given out.",
            head.isolation.visible() as f64,
        );
        gauge(
            "prometheus_tsdb_data_replay_duration_seconds",
            "Time taken to replay the data on disk.",
            self.restore.outcome().1.as_secs_f64(),
        );
        out.counter(
            "prometheus_tsdb_mmap_chunks_total",
            "Total number of chunks that were memory-mapped.",
            &[],
            head.chunks.written() as f64,
        );
    }

    fn collect_blocks(&self, out: &mut Gather) {
        let mut gauge =
            |name: &'static str, help: &'static str, value: f64| out.gauge(name, help, &[], value);
        let set = self.block_set();
        let blocks = set.blocks();
        let first_t = blocks.first().map_or(i64::MAX, |block| block.min_t());
        let lowest_t = first_t.min(self.head.times.min_t.load(SeqCst));
        gauge("prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks", blocks.len() as f64);
        gauge(
            "prometheus_tsdb_storage_blocks_bytes",
            "The number of bytes that are currently used for local storage by all blocks.",
            blocks.iter().map(|block| block.len()).sum::<u64>() as f64,
        );
        gauge(
            "prometheus_tsdb_symbol_table_size_bytes",
            "Size of symbol table in memory for loaded blocks",
            blocks.iter().map(|block| block.index().symbol_memory()).sum::<u64>() as f64,
        );
        gauge(
            "prometheus_tsdb_lowest_timestamp",
            "Lowest timestamp value stored in the database.",
            lowest_t as f64,
        );
        gauge(
            "prometheus_tsdb_lowest_timestamp_seconds",
            "Lowest timestamp value stored in the database.",
            seconds(lowest_t),
        );
        gauge(
            "prometheus_tsdb_retention_limit_seconds",
            "How long to retain samples in storage.",
            self.limits.read().retention_time as f64 / 1000.0,
        );
    }

    fn collect_logs(&self, out: &mut Gather) {
        let (replayed, _) = self.restore.outcome();
        let (wal, wbl) = self.with_logs(|logs| {
            let wal = logs.wal().map(|wal| (wal.position().segment as f64, wal.stats()));
            (wal, logs.wbl().map(|wbl| (wbl.position().segment as f64, wbl.stats())))
        });
        let figures = |log: Option<(f64, WriterStats)>, dir, unknown| {
            let (segment, writer) = log.unwrap_or((-1.0, WriterStats::default()));
            LogFigures {
                segment,
                bytes: bytes_below(&*self.disk, Path::new(dir)) as f64,
                writer,
                fsync: (writer.syncs, writer.sync_time.as_secs_f64()),
                truncations: 0,
                unknown,
            }
        };
        let (_, syncs, sync_seconds) = self.wal_syncs.snapshot();
        let mut wal = figures(wal, WAL_DIR, replayed.wal_unknown);
        wal.fsync = (wal.fsync.0 + syncs, wal.fsync.1 + sync_seconds);
        wal.truncations = self.figures.wal_truncate.snapshot().1;
        gather_log!(out, "prometheus_tsdb_wal", "prometheus_tsdb_wal", wal);
        out.counter(
            "prometheus_tsdb_wal_corruptions_total",
            "Total number of WAL corruptions.",
            &[],
            (replayed.wal_corruptions + replayed.wbl_corruptions) as f64,
        );
        if wbl.is_some() {
            let wbl = figures(wbl, WBL_DIR, replayed.wbl_unknown);
            gather_log!(out, "prometheus_tsdb_out_of_order_wbl", "prometheus_tsdb_wbl", wbl);
            out.counter(
                "prometheus_tsdb_out_of_order_wbl_truncations_failed_total",
                "Total number of write log truncations that failed.",
                &[],
                0.0,
            );
        }
    }

    /// Repairs of both logs since they were opened.
    pub fn wal_corruptions(&self) -> u64 {
        let (replayed, _) = self.restore.outcome();
        replayed.wal_corruptions + replayed.wbl_corruptions
    }

    /// The limit of the blocks' age in force, in milliseconds; 0 for none.
    pub fn retention_time(&self) -> i64 {
        self.limits.read().retention_time
    }
}
