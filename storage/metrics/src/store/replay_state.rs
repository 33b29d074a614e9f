//! The store while its log is replayed: it serves what is there, takes commits into an interim head, and lets
//! everything else wait. See [`crate::replay::interim_head`] for how the two heads become one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use storage_base::StorageError;
use storage_base::fs::Disk;
use storage_base::observer::{Event, Observer};
use storage_base::wal::writer::WriterOptions;
use storage_base::worker::panic_text;

use crate::blocks::chunk_samples::ChunkEncodings;
use crate::head::head_chunks::HeadChunks;
use crate::head::log::Logs;
use crate::head::open_chunk::CutRule;
use crate::head::{Head, HeadOptions};
use crate::options::{FloatEncoding, Limits, Options};
use crate::replay::found_chunks::FoundChunks;
use crate::replay::log_scan::{LogScan, scan_logs};
use crate::replay::progress::{Progress, ReplayProgress};
use crate::replay::{END, Replay, Replayed};
use crate::store::MetricsStore;

/// A pass of replay that read no more than this was the last before commits are held.
const CAUGHT_UP_BYTES: u64 = 64 << 10;
/// The most passes: commits that come faster than replay reads have to wait for the rest.
const PASSES_MAX: usize = 16;

/// How far replay is, and what it waits for.
pub(crate) struct ReplayState {
    pub(crate) progress: Progress,
    task: Mutex<Option<Task>>,
    state: Mutex<Phase>,
    changed: Condvar,
    /// What replay met, and how long it took.
    outcome: Mutex<(Replayed, Duration)>,
}

enum Phase {
    Running,
    Done,
    /// The first caller gets the reason.
    Failed(Option<StorageError>),
}

/// What there is to do.
struct Task {
    interim: Arc<Head>,
    found: FoundChunks,
    scan: LogScan,
    start: Instant,
}

/// A head of which only the chunk files are open, for replay, and what they hold.
fn empty_head(
    disk: &Arc<dyn Disk>,
    logs: Logs,
    options: HeadOptions,
    min_valid_t: i64,
    observer: &dyn Observer,
) -> Result<(Head, FoundChunks), StorageError> {
    let mut found = FoundChunks::default();
    let (chunks, damage) = HeadChunks::open(disk.clone(), |chunk| found.add(chunk))?;
    let head = Head::new(chunks, logs, min_valid_t, options);
    if let Some(damage) = damage {
        head.figures.chunk_corruptions.inc();
        let action = "cut there; later files emptied, because the write-ahead log has the same samples";
        observer.event(&Event::repaired(damage, action));
    }
    Ok((head, found))
}

fn head_options(options: &Options, limits: &Limits) -> HeadOptions {
    HeadOptions {
        rule: CutRule {
            encodings: ChunkEncodings {
                xor2: limits.floats == FloatEncoding::Xor2,
                histogram_start_t: options.histogram_start_t,
            },
            ..CutRule::new(options.min_block, options.samples_per_chunk)
        },
        out_of_order_chunk_samples: usize::from(options.out_of_order_chunk_samples.max(1)),
        log_metadata: options.log_metadata,
        zero_at_start: options.zero_at_start,
        window: limits.out_of_order_window,
        exemplars: if options.exemplars { limits.max_exemplars } else { 0 },
    }
}

/// Brings a head back from its chunk files and the logs, which nobody writes.
pub(crate) fn whole_head(
    disk: &Arc<dyn Disk>,
    options: &Options,
    limits: &Limits,
    min_valid_t: i64,
    observer: &dyn Observer,
) -> Result<Head, StorageError> {
    let scan = scan_logs(disk, false, observer)?;
    let logs = Logs::new(disk.clone(), WriterOptions::default(), options.start_t);
    let (head, found) = empty_head(disk, logs, head_options(options, limits), min_valid_t, observer)?;
    let progress = Progress::default();
    let mut replay = Replay::new(&head, disk, observer, &progress, found, scan);
    replay.checkpoint()?;
    let ends = (Some(END), Some(END));
    replay.advance(ends)?;
    replay.finish(ends)?;
    Ok(head)
}

impl ReplayState {
    /// The head that is to last, still empty, the interim one, and what there is to do that one becomes the other.
    pub(crate) fn begin(
        disk: &Arc<dyn Disk>,
        wal: WriterOptions,
        options: &Options,
        limits: &Limits,
        min_valid_t: i64,
        observer: &dyn Observer,
        start: Instant,
    ) -> Result<(Arc<Head>, Arc<Head>, Self), StorageError> {
        let out_of_order = limits.out_of_order_window > 0;
        // Both look at all that there is, at different files.
        let unopened_logs = || Logs::new(disk.clone(), wal, options.start_t);
        let head_options = head_options(options, limits);
        let (scan, head) = rayon::join(
            || scan_logs(disk, out_of_order, observer),
            || empty_head(disk, unopened_logs(), head_options, min_valid_t, observer),
        );
        let (mut scan, (head, found)) = (scan?, head?);
        found.numbers().for_each(|number| scan.note_number(number));
        if out_of_order {
            scan.max_t = scan.max_t.max(found.max_t());
        }
        let mut logs = unopened_logs();
        logs.open()?;
        let interim = head.interim(disk.clone(), logs, min_valid_t, head_options, &scan);
        let interim = Arc::new(interim);
        let task = Task { interim: interim.clone(), found, scan, start };
        let restore = Self {
            progress: Progress::default(),
            task: Mutex::new(Some(task)),
            state: Mutex::new(Phase::Running),
            changed: Condvar::new(),
            outcome: Mutex::default(),
        };
        Ok((Arc::new(head), interim, restore))
    }

