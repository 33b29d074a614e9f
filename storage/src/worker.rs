//! The store's one background thread: it does what takes long, one job after the other, and what is due by itself.
//!
//! A panic in a job poisons the store: it refuses writes from then on, answers queries, and says so.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::Matcher;
use parking_lot::Mutex;

use crate::StorageError;
use crate::metrics::store::MetricsStore;
use crate::observer::Event;
use crate::options::SyncPolicy;

/// How often the thread looks for what is due.
const TICK: Duration = Duration::from_secs(1);
/// How often blocks are looked for on disk, and retention and merging are considered. Source: Prometheus
/// `DefaultBlockReloadInterval`.
const ROUND: Duration = Duration::from_secs(60);

/// Where a job's result goes.
type Reply = Sender<Result<(), StorageError>>;

/// What can wake the worker.
pub enum Job {
    /// Reload, flush, merge, retain.
    Round,
    /// Delete samples of matching series.
    Delete {
        /// All must match.
        matchers: Vec<Matcher>,
        /// First millisecond, inclusive.
        min_t: i64,
        /// Last millisecond, inclusive.
        max_t: i64,
    },
    /// Rewrite blocks without what is deleted.
    CleanTombstones,
    /// Copy the data directory.
    Snapshot {
        /// Name below `snapshots`.
        name: String,
        /// Whether the head is part of it.
        with_head: bool,
    },
}

/// The thread and the way to it.
pub struct Worker {
    sender: Mutex<Option<Sender<(Job, Reply)>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    poison: Arc<Mutex<Option<String>>>,
}

impl Worker {
    /// Starts the thread.
    pub fn start(store: Arc<MetricsStore>) -> Result<Self, StorageError> {
        let (sender, receiver) = channel();
        let poison = Arc::new(Mutex::new(None));
        let poisoned = poison.clone();
        let thread = std::thread::Builder::new()
            .name("storage".into())
            .spawn(move || run(&store, &receiver, &poisoned))
            .map_err(StorageError::doing("starting", "the storage thread"))?;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), poison })
    }

    /// Has a job done and waits for it.
    pub fn run(&self, job: Job) -> Result<(), StorageError> {
        let (reply, result) = channel();
        let sent = self.sender.lock().as_ref().is_some_and(|sender| sender.send((job, reply)).is_ok());
        let done = if sent { result.recv().ok() } else { None };
        done.unwrap_or_else(|| {
            let reason = self.poisoned().unwrap_or_else(|| "the store is closed".into());
            Err(StorageError::Poisoned(reason))
        })
    }

    /// What made the thread panic, if it did.
    pub fn poisoned(&self) -> Option<String> {
        self.poison.lock().clone()
    }

    /// Lets the thread finish its job and end.
    pub fn stop(&self) {
        *self.sender.lock() = None;
        if let Some(thread) = self.thread.lock().take() {
            // It catches its panics.
            let _ = thread.join();
        }
    }
}

