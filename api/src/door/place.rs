//! Where work runs.
//!
//! Small work runs where it is asked, on a thread that serves connections, because handing it to another thread and back
//! takes longer than the work. Medium work, and work that may have to wait for a disk, runs there too, while another
//! thread takes over the connections. Async ends here for large work: it runs on a blocking thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::RuntimeFlavor;

/// The kind of thread that work runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A thread that serves connections: work there must not wait for a client.
    Serving,
    /// A thread that may wait for the client.
    Blocking,
}

/// How much work something is, and with that where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkClass {
    /// Runs where it is asked, on that thread alone.
    Small,
    /// Runs where it is asked, on all cores, while another thread serves connections.
    Medium,
    /// Runs on a blocking thread and on all cores.
    Large,
}

/// What work of a class is at most.
pub(super) struct ClassBounds {
    /// Estimated nanoseconds of work.
    pub(super) work: u64,
    /// After this time, work that was estimated too low begins again on a blocking thread. Until then it cannot be
    /// cancelled. Much longer than such work takes, for machines that are busy.
    pub(super) time: Duration,
    /// Estimated bytes of text to be written where the work ran.
    pub(super) text: usize,
}

/// More work gains by several threads at once.
pub(super) const SMALL: ClassBounds =
    ClassBounds { work: 400_000, time: Duration::from_millis(20), text: 64 << 10 };
/// More would keep a thread from serving for too long.
pub(super) const MEDIUM: ClassBounds =
    ClassBounds { work: 10_000_000, time: Duration::from_millis(100), text: 1 << 20 };

impl WorkClass {
    /// The class of an estimate in nanoseconds.
    fn of(work: u64) -> Self {
        match work {
            work if work <= SMALL.work => Self::Small,
            work if work <= MEDIUM.work => Self::Medium,
            _ => Self::Large,
        }
    }
}

/// Runs work on this thread if it is small or medium; `None` if it belongs on a blocking thread.
///
/// `estimate` gives the nanoseconds of work, `None` where they are not known; where it `may_wait` for a disk, it is asked
/// only once another thread serves. `note` makes the note of the work that is kept while another thread serves. `run`
/// does the work, and gives up with `None` when it takes longer than the time that it is given.
pub(super) fn run_on_this_thread<N, T>(
    may_wait: bool,
    estimate: impl Fn() -> Option<u64>,
    note: impl FnOnce() -> N,
    run: impl FnOnce(WorkClass, Duration) -> Option<T>,
) -> Option<T> {
    let class = || estimate().map(WorkClass::of);
    let known = if may_wait { None } else { Some(class()?) };
    match known {
        Some(WorkClass::Small) => run(WorkClass::Small, SMALL.time),
        Some(WorkClass::Large) => None,
        _ if !can_give_way() => None,
        _ => tokio::task::block_in_place(|| {
            let _note = note();
            match known.or_else(class)? {
                WorkClass::Large => None,
                class => run(class, MEDIUM.time),
            }
        }),
    }
}

/// Writes a text of about `len` bytes on this thread, if it is not too long; else gives `write` back.
pub(super) fn write_on_this_thread<W: FnOnce(Place)>(len: usize, write: W) -> Result<(), W> {
    if len <= SMALL.text {
        write(Place::Serving);
    } else if len <= MEDIUM.text && can_give_way() {
        tokio::task::block_in_place(|| write(Place::Serving));
    } else {
        return Err(write);
    }
    Ok(())
}

/// Does work so that a panic ends this work only, as it does on a blocking thread.
pub(super) fn contain_panic<T>(work: impl FnOnce() -> T, panicked: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| panicked())
}

/// Whether another thread can serve what this one does while it is busy.
fn can_give_way() -> bool {
    tokio::runtime::Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(may_wait: bool, work: Option<u64>) -> (Option<WorkClass>, bool) {
        let mut noted = false;
        let class = run_on_this_thread(may_wait, || work, || noted = true, |class, _| Some(class));
        (class, noted)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn work_runs_where_its_class_belongs() {
        use WorkClass::{Medium, Small};
        for (may_wait, work, want) in [
            (false, Some(SMALL.work), (Some(Small), false)),
            (false, Some(SMALL.work + 1), (Some(Medium), true)),
            (false, Some(MEDIUM.work + 1), (None, false)),
            (false, None, (None, false)),
            (true, Some(SMALL.work), (Some(Small), true)),
            (true, Some(MEDIUM.work), (Some(Medium), true)),
            (true, Some(MEDIUM.work + 1), (None, true)),
            (true, None, (None, true)),
        ] {
            // As a connection's task runs: on a worker.
            let ran = tokio::spawn(async move { run(may_wait, work) }).await.unwrap();
            assert_eq!(ran, want, "{may_wait} {work:?}");
        }
    }

    #[tokio::test]
    async fn a_thread_that_serves_alone_takes_small_work_only() {
        assert_eq!(run(false, Some(SMALL.work)), (Some(WorkClass::Small), false));
        assert_eq!(run(false, Some(MEDIUM.work)), (None, false));
        assert_eq!(run(true, Some(SMALL.work)), (None, false));
        assert!(write_on_this_thread(SMALL.text, |_| ()).is_ok());
        assert!(write_on_this_thread(SMALL.text + 1, |_| ()).is_err());
    }

    #[test]
    fn a_panic_is_contained() {
        assert_eq!(contain_panic(|| panic!("as tested"), || 1), 1);
    }
}
