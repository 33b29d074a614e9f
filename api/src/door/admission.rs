//! Admission: how many run at once, how long one may take, and how it learns that its client has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lets a number of reads pass at once.
pub(super) struct Gate(Arc<Semaphore>);

/// A place among those that run, given back when this goes.
pub(super) type Permit = OwnedSemaphorePermit;

/// Why a read was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Its deadline passed while it waited.
    TimedOut,
    /// The gate is closed for good.
    Closed,
}

impl Gate {
    /// A gate for `places` at once, one at least.
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places.max(1))))
    }

    /// Waits for a place for as long as `timeout`.
    pub(super) async fn enter(&self, timeout: Duration) -> Result<Permit, Refused> {
        if let Ok(permit) = self.0.clone().try_acquire_owned() {
            return Ok(permit);
        }
        tokio::time::timeout(timeout, self.wait()).await.unwrap_or(Err(Refused::TimedOut))
    }

    /// Waits for a place for as long as it takes.
    pub(super) async fn wait(&self) -> Result<Permit, Refused> {
        self.0.clone().acquire_owned().await.map_err(|_| Refused::Closed)
    }
}

/// What bounds one read from its arrival on.
pub(super) struct Bounds {
    arrived: Instant,
    /// How long it waited for admission.
    pub(super) queue_time: Duration,
    /// How long it may take from its arrival on.
    pub(super) timeout: Duration,
    /// Raised when no client waits for the answer any more.
    pub(super) cancel: Arc<AtomicBool>,
}

impl Bounds {
    /// The bounds of a read that arrived at `arrived` and begins now.
    pub(super) fn since(arrived: Instant, timeout: Duration) -> Self {
        Self { arrived, queue_time: arrived.elapsed(), timeout, cancel: Arc::default() }
    }

    /// The bounds of a read that does not queue.
    pub(super) fn unqueued(timeout: Duration) -> Self {
        Self { arrived: Instant::now(), queue_time: Duration::ZERO, timeout, cancel: Arc::default() }
    }

    /// The time since the arrival.
    pub(super) fn elapsed(&self) -> Duration {
        self.arrived.elapsed()
    }

    /// Whether no client waits for the answer any more.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Cancels the read when the guard goes: with the future of a client that has gone.
    pub(super) fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.cancel.clone())
    }
}

/// See [`Bounds::cancel_on_drop`].
pub(super) struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_gate_has_its_places() {
        let gate = Gate::new(1);
        let timeout = Duration::from_secs(1);
        let first = gate.enter(timeout).await.unwrap();
        assert_eq!(gate.enter(timeout).await.unwrap_err(), Refused::TimedOut);
        drop(first);
        // A free place is taken without waiting.
        assert!(gate.enter(Duration::ZERO).await.is_ok());
    }

    #[test]
    fn a_read_is_cancelled_with_its_guard() {
        let bounds = Bounds::unqueued(Duration::MAX);
        let guard = bounds.cancel_on_drop();
        assert!(!bounds.is_cancelled());
        drop(guard);
        assert!(bounds.is_cancelled());
    }
}
