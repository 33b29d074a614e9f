//! The metrics store of one data directory: a head, a list of blocks, and what moves samples from one to the other.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use figures::BlockFigures;
use model::time::Clock;
use parking_lot::{Mutex, RwLock};
use storage_base::StorageError;
use storage_base::block::publish::{remove_block, remove_leftovers};
use storage_base::block::random_id;
use storage_base::block::{Block, BlockSet};
use storage_base::fs::Disk;
use storage_base::observer::{Event, Observer};
use storage_base::store::Context;
use storage_base::wal::{WriterOptions, checkpoint};
use telemetry::Summary;
use ulid::Ulid;

use crate::blocks::block::MetricsBlock;
use crate::blocks::meta::{BlockMeta, FROM_OUT_OF_ORDER, FROM_SELECTED_SERIES, FROM_STALE_SERIES};
use crate::exemplars::{ExemplarQuery, SeriesExemplars};
use crate::format::WAL_DIR;
use crate::head::Head;
use crate::options::{FloatEncoding, Limits, Options, XOR_WITHOUT_START_T};
use crate::read::head_view::HeadView;
use crate::read::snapshot::Snapshot;
use crate::store::replay_state::ReplayState;

pub mod backfill;
pub mod cardinality;
mod delete;
mod figures;
mod flush;
mod head_block;
pub mod read_only;
mod replay_state;
mod rounds;
mod snapshot;
mod truncate;

/// The data directory itself, to which all paths are relative.
pub(crate) const ROOT: &str = "";

/// What snapshots are made of, changed as one.
pub(crate) struct Published {
    pub(crate) blocks: Arc<BlockSet<MetricsBlock>>,
    /// In-order samples of the head before this are in blocks.
    pub(crate) from: i64,
    /// The head that takes commits: not the store's while that is brought back.
    pub(crate) live: Arc<Head>,
}

/// The store.
pub struct MetricsStore {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    pub(crate) limits: RwLock<Limits>,
    pub(crate) wal: WriterOptions,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) head: Arc<Head>,
    pub(crate) published: RwLock<Published>,
    /// Held while blocks are changed or the head is truncated.
    pub(crate) work: Mutex<Work>,
    pub(crate) figures: BlockFigures,
    /// Syncs of the logs that were asked for here; the writers count those of their own.
    wal_syncs: Summary,
    pub(crate) restore: ReplayState,
    /// Set when the store closes: long work breaks off.
    stopping: AtomicBool,
}

/// What background work remembers between rounds.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Truncation of the head that waits for snapshots which still need what it frees.
    pub(crate) truncation: Option<Truncation>,
    /// A truncation that failed on its way: the next one does it again.
    pub(crate) failed: Option<Truncation>,
}

/// What is to be freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truncation {
    /// Commits up to this were there when the blocks appeared.
    pub(crate) commit: u64,
    /// In-order samples before this are in blocks.
    pub(crate) min_t: i64,
    /// OutOfOrder chunks below this place are in blocks.
    pub(crate) out_of_order_below: u64,
    /// Segments of the out-of-order log below this are in blocks.
    pub(crate) wbl_below: u64,
}

impl Default for Truncation {
    fn default() -> Self {
        Self { commit: 0, min_t: i64::MIN, out_of_order_below: 0, wbl_below: 0 }
    }
}

impl MetricsStore {
    /// Opens the directory: removes leftovers, loads blocks, repairs the logs, which [`MetricsStore::replay`] has to
    /// read. The caller holds the directory's lock.
    pub fn open(context: Context, options: Options, limits: Limits) -> Result<Self, StorageError> {
        let Context { disk, clock, observer, wal } = context;
        let start = Instant::now();
        if options.start_t && limits.floats == FloatEncoding::Xor {
            return Err(StorageError::Invalid(XOR_WITHOUT_START_T.into()));
        }
        let root = Path::new(ROOT);
        let wal_dir = Path::new(WAL_DIR);
        disk.create_dir_all(wal_dir).map_err(StorageError::io_while("creating", disk.display(wal_dir)))?;
        for name in remove_leftovers(&*disk, root)? {
            observer.event(&Event::LeftoverRemoved { path: disk.display(Path::new(&name)) });
        }
        for path in checkpoint::remove_leftovers(&*disk, wal_dir)? {
            observer.event(&Event::LeftoverRemoved { path });
        }
        let blocks = BlockSet::load(&*disk, root, &BlockSet::default())?;
        let min_valid_t = in_order_end(&blocks);

        let (head, interim, restore) =
            ReplayState::begin(&disk, wal, &options, &limits, min_valid_t, &*observer, start)?;
        let published = Published { blocks: Arc::new(blocks), from: min_valid_t, live: interim };
        let store = Self {
            disk,
            clock,
            limits: RwLock::new(limits),
            wal,
            options,
            observer,
            head,
            published: RwLock::new(published),
            work: Mutex::default(),
            figures: BlockFigures::default(),
            wal_syncs: Summary::default(),
            restore,
            stopping: AtomicBool::new(false),
        };
        store.report_damage(&BlockSet::default());
        store.remove_superseded()?;
        Ok(store)
    }

