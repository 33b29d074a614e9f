//! One data directory: its lock, its stores, the worker that does their background work and the retention over all.
//!
//! A [`Storage`] owns one data directory, in Prometheus's formats. Samples enter through its appender; queries read a
//! [`Storage::snapshot`]. All that works while the logs of the run before are still being replayed, in the background.
//! A store of another signal is one that implements [`storage_base::Store`] and is listed in [`Storage::open`].

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use model::Matcher;
use model::append::{Appendable, Appender};
use model::read::{ReadError, SeriesSource};
use model::time::Clock;
use parking_lot::Mutex;
use storage_base::format::LOCK_FILE;
use storage_base::fs::{Disk, Lock};
use storage_base::retention::Retention;
use storage_base::store::{Context, Store};
use storage_base::worker::{Rounds, Upkeep, Worker};
use storage_metrics::MetricsStore;
use storage_metrics::head::append::HeadAppender;
use telemetry::{Collect, Gather};

mod options;
mod snapshot;

#[cfg(test)]
mod tests;

pub use options::{Limits, Options};
pub use storage_base::retention::SizeLimit;
pub use storage_base::wal::{Compression, WriterOptions};
pub use storage_base::worker::SyncPolicy;
pub use storage_base::{
    Corruption, Event, Observer, Severity, StorageError, block, format, fs, index, observer, wal,
};
pub use storage_metrics as metrics;
pub use storage_metrics::{
    BlockInfo, Cardinality, ExemplarQuery, FloatEncoding, ReplayProgress, SeriesExemplars,
    XOR_WITHOUT_START_T,
};

/// What a status page shows of a data directory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Status {
    /// Repairs of write-ahead logs since it was opened.
    pub corruptions: u64,
    /// Blocks this much older than the newest are removed. Milliseconds; 0 for never.
    pub retention_time: i64,
    /// How much all files may take, in bytes; 0 for no limit.
    pub retention_bytes: u64,
    /// The same in percent of the file system's size; 0 for no limit.
    pub retention_percentage: f64,
}

/// An open data directory. Shared between threads; all methods take `&self`.
pub struct Storage {
    metrics: Arc<MetricsStore>,
    upkeep: Arc<Upkeep>,
    worker: Worker,
    /// One for each store: replays its log, and ends.
    replays: Mutex<Vec<JoinHandle<()>>>,
    disk: Arc<dyn Disk>,
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
        disk.create_dir_all(root).map_err(StorageError::io_while("creating", disk.display(root)))?;
        let (lock, clean_start) = take_lock(&*disk, &options)?;
        let Options { limits, wal, sync, background, round_every, .. } = options;
        let context = Context { disk: disk.clone(), clock, observer: observer.clone(), wal };
        let metrics = Arc::new(MetricsStore::open(context, options.metrics, limits.metrics)?);
        let stores: Vec<Arc<dyn Store>> = vec![metrics.clone()];
        let retention = Retention::new(disk.clone(), limits.size);
        let rounds = Rounds::default();
        let upkeep = Upkeep { stores, retention, sync, round_every, background, observer, rounds };
        let upkeep = Arc::new(upkeep);
        let worker = Worker::start(upkeep.clone())?;
        let replay = |store: &Arc<dyn Store>| {
            let store = store.clone();
            let thread = std::thread::Builder::new().name("replay".into()).spawn(move || store.replay());
            thread.map_err(StorageError::io_while("starting", "the replay thread"))
        };
        let replays = upkeep.stores.iter().map(replay).collect::<Result<_, _>>()?;
        let (replays, lock) = (Mutex::new(replays), Mutex::new(lock));
        Ok(Self { metrics, upkeep, worker, replays, disk, lock, clean_start })
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
        self.upkeep.stores.iter().for_each(|store| store.stop());
        for replay in self.replays.lock().drain(..) {
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
        self.upkeep.retention.set_limit(limits.size);
        self.metrics.set_limits(limits.metrics);
    }

    /// Hides samples of matching series between two times, both inclusive, for good. Their bytes go with later merges
    /// or with [`Storage::clean_tombstones`].
    pub fn delete_series(&self, matchers: &[Matcher], min_t: i64, max_t: i64) -> Result<(), StorageError> {
        let (metrics, matchers) = (self.metrics.clone(), matchers.to_vec());
        self.worker.run(move || metrics.delete(&matchers, min_t, max_t))
    }

    /// Rewrites the blocks that have tombstones without what these hide.
    pub fn clean_tombstones(&self) -> Result<(), StorageError> {
        let metrics = self.metrics.clone();
        self.worker.run(move || metrics.clean_tombstones())
    }

    /// Makes `snapshots/<name>` a data directory of its own: blocks by hard links and, when asked, the head as a block.
    pub fn snapshot_to(&self, name: &str, with_head: bool) -> Result<(), StorageError> {
        let (disk, upkeep, name) = (self.disk.clone(), self.upkeep.clone(), name.to_owned());
        self.worker.run(move || snapshot::make(&*disk, &upkeep.stores, &name, with_head))
    }

    /// The blocks in use, ascending by time.
    pub fn blocks(&self) -> Vec<BlockInfo> {
        self.metrics.block_set().blocks().iter().map(|block| block.info()).collect()
    }

    /// Repairs and limits, for the status page. All other figures are in `/metrics` alone.
    pub fn status(&self) -> Status {
        let retention = &self.upkeep.retention;
        Status {
            corruptions: self.metrics.wal_corruptions(),
            retention_time: self.metrics.retention_time(),
            retention_bytes: retention.limit().bytes,
            retention_percentage: retention.limit().percentage,
        }
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
        let upkeep = self.upkeep.clone();
        self.worker.run(move || upkeep.round())
    }

    /// Ends background work, makes everything durable and gives the directory free. Later appends fail.
    pub fn close(&self) -> Result<(), StorageError> {
        self.stop();
        // One store's failure must not keep another from being closed. The first error is the one to tell.
        let closed = self.upkeep.stores.iter().map(|store| store.close()).fold(Ok(()), Result::and);
        *self.lock.lock() = None;
        closed
    }
}

impl Collect for Storage {
    fn collect(&self, out: &mut Gather) {
        self.metrics.collect(out);
        self.upkeep.rounds.collect(out);
        self.upkeep.retention.collect(out);
        out.gauge(
            "prometheus_tsdb_clean_start",
            "-1: lockfile is disabled. 0: a lockfile from a previous execution was replaced. 1: lockfile creation was \
             clean",
            &[],
            f64::from(self.clean_start),
        );
    }
}

/// Takes the directory's lock, if it has one. Also returns -1 without a lock file, 0 when one was left by an unclean
/// stop, 1 after a clean one.
fn take_lock(disk: &dyn Disk, options: &Options) -> Result<(Option<Box<dyn Lock>>, i8), StorageError> {
    if options.no_lock_file {
        return Ok((None, -1));
    }
    let path = Path::new(LOCK_FILE);
    let left = disk.stat(path).is_ok();
    let lock = disk.lock(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::WouldBlock => StorageError::Locked { path: disk.display(path) },
        _ => StorageError::io_while("locking", disk.display(path))(e),
    })?;
    Ok((Some(lock), if left { 0 } else { 1 }))
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
