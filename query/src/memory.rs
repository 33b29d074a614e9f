//! MemoryBudget that all queries of an engine share.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::QueryError;

/// How many bytes the queries that run take together, and may take.
#[derive(Debug)]
pub struct MemoryBudget {
    taken: AtomicUsize,
    max: usize,
}

impl MemoryBudget {
    /// A budget of `max` bytes for all queries together.
    pub fn new(max: usize) -> Self {
        Self { taken: AtomicUsize::new(0), max }
    }

    /// Counts bytes as taken, also where it fails because they are too many: the query then ends and gives back all that
    /// it took.
    #[inline]
    pub fn take(&self, bytes: usize) -> Result<(), QueryError> {
        let taken = self.taken.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if taken <= self.max {
            return Ok(());
        }
        Err(QueryError::Execution(format!(
            "no memory is left for this query beside those that run now: together they may take {} MiB; try again \
             later, or ask for fewer series or steps",
            self.max >> 20
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
}
