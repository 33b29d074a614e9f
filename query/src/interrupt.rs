//! What ends a query early: cancellation, its deadline, and the bytes that it holds.
//!
//! Bytes are those that the evaluation holds: what operands, intermediate results and the final one take together. What
//! grows while an operation is under way counts at once; when it ends, its result counts instead, and its operands no
//! more.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::QueryError;
use crate::memory::MemoryBudget;

/// The stage of planning and of limits in errors, as Prometheus writes it.
pub const STAGE_EXECUTION: &str = "query execution";
/// The stage of evaluation in errors, as Prometheus writes it.
pub const STAGE_EVALUATION: &str = "expression evaluation";

/// Ends an evaluation early. Shared by the workers of one query.
pub struct Interrupt<'a> {
    cancel: &'a AtomicBool,
    elapsed: &'a (dyn Fn() -> Duration + Sync),
    deadline: Option<Duration>,
    /// Bytes taken by the operation under way.
    working: AtomicUsize,
    /// Bytes of the results of operations that ended, and of what the query holds all the time.
    kept: AtomicUsize,
    max_bytes: usize,
    /// The most that one operation took.
    most: AtomicUsize,
    /// All are counted there too.
    memory: &'a MemoryBudget,
    work: AtomicU64,
    /// Whether other threads may help.
    parallel: bool,
}

/// Units of work (about a nanosecond each) after which a worker looks at the clock again.
const CHECK_EVERY: u64 = 1 << 20;

impl<'a> Interrupt<'a> {
    /// Nothing taken and nothing worked yet. `cancel` is raised to end the query soon; `elapsed` is the time passed since
    /// some fixed moment, which ends it at `deadline`; `max_bytes` bounds this query alone, `memory` all together.
    pub fn new(
        cancel: &'a AtomicBool,
        elapsed: &'a (dyn Fn() -> Duration + Sync),
        deadline: Option<Duration>,
        max_bytes: usize,
        memory: &'a MemoryBudget,
    ) -> Self {
        Self {
            cancel,
            elapsed,
            deadline,
            working: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            max_bytes,
            memory,
            work: AtomicU64::new(0),
            parallel: true,
        }
    }

    /// Keeps all work on the thread that does it.
    pub fn on_one_thread(mut self) -> Self {
        self.parallel = false;
        self
    }

    /// Whether other threads may help.
    #[inline]
    pub fn parallel(&self) -> bool {
        self.parallel
    }

    /// How many items a thread takes at least, of which `len` would be worth its while: all of them when no other
    /// thread may help.
    #[inline]
    pub fn min_len(&self, len: usize) -> usize {
        if self.parallel { len } else { usize::MAX }
    }

    /// Fails when the query was cancelled or its time is over.
    pub fn check(&self, stage: &'static str) -> Result<(), QueryError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(QueryError::Cancelled(stage));
        }
        if self.deadline.is_some_and(|deadline| (self.elapsed)() >= deadline) {
            return Err(QueryError::Timeout(stage));
        }
        Ok(())
    }

    /// As [`Self::check`], for the `at`-th of many short pieces of work: looks at the clock at some of them only.
    #[inline]
    pub fn check_at(&self, at: usize, stage: &'static str) -> Result<(), QueryError> {
        const PIECES: usize = 8;
        if at.is_multiple_of(PIECES) || self.cancel.load(Ordering::Relaxed) {
            return self.check(stage);
        }
        Ok(())
    }

    /// Notes work done and checks now and then.
    #[inline]
    pub fn worked(&self, units: u64) -> Result<(), QueryError> {
        let before = self.work.fetch_add(units, Ordering::Relaxed);
        if before / CHECK_EVERY == (before + units) / CHECK_EVERY {
            return Ok(());
        }
        self.check(STAGE_EVALUATION)
    }

    /// Notes memory that the operation under way takes, before or when it does. Fails when the query's budget does not
    /// cover it beside all else that is held.
    #[inline]
    pub fn allocated(&self, bytes: usize) -> Result<(), QueryError> {
        let working = self.working.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let shared = self.memory.take(bytes);
        self.check_bytes(working.saturating_add(self.kept.load(Ordering::Relaxed)))?;
        shared
    }

    /// Fails when the query's budget would not cover `bytes` that are not taken yet.
    pub fn could_allocate(&self, bytes: usize) -> Result<(), QueryError> {
        self.check_bytes(bytes)
    }

    /// Notes memory that the operation under way has given back.
    #[inline]
    pub fn freed(&self, bytes: usize) {
        self.working.fetch_sub(bytes, Ordering::Relaxed);
        self.memory.give_back(bytes);
    }

    /// Notes that the operation under way has ended: its result takes `result` bytes, and operands that took `freed` bytes
    /// are gone.
    pub fn ended(&self, result: usize, freed: usize) -> Result<(), QueryError> {
        let working = self.working.swap(0, Ordering::Relaxed);
        self.most.fetch_max(working, Ordering::Relaxed);
        self.kept.fetch_sub(freed, Ordering::Relaxed);
        let kept = self.kept.fetch_add(result, Ordering::Relaxed).saturating_add(result);
        let shared = self.memory.take(result);
        self.memory.give_back(working + freed);
        self.check_bytes(kept)?;
        shared
    }

    #[inline]
    fn check_bytes(&self, held: usize) -> Result<(), QueryError> {
        if held > self.max_bytes { Err(QueryError::TooManySamples(STAGE_EXECUTION)) } else { Ok(()) }
    }
}

