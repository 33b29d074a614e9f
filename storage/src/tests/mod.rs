//! The data directory as a whole, on a simulated disk.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use storage_base::fs::SimDisk;

use crate::{Options, Storage};

mod blocks;
mod commits;
mod damage;
mod model_test;
mod read_only;
mod replay;
mod start_t;
mod watched;
mod worker;

#[path = "../../testing/store.rs"]
mod shared;

pub(crate) use shared::*;

/// Settings of most tests.
pub(crate) fn options() -> Options {
    let mut options = Options { background: false, ..Options::default() };
    options.wal.segment_len = 32 << 10;
    options.metrics.exemplars = true;
    options
}

/// Those, changed.
pub(crate) fn options_with(change: impl FnOnce(&mut Options)) -> Options {
    let mut options = options();
    change(&mut options);
    options
}

/// Those, with an out-of-order window.
pub(crate) fn window(milliseconds: i64) -> Options {
    options_with(|options| options.limits.metrics.out_of_order_window = milliseconds)
}

pub(crate) fn open_with(disk: &SimDisk, options: Options) -> (Storage, Arc<Heard>) {
    let (storage, heard) = begin(disk, options, None);
    storage.wait_replayed().unwrap();
    (storage, heard)
}

/// Opens a store and holds replay up when it has entered this many segments, until it is released.
pub(crate) fn begin(disk: &SimDisk, options: Options, segments: Option<u64>) -> (Storage, Arc<Heard>) {
    let heard = Arc::new(Heard::holding_up(segments));
    let clock = Arc::new(Still(AtomicI64::new(1_000_000)));
    let storage = Storage::open(Arc::new(disk.clone()), clock, options, heard.clone()).unwrap();
    while segments.is_some() && storage.replay_progress().is_some() && !heard.is_held_up() {}
    (storage, heard)
}

pub(crate) fn open(disk: &SimDisk) -> Storage {
    let (storage, heard) = open_with(disk, options());
    assert_eq!(heard.problems(), [""; 0]);
    storage
}

pub(crate) fn all(storage: &Storage) -> Samples {
    read(&*storage.snapshot(), i64::MIN, i64::MAX)
}
