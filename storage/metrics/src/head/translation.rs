//! References that an interim head gave, and what the lasting head calls the same series.

use std::time::{Duration, Instant};

use model::append::SeriesRef;

use crate::head::table::slot_of;

/// The first generation of an interim head's slots: no lasting head gets that far, so their references never meet.
pub(crate) const INTERIM_GENERATION: u32 = 1 << 31;

/// After this nobody is expected to come with a reference that it has not used since.
const KEPT: Duration = Duration::from_secs(3600);

/// What the lasting head calls the series of an interim head.
#[derive(Debug)]
pub struct Translation {
    /// By slot; 0 for none.
    references: Box<[u64]>,
    since: Instant,
}

impl Translation {
    /// A translation that holds from now on. `references` has the lasting head's reference for each slot of the interim
    /// head, 0 for none.
    pub(crate) fn new(references: Vec<u64>) -> Self {
        Self { references: references.into_boxed_slice(), since: Instant::now() }
    }

    /// What the lasting head calls a series.
    pub(crate) fn get(&self, of: SeriesRef) -> Option<SeriesRef> {
        if (of.0 >> 32) as u32 != INTERIM_GENERATION {
            return None;
        }
        let found = *self.references.get(slot_of(of) as usize)?;
        (found != 0).then_some(SeriesRef(found))
    }

    /// Whether it is no longer needed.
    pub(crate) fn is_old(&self) -> bool {
        self.since.elapsed() > KEPT
    }
}
