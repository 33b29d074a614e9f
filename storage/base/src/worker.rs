//! The one background thread of a data directory: it does what takes long, one job after the other, and what is due by
//! itself, for all stores.
//!
//! A panic in a job poisons the stores: they refuse writes from then on, answer queries, and say so.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use telemetry::{Counter, figures};

use crate::StorageError;
use crate::observer::{Event, Observer};
use crate::retention::Retention;
use crate::store::Store;

/// How often the thread looks for what is due.
const TICK: Duration = Duration::from_secs(1);
/// How often rounds are done by default. Source: Prometheus `DefaultBlockReloadInterval`.
pub const ROUND: Duration = Duration::from_secs(60);

/// When write-ahead logs are made durable. Commits always reach the operating system before they are acknowledged, so a
/// crash of the process loses nothing under either policy; this bounds what a power cut may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// When a segment is full and at close, as Prometheus does.
    #[default]
    SegmentEnd,
    /// This long after a commit at the latest.
    Every(Duration),
}

/// What the stores of a directory need to be done, and how.
pub struct Upkeep {
    /// All stores.
    pub stores: Vec<Arc<dyn Store>>,
    /// The limits of their blocks.
    pub retention: Retention,
    /// When logs are synced.
    pub sync: SyncPolicy,
    /// How often blocks are looked for on disk, and retention and merging are considered.
    pub round_every: Duration,
    /// Whether rounds that are due are done, or only counted.
    pub background: bool,
    /// Hears what fails.
    pub observer: Arc<dyn Observer>,
    /// Counts rounds.
    pub rounds: Rounds,
}

figures! {
    /// What is counted of rounds.
    pub struct Rounds {
        pub triggered: Counter = "prometheus_tsdb_compactions_triggered_total",
            "Total number of triggered compactions for the partition.";
        pub failed: Counter = "prometheus_tsdb_compactions_failed_total",
            "Total number of compactions that failed for the partition.";
        pub skipped: Counter = "prometheus_tsdb_compactions_skipped_total",
            "Total number of skipped compactions due to disabled auto compaction.";
    }
}

/// When what happens at intervals was last done.
#[derive(Clone, Copy, Debug)]
pub struct Last {
    /// A round.
    pub round: Instant,
    /// A sync that [`SyncPolicy::Every`] asks for.
    pub sync: Instant,
}

impl Upkeep {
    /// Why background work has to wait, if it has.
    pub fn check_ready(&self) -> Result<(), StorageError> {
        self.stores.iter().try_for_each(|store| store.check_ready())
    }

    /// Does all that is due for each store: looks for new blocks, writes the past out of memory, merges, retains.
    pub fn round(&self) -> Result<(), StorageError> {
        self.rounds.triggered.inc();
        self.try_round().inspect_err(|_| self.rounds.failed.inc())
    }

    /// A store that fails does not hold up the others. The first error is the one to tell.
    fn try_round(&self) -> Result<(), StorageError> {
        let (mut result, mut refreshed) = (Ok(()), Vec::new());
        for store in &self.stores {
            match store.refresh() {
                Ok(()) => refreshed.push(store),
                Err(e) => result = result.and(Err(e)),
            }
        }
        // Old blocks go first: on a full disk that makes room for the rest.
        let retained = self.retention.apply(&self.stores);
        result = result.and(retained);
        for store in refreshed {
            let compacted = store.compact();
            result = result.and(compacted);
        }
        let retained = self.retention.apply(&self.stores);
        result.and(retained)
    }

    /// What is to be done every second; failures go to the observer.
    pub fn tick(&self, last: &mut Last) {
        let all = match self.sync {
            SyncPolicy::SegmentEnd => false,
            SyncPolicy::Every(time) => last.sync.elapsed() >= time,
        };
        if all {
            last.sync = Instant::now();
        }
        for store in &self.stores {
            self.report("syncing the write-ahead log", store.sync(all));
            self.report("writing buffered data", store.tick());
        }
        if self.check_ready().is_err() {
            return;
        }
        let due = last.round.elapsed() >= self.round_every || self.stores.iter().any(|store| store.is_due());
        match (due, self.background) {
            (true, true) => self.report("background work", self.round()),
            (true, false) => {
                self.rounds.triggered.inc();
                self.rounds.skipped.inc();
            }
            (false, true) => {
                for store in &self.stores {
                    self.report("freeing what is in blocks", store.free());
                }
            }
            (false, false) => {}
        }
        if due {
            last.round = Instant::now();
        }
    }

    fn report(&self, work: &'static str, result: Result<(), StorageError>) {
        if let Err(e) = result {
            self.observer.event(&Event::Failed { work, reason: e.to_string() });
        }
    }
}

/// Something for the thread to do.
type Job = Box<dyn FnOnce() -> Result<(), StorageError> + Send>;

/// Where a job's result goes.
type Reply = Sender<Result<(), StorageError>>;

/// The thread and the way to it.
pub struct Worker {
    sender: Mutex<Option<Sender<(Job, Reply)>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    poison: Arc<Mutex<Option<String>>>,
}

impl Worker {
    /// Starts the thread.
    pub fn start(upkeep: Arc<Upkeep>) -> Result<Self, StorageError> {
        let (sender, receiver) = channel();
        let poison = Arc::new(Mutex::new(None));
        let poisoned = poison.clone();
        let thread = std::thread::Builder::new()
            .name("storage".into())
            .spawn(move || run(&upkeep, &receiver, &poisoned))
            .map_err(StorageError::io_while("starting", "the storage thread"))?;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), poison })
    }

    /// Has a job done when all stores are ready for it, and waits for it. Refused while they are not.
    pub fn run(
        &self,
        job: impl FnOnce() -> Result<(), StorageError> + Send + 'static,
    ) -> Result<(), StorageError> {
        let (reply, result) = channel();
        let job: Job = Box::new(job);
        let sent = self.sender.lock().as_ref().is_some_and(|sender| sender.send((job, reply)).is_ok());
        let done = if sent { result.recv().ok() } else { None };
        done.unwrap_or_else(|| Err(self.poisoned().map_or(StorageError::Closed, StorageError::Poisoned)))
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

fn run(upkeep: &Upkeep, jobs: &Receiver<(Job, Reply)>, poison: &Mutex<Option<String>>) {
    let mut last = Last { round: Instant::now(), sync: Instant::now() };
    loop {
        let (job, reply) = match jobs.recv_timeout(TICK) {
            Ok((job, reply)) => (Some(job), Some(reply)),
            Err(RecvTimeoutError::Timeout) => (None, None),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let done = catch_unwind(AssertUnwindSafe(|| match job {
            Some(job) => upkeep.check_ready().and_then(|()| job()),
            None => {
                upkeep.tick(&mut last);
                Ok(())
            }
        }));
        match (done, reply) {
            // The caller may have gone.
            (Ok(result), Some(reply)) => drop(reply.send(result)),
            (Ok(_), None) => {}
            (Err(panic), reply) => {
                let reason = panic_text(&*panic);
                *poison.lock() = Some(reason.clone());
                upkeep.stores.iter().for_each(|store| store.poison(&reason));
                // The caller hears of it only now, and finds the reason.
                drop(reply);
                upkeep.observer.event(&Event::Poisoned { reason });
                return;
            }
        }
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".into())
}
