//! The figures of the metrics store.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use storage_base::block::Block;
use storage_base::fs::bytes_below;
use storage_base::wal::writer::WriterStats;

use super::MetricsStore;
use crate::format::{WAL_DIR, WBL_DIR};
use crate::head::{Counters, Head, Kinds};
use crate::replay::Replayed;
use crate::stats::{LogStats, Stats, Timing};

impl MetricsStore {
    /// All numbers of this store; the rest are of the directory.
    pub fn stats(&self) -> Stats {
        let counters = &self.head.counters;
        let times = &self.head.times;
        // Until the interim head is succeeded, what it counted is not among the lasting one's.
        let interim = self.interim();
        let heads = || std::iter::once(&self.head).chain(&interim).map(|head| &head.counters);
        let both = |kinds: fn(&Counters) -> &Kinds| {
            let each = heads().map(|counters| kinds(counters).both());
            each.fold((0, 0), |sum, (floats, histograms)| (sum.0 + floats, sum.1 + histograms))
        };
        let gauge = |value: i64| value.max(0) as u64;
        let (floats_appended, histograms_appended) = both(|counters| &counters.appended);
        let (late_floats_appended, late_histograms_appended) = both(|counters| &counters.late_appended);
        let (out_of_order_floats, out_of_order_histograms) = both(|counters| &counters.out_of_order);
        let (out_of_bounds_floats, out_of_bounds_histograms) = both(|counters| &counters.out_of_bounds);
        let (too_old_floats, too_old_histograms) = both(|counters| &counters.too_old);
        let newest = |head: &Arc<Head>| head.times.max_t.load(SeqCst);
        let head_max_t = newest(&self.head).max(interim.as_ref().map_or(i64::MIN, newest));
        let exemplars = self.head.exemplars.lock().stats();
        let blocks = self.block_set();
        let timed = self.counts.timed.lock().clone();
        let limits = *self.limits.read();
        let (replayed, replay_time) = self.restore.outcome();
        let (wal, wbl) = self.log_stats(timed.wal_fsync, timed.wal_truncate, &replayed);
        let head_min_t = times.min_t.load(SeqCst);
        let first_block = blocks.blocks().first().map_or(i64::MAX, |block| block.min_t());
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
        Stats {
            head_series: count(&counters.series),
            head_stale_series: gauge(counters.stale_series.load(Relaxed)),
            head_histogram_series: gauge(counters.histogram_series.load(Relaxed)),
            head_histogram_buckets: gauge(counters.histogram_buckets.load(Relaxed)),
            head_chunks: gauge(counters.chunks.load(Relaxed)),
            head_min_t,
            head_max_t,
            series_created: count(&counters.series_created),
            series_removed: count(&counters.series_removed),
            series_not_found: heads().map(|counters| count(&counters.series_not_found)).sum(),
            chunks_created: count(&counters.chunks_created),
            chunks_removed: count(&counters.chunks_removed),
            chunks_bytes: self.head.chunks.bytes(),
            chunks_mapped: self.head.chunks.written(),
            chunk_corruptions: count(&counters.chunk_corruptions),
            floats_appended,
            histograms_appended,
            late_floats_appended,
            late_histograms_appended,
            out_of_order_floats,
            out_of_order_histograms,
            out_of_bounds_floats,
            out_of_bounds_histograms,
            too_old_floats,
            too_old_histograms,
            late_by: self.head.late_by.lock().clone(),
            active_appenders: heads().map(|counters| gauge(counters.active_appenders.load(Relaxed))).sum(),
            appenders_created: heads().map(|counters| count(&counters.appenders_created)).sum(),
            gc: timed.gc,
            truncations: count(&self.counts.truncations),
            truncations_failed: count(&self.counts.truncations_failed),
            low_watermark: self.head.isolation.low_watermark(),
            high_watermark: self.head.isolation.visible(),
            replay_seconds: replay_time.as_secs_f64(),
            wal,
            wbl,
            checkpoints: count(&self.counts.checkpoints),
            checkpoints_failed: count(&self.counts.checkpoints_failed),
            checkpoint_deletions: count(&self.counts.checkpoint_deletions),
            checkpoint_deletions_failed: count(&self.counts.checkpoint_deletions_failed),
            blocks: blocks.blocks().len() as u64,
            block_bytes: blocks.blocks().iter().map(|block| block.len()).sum(),
            symbol_bytes: blocks.blocks().iter().map(|block| block.index().symbol_memory()).sum(),
            lowest_t: head_min_t.min(first_block),
            retention_time: limits.retention_time,
            compactions: count(&self.counts.compactions),
            compaction_seconds: timed.compaction_seconds,
            populating_block: count(&self.counts.populating) > 0,
            vertical_compactions: count(&self.counts.vertical),
            chunk_bytes: timed.chunk_bytes,
            chunk_samples: timed.chunk_samples,
            chunk_seconds: timed.chunk_seconds,
            reloads: count(&self.counts.reloads),
            reloads_failed: count(&self.counts.reloads_failed),
            tombstone_cleanup: timed.tombstone_cleanup,
            exemplars_appended: exemplars.appended,
            exemplars_out_of_order: exemplars.out_of_order,
            exemplars: exemplars.kept,
            exemplar_series: exemplars.series,
            max_exemplars: exemplars.capacity,
            oldest_exemplar_t: exemplars.oldest_t,
            ..Stats::default()
        }
    }

    fn log_stats(
        &self,
        fsync: Timing,
        truncate: Timing,
        replayed: &Replayed,
    ) -> (LogStats, Option<LogStats>) {
        let (wal, wbl) = self.with_logs(|logs| {
            let wal = logs.wal().map(|wal| (wal.position().segment, wal.stats()));
            (wal, logs.wbl().map(|wbl| (wbl.position().segment, wbl.stats())))
        });
        let numbers = |log: Option<(u64, WriterStats)>, dir, corruptions, unknown: &[(&'static str, u64)]| {
            let (segment, stats) = log.unzip();
            let stats = stats.unwrap_or_default();
            LogStats {
                segment: segment.map_or(-1, |segment| segment as i64),
                page_flushes: stats.page_flushes,
                completed_pages: stats.completed_pages,
                writes_failed: stats.writes_failed,
                record_parts: stats.record_parts,
                record_part_bytes: stats.record_part_bytes,
                bytes_saved: stats.bytes_saved,
                fsync: Timing { count: stats.syncs, seconds: stats.sync_time.as_secs_f64() },
                bytes: bytes_below(&*self.disk, Path::new(dir)),
                corruptions,
                unknown_refs: unknown.to_vec(),
                ..LogStats::default()
            }
        };
        let wal_stats = wal.map(|(_, stats)| stats).unwrap_or_default();
        let fsync = Timing {
            count: fsync.count + wal_stats.syncs,
            seconds: fsync.seconds + wal_stats.sync_time.as_secs_f64(),
        };
        let wal = LogStats {
            fsync,
            truncate,
            truncations: truncate.count,
            truncations_failed: self.counts.wal_truncations_failed.load(Relaxed),
            ..numbers(wal, WAL_DIR, replayed.wal_corruptions, &replayed.wal_unknown)
        };
        let wbl = wbl.map(|log| numbers(Some(log), WBL_DIR, replayed.wbl_corruptions, &replayed.wbl_unknown));
        (wal, wbl)
    }
}
