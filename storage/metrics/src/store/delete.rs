//! Deletion of samples, and rewriting the blocks that have tombstones.

use std::sync::Arc;
use std::time::Instant;

use model::Matcher;
use model::read::{Hints, Selection};
use storage_base::StorageError;

use super::MetricsStore;
use crate::blocks::tombstones::{Interval, Tombstones};
use crate::read::head_view::HeadView;

impl MetricsStore {
    /// Hides samples of matching series.
    pub fn delete(&self, matchers: &[Matcher], min_t: i64, max_t: i64) -> Result<(), StorageError> {
        let _work = self.work.lock();
        for block in self.block_set().overlapping(min_t, max_t) {
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
            let out_of_order = series.out_of_order.as_ref().and_then(|out_of_order| out_of_order.range());
            let first = out_of_order.map_or(i64::MAX, |out_of_order| out_of_order.0).min(series.first_t());
            let last = out_of_order.map_or(i64::MIN, |out_of_order| out_of_order.1).max(series.last_t());
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
        let blocks = self.block_set();
        for block in blocks.blocks().iter().filter(|block| !block.tombstones().is_empty()) {
            self.merge_blocks(std::slice::from_ref(block), block.meta().rewritten(self.new_id()))?;
        }
        self.figures.tombstone_cleanup.observe(start.elapsed().as_secs_f64());
        Ok(())
    }
}
