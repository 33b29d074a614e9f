//! One budget of memory for all that readers make grow: queries while they run, results until they are written, and
//! lists of series and labels.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::QueryError;

/// Who took this much, or more, leaves memory that is worth giving back to the system.
const LARGE: usize = 16 << 20;

/// How many bytes readers take together, and may take.
#[derive(Debug)]
pub struct MemoryBudget {
    taken: AtomicUsize,
    max: AtomicUsize,
    /// Gives free memory back to the system.
    release: fn(),
}

impl MemoryBudget {
    /// A budget of `max` bytes for all readers together.
    pub fn new(max: usize) -> Self {
        Self::with_release(max, || ())
    }

    /// The same; `release` is called when someone who took much has given it back. It gives free memory back to the
    /// system, for threads that wait as well as for its own.
    pub fn with_release(max: usize, release: fn()) -> Self {
        Self { taken: AtomicUsize::new(0), max: AtomicUsize::new(max), release }
    }

    /// Changes how much readers may take together. What is taken already stays.
    pub fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// How many bytes readers may take together.
    pub fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// Counts bytes as taken, also where it fails because they are too many: the query then ends and gives back all that
    /// it took.
    #[inline]
    pub fn take(&self, bytes: usize) -> Result<(), QueryError> {
        let taken = self.taken.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let max = self.max();
        if taken <= max || bytes == 0 {
            return Ok(());
        }
        Err(QueryError::Execution(format!(
            "no memory is left for this query beside those that run now: together they may take {} MiB; try again \
             later, or ask for fewer series or steps",
            max >> 20
        )))
    }

    /// How many bytes are taken now.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Counts bytes as given back.
    #[inline]
    pub fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// To be called when someone is done who took `bytes` at a time.
    pub fn done(&self, bytes: usize) {
        if bytes >= LARGE {
            (self.release)();
        }
    }

    /// Holds bytes that are there already, such as a result that is written: they count, and nobody is refused.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Hold {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Hold { budget: self.clone(), bytes, most: bytes }
    }
}

/// Bytes that someone holds; given back when this goes, which must be after what it stands for.
#[derive(Debug)]
pub struct Hold {
    budget: Arc<MemoryBudget>,
    bytes: usize,
    most: usize,
}

impl Hold {
    /// Takes more. Where it fails, all that is held is still counted.
    pub fn take(&mut self, bytes: usize) -> Result<(), QueryError> {
        self.bytes += bytes;
        self.most = self.most.max(self.bytes);
        self.budget.take(bytes)
    }

    /// Gives back all but `bytes`.
    pub fn keep(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.bytes -= surplus;
        self.budget.give_back(surplus);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
        self.budget.done(self.most);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn what_is_held_counts_until_it_goes() {
        static RELEASED: AtomicU32 = AtomicU32::new(0);
        let release = || {
            RELEASED.fetch_add(1, Ordering::Relaxed);
        };
        let budget = Arc::new(MemoryBudget::with_release(LARGE, release));
        let result = budget.hold(LARGE - 100);
        let mut list = budget.hold(0);
        assert!(list.take(100).is_ok() && list.take(1).is_err());
        list.keep(50);
        assert_eq!(budget.taken(), LARGE - 50);
        drop(list);
        drop(result);
        // Neither was large.
        assert_eq!((budget.taken(), RELEASED.load(Ordering::Relaxed)), (0, 0));
        let mut large = budget.hold(0);
        assert!(large.take(LARGE).is_ok());
        large.keep(0);
        drop(large);
        assert_eq!((budget.taken(), RELEASED.load(Ordering::Relaxed)), (0, 1));
    }

    #[test]
    fn a_smaller_budget_refuses_what_comes_later() {
        let budget = MemoryBudget::new(100);
        assert!(budget.take(80).is_ok());
        budget.set_max(50);
        assert!(budget.take(0).is_ok() && budget.take(1).is_err());
        budget.give_back(81);
        assert!(budget.take(50).is_ok() && budget.take(1).is_err());
    }
}