impl Drop for Interrupt<'_> {
    fn drop(&mut self) {
        let left = *self.working.get_mut() + *self.kept.get_mut();
        self.memory.give_back(left);
        self.memory.done(left.max(*self.most.get_mut()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_in_sum() {
        let (cancel, elapsed) = (AtomicBool::new(false), || Duration::ZERO);
        let memory = MemoryBudget::new(usize::MAX);
        let interrupt = Interrupt::new(&cancel, &elapsed, None, 100, &memory);
        // One operation, in parts; then another beside its result; then one that takes both as operands.
        assert!(interrupt.allocated(60).is_ok() && interrupt.allocated(50).is_err());
        interrupt.freed(50);
        assert!(interrupt.ended(60, 0).is_ok());
        assert!(interrupt.allocated(40).is_ok() && interrupt.allocated(1).is_err());
        assert!(interrupt.ended(40, 0).is_ok());
        assert!(interrupt.allocated(1).is_err());
        assert!(interrupt.ended(10, 100).is_ok());
        assert!(interrupt.allocated(90).is_ok() && interrupt.ended(91, 0).is_err());
    }

    #[test]
    fn deadline_and_cancel() {
        let cancel = AtomicBool::new(false);
        let elapsed = || Duration::from_millis(5);
        let memory = MemoryBudget::new(usize::MAX);
        let interrupt = Interrupt::new(&cancel, &elapsed, Some(Duration::from_millis(6)), 100, &memory);
        assert!(interrupt.check("x").is_ok() && interrupt.worked(10).is_ok());
        cancel.store(true, Ordering::Relaxed);
        assert_eq!(interrupt.check("x"), Err(QueryError::Cancelled("x")));
        assert_eq!(interrupt.worked(CHECK_EVERY), Err(QueryError::Cancelled(STAGE_EVALUATION)));
        cancel.store(false, Ordering::Relaxed);
        let interrupt = Interrupt::new(&cancel, &elapsed, Some(Duration::from_millis(5)), 100, &memory);
        assert_eq!(interrupt.check("x"), Err(QueryError::Timeout("x")));
    }

    #[test]
    fn queries_share_memory_and_give_all_of_it_back() {
        let (cancel, elapsed) = (AtomicBool::new(false), || Duration::ZERO);
        let memory = MemoryBudget::new(100);
        let query = || Interrupt::new(&cancel, &elapsed, None, 90, &memory);
        let (one, two) = (query(), query());
        assert!(one.allocated(60).is_ok() && two.allocated(40).is_ok());
        let refused = two.allocated(1).unwrap_err();
        assert!(refused.to_string().starts_with("no memory is left for this query"), "{refused}");
        drop(two);
        // The operation's result takes less than the operation.
        assert!(one.ended(10, 0).is_ok() && one.allocated(80).is_ok());
        one.freed(80);
        assert!(one.ended(5, 10).is_ok());
        assert!(query().allocated(85).is_ok());
        assert!(query().allocated(91).is_err());
        drop(one);
        assert_eq!(memory.taken(), 0);
    }
}
