//! What a store does to its blocks: merge, retain, delete, clean, copy; and what it says of itself.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Instant;

use model::Matcher;
use model::labels::METRIC_NAME;
use model::read::{Hints, Selection};
use ulid::Ulid;

use super::block::MetricsBlock;
use super::exemplars::{ExemplarQuery, SeriesExemplars};
use super::flush::Cut;
use super::head::{Counters, Head, Kinds};
use super::merge::{Merged, merge};
use super::recode::Forms;
use super::replay::Replayed;
use super::select::{HeadView, Which};
use super::store::{MetricsStore, ROOT, Work, bump};
use crate::StorageError;
use crate::block::meta::{BlockMeta, FROM_OUT_OF_ORDER};
use crate::block::plan::{
    Reason, beyond_retention_size, beyond_retention_time, block_ranges, merged_meta, next_merge,
    retention_size,
};
use crate::block::publish::link_block;
use crate::block::set::LiveBlock;
use crate::block::tombstones::{Interval, Tombstones};
use crate::observer::Event;
use crate::stats::{Cardinality, LogStats, Stats, Timing};
use crate::wal::writer::WriterStats;

/// Where copies of the data directory go.
const SNAPSHOTS: &str = "snapshots";

impl MetricsStore {
    /// Does all that is due: looks for new blocks, writes the head's past out, merges, retains.
    pub fn round(&self) -> Result<(), StorageError> {
        let mut work = self.work.lock();
        bump(&self.counts.compactions_triggered);
        let done = self.try_round(&mut work);
        done.inspect_err(|_| bump(&self.counts.compactions_failed))
    }

    /// Counts a round that is due and not wanted.
    pub fn skip_round(&self) {
        bump(&self.counts.compactions_triggered);
        bump(&self.counts.compactions_skipped);
    }

    fn try_round(&self, work: &mut Work) -> Result<(), StorageError> {
        self.reload(None)?;
        self.remove_superseded()?;
        self.truncate(work)?;
        // Old blocks go first: on a full disk that makes room for the rest.
        self.retain()?;
        self.flush(work)?;
        self.merge_all()?;
        self.retain()
    }

    fn merge_all(&self) -> Result<(), StorageError> {
        let ranges = block_ranges(self.options.min_block, self.options.max_block);
        while let Some(plan) = next_merge(&self.mergeable(), &ranges) {
            if self.is_stopping() {
                return Ok(());
            }
            let blocks = self.blocks();
            let parents: Vec<_> = plan.blocks.iter().filter_map(|id| blocks.get(*id)).cloned().collect();
            let metas: Vec<_> = parents.iter().map(|block| block.meta()).collect();
            let meta = merged_meta(self.new_id(), &metas);
            if plan.reason == Reason::Overlap {
                bump(&self.counts.vertical);
            }
            if let Err(e) = self.merge_blocks(&parents, meta) {
                if !e.is_disk_full() && !self.is_stopping() {
                    self.mark_failed(&parents)?;
                }
                return Err(e);
            }
        }
        Ok(())
    }

    /// The blocks that may be merged. Blocks of late samples in a time whose in-order samples the head still has are
    /// not: merged with others they would pass for all of that time, and replay would take the head's for stored.
    fn mergeable(&self) -> Vec<BlockMeta> {
        let published = self.published.read();
        let mut metas = published.blocks.metas();
        metas.retain(|meta| meta.max_time <= published.from || !meta.has_hint(FROM_OUT_OF_ORDER));
        metas
    }

