//! Selections that somebody watches: what they take is told, and they end when they should.

use std::sync::atomic::{AtomicUsize, Ordering};

use model::Matcher;
use model::read::{Hints, ReadError, Selection, Watch};
use storage_base::fs::SimDisk;

use super::*;

/// Allows so many bytes.
struct Allowing {
    max: usize,
    taken: AtomicUsize,
}

impl Watch for Allowing {
    fn grown(&self, bytes: usize) -> Result<(), ReadError> {
        let taken = self.taken.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if taken > self.max { Err(ReadError::Cancelled) } else { Ok(()) }
    }
}

#[test]
fn a_selection_tells_what_it_takes_and_ends_when_that_is_too_much() {
    const SERIES: usize = 5_000;
    let disk = SimDisk::new(41);
    let storage = open(&disk);
    let names: Vec<String> = (0..SERIES).map(|n| format!("series {n}")).collect();
    for t in [0, 5 * HOUR] {
        put(&storage, &names.iter().map(|name| (name.as_str(), t, 1.0)).collect::<Vec<_>>());
    }
    // The first half is in a block, the second in the head.
    storage.compact().unwrap();
    assert_eq!(storage.blocks().len(), 1);
    for (min_t, max_t) in [(0, 0), (5 * HOUR, 5 * HOUR)] {
        let all = Matcher::new(model::MatchOp::Regex, "n", "series.*").unwrap();
        let selection = Selection { matchers: vec![all], min_t, max_t, limit: 0, hints: Hints::default() };
        let select = |max| {
            let watch = Allowing { max, taken: AtomicUsize::new(0) };
            let found = storage.snapshot().select_watched(&selection, &watch).map(|set| set.series.len());
            (found, watch.taken.into_inner())
        };
        let (found, taken) = select(usize::MAX);
        assert_eq!(found, Ok(SERIES));
        assert!((SERIES * 100..SERIES * 1000).contains(&taken), "{taken}");
        // Not much further than allowed: what the threads have at hand.
        let (found, taken) = select(taken / 4);
        assert_eq!(found, Err(ReadError::Cancelled));
        assert!(taken < SERIES * 800, "{taken}");
    }
}
