//! The store: write-ahead log, head, blocks and index, in Prometheus's formats.
//!
//! A [`Storage`] owns one data directory. Samples enter through its appender, which writes the log and then the head;
//! queries read a [`Storage::snapshot`] over head and blocks; background work moves the head's past into blocks. All
//! that works while the log of the run before is still being replayed, in the background.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use model::Matcher;
use model::append::{Appendable, Appender};
use model::read::{ReadError, SeriesSource};
use model::time::Clock;
use parking_lot::Mutex;

pub mod admin;
pub mod block;
pub mod codec;
pub mod error;
pub mod format;
pub mod fs;
pub mod index;
pub mod metrics;
pub mod observer;
pub mod options;
mod prefetch;
pub mod stats;
pub mod wal;
mod worker;

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod start_t_test;
#[cfg(test)]
mod tests;

pub use admin::BlockInfo;
pub use error::{Corruption, StorageError};
pub use metrics::exemplars::{ExemplarQuery, SeriesExemplars};
pub use metrics::progress::ReplayProgress;
pub use observer::{Event, Observer, Severity};
pub use options::{Compression, FloatEncoding, Limits, Options, SyncPolicy, XOR_WITHOUT_START_T};
pub use stats::{Cardinality, Stats};

use admin::block_info;
use fs::{Disk, Lock};
use metrics::append::HeadAppender;
use metrics::store::MetricsStore;
use worker::{Job, Worker};

/// The lock file's name. Source: Prometheus `tsdb/tsdbutil/dir_locker.go`.
const LOCK_FILE: &str = "lock";

/// An open data directory. Shared between threads; all methods take `&self`.
pub struct Storage {
    metrics: Arc<MetricsStore>,
    worker: Worker,
    /// Replays the logs, and ends.
    replay: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<Box<dyn Lock>>>,
    clean_start: i8,
}

impl Storage {
    /// Opens a data directory, creating it when empty: takes the lock, removes leftovers, repairs damage, begins to
    /// replay the logs and starts background work. Samples are taken and queries answered at once; they find the
    /// blocks, what was replayed, and what is new. [`Storage::wait_replayed`] waits for the rest.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: Options,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StorageError> {
        let root = Path::new("");
        disk.create_dir_all(root).map_err(StorageError::doing("creating", disk.display(root)))?;
        let path = Path::new(LOCK_FILE);
        let (lock, clean_start) = if options.no_lock_file {
            (None, -1)
        } else {
            let left = disk.stat(path).is_ok();
            let lock = disk.lock(path).map_err(|e| match e.kind() {
                std::io::ErrorKind::WouldBlock => StorageError::Locked { path: disk.display(path) },
                _ => StorageError::doing("locking", disk.display(path))(e),
            })?;
            (Some(lock), if left { 0 } else { 1 })
        };
        let metrics = Arc::new(MetricsStore::open(disk, clock, options, observer)?);
        let worker = Worker::start(metrics.clone())?;
        let replayed = metrics.clone();
        let replay = std::thread::Builder::new()
            .name("replay".into())
            .spawn(move || replayed.replay())
            .map_err(StorageError::doing("starting", "the replay thread"))?;
        Ok(Self { metrics, worker, replay: Mutex::new(Some(replay)), lock: Mutex::new(lock), clean_start })
    }

    /// Waits until everything that the logs hold is there. An error is the end of the store: it takes no more samples,
    /// and the next start may tell more. [`StorageError::Stopping`] when it is closed meanwhile.
    pub fn wait_replayed(&self) -> Result<(), StorageError> {
        self.metrics.wait_replayed()
    }

    /// How far replay of the logs is; `None` when it is done. Meanwhile deletions, snapshots on disk and compactions
    /// are refused with [`StorageError::Replaying`], and selections carry a warning.
    pub fn replay_progress(&self) -> Option<ReplayProgress> {
        self.metrics.replay_progress()
    }

    fn stop(&self) {
        self.metrics.stop();
        if let Some(replay) = self.replay.lock().take() {
            // It catches its panics.
            let _ = replay.join();
        }
        self.worker.stop();
    }

    /// Everything stored up to now, as one consistent source that never changes. While it lives, the head frees
    /// nothing that it may need, so it should not live longer than a query.
    pub fn snapshot(&self) -> Arc<dyn SeriesSource> {
        Arc::new(self.metrics.snapshot())
    }

    /// Exemplars of matching series, series in label order. Empty when exemplars are not kept.
    pub fn exemplars(&self, query: &ExemplarQuery) -> Result<Vec<SeriesExemplars>, ReadError> {
        Ok(self.metrics.exemplars(query))
    }

    /// Changes limits while running.
    pub fn set_limits(&self, limits: Limits) {
        self.metrics.set_limits(limits);
    }

    /// Hides samples of matching series between two times, both inclusive, for good. Their bytes go with later merges
    /// or with [`Storage::clean_tombstones`].
    pub fn delete_series(&self, matchers: &[Matcher], min_t: i64, max_t: i64) -> Result<(), StorageError> {
        self.worker.run(Job::Delete { matchers: matchers.to_vec(), min_t, max_t })
    }

    /// Rewrites the blocks that have tombstones without what these hide.
    pub fn clean_tombstones(&self) -> Result<(), StorageError> {
        self.worker.run(Job::CleanTombstones)
    }

    /// Makes `snapshots/<name>` a data directory of its own: blocks by hard links and, when asked, the head as a block.
    pub fn snapshot_to(&self, name: &str, with_head: bool) -> Result<(), StorageError> {
        self.worker.run(Job::Snapshot { name: name.to_owned(), with_head })
    }

    /// The blocks in use, ascending by time.
    pub fn blocks(&self) -> Vec<BlockInfo> {
        self.metrics.blocks().blocks().iter().map(|block| block_info(block)).collect()
    }

    /// All numbers of the store.
    pub fn stats(&self) -> Stats {
        Stats { clean_start: self.clean_start, ..self.metrics.stats() }
    }

    /// The `limit` most frequent names, values and pairs in the head.
    pub fn cardinality(&self, limit: usize) -> Cardinality {
        self.metrics.cardinality(limit)
    }

    /// Why the store refuses writes, if it does: a background thread panicked.
    pub fn poisoned(&self) -> Option<String> {
        self.worker.poisoned()
    }

    /// Does at once what background work would do by itself: reload, flush, merge, retain.
    pub fn compact(&self) -> Result<(), StorageError> {
        self.worker.run(Job::Round)
    }

    /// Ends background work, makes everything durable and gives the directory free. Later appends fail.
    pub fn close(&self) -> Result<(), StorageError> {
        self.stop();
        let closed = self.metrics.close();
        *self.lock.lock() = None;
        closed
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Appendable for Storage {
    fn appender(&self) -> Box<dyn Appender + '_> {
        Box::new(HeadAppender::new(self.metrics.live()))
    }
}
