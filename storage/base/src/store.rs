//! What the worker, retention and snapshots ask of a store, whatever its signal.

use std::path::Path;
use std::sync::Arc;

use model::time::Clock;
use ulid::Ulid;

use crate::StorageError;
use crate::fs::Disk;
use crate::observer::Observer;
use crate::wal::WriterOptions;

/// What all stores of a directory share.
#[derive(Clone)]
pub struct Context {
    /// The data directory.
    pub disk: Arc<dyn Disk>,
    /// The time, for the ids of new blocks.
    pub clock: Arc<dyn Clock>,
    /// Hears what happens.
    pub observer: Arc<dyn Observer>,
    /// How write-ahead logs are written.
    pub wal: WriterOptions,
}

/// A block as retention knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedBlock {
    /// Its id.
    pub id: Ulid,
    /// End of its time in milliseconds, exclusive.
    pub max_t: i64,
    /// Bytes of its files.
    pub len: u64,
}

/// A store of one signal. [`Store::replay`] has a thread of its own; the worker's thread calls the others, one at a
/// time, but for [`Store::stop`], and [`Store::close`] after the end of both.
pub trait Store: Send + Sync {
    /// Reads the log of the run before. Called once, when the store has been opened.
    fn replay(&self);

    /// Why background work has to wait, if it has: the log is still being replayed.
    fn check_ready(&self) -> Result<(), StorageError>;

    /// Makes what was committed durable: what is in ended segments, or `all`.
    fn sync(&self, all: bool) -> Result<(), StorageError>;

    /// Light upkeep, every second, whether the store is ready or not: hands buffers to the operating system.
    fn tick(&self) -> Result<(), StorageError>;

    /// Whether a round is due before its time, because memory holds as much as it should.
    fn is_due(&self) -> bool;

    /// Frees what waits to be freed, if nobody needs it any more. Called every second between rounds.
    fn free(&self) -> Result<(), StorageError>;

    /// Begins a round: looks for blocks on disk, removes what others replaced, frees what waits.
    fn refresh(&self) -> Result<(), StorageError>;

    /// Goes on with a round: writes the past out of memory and merges blocks.
    fn compact(&self) -> Result<(), StorageError>;

    /// The blocks in use.
    fn blocks(&self) -> Vec<RetainedBlock>;

    /// Bytes of the store's files that are not in blocks.
    fn other_bytes(&self) -> u64;

    /// Blocks that ended this long before the newest one are removed. Milliseconds; 0 for never.
    fn retention_time(&self) -> i64;

    /// Removes blocks for good; `reason` is for the observer.
    fn remove_blocks(&self, ids: &[Ulid], reason: &'static str) -> Result<(), StorageError>;

    /// Makes a directory one that the store can open: blocks by hard links and, when asked, what is in memory as a
    /// block.
    fn copy_to(&self, dir: &Path, with_memory: bool) -> Result<(), StorageError>;

    /// Refuses all writes from now on, for this reason.
    fn poison(&self, reason: &str);

    /// Lets long work break off.
    fn stop(&self);

    /// Makes everything durable and refuses further writes.
    fn close(&self) -> Result<(), StorageError>;
}