    /// Everything stored up to now.
    pub fn snapshot(&self) -> Snapshot {
        let published = self.published.read();
        let whole = Arc::ptr_eq(&published.live, &self.head);
        let heads = std::iter::once(&self.head).chain((!whole).then_some(&published.live));
        let views = heads.map(|head| HeadView::new(head.clone(), published.from));
        let lacking = || format!("{}: results may lack samples", self.restore.progress.now());
        Snapshot::new(published.blocks.clone(), views, (!whole).then(lacking))
    }

    /// The blocks in use.
    pub fn block_set(&self) -> Arc<BlockSet<MetricsBlock>> {
        self.published.read().blocks.clone()
    }

    /// A new block's id.
    pub(super) fn new_id(&self) -> Ulid {
        random_id(self.clock.now_ms())
    }

    /// Reads the list of blocks from disk and serves it, with the head beginning at `from` if that is given.
    pub(crate) fn reload(&self, from: Option<i64>) -> Result<(), StorageError> {
        let before = self.block_set();
        let loaded = BlockSet::load(&*self.disk, Path::new(ROOT), &before);
        self.figures.reloads.inc();
        let set = loaded.inspect_err(|_| self.figures.reloads_failed.inc())?;
        {
            let mut published = self.published.write();
            published.blocks = Arc::new(set);
            if let Some(from) = from {
                published.from = published.from.max(from);
                self.head.times.min_t.fetch_max(from, Ordering::SeqCst);
            }
        }
        self.report_damage(&before);
        Ok(())
    }

    /// Reports, and mends where nothing is lost, what is wrong with blocks and was not with those of `before`.
    fn report_damage(&self, before: &BlockSet<MetricsBlock>) {
        let known: BTreeSet<Ulid> = before.quarantined().iter().map(|block| block.id).collect();
        let set = self.block_set();
        for block in set.quarantined().iter().filter(|block| !known.contains(&block.id)) {
            let (block, reason) = (block.id.to_string(), block.reason.clone());
            self.observer.event(&Event::BlockUnreadable { block, reason });
        }
        for block in set.blocks().iter().filter(|block| before.get(block.id()).is_none()) {
            let Some(damage) = block.damage() else { continue };
            // Prometheus does not start with such a file.
            let event = match block.tombstones().write(&*self.disk, block.dir()) {
                Ok(_) => {
                    Event::repaired(damage.clone(), "nothing was deleted from the block: written anew, empty")
                }
                Err(e) => Event::Failed { work: "writing tombstones anew", reason: e.to_string() },
            };
            self.observer.event(&event);
        }
    }

    /// Removes blocks whose content is in others.
    pub(crate) fn remove_superseded(&self) -> Result<(), StorageError> {
        let superseded = self.block_set().superseded().to_vec();
        self.drop_blocks(&superseded, "replaced")
    }

    /// Removes blocks from the list, then from disk. Queries that read them go on.
    pub(crate) fn drop_blocks(&self, ids: &[Ulid], reason: &'static str) -> Result<(), StorageError> {
        if ids.is_empty() {
            return Ok(());
        }
        {
            let mut published = self.published.write();
            published.blocks = Arc::new(published.blocks.without(ids));
        }
        for id in ids {
            remove_block(&*self.disk, Path::new(ROOT), *id)?;
            self.observer.event(&Event::BlockRemoved { block: id.to_string(), reason });
        }
        Ok(())
    }

    /// Changes limits.
    pub fn set_limits(&self, limits: Limits) {
        *self.limits.write() = limits;
        self.head.window.store(limits.out_of_order_window.max(0), Ordering::Relaxed);
        let exemplars = if self.options.exemplars { limits.max_exemplars } else { 0 };
        for head in [Some(self.head.clone()), self.interim()].into_iter().flatten() {
            head.set_float_encoding(limits.floats);
            head.exemplars.lock().set_limits(exemplars, limits.out_of_order_window.max(0));
        }
    }

    /// Makes what was committed durable: what is in ended segments, or `all`.
    pub(crate) fn sync_logs(&self, all: bool) -> Result<(), StorageError> {
        let pending = self.with_logs(|logs| if all { logs.begin_sync() } else { Ok(logs.finished()) })?;
        let mut result = Ok(());
        for sync in pending {
            let start = Instant::now();
            // One log's failure must not keep the other from being synced.
            result = result.and(sync.run().map(drop));
            self.wal_syncs.observe(start.elapsed().as_secs_f64());
        }
        result
    }

    /// Lets long work break off.
    pub(crate) fn break_off(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.restore.progress.stop.store(true, Ordering::SeqCst);
    }

    /// Whether long work should break off.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Exemplars of matching series.
    pub fn exemplars(&self, query: &ExemplarQuery) -> Vec<SeriesExemplars> {
        let interim = self.interim().map(|interim| interim.exemplars.lock().select(query));
        let found = self.head.exemplars.lock().select(query);
        match interim {
            Some(newer) => crate::exemplars::merge(found, newer),
            None => found,
        }
    }
}

/// Where the in-order blocks end: the head takes no samples before. Blocks of a part of the samples do not count.
pub(crate) fn in_order_end(blocks: &BlockSet<MetricsBlock>) -> i64 {
    let partial = |meta: &BlockMeta| {
        [FROM_OUT_OF_ORDER, FROM_STALE_SERIES, FROM_SELECTED_SERIES].iter().any(|hint| meta.has_hint(hint))
    };
    let ends = blocks.blocks().iter().map(|block| block.meta()).filter(|meta| !partial(meta));
    ends.map(|meta| meta.max_time).max().unwrap_or(i64::MIN)
}
