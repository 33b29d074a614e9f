//! A copy of the store on disk: blocks by hard links and, when asked, the head as a block.

use std::path::Path;

use storage_base::StorageError;
use storage_base::block::Block;
use storage_base::block::publish::link_block;

use super::MetricsStore;
use super::flush::Cut;
use crate::read::head_view::{HeadView, Subset};

impl MetricsStore {
    /// Makes a directory one that a store can open.
    pub(super) fn copy(&self, dir: &Path, with_head: bool) -> Result<(), StorageError> {
        let _work = self.work.lock();
        for block in self.block_set().blocks() {
            link_block(&*self.disk, block.dir(), block.id(), dir)?;
        }
        if with_head {
            {
                // A mark is not needed: replay finds the samples twice, and a series has each time once.
                let _commits = self.head.logs.lock();
                self.head.close_out_of_order();
            }
            let view = HeadView::new(self.head.clone(), self.published.read().from);
            if let Some((min_t, last_t)) = view.span() {
                let cut = Cut { min_t, max_t: last_t.saturating_add(1), subset: Subset::All, hint: None };
                self.write_cut(&view, dir, &cut)?;
            }
        }
        Ok(())
    }
}
