//! What the worker asks of the metrics store: rounds that move samples into blocks and merge blocks, and what is due in
//! between.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use storage_base::block::Block;
use storage_base::block::plan::{Candidate, Reason, block_ranges, next_merge};
use storage_base::fs::bytes_below;
use storage_base::observer::Event;
use storage_base::store::{RetainedBlock, Store};
use storage_base::{StorageError, Ulid};

use super::{MetricsStore, ROOT};
use crate::blocks::block::MetricsBlock;
use crate::blocks::chunk_samples::ChunkEncodings;
use crate::blocks::merge::{Merged, merge};
use crate::blocks::meta::{BlockMeta, FROM_OUT_OF_ORDER};
use crate::format::{WAL_DIR, WBL_DIR};
use crate::head::log::Logs;

impl Store for MetricsStore {
    fn replay(&self) {
        self.replay_logs();
    }

    fn check_ready(&self) -> Result<(), StorageError> {
        self.check_replayed()
    }

    fn sync(&self, all: bool) -> Result<(), StorageError> {
        self.sync_logs(all)
    }

    fn tick(&self) -> Result<(), StorageError> {
        self.head.forget_old_references();
        self.head.chunks.flush()
    }

    fn is_due(&self) -> bool {
        self.is_flush_due()
    }

    fn free(&self) -> Result<(), StorageError> {
        match self.work.try_lock() {
            Some(mut work) => self.truncate(&mut work),
            None => Ok(()),
        }
    }

    fn refresh(&self) -> Result<(), StorageError> {
        let mut work = self.work.lock();
        self.reload(None)?;
        self.remove_superseded()?;
        self.truncate(&mut work)?;
        self.remove_empty()
    }

    fn compact(&self) -> Result<(), StorageError> {
        let mut work = self.work.lock();
        self.flush(&mut work)?;
        self.merge_all()?;
        self.remove_empty()
    }

    fn blocks(&self) -> Vec<RetainedBlock> {
        let retained = |block: &Arc<MetricsBlock>| RetainedBlock {
            id: block.id(),
            max_t: block.max_t(),
            len: block.len(),
        };
        self.block_set().blocks().iter().map(retained).collect()
    }

    fn other_bytes(&self) -> u64 {
        let logs = [WAL_DIR, WBL_DIR].map(|dir| bytes_below(&*self.disk, Path::new(dir)));
        self.head.chunks.bytes() + logs.iter().sum::<u64>()
    }

    fn retention_time(&self) -> i64 {
        self.limits.read().retention_time
    }

    fn remove_blocks(&self, ids: &[Ulid], reason: &'static str) -> Result<(), StorageError> {
        let _work = self.work.lock();
        self.drop_blocks(ids, reason)
    }

    fn copy_to(&self, dir: &Path, with_memory: bool) -> Result<(), StorageError> {
        self.copy(dir, with_memory)
    }

    fn poison(&self, reason: &str) {
        self.with_logs(|logs| logs.poison(reason));
    }

    fn stop(&self) {
        self.break_off();
    }

    fn close(&self) -> Result<(), StorageError> {
        let _work = self.work.lock();
        let chunks = self.head.chunks.sync();
        self.with_logs(Logs::close)?;
        chunks
    }
}

impl MetricsStore {
    fn merge_all(&self) -> Result<(), StorageError> {
        let ranges = block_ranges(self.options.min_block, self.options.max_block);
        while let Some(plan) = next_merge(&self.mergeable(), &ranges, self.options.merge_overlapping) {
            if self.is_stopping() {
                return Ok(());
            }
            let blocks = self.block_set();
            let parents: Vec<_> = plan.blocks.iter().filter_map(|id| blocks.get(*id)).cloned().collect();
            let metas: Vec<_> = parents.iter().map(|block| block.meta()).collect();
            let meta = BlockMeta::merged(self.new_id(), &metas);
            if plan.reason == Reason::Overlap {
                self.figures.vertical_compactions.inc();
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

    /// The blocks that may be merged. Blocks of out-of-order samples in a time whose in-order samples the head still
    /// has are not: merged with others they would pass for all of that time, and replay would take the head's for
    /// stored.
    fn mergeable(&self) -> Vec<Candidate> {
        let published = self.published.read();
        let metas = published.blocks.blocks().iter().map(|block| block.meta());
        let whole = |meta: &&BlockMeta| meta.max_time <= published.from || !meta.has_hint(FROM_OUT_OF_ORDER);
        metas.filter(whole).map(BlockMeta::candidate).collect()
    }

    /// Makes one block of some, and serves it in their place.
    pub(super) fn merge_blocks(
        &self,
        parents: &[Arc<MetricsBlock>],
        meta: BlockMeta,
    ) -> Result<(), StorageError> {
        let start = Instant::now();
        let inputs: Vec<_> = parents.iter().map(|block| &**block).collect();
        let ids: Vec<Ulid> = parents.iter().map(|block| block.meta().id).collect();
        self.figures.populating_block.set(1);
        // Histograms keep the form that they have.
        let encodings = ChunkEncodings { histogram_start_t: false, ..self.head.cut_rule().encodings };
        let merged = merge(&*self.disk, Path::new(ROOT), &inputs, meta, encodings, &mut |_| {
            if self.is_stopping() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.figures.populating_block.set(0);
        let block = match merged? {
            Merged::Block(meta) => {
                self.reload(None)?;
                self.remove_superseded()?;
                Some(meta.id.to_string())
            }
            Merged::Empty => {
                self.drop_blocks(&ids, "nothing left in it")?;
                None
            }
            Merged::Cancelled => return Ok(()),
        };
        self.figures.compactions.inc();
        self.figures.compaction_seconds.observe(start.elapsed().as_secs_f64());
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

    /// Removes blocks of which a merge left nothing.
    fn remove_empty(&self) -> Result<(), StorageError> {
        let blocks = self.block_set();
        let metas = blocks.blocks().iter().map(|block| block.meta());
        let empty: Vec<_> = metas.filter(|meta| meta.compaction.deletable).map(|meta| meta.id).collect();
        self.drop_blocks(&empty, "nothing left in it")
    }

    pub(super) fn replace_block(&self, block: MetricsBlock) {
        let mut published = self.published.write();
        published.blocks = Arc::new(published.blocks.replace(Arc::new(block)));
    }
}