    fn end(&self, state: Phase) {
        *self.state.lock() = state;
        self.changed.notify_all();
    }

    /// What replay met, and how long it took.
    pub(crate) fn outcome(&self) -> (Replayed, Duration) {
        self.outcome.lock().clone()
    }
}

impl MetricsStore {
    /// Replays the logs. To be called once; [`MetricsStore::wait_replayed`] has the outcome.
    pub(crate) fn replay_logs(&self) {
        let Some(task) = self.restore.task.lock().take() else { return };
        let done = catch_unwind(AssertUnwindSafe(|| self.try_replay(task)));
        let failed = match done {
            Ok(Ok(())) => return self.restore.end(Phase::Done),
            Ok(Err(e)) => e,
            Err(panic) => {
                let reason = panic_text(&*panic);
                self.observer.event(&Event::Poisoned { reason: reason.clone() });
                StorageError::Poisoned(reason)
            }
        };
        if !matches!(failed, StorageError::Stopping) {
            let reason = format!("replay of the write-ahead log failed: {failed}");
            self.with_logs(|logs| logs.poison(&reason));
        }
        self.restore.end(Phase::Failed(Some(failed)));
    }

    fn try_replay(&self, Task { interim, found, scan, start }: Task) -> Result<(), StorageError> {
        let (head, progress) = (&self.head, &self.restore.progress);
        let mut replay = Replay::new(head, &self.disk, &*self.observer, progress, found, scan);
        replay.checkpoint()?;
        for _ in 0..PASSES_MAX {
            let ends = interim.logs.lock().ends();
            if replay.advance(ends)? <= CAUGHT_UP_BYTES {
                break;
            }
        }
        {
            let mut logs = interim.logs.lock();
            logs.check_open()?;
            let replayed = replay.finish(logs.ends())?;
            let hidden = replay.behind_lost_marks();
            if !hidden.is_empty()
                && let Err(e) = logs.write_out_of_order(&[], &hidden)
            {
                // Nothing is lost here: it is tried again with the next start.
                let work = "logging out-of-order samples again whose chunks were lost";
                self.observer.event(&Event::Failed { work, reason: e.to_string() });
            }
            head.succeed(&interim, &mut logs, |number| replay.named(number));
            head.logs.lock().spare(replayed.spare_refs.iter().copied());
            self.published.write().live = head.clone();
            *self.restore.outcome.lock() = (replayed, start.elapsed());
        }
        let series = head.figures.series.get() as usize;
        self.observer.event(&Event::Replayed { series, took: start.elapsed() });
        Ok(())
    }

    /// How far replay of the logs is; `None` when it is done.
    pub fn replay_progress(&self) -> Option<ReplayProgress> {
        let done = matches!(*self.restore.state.lock(), Phase::Done);
        (!done).then(|| self.restore.progress.now())
    }

    /// Refuses while the logs are replayed.
    pub fn check_replayed(&self) -> Result<(), StorageError> {
        match self.replay_progress() {
            Some(progress) => Err(StorageError::Replaying(progress.to_string())),
            None => Ok(()),
        }
    }

    /// Waits for replay to end. An error says why the store is not whole; it takes no samples any more.
    pub fn wait_replayed(&self) -> Result<(), StorageError> {
        let mut state = self.restore.state.lock();
        loop {
            match &mut *state {
                Phase::Running => self.restore.changed.wait(&mut state),
                Phase::Done => return Ok(()),
                Phase::Failed(reason) => {
                    let known = || StorageError::Poisoned("replay of the write-ahead log failed".into());
                    return Err(reason.take().unwrap_or_else(known));
                }
            }
        }
    }

    /// The head that takes commits: the interim one while the logs are replayed.
    pub fn live(&self) -> Arc<Head> {
        self.published.read().live.clone()
    }

    /// The interim head, while there is one.
    pub(crate) fn interim(&self) -> Option<Arc<Head>> {
        Some(self.live()).filter(|live| !Arc::ptr_eq(live, &self.head))
    }

    /// Does something with the logs that commits go to, under the commit lock.
    pub(crate) fn with_logs<T>(&self, act: impl FnOnce(&mut Logs) -> T) -> T {
        let live = self.live();
        let mut logs = live.logs.lock();
        match live.successor.get() {
            Some(successor) => act(&mut successor.logs.lock()),
            None => act(&mut logs),
        }
    }
}
