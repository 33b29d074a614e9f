//! The store: write-ahead log, head, blocks and index, in Prometheus's formats.
//!
//! A [`Storage`] owns one data directory. Samples enter through its appender, which writes the log and then the head;
//! queries read a [`Storage::snapshot`] over head and blocks; background work moves the head's past into blocks.

use std::sync::Arc;

use model::Matcher;
use model::append::{Appendable, Appender};
use model::read::{ReadError, SeriesSource};
use model::time::Clock;

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
pub mod stats;
pub mod wal;

pub use admin::BlockInfo;
pub use error::{Corruption, StorageError};
pub use metrics::exemplars::{ExemplarQuery, SeriesExemplars};
pub use observer::{Event, Observer, Severity};
pub use options::{Compression, Limits, Options, SyncPolicy};
pub use stats::{Cardinality, Stats};

use fs::Disk;

/// An open data directory. Shared between threads; all methods take `&self`.
pub struct Storage {
    _options: Options,
}

impl Storage {
    /// Opens a data directory, creating it when empty: takes the lock, removes leftovers, repairs damage, replays the
    /// logs and starts background work.
    pub fn open(
        _disk: Arc<dyn Disk>,
        _clock: Arc<dyn Clock>,
        _options: Options,
        _observer: Arc<dyn Observer>,
    ) -> Result<Self, StorageError> {
        Err(StorageError::Invalid("the store is not in this commit".into()))
    }

    /// Everything stored up to now, as one consistent source that never changes.
    pub fn snapshot(&self) -> Arc<dyn SeriesSource> {
        Arc::new(Nothing)
    }

    /// Exemplars of matching series, series in label order. Empty when exemplars are not kept.
    pub fn exemplars(&self, _query: &ExemplarQuery) -> Result<Vec<SeriesExemplars>, ReadError> {
        Ok(Vec::new())
    }

    /// Changes limits while running.
    pub fn set_limits(&self, _limits: Limits) {}

    /// Hides samples of matching series between two times, both inclusive, for good. Their bytes go with later merges
    /// or with [`Storage::clean_tombstones`].
    pub fn delete_series(&self, _matchers: &[Matcher], _min_t: i64, _max_t: i64) -> Result<(), StorageError> {
        Err(StorageError::Invalid("the store is not in this commit".into()))
    }

    /// Rewrites the blocks that have tombstones without what these hide.
    pub fn clean_tombstones(&self) -> Result<(), StorageError> {
        Err(StorageError::Invalid("the store is not in this commit".into()))
    }

    /// Makes `snapshots/<name>` a data directory of its own: blocks by hard links and, when asked, the head as a block.
    pub fn snapshot_to(&self, _name: &str, _with_head: bool) -> Result<(), StorageError> {
        Err(StorageError::Invalid("the store is not in this commit".into()))
    }

    /// The blocks in use, ascending by time.
    pub fn blocks(&self) -> Vec<BlockInfo> {
        Vec::new()
    }

    /// All numbers of the store.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// The `limit` most frequent names, values and pairs in the head.
    pub fn cardinality(&self, _limit: usize) -> Cardinality {
        Cardinality::default()
    }

    /// Why the store refuses writes, if it does: a background thread panicked.
    pub fn poisoned(&self) -> Option<String> {
        None
    }

    /// Does at once what background work would do by itself: reload, flush, merge, retain.
    pub fn compact(&self) -> Result<(), StorageError> {
        Ok(())
    }

    /// Ends background work, makes everything durable and gives the directory free. Later appends fail.
    pub fn close(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

impl Appendable for Storage {
    fn appender(&self) -> Box<dyn Appender + '_> {
        Box::new(NoAppender)
    }
}

struct Nothing;

impl SeriesSource for Nothing {
    fn select(&self, _: &model::read::Selection) -> Result<model::read::SeriesSet, ReadError> {
        Ok(model::read::SeriesSet { series: Vec::new(), warnings: Vec::new() })
    }

    fn label_names(&self, _: &model::read::Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &model::read::Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }
}

struct NoAppender;

impl Appender for NoAppender {
    fn append(
        &mut self,
        _: Option<model::append::SeriesRef>,
        _: &model::Labels,
        _: i64,
        _: f64,
        _: i64,
    ) -> Result<model::append::SeriesRef, model::append::AppendError> {
        Err(model::append::AppendError::OutOfBounds)
    }

    fn append_histogram(
        &mut self,
        _: Option<model::append::SeriesRef>,
        _: &model::Labels,
        _: i64,
        _: model::append::HistogramSample,
        _: i64,
    ) -> Result<model::append::SeriesRef, model::append::AppendError> {
        Err(model::append::AppendError::OutOfBounds)
    }

    fn append_exemplar(
        &mut self,
        _: model::append::SeriesRef,
        _: model::sample::Exemplar,
    ) -> Result<(), model::append::AppendError> {
        Err(model::append::AppendError::ExemplarsDisabled)
    }

    fn set_metadata(
        &mut self,
        _: model::append::SeriesRef,
        _: &model::metadata::Metadata,
    ) -> Result<(), model::append::AppendError> {
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<model::append::Committed, model::append::CommitError> {
        Err(model::append::CommitError { reason: "the store is not in this commit".into(), disk_full: false })
    }

    fn rollback(self: Box<Self>) {}
}
