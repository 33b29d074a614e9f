//! From the head to blocks: what is old enough becomes a block, and then leaves head and logs.
//!
//! A block first becomes visible, in one step with the head's new beginning. Memory and logs are freed afterwards,
//! when no snapshot lives that was taken before; until then [`Work`] remembers it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Instant;

use model::append::SeriesRef;
use model::read::Selection;

use super::block_writer::{BlockWriter, TimedChunk};
use super::head::count;
use super::head_chunks::ChunkBytes;
use super::log::{WAL, WBL};
use super::pieces::Piece;
use super::recode::{self, Forms, Recoded};
use super::select::{HeadView, Which};
use super::series::range_end;
use super::store::{MetricsStore, ROOT, Truncation, Work, bump, in_order_end};
use crate::StorageError;
use crate::block::chunks::Chunk;
use crate::block::meta::{BlockMeta, FROM_OUT_OF_ORDER};
use crate::block::tombstones::Tombstones;
use crate::codec::chunk::Encoding;
use crate::fs::Disk;
use crate::observer::Event;
use crate::wal::checkpoint::{self, Keep};
use crate::wal::segment;
use crate::wal::writer::WriterOptions;

/// Series whose labels are in memory at a time.
const BATCH: usize = 512;

/// Part of the head that goes into a block.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    /// First millisecond, inclusive.
    pub(super) min_t: i64,
    /// Last millisecond, exclusive.
    pub(super) max_t: i64,
    /// Which samples.
    pub(super) which: Which,
    /// The block's hint, if it has one.
    pub(super) hint: Option<&'static str>,
}

impl MetricsStore {
    /// Whether the head spans more than one and a half block ranges.
    pub fn is_flush_due(&self) -> bool {
        let times = &self.head.times;
        let (min_t, max_t) = (times.min_t.load(SeqCst), times.max_t.load(SeqCst));
        let range = self.head.rule.range;
        min_t <= max_t && max_t.saturating_sub(min_t) > range / 2 * 3
    }

    /// Writes the oldest range of the head as a block, and what came late after that.
    pub(super) fn flush(&self, work: &mut Work) -> Result<(), StorageError> {
        let mut flushed = false;
        while self.is_flush_due() && !self.is_stopping() {
            self.flush_oldest(work)?;
            flushed = true;
        }
        if flushed && !self.is_stopping() {
            self.flush_late(work)?;
        }
        // Only now: deletions are needed until the late samples that they hide are out.
        self.truncate(work)
    }

    fn flush_oldest(&self, work: &mut Work) -> Result<(), StorageError> {
        let min_t = self.head.times.min_t.load(SeqCst);
        let max_t = range_end(min_t, self.head.rule.range);
        {
            // Commits that come behind this find the bound raised; those before it are in the view taken below.
            let _commits = self.head.logs.lock();
            self.head.times.min_valid_t.fetch_max(max_t, SeqCst);
        }
        let view = HeadView::new(self.head.clone(), i64::MIN);
        let cut = Cut { min_t, max_t, which: Which::InOrder, hint: None };
        self.write_cut(&view, Path::new(ROOT), &cut)?;
        drop(view);
        self.publish(work, Truncation { min_t: max_t, ..Truncation::default() })?;
        self.head.advance(max_t);
        Ok(())
    }

    /// Writes late samples as blocks, one for each range that they touch.
    fn flush_late(&self, work: &mut Work) -> Result<(), StorageError> {
        let (late_below, wbl_below) = {
            let mut logs = self.head.logs.lock();
            if !self.head.has_late() {
                return Ok(());
            }
            let Some(wbl) = logs.wbl() else { return Ok(()) };
            let wbl_below = wbl.next_segment()?;
            self.head.close_late();
            (self.head.chunks.cut(), wbl_below)
        };
        let view = HeadView::new(self.head.clone(), i64::MIN);
        let which = Which::Late { below: late_below };
        let range = self.head.rule.range;
        let mut from = i64::MIN;
        // From sample to sample: a time far from the others must not be reached range by range.
        while let Some(t) = self.head.next_late(from, late_below) {
            let (min_t, max_t) = (t.div_euclid(range).saturating_mul(range), range_end(t, range));
            let cut = Cut { min_t, max_t, which, hint: Some(FROM_OUT_OF_ORDER) };
            self.write_cut(&view, Path::new(ROOT), &cut)?;
            from = max_t;
        }
        drop(view);
        self.publish(work, Truncation { late_below, wbl_below, ..Truncation::default() })
    }

