//! A metrics store by itself, for tests: opened, and replayed in a thread.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::thread::JoinHandle;

use model::append::{Appendable, Appender};
use storage_base::Store;
use storage_base::fs::SimDisk;
use storage_base::store::Context;
use storage_base::wal::WriterOptions;

#[path = "../../testing/store.rs"]
mod shared;

pub(crate) use shared::*;

use crate::head::append::HeadAppender;
use crate::{Limits, MetricsStore, Options};

/// The store, and the thread that replays its logs.
pub(crate) struct Opened {
    pub(crate) metrics: Arc<MetricsStore>,
    replay: Option<JoinHandle<()>>,
}

impl Deref for Opened {
    type Target = MetricsStore;

    fn deref(&self) -> &MetricsStore {
        &self.metrics
    }
}

impl Appendable for Opened {
    fn appender(&self) -> Box<dyn Appender + '_> {
        Box::new(HeadAppender::new(self.metrics.live()))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.metrics.stop();
        if let Some(replay) = self.replay.take() {
            let _ = replay.join();
        }
    }
}

/// Settings of a test.
pub(crate) type Settings = (Options, Limits);

pub(crate) fn options() -> Settings {
    (Options { exemplars: true, ..Options::default() }, Limits::default())
}

pub(crate) fn open_with(disk: &SimDisk, options: Settings) -> (Opened, Arc<Heard>) {
    let (storage, heard) = begin(disk, options, None);
    storage.wait_replayed().unwrap();
    (storage, heard)
}

/// Opens a store and holds replay up when it has entered this many segments, until it is released.
pub(crate) fn begin(disk: &SimDisk, options: Settings, segments: Option<u64>) -> (Opened, Arc<Heard>) {
    let heard = Arc::new(Heard::holding_up(segments));
    let clock = Arc::new(Still(AtomicI64::new(1_000_000)));
    let wal = WriterOptions { segment_len: 32 << 10, ..WriterOptions::default() };
    let context = Context { disk: Arc::new(disk.clone()), clock, observer: heard.clone(), wal };
    let metrics = Arc::new(MetricsStore::open(context, options.0, options.1).unwrap());
    let replayed = metrics.clone();
    let replay = Some(std::thread::spawn(move || replayed.replay()));
    let storage = Opened { metrics, replay };
    while segments.is_some() && storage.replay_progress().is_some() && !heard.is_held_up() {}
    (storage, heard)
}

pub(crate) fn open(disk: &SimDisk) -> Opened {
    let (storage, heard) = open_with(disk, options());
    assert_eq!(heard.problems(), [""; 0]);
    storage
}

pub(crate) fn all(storage: &Opened) -> Samples {
    read(&storage.snapshot(), i64::MIN, i64::MAX)
}
