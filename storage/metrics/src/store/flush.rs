//! From the head to blocks: what is old enough becomes a block, and then leaves head and logs.
//!
//! A block first becomes visible, in one step with the head's new beginning. Memory and logs are freed afterwards,
//! when no snapshot lives that was taken before; until then [`Work`] remembers it.

use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use storage_base::StorageError;
use storage_base::observer::Event;

use super::{MetricsStore, ROOT, Truncation, Work};
use crate::blocks::block_writer::TimedChunk;
use crate::blocks::meta::{BlockMeta, FROM_OUT_OF_ORDER};
use crate::head::open_chunk::range_end;
use crate::read::head_view::{HeadView, Subset};
use crate::store::head_block::write_block;

/// Part of the head that goes into a block.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// First millisecond, inclusive.
    pub(crate) min_t: i64,
    /// Last millisecond, exclusive.
    pub(crate) max_t: i64,
    /// Which samples.
    pub(crate) subset: Subset,
    /// The block's hint, if it has one.
    pub(crate) hint: Option<&'static str>,
}

impl MetricsStore {
    /// Whether the head spans more than one and a half block ranges.
    pub fn is_flush_due(&self) -> bool {
        let times = &self.head.times;
        let (min_t, max_t) = (times.min_t.load(SeqCst), times.max_t.load(SeqCst));
        let range = self.head.rule.range;
        min_t <= max_t && max_t.saturating_sub(min_t) > range / 2 * 3
    }

    /// Writes the oldest range of the head as a block, and what came out of order after that.
    pub(crate) fn flush(&self, work: &mut Work) -> Result<(), StorageError> {
        let mut flushed = false;
        while self.is_flush_due() && !self.is_stopping() {
            self.flush_oldest(work)?;
            flushed = true;
        }
        if flushed && !self.is_stopping() {
            self.flush_out_of_order(work)?;
        }
        // Only now: deletions are needed until the out-of-order samples that they hide are out.
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
        let cut = Cut { min_t, max_t, subset: Subset::InOrder, hint: None };
        self.write_cut(&view, Path::new(ROOT), &cut)?;
        drop(view);
        self.publish(work, Truncation { min_t: max_t, ..Truncation::default() })?;
        self.head.advance(max_t);
        Ok(())
    }

    /// Writes out-of-order samples as blocks, one for each range that they touch.
    fn flush_out_of_order(&self, work: &mut Work) -> Result<(), StorageError> {
        let (out_of_order_below, wbl_below) = {
            let mut logs = self.head.logs.lock();
            if !self.head.has_out_of_order() {
                return Ok(());
            }
            let Some(wbl) = logs.wbl() else { return Ok(()) };
            let wbl_below = wbl.next_segment()?;
            self.head.close_out_of_order();
            (self.head.chunks.cut(), wbl_below)
        };
        let view = HeadView::new(self.head.clone(), i64::MIN);
        let subset = Subset::OutOfOrder { below: out_of_order_below };
        let range = self.head.rule.range;
        let mut from = i64::MIN;
        // From sample to sample: a time far from the others must not be reached range by range.
        while let Some(t) = self.head.next_out_of_order(from, out_of_order_below) {
            let (min_t, max_t) = (t.div_euclid(range).saturating_mul(range), range_end(t, range));
            let cut = Cut { min_t, max_t, subset, hint: Some(FROM_OUT_OF_ORDER) };
            self.write_cut(&view, Path::new(ROOT), &cut)?;
            from = max_t;
        }
        drop(view);
        self.publish(work, Truncation { out_of_order_below, wbl_below, ..Truncation::default() })
    }

    /// Serves what was written, and notes what can be freed when older snapshots are gone.
    fn publish(&self, work: &mut Work, truncation: Truncation) -> Result<(), StorageError> {
        self.reload((truncation.min_t > i64::MIN).then_some(truncation.min_t))?;
        let earlier = [work.truncation.take(), work.failed.take()].into_iter().flatten();
        let merged = earlier.fold(truncation, |merged, earlier| Truncation {
            commit: 0,
            min_t: merged.min_t.max(earlier.min_t),
            out_of_order_below: merged.out_of_order_below.max(earlier.out_of_order_below),
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
    pub(crate) fn write_cut(
        &self,
        view: &HeadView,
        parent: &Path,
        cut: &Cut,
    ) -> Result<Option<BlockMeta>, StorageError> {
        let start = Instant::now();
        self.figures.populating_block.set(1);
        let written = self.try_write_cut(view, parent, cut);
        self.figures.populating_block.set(0);
        let meta = written?;
        if let Some(meta) = &meta {
            self.figures.compactions.inc();
            self.figures.compaction_seconds.observe(start.elapsed().as_secs_f64());
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
        write_block(&*self.disk, parent, view, meta, cut.subset, segment_len, &mut |chunks| {
            if self.is_stopping() {
                return Err(StorageError::Stopping);
            }
            self.note_chunks(chunks);
            Ok(())
        })
    }

    fn note_chunks(&self, chunks: &[TimedChunk<'_>]) {
        for chunk in chunks {
            self.figures.chunk_bytes.observe(chunk.chunk.data.len() as f64);
            self.figures.chunk_samples.observe(chunk.chunk.samples() as f64);
            self.figures.chunk_seconds.observe((chunk.max_t - chunk.min_t) as f64 / 1000.0);
        }
    }
}