    /// Serves what was written, and notes what can be freed when older snapshots are gone.
    fn publish(&self, work: &mut Work, truncation: Truncation) -> Result<(), StorageError> {
        self.reload((truncation.min_t > i64::MIN).then_some(truncation.min_t))?;
        let earlier = [work.truncation.take(), work.failed.take()].into_iter().flatten();
        let merged = earlier.fold(truncation, |merged, earlier| Truncation {
            commit: 0,
            min_t: merged.min_t.max(earlier.min_t),
            late_below: merged.late_below.max(earlier.late_below),
            wbl_below: merged.wbl_below.max(earlier.wbl_below),
        });
        let commit = {
            // An empty commit tells the snapshots before apart from those after.
            let _commits = self.head.logs.lock();
            let commit = self.head.isolation.begin();
            self.head.isolation.end(commit);
            commit.id
        };
        work.truncation = Some(Truncation { commit, ..merged });
        Ok(())
    }

    /// Writes a part of the head as a block. Returns its meta; `None` when no sample is there.
    pub(super) fn write_cut(
        &self,
        view: &HeadView,
        parent: &Path,
        cut: &Cut,
    ) -> Result<Option<BlockMeta>, StorageError> {
        let start = Instant::now();
        self.counts.populating.store(1, Relaxed);
        let written = self.try_write_cut(view, parent, cut);
        self.counts.populating.store(0, Relaxed);
        let meta = written?;
        if let Some(meta) = &meta {
            bump(&self.counts.compactions);
            self.counts.timed.lock().compaction_seconds.observe(start.elapsed().as_secs_f64());
            self.observer.event(&Event::BlockWritten {
                block: meta.id.to_string(),
                min_t: meta.min_time,
                max_t: meta.max_time,
                samples: meta.stats.num_samples,
                took: start.elapsed(),
            });
        }
        Ok(meta)
    }

    fn try_write_cut(
        &self,
        view: &HeadView,
        parent: &Path,
        cut: &Cut,
    ) -> Result<Option<BlockMeta>, StorageError> {
        let mut meta = BlockMeta::level_1(self.new_id(), cut.min_t, cut.max_t);
        if let Some(hint) = cut.hint {
            meta.add_hint(hint);
        }
        let segment_len = self.options.block_segment_bytes;
        write_block(&*self.disk, parent, view, meta, cut.which, segment_len, &mut |chunks| {
            if self.is_stopping() {
                return Err(StorageError::Stopping);
            }
            self.note_chunks(chunks);
            Ok(())
        })
    }