fn run(store: &MetricsStore, jobs: &Receiver<(Job, Reply)>, poison: &Mutex<Option<String>>) {
    let (mut last_round, mut last_sync) = (Instant::now(), Instant::now());
    loop {
        let (job, reply) = match jobs.recv_timeout(TICK) {
            Ok((job, reply)) => (Some(job), Some(reply)),
            Err(RecvTimeoutError::Timeout) => (None, None),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let done = catch_unwind(AssertUnwindSafe(|| match job {
            Some(job) => perform(store, job),
            None => {
                tick(store, &mut last_round, &mut last_sync);
                Ok(())
            }
        }));
        match (done, reply) {
            // Who asked may have gone.
            (Ok(result), Some(reply)) => drop(reply.send(result)),
            (Ok(_), None) => {}
            (Err(panic), reply) => {
                let reason = panic_text(&*panic);
                *poison.lock() = Some(reason.clone());
                store.poison(&reason);
                // Who asked is told only now, and finds the reason.
                drop(reply);
                store.observer.event(&Event::Poisoned { reason });
                return;
            }
        }
    }
}

fn perform(store: &MetricsStore, job: Job) -> Result<(), StorageError> {
    store.check_replayed()?;
    match job {
        Job::Round => store.round(),
        Job::Delete { matchers, min_t, max_t } => store.delete(&matchers, min_t, max_t),
        Job::CleanTombstones => store.clean_tombstones(),
        Job::Snapshot { name, with_head } => store.snapshot_to(&name, with_head),
    }
}

fn tick(store: &MetricsStore, last_round: &mut Instant, last_sync: &mut Instant) {
    let all = match store.options.sync {
        SyncPolicy::SegmentEnd => false,
        SyncPolicy::Every(time) => last_sync.elapsed() >= time,
    };
    if all {
        *last_sync = Instant::now();
    }
    report(store, "syncing the write-ahead log", store.sync(all));
    report(store, "writing head chunks", store.flush_chunks());
    if store.replay_progress().is_some() {
        return;
    }
    store.forget_old_references();
    let due = last_round.elapsed() >= ROUND || store.is_flush_due();
    match (due, store.options.background) {
        (true, true) => report(store, "background work", store.round()),
        (true, false) => store.skip_round(),
        (false, true) => report(store, "truncating the head", store.truncate_when_free()),
        (false, false) => {}
    }
    if due {
        *last_round = Instant::now();
    }
}

fn report(store: &MetricsStore, work: &'static str, result: Result<(), StorageError>) {
    if let Err(e) = result {
        store.observer.event(&Event::Failed { work, reason: e.to_string() });
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::SimDisk;
    use crate::metrics::append::HeadAppender;
    use crate::observer::Silent;
    use crate::options::Options;
    use crate::tests::{HOUR, Still, series};
    use model::append::Appender;
    use std::sync::atomic::AtomicI64;

    fn open(disk: &SimDisk, options: Options) -> MetricsStore {
        let clock = Arc::new(Still(AtomicI64::new(0)));
        let store = MetricsStore::open(Arc::new(disk.clone()), clock, options, Arc::new(Silent)).unwrap();
        store.replay();
        store
    }

    fn put(store: &MetricsStore, t: i64) {
        let mut appender = Box::new(HeadAppender::new(store.live()));
        appender.append(None, &series("a"), t, 1.0, 0).unwrap();
        appender.commit().unwrap();
    }

    #[test]
    fn the_log_is_synced_when_its_time_has_come() {
        const TIME: Duration = Duration::from_secs(5);
        for (sync, since, survives) in [
            (SyncPolicy::Every(TIME), TIME, true),
            (SyncPolicy::Every(TIME), Duration::ZERO, false),
            (SyncPolicy::SegmentEnd, TIME, false),
        ] {
            let mut lost = 0;
            for seed in 0..20 {
                let disk = SimDisk::new(seed);
                let options = Options { sync, background: false, ..Options::default() };
                let store = open(&disk, options.clone());
                put(&store, HOUR);
                let mut last_sync = Instant::now().checked_sub(since).unwrap();
                let before = last_sync;
                tick(&store, &mut Instant::now(), &mut last_sync);
                assert_eq!(last_sync > before, survives, "{sync:?} {since:?}");
                disk.power_cut();
                drop(store);
                lost += 1 - open(&disk, options).stats().head_series;
            }
            assert_eq!(lost == 0, survives, "{sync:?} {since:?} lost {lost} times");
        }
    }

    #[test]
    fn a_round_that_is_due_is_done_or_counted() {
        for (background, want) in [(true, (1, 0)), (false, (1, 1))] {
            let store = open(&SimDisk::new(0), Options { background, ..Options::default() });
            let (mut last_round, mut last_sync) = (Instant::now(), Instant::now());
            tick(&store, &mut last_round, &mut last_sync);
            assert_eq!(store.stats().compactions_triggered, 0);
            put(&store, 0);
            put(&store, 4 * HOUR);
            tick(&store, &mut last_round, &mut last_sync);
            let stats = store.stats();
            assert_eq!((stats.compactions_triggered, stats.compactions_skipped), want);
            assert_eq!(stats.blocks, u64::from(background));
        }
    }
}