    /// Makes one block of some, and serves it in their place.
    fn merge_blocks(&self, parents: &[Arc<MetricsBlock>], meta: BlockMeta) -> Result<(), StorageError> {
        let start = Instant::now();
        let inputs: Vec<_> = parents.iter().map(|block| &**block).collect();
        let ids: Vec<Ulid> = parents.iter().map(|block| block.meta().id).collect();
        self.counts.populating.store(1, Relaxed);
        // Histograms keep the form that they have.
        let forms = Forms { histogram_start_t: false, ..self.head.cut_rule().forms };
        let merged = merge(&*self.disk, Path::new(ROOT), &inputs, meta, forms, &mut |_| {
            if self.is_stopping() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.counts.populating.store(0, Relaxed);
        let block = match merged? {
            Merged::Block(meta) => {
                self.reload(None)?;
                self.remove_superseded()?;
                Some(meta.id.to_string())
            }
            Merged::Empty => {
                self.remove_blocks(&ids, "nothing left in it")?;
                None
            }
            Merged::Cancelled => return Ok(()),
        };
        bump(&self.counts.compactions);
        self.counts.timed.lock().compaction_seconds.observe(start.elapsed().as_secs_f64());
        let parents = ids.iter().map(Ulid::to_string).collect();
        self.observer.event(&Event::BlocksMerged { block, parents, took: start.elapsed() });
        Ok(())
    }

    /// Notes that blocks cannot be merged, so that it is not tried for ever.
    fn mark_failed(&self, blocks: &[Arc<MetricsBlock>]) -> Result<(), StorageError> {
        for block in blocks {
            let marked = block.mark(&*self.disk, |meta| meta.compaction.failed = true)?;
            self.replace_block(marked);
        }
        Ok(())
    }

    fn replace_block(&self, block: MetricsBlock) {
        let mut published = self.published.write();
        published.blocks = Arc::new(published.blocks.replace(Arc::new(block)));
    }

    /// Removes blocks that are too old or too much.
    fn retain(&self) -> Result<(), StorageError> {
        let limits = *self.limits.read();
        let blocks = self.blocks();
        let metas = blocks.metas();
        let deletable: BTreeSet<_> =
            metas.iter().filter(|meta| meta.compaction.deletable).map(|meta| meta.id).collect();
        self.remove_blocks(&Vec::from_iter(deletable), "nothing left in it")?;
        let old = beyond_retention_time(&metas, limits.retention_time);
        if !old.is_empty() {
            bump(&self.counts.time_retentions);
            self.remove_blocks(&Vec::from_iter(old), "beyond time retention")?;
        }
        let limit = self.retention_bytes();
        if limit == 0 {
            return Ok(());
        }
        let blocks = self.blocks();
        let metas = blocks.metas();
        let sizes: Vec<_> =
            metas.iter().zip(blocks.blocks()).map(|(meta, block)| (meta, block.len())).collect();
        let others =
            self.head.chunks.bytes() + self.bytes_below(super::log::WAL) + self.bytes_below(super::log::WBL);
        let surplus = beyond_retention_size(&sizes, others, limit);
        if !surplus.is_empty() {
            bump(&self.counts.size_retentions);
            self.remove_blocks(&Vec::from_iter(surplus), "beyond size retention")?;
        }
        Ok(())
    }

    /// The size limit in force, in bytes; 0 for none.
    fn retention_bytes(&self) -> u64 {
        let limits = *self.limits.read();
        let total = if limits.retention_percentage > 0.0 {
            self.disk.space().map_or(0, |space| space.total)
        } else {
            0
        };
        retention_size(limits.retention_bytes, limits.retention_percentage, total)
    }

    /// Bytes of the files in a directory and its directories.
    fn bytes_below(&self, dir: &str) -> u64 {
        let mut total = 0;
        let mut dirs = vec![PathBuf::from(dir)];
        while let Some(dir) = dirs.pop() {
            for entry in self.disk.list(&dir).unwrap_or_default() {
                if entry.is_dir {
                    dirs.push(dir.join(entry.name));
                } else {
                    total += entry.len;
                }
            }
        }
        total
    }

    /// Hides samples of matching series.
    pub fn delete(&self, matchers: &[Matcher], min_t: i64, max_t: i64) -> Result<(), StorageError> {
        let _work = self.work.lock();
        for block in self.blocks().overlapping(min_t, max_t) {
            if let Some(changed) = block.delete(&*self.disk, matchers, min_t, max_t)? {
                self.replace_block(changed);
            }
        }
        self.delete_in_head(matchers, min_t, max_t)
    }

    fn delete_in_head(&self, matchers: &[Matcher], min_t: i64, max_t: i64) -> Result<(), StorageError> {
        let selection =
            Selection { matchers: matchers.to_vec(), min_t, max_t, limit: 0, hints: Hints::default() };
        let head = &self.head;
        // No commit comes between what is found and what is logged.
        let mut logs = head.logs.lock();
        logs.check_open()?;
        let view = HeadView::new(head.clone(), i64::MIN);
        let mut stones = Vec::new();
        for (_, reference) in view.select(&selection)? {
            let pages = head.table.pages();
            let Some(series) = pages.lock(reference) else { continue };
            // Not beyond what is there, so that later samples are not hidden.
            let late = series.late.as_ref().and_then(|late| late.range());
            let first = late.map_or(i64::MAX, |late| late.0).min(series.first_t());
            let last = late.map_or(i64::MIN, |late| late.1).max(series.last_t());
            let interval = Interval { min_t: min_t.max(first), max_t: max_t.min(last) };
            if interval.min_t <= interval.max_t {
                stones.push((reference, series.log_ref, interval));
            }
        }
        if stones.is_empty() {
            return Ok(());
        }
        logs.write_tombstones(&stones)?;
        let mut tombstones = head.tombstones.write();
        let mut next = Tombstones::clone(&tombstones);
        for (reference, _, interval) in stones {
            next.add(reference.0, interval);
        }
        *tombstones = Arc::new(next);
        Ok(())
    }

    /// Rewrites the blocks that have tombstones.
    pub fn clean_tombstones(&self) -> Result<(), StorageError> {
        let _work = self.work.lock();
        let start = Instant::now();
        let blocks = self.blocks();
        for block in blocks.blocks().iter().filter(|block| !block.tombstones().is_empty()) {
            self.merge_blocks(std::slice::from_ref(block), block.meta().rewritten(self.new_id()))?;
        }
        self.counts.timed.lock().tombstone_cleanup.observe(start.elapsed().as_secs_f64());
        Ok(())
    }

    /// Makes `snapshots/<name>` a data directory of its own.
    pub fn snapshot_to(&self, name: &str, with_head: bool) -> Result<(), StorageError> {
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(StorageError::Invalid(format!("{name:?} cannot name a snapshot")));
        }
        let _work = self.work.lock();
        let dir = Path::new(SNAPSHOTS).join(name);
        let shown = self.disk.display(&dir);
        if self.disk.stat(&dir).is_ok() {
            return Err(StorageError::Invalid(format!("{shown} exists already")));
        }
        self.disk.create_dir_all(&dir).map_err(StorageError::doing("creating", &shown))?;
        let copied = self.copy_to(&dir, with_head);
        if copied.is_err() {
            // The first error is the one to tell.
            let _ = self.disk.remove_dir_all(&dir);
        }
        copied
    }

    fn copy_to(&self, dir: &Path, with_head: bool) -> Result<(), StorageError> {
        for block in self.blocks().blocks() {
            link_block(&*self.disk, block.dir(), block.meta().id, dir)?;
        }
        if with_head {
            {
                // A mark is not needed: replay finds the samples twice, and a series has each time once.
                let _commits = self.head.logs.lock();
                self.head.close_late();
            }
            let view = HeadView::new(self.head.clone(), self.published.read().from);
            if let Some((min_t, last_t)) = view.span() {
                let cut = Cut { min_t, max_t: last_t.saturating_add(1), which: Which::All, hint: None };
                self.write_cut(&view, dir, &cut)?;
            }
        }
        for parent in [dir, Path::new(SNAPSHOTS), Path::new(ROOT)] {
            self.disk.sync_dir(parent).map_err(StorageError::doing("syncing", self.disk.display(parent)))?;
        }
        Ok(())
    }

    /// Exemplars of matching series.
    pub fn exemplars(&self, query: &ExemplarQuery) -> Vec<SeriesExemplars> {
        let interim = self.interim().map(|interim| interim.exemplars.lock().select(query));
        let found = self.head.exemplars.lock().select(query);
        match interim {
            Some(newer) => super::exemplars::merge(found, newer),
            None => found,
        }
    }

    /// The most frequent names, values and pairs of the head.
    pub fn cardinality(&self, limit: usize) -> Cardinality {
        let index = self.head.table.index().read();
        let found = index.cardinality(METRIC_NAME, limit);
        Cardinality {
            series: index.len(),
            label_pairs: found.pairs,
            chunks: self.head.counters.chunks.load(Relaxed).max(0) as u64,
            min_t: self.head.times.min_t.load(SeqCst),
            max_t: self.head.times.max_t.load(SeqCst),
            series_by_metric: found.series_by_metric,
            values_by_label: found.values_by_name,
            bytes_by_label: found.value_bytes_by_name,
            series_by_pair: found.series_by_pair,
        }
    }

    /// All numbers.
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
        let blocks = self.blocks();
        let timed = self.counts.timed.lock().clone();
        let limits = *self.limits.read();
        let (replayed, replay_time) = self.restore.outcome();
        let (wal, wbl) = self.log_stats(timed.wal_fsync, timed.wal_truncate, &replayed);
        let head_min_t = times.min_t.load(SeqCst);
        let first_block = blocks.blocks().first().map_or(i64::MAX, |block| block.meta().min_time);
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
            retention_bytes: self.retention_bytes(),
            retention_time: limits.retention_time,
            retention_percentage: limits.retention_percentage,
            time_retentions: count(&self.counts.time_retentions),
            size_retentions: count(&self.counts.size_retentions),
            compactions: count(&self.counts.compactions),
            compactions_failed: count(&self.counts.compactions_failed),
            compactions_triggered: count(&self.counts.compactions_triggered),
            compactions_skipped: count(&self.counts.compactions_skipped),
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
            clean_start: -1,
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
                bytes: self.bytes_below(dir),
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
            ..numbers(wal, super::log::WAL, replayed.wal_corruptions, &replayed.wal_unknown)
        };
        let wbl = wbl
            .map(|log| numbers(Some(log), super::log::WBL, replayed.wbl_corruptions, &replayed.wbl_unknown));
        (wal, wbl)
    }
}