    fn note_chunks(&self, chunks: &[TimedChunk<'_>]) {
        let mut timed = self.counts.timed.lock();
        for chunk in chunks {
            timed.chunk_bytes.observe(chunk.chunk.data.len() as f64);
            timed.chunk_samples.observe(chunk.chunk.samples() as f64);
            timed.chunk_seconds.observe((chunk.max_t - chunk.min_t) as f64 / 1000.0);
        }
    }

    /// Frees what waits to be freed, if no snapshot needs it any more.
    pub fn truncate_when_free(&self) -> Result<(), StorageError> {
        match self.work.try_lock() {
            Some(mut work) => self.truncate(&mut work),
            None => Ok(()),
        }
    }

    pub(super) fn truncate(&self, work: &mut Work) -> Result<(), StorageError> {
        let Some(truncation) = work.truncation else { return Ok(()) };
        if self.head.isolation.seen_before(truncation.commit) {
            return Ok(());
        }
        let start = Instant::now();
        bump(&self.counts.truncations);
        work.truncation = None;
        let truncated = self.cover_late(&truncation).and_then(|()| {
            let removed = self.truncate_memory(&truncation)?;
            self.truncate_logs(&truncation)?;
            Ok(removed)
        });
        let series_removed = truncated.inspect_err(|_| {
            bump(&self.counts.truncations_failed);
            // Deletions must not leave the log before the late samples that they hide.
            work.failed = Some(truncation);
        })?;
        let min_t = self.head.times.min_t.load(SeqCst);
        self.observer.event(&Event::HeadTruncated { min_t, series_removed, took: start.elapsed() });
        Ok(())
    }

    /// Notes for good which late chunks are in blocks. Their files may have to stay for other chunks' sake.
    fn cover_late(&self, truncation: &Truncation) -> Result<(), StorageError> {
        if truncation.late_below == 0 {
            return Ok(());
        }
        self.head.logs.lock().write_late_covered(truncation.late_below)?;
        self.sync(true)
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
            series.truncate(truncation.min_t, truncation.late_below, &head.chunks);
            head.counters.chunks_dropped((chunks - series.chunks()) as u64);
            head.counters.tail_changed(before, series.tail());
            if series.is_empty() {
                empty.push(reference);
                continue;
            }
            let late = series.late.iter().flat_map(|late| &late.closed).map(|late| late.chunk);
            lowest_place =
                series.closed.iter().chain(late).map(|chunk| chunk.at).fold(lowest_place, u64::min);
        }
        let removed = head.table.remove(&empty, |series| series.is_empty() && !series.pending);
        head.counters.series.fetch_sub(removed.len() as u64, Relaxed);
        count(&head.counters.series_removed, removed.len() as u64);
        {
            let mut logs = head.logs.lock();
            logs.spare(removed.iter().map(|(_, log_ref)| (*log_ref, i64::MIN)));
            head.forget_late(&removed);
            head.times.set_late(head.late_range());
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
        self.counts.timed.lock().gc.add(start);
        Ok(removed.len())
    }

    /// Deletions that end before this hide nothing in the head, now or after a restart. That begins where the blocks end,
    /// which is before `min_t` when all that was flushed last had been deleted, so that there was no block to write.
    fn deletions_needed_from(&self, min_t: i64) -> i64 {
        min_t.min(self.head.times.late_min_t.load(SeqCst)).min(in_order_end(&self.blocks()))
    }

    fn truncate_logs(&self, truncation: &Truncation) -> Result<(), StorageError> {
        let start = Instant::now();
        if truncation.wbl_below > 0 {
            // For good: the checkpoint forgets the deletions of what is in there.
            segment::remove_before(&*self.disk, Path::new(WBL), truncation.wbl_below)?;
        }
        if truncation.min_t > i64::MIN {
            self.checkpoint(truncation.min_t).inspect_err(|_| bump(&self.counts.wal_truncations_failed))?;
        }
        self.counts.timed.lock().wal_truncate.add(start);
        Ok(())
    }

    /// Replaces the older two thirds of the write-ahead log by what is still needed of them.
    fn checkpoint(&self, min_t: i64) -> Result<(), StorageError> {
        let dir = Path::new(WAL);
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
        self.sync(false)?;
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
        let keep = |series: SeriesRef| {
            in_head.binary_search(&series.0).is_ok() || logs.lock().needs_spare(series.0, to, min_t)
        };
        let options = WriterOptions {
            compression: self.options.wal_compression,
            segment_len: self.options.wal_segment_bytes,
        };
        bump(&self.counts.checkpoints);
        let keep = Keep { series: &keep, min_t };
        let mut passed_over = |damage| self.observer.event(&Event::passed_over(damage));
        checkpoint::create(&self.disk, dir, to, &keep, options, &mut passed_over)
            .inspect_err(|_| bump(&self.counts.checkpoints_failed))?;
        segment::remove_before(&*self.disk, dir, to + 1)?;
        bump(&self.counts.checkpoint_deletions);
        checkpoint::remove_before(&*self.disk, dir, to)
            .inspect_err(|_| bump(&self.counts.checkpoint_deletions_failed))?;
        self.head.logs.lock().forget_spare(to, min_t);
        self.observer.event(&Event::Checkpointed { first, last: to, took: start.elapsed() });
        Ok(())
    }

    /// Hands full chunks to the operating system.
    pub fn flush_chunks(&self) -> Result<(), StorageError> {
        self.head.chunks.flush()
    }
}

/// Writes the samples of a view that lie in the times of `meta` as a block inside `parent`. `written` hears of the
/// chunks of each series, and may break it off. Returns the meta; `None` when no sample is there.
pub(super) fn write_block(
    disk: &dyn Disk,
    parent: &Path,
    view: &HeadView,
    meta: BlockMeta,
    which: Which,
    segment_len: u64,
    written: &mut dyn FnMut(&[TimedChunk<'_>]) -> Result<(), StorageError>,
) -> Result<Option<BlockMeta>, StorageError> {
    let (min_t, max_t) = (meta.min_time, meta.max_time.saturating_sub(1));
    let hints = model::read::Hints::default();
    let selection = Selection { matchers: Vec::new(), min_t, max_t, limit: 0, hints };
    let series = view.references(&selection, which)?;
    if series.is_empty() {
        return Ok(None);
    }
    let symbols = view.symbols_of(&series);
    let mut writer =
        BlockWriter::create_with(disk, parent, meta.id, &symbols)?.with_segment_len_max(segment_len);
    let mut pieces = Vec::new();
    let mut labels = Vec::with_capacity(BATCH);
    for series in series.chunks(BATCH) {
        view.labels_of(series, &mut labels);
        for (reference, labels) in series.iter().zip(&labels) {
            pieces.clear();
            view.pieces_of(*reference, min_t, max_t, which, &mut pieces);
            let chunks = block_chunks(view, &mut pieces, min_t, max_t)?;
            let timed: Vec<_> = chunks.iter().map(BlockChunk::timed).collect();
            written(&timed)?;
            writer.add_labels(&symbols, labels, &timed)?;
        }
    }
    writer.finish(meta)
}

/// A chunk for a block.
enum BlockChunk {
    /// As the head has it.
    Whole { min_t: i64, max_t: i64, encoding: Encoding, bytes: ChunkBytes },
    /// Made anew.
    Recoded(Recoded),
}

impl BlockChunk {
    fn timed(&self) -> TimedChunk<'_> {
        match self {
            Self::Whole { min_t, max_t, encoding, bytes } => TimedChunk {
                min_t: *min_t,
                max_t: *max_t,
                chunk: Chunk { encoding: *encoding, data: bytes },
                record: None,
            },
            Self::Recoded(chunk) => TimedChunk {
                min_t: chunk.min_t,
                max_t: chunk.max_t,
                chunk: Chunk { encoding: chunk.encoding, data: &chunk.data },
                record: None,
            },
        }
    }
}

/// Chunks that ascend without overlap, made of a series' pieces: copied where possible.
fn block_chunks(
    view: &HeadView,
    pieces: &mut [Piece],
    min_t: i64,
    max_t: i64,
) -> Result<Vec<BlockChunk>, StorageError> {
    pieces.sort_by_key(|piece| piece.min_t);
    let mut chunks = Vec::with_capacity(pieces.len());
    let mut rest = &*pieces;
    while let Some(first) = rest.first() {
        let mut end = first.max_t;
        let more = rest[1..].iter().take_while(|piece| {
            let overlaps = piece.min_t <= end;
            end = end.max(piece.max_t);
            overlaps
        });
        let (cluster, behind) = rest.split_at(1 + more.count());
        rest = behind;
        if let [piece] = cluster
            && piece.whole
            && !piece.has_deleted(piece.min_t, piece.max_t)
            && let Some((encoding, bytes)) = piece.bytes()?
        {
            chunks.push(BlockChunk::Whole { min_t: piece.min_t, max_t: piece.max_t, encoding, bytes });
            continue;
        }
        let mut samples = Vec::new();
        let mut forms = Forms::default();
        for piece in cluster {
            let Some((encoding, bytes)) = piece.bytes()? else { continue };
            forms = forms.and(encoding);
            let decoded = recode::samples(Chunk { encoding, data: &bytes })
                .map_err(|e| view.corruption(&piece.source, e.to_string()))?;
            let (first, last) = (piece.min_t.max(min_t), piece.max_t.min(max_t));
            samples
                .extend(decoded.into_iter().filter(|s| (first..=last).contains(&s.t) && !piece.deletes(s.t)));
        }
        samples.sort_by_key(|sample| sample.t);
        samples.dedup_by_key(|sample| sample.t);
        let recoded = recode::encode(samples.iter(), forms)
            .map_err(|e| StorageError::Invalid(format!("encoding a chunk: {e}")))?;
        chunks.extend(recoded.into_iter().map(BlockChunk::Recoded));
    }
    Ok(chunks)
}
