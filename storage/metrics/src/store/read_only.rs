//! A data directory read without changing it and without its lock, as tools do while a server may be running.
//!
//! Blocks are mapped. The head is replayed over an [`OverlayDisk`]: what replay repairs or writes goes to a directory
//! of its own.

use std::path::Path;
use std::sync::Arc;

use model::Labels;
use model::read::{Selection, Series, Unwatched};
use storage_base::block::{Block, BlockSet, block_id};
use storage_base::fs::{Disk, OverlayDisk};
use storage_base::observer::Observer;
use storage_base::{Corruption, StorageError};

use crate::blocks::block::MetricsBlock;
use crate::options::{Limits, Options};
use crate::read::head_view::HeadView;
use crate::read::selected::Selected;
use crate::read::series_cursor::SeriesCursor;
use crate::read::snapshot::Snapshot;
use crate::store::replay_state::whole_head;
use crate::store::{ROOT, in_order_end};
use crate::stored_samples;

/// A directory as it was when it was opened.
pub struct ReadOnly {
    snapshot: Snapshot,
    blocks: Arc<BlockSet<MetricsBlock>>,
}

/// A selected series with its samples in the form in which they are stored.
pub struct StoredSeries(Selected);

/// Reads the samples of a [`StoredSeries`] front to back.
pub struct StoredRuns(SeriesCursor);

impl ReadOnly {
    /// Opens a directory for what is at or before `max_t`: when blocks end behind that, the head is left out. `scratch`
    /// is an empty directory that takes what replay writes. A block that cannot be opened is an error.
    pub fn open(
        disk: Arc<dyn Disk>,
        scratch: Arc<dyn Disk>,
        max_t: i64,
        observer: &dyn Observer,
    ) -> Result<Self, StorageError> {
        let blocks = BlockSet::<MetricsBlock>::load(&*disk, Path::new(ROOT), &BlockSet::default())?;
        if let Some(broken) = blocks.quarantined().first() {
            return Err(StorageError::BlockUnreadable { block: broken.id, reason: broken.reason.clone() });
        }
        let end = in_order_end(&blocks);
        let disk: Arc<dyn Disk> =
            if end <= max_t { Arc::new(OverlayDisk::new(disk, scratch)) } else { scratch };
        let wal = Path::new(crate::format::WAL_DIR);
        disk.create_dir_all(wal).map_err(StorageError::io_while("creating", disk.display(wal)))?;
        let head = whole_head(&disk, &Options::default(), &Limits::default(), end, observer)?;
        // As chunks, out-of-order samples keep their form.
        head.close_out_of_order();
        let blocks = Arc::new(blocks);
        let snapshot = Snapshot::new(blocks.clone(), [HeadView::new(Arc::new(head), end)], None);
        Ok(Self { snapshot, blocks })
    }

    /// The series that match, in the order in which Prometheus's tools give them: by labels, but by number where
    /// nothing but the head answers and `sorted` is not asked for.
    pub fn select(&self, selection: &Selection, sorted: bool) -> Result<Vec<StoredSeries>, StorageError> {
        let mut selected = self.snapshot.selected(selection, &Unwatched)?;
        if !sorted && self.blocks.overlapping(selection.min_t, selection.max_t).next().is_none() {
            selected.sort_by_key(|series| series.log_ref());
        }
        Ok(selected.into_iter().map(|series| StoredSeries(*series)).collect())
    }
}

impl StoredSeries {
    /// Its label set.
    pub fn labels(&self) -> &Labels {
        self.0.labels()
    }

    /// Its samples.
    pub fn runs(&self) -> StoredRuns {
        StoredRuns(self.0.pieces())
    }
}

impl StoredRuns {
    /// The next samples, ascending in time; `None` at the end.
    pub fn next_run(&mut self) -> Result<Option<Vec<model::Sample>>, StorageError> {
        self.0.next_stored()
    }
}

/// All blocks of a directory, ascending by first time, with those that others were made of and that wait for removal.
/// One that cannot be opened is an error, unless its content is in another.
pub fn all_blocks(disk: &dyn Disk) -> Result<Vec<MetricsBlock>, StorageError> {
    let root = Path::new(ROOT);
    let entries = disk.list(root).map_err(StorageError::io_while("listing", disk.display(root)))?;
    let (mut blocks, mut broken) = (Vec::<MetricsBlock>::new(), Vec::new());
    for entry in entries.into_iter().filter(|entry| entry.is_dir) {
        let Some(id) = block_id(&entry.name) else { continue };
        match MetricsBlock::open(disk, Path::new(&entry.name)) {
            Ok(block) => blocks.push(block),
            Err(e) => broken.push((id, e)),
        }
    }
    let replaced =
        |id| blocks.iter().flat_map(|block| &block.meta().compaction.parents).any(|parent| parent.id == id);
    match broken.into_iter().find(|(id, _)| !replaced(*id)) {
        Some((id, e)) => Err(StorageError::BlockUnreadable { block: id, reason: e.to_string() }),
        None => {
            blocks.sort_by_key(|block| block.meta().min_time);
            Ok(blocks)
        }
    }
}

/// Samples of a block's chunk in the form in which they are stored.
pub fn chunk_samples(
    block: &MetricsBlock,
    chunk: &storage_base::index::ChunkMeta,
) -> Result<Vec<model::Sample>, Corruption> {
    stored_samples(block.chunk(chunk)?).map_err(|e| block.chunks().corrupt(chunk.at, e.to_string()))
}
