//! What blocks hold leaves the head, its chunk files and the logs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use storage_base::StorageError;
use storage_base::observer::Event;
use storage_base::wal::{checkpoint, segment};

use super::{MetricsStore, Truncation, Work, in_order_end};
use crate::blocks::tombstones::Tombstones;
use crate::format::{WAL_DIR, WBL_DIR};
use crate::record::LogRef;
use crate::record::checkpoint::{Keep, create};

impl MetricsStore {
    /// Frees what waits to be freed, if no snapshot needs it any more.
    pub(crate) fn truncate(&self, work: &mut Work) -> Result<(), StorageError> {
        let Some(truncation) = work.truncation else { return Ok(()) };
        if self.head.isolation.seen_before(truncation.commit) {
            return Ok(());
        }
        let start = Instant::now();
        self.figures.truncations.inc();
        work.truncation = None;
        let truncated = self.cover_out_of_order(&truncation).and_then(|()| {
            let removed = self.truncate_memory(&truncation)?;
            self.truncate_logs(&truncation)?;
            Ok(removed)
        });
        let series_removed = truncated.inspect_err(|_| {
            self.figures.truncations_failed.inc();
            // Deletions must not leave the log before the out-of-order samples that they hide.
            work.failed = Some(truncation);
        })?;
        let min_t = self.head.times.min_t.load(SeqCst);
        self.observer.event(&Event::HeadTruncated { min_t, series_removed, took: start.elapsed() });
        Ok(())
    }

    /// Notes for good which out-of-order chunks are in blocks. Their files may have to stay for other chunks' sake.
    fn cover_out_of_order(&self, truncation: &Truncation) -> Result<(), StorageError> {
        if truncation.out_of_order_below == 0 {
            return Ok(());
        }
        self.head.logs.lock().write_out_of_order_covered(truncation.out_of_order_below)?;
        self.sync_logs(true)
    }

    fn truncate_memory(&self, truncation: &Truncation) -> Result<usize, StorageError> {
        let start = Instant::now();
        let head = &self.head;
        let pages = head.table.pages();
        let mut empty = Vec::new();
        let mut lowest_place = u64::MAX;
        for reference in head.table.references() {
            let Some(mut series) = pages.lock(reference) else { continue };
            let (chunks, before) = (series.chunks(), series.tail());
            series.truncate(truncation.min_t, truncation.out_of_order_below, &head.chunks);
            head.figures.chunks_dropped((chunks - series.chunks()) as u64);
            head.figures.tail_changed(before, series.tail());
            if series.is_empty() {
                empty.push(reference);
                continue;
            }
            let out_of_order = series
                .out_of_order
                .iter()
                .flat_map(|out_of_order| &out_of_order.closed)
                .map(|out_of_order| out_of_order.chunk);
            lowest_place =
                series.closed.iter().chain(out_of_order).map(|chunk| chunk.at).fold(lowest_place, u64::min);
        }
        let removed = head.table.remove(&empty, |series| series.is_empty() && !series.pending);
        head.figures.series_dropped(removed.len() as u64);
        {
            let mut logs = head.logs.lock();
            logs.spare(removed.iter().map(|(_, log_ref)| (*log_ref, i64::MIN)));
            head.forget_out_of_order(&removed);
            head.times.set_out_of_order(head.out_of_order_range());
        }
        head.chunks.truncate(lowest_place)?;
        {
            let mut metadata = head.metadata.lock();
            let mut tombstones = head.tombstones.write();
            let mut next = Tombstones::clone(&tombstones);
            next.drop_before(self.deletions_needed_from(truncation.min_t));
            for (series, _) in &removed {
                next.remove(series.0);
                metadata.remove(series);
            }
            *tombstones = Arc::new(next);
        }
        self.figures.gc.observe(start.elapsed().as_secs_f64());
        Ok(removed.len())
    }

    /// Deletions that end before this hide nothing in the head, now or after a restart. That begins where the blocks
    /// end, which is before `min_t` when all that was flushed last had been deleted, so that there was no block to
    /// write.
    fn deletions_needed_from(&self, min_t: i64) -> i64 {
        min_t.min(self.head.times.out_of_order_min_t.load(SeqCst)).min(in_order_end(&self.block_set()))
    }

    fn truncate_logs(&self, truncation: &Truncation) -> Result<(), StorageError> {
        let start = Instant::now();
        if truncation.wbl_below > 0 {
            // For good: the checkpoint forgets the deletions of what is in there.
            segment::remove_before(&*self.disk, Path::new(WBL_DIR), truncation.wbl_below)?;
        }
        if truncation.min_t > i64::MIN {
            self.checkpoint(truncation.min_t).inspect_err(|_| self.figures.wal_truncations_failed.inc())?;
        }
        self.figures.wal_truncate.observe(start.elapsed().as_secs_f64());
        Ok(())
    }

    /// Replaces the older two thirds of the write-ahead log by what is still needed of them.
    fn checkpoint(&self, min_t: i64) -> Result<(), StorageError> {
        let dir = Path::new(WAL_DIR);
        let segments = segment::list(&*self.disk, dir)?;
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else { return Ok(()) };
        let (first, last) = (first.number, last.number);
        {
            let mut logs = self.head.logs.lock();
            logs.check_open()?;
            if let Some(wal) = logs.wal() {
                wal.next_segment()?;
            }
        }
        self.sync_logs(false)?;
        // The segment that was being written stays.
        let Some(last) = last.checked_sub(1).filter(|last| *last >= first) else { return Ok(()) };
        let to = first + (last - first) * 2 / 3;
        if to <= first {
            return Ok(());
        }
        let start = Instant::now();
        let min_t = self.deletions_needed_from(min_t);
        let in_head = self.head.log_refs();
        let logs = &self.head.logs;
        let keep = |series: LogRef| {
            in_head.binary_search(&series).is_ok() || logs.lock().needs_spare(series, to, min_t)
        };
        self.figures.checkpoints.inc();
        let keep = Keep { series: &keep, min_t };
        let mut passed_over = |damage| self.observer.event(&Event::passed_over(damage));
        create(&self.disk, dir, to, &keep, self.wal, &mut passed_over)
            .inspect_err(|_| self.figures.checkpoints_failed.inc())?;
        segment::remove_before(&*self.disk, dir, to + 1)?;
        self.figures.checkpoint_deletions.inc();
        checkpoint::remove_before(&*self.disk, dir, to)
            .inspect_err(|_| self.figures.checkpoint_deletions_failed.inc())?;
        self.head.logs.lock().forget_spare(to, min_t);
        self.observer.event(&Event::Checkpointed { first, last: to, took: start.elapsed() });
        Ok(())
    }
}
