//! What head chunk files hold, until replay meets its series.

use hashbrown::{HashMap, HashSet};

use crate::head::closed_chunks::ClosedChunk;
use crate::head::head_chunks::FoundChunk;
use crate::record::LogRef;

/// Chunks by their series' number in the log.
#[derive(Default)]
pub struct FoundChunks {
    pub(crate) in_order: HashMap<LogRef, Vec<ClosedChunk>>,
    pub(crate) out_of_order: HashMap<LogRef, Vec<ClosedChunk>>,
    pub(crate) out_of_order_places: HashSet<u64>,
}

impl FoundChunks {
    /// Takes a chunk that was found.
    pub fn add(&mut self, found: FoundChunk) {
        if found.out_of_order {
            self.out_of_order_places.insert(found.chunk.at);
        }
        let chunks = if found.out_of_order { &mut self.out_of_order } else { &mut self.in_order };
        chunks.entry(found.log_ref).or_default().push(found.chunk);
    }

    /// The numbers of the series that have any.
    pub fn numbers(&self) -> impl Iterator<Item = LogRef> {
        self.in_order.keys().chain(self.out_of_order.keys()).copied()
    }

    /// Time of the newest in-order sample.
    pub fn max_t(&self) -> Option<i64> {
        self.in_order.values().flatten().map(|chunk| chunk.max_t).max()
    }
}
