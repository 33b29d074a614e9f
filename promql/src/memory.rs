//! Memory that all queries of an engine share.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::QueryError;

/// How many bytes the queries that run take together, and may take.
#[derive(Debug)]
pub struct Memory {
    pub(crate) taken: AtomicUsize,
    max: usize,
}

impl Memory {
    /// So many bytes for all queries.
    pub fn new(max: usize) -> Self {
        Self { taken: AtomicUsize::new(0), max }
    }

    /// Counts bytes as taken, also where it fails because they are too many: the query that is told so ends, and gives
    /// back all that it took.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), QueryError> {
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

    /// Counts bytes as given back.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}
