//! What a target's series are called in the store: the text of a series to its reference and labels, so that a series
//! that was seen before costs one look-up; and which series have gone.
//!
//! Scrapes are numbered. An entry carries the number of the scrape that last saw it and of the one that last stored a
//! sample for it. A series is gone when the scrape before stored a sample and this one did not, under no text that
//! leads to the same reference.
//!
//! A server has an entry for every active series, so an entry is small: texts are known by 128 bits of hash, and labels
//! are kept only for a store that wants metadata. Should the store have forgotten a series, its labels are made anew.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashMap;
use model::append::SeriesRef;
use model::labels::Labels;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::metadata::MetadataCache;

/// Entries beyond twice those of the last success that are kept while scrapes fail.
const SLACK: usize = 1000;

/// A text's hash, in halves: a `u128` would be aligned to 16 bytes.
type Key = [u64; 2];

/// The cache of one target.
#[derive(Debug)]
pub struct ScrapeCache {
    entries: HashMap<Key, Entry>,
    /// Random, so that nobody can prepare texts of equal hash.
    seed: u64,
    scrape: u64,
    /// Entries seen in this scrape.
    seen: usize,
    counts: Counts,
    tracked_before: usize,
    entries_at_success: usize,
    metadata: Arc<MetadataCache>,
}

#[derive(Debug)]
struct Entry {
    /// `None`: relabelling drops the series.
    series: Option<CachedSeries>,
    seen: u64,
    tracked: Tracked,
}

/// The scrapes that last stored a sample of a series.
#[derive(Clone, Copy, Debug, Default)]
struct Tracked {
    last: u64,
    /// The one before, for when the last turns out to have failed.
    earlier: u64,
}

/// How many entries are tracked in this scrape, and how many of them were so in the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    tracked: usize,
    retained: usize,
}

/// A series in the store.
#[derive(Clone, Debug)]
pub struct CachedSeries {
    /// Its reference.
    pub reference: SeriesRef,
    /// Its labels, where they are kept.
    pub labels: Option<Labels>,
}

/// What the cache knows about a text.
pub enum Lookup<'c> {
    /// Nothing.
    Unknown,
    /// That its series is dropped.
    Dropped,
    /// Its series.
    Known(Hit<'c>),
}

/// A known series in this scrape.
pub struct Hit<'c> {
    entry: &'c mut CachedSeries,
    tracked: &'c mut Tracked,
    counts: &'c mut Counts,
    scrape: u64,
    /// Whether this scrape has brought the series before.
    pub repeated: bool,
}

impl Hit<'_> {
    /// The series.
    pub fn series(&self) -> &CachedSeries {
        self.entry
    }

    /// Takes note of the reference that the store uses now.
    pub fn set_reference(&mut self, reference: SeriesRef) {
        self.entry.reference = reference;
    }

    /// Notes that a sample was stored, so that the series is marked stale when it is missing in the next scrape.
    pub fn track(&mut self) {
        self.tracked.note(self.scrape, self.counts);
    }
}

impl Tracked {
    fn note(&mut self, scrape: u64, counts: &mut Counts) {
        if self.last != scrape {
            counts.tracked += 1;
            counts.retained += usize::from(self.last + 1 == scrape);
            *self = Self { last: scrape, earlier: self.last };
        }
    }
}

impl Default for ScrapeCache {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            seed: RandomState::new().hash_one(0),
            // An entry that was never tracked holds 0, which must not be the scrape before the first.
            scrape: 2,
            seen: 0,
            counts: Counts::default(),
            tracked_before: 0,
            entries_at_success: 0,
            metadata: Arc::default(),
        }
    }
}

impl ScrapeCache {
    /// The number of the running scrape.
    pub fn scrape(&self) -> u64 {
        self.scrape
    }

    /// The target's metadata; shared with who shows it.
    pub fn metadata(&self) -> &Arc<MetadataCache> {
        &self.metadata
    }

    fn key(&self, text: &[u8]) -> Key {
        let hash = xxh3_128_with_seed(text, self.seed);
        [hash as u64, (hash >> 64) as u64]
    }

    /// Looks a text up and notes that this scrape has it.
    pub fn look_up(&mut self, text: &[u8]) -> Lookup<'_> {
        let Some(entry) = self.entries.get_mut(&self.key(text)) else {
            return Lookup::Unknown;
        };
        let repeated = entry.seen == self.scrape;
        if !repeated {
            entry.seen = self.scrape;
            self.seen += 1;
        }
        match &mut entry.series {
            None => Lookup::Dropped,
            Some(series) => Lookup::Known(Hit {
                entry: series,
                tracked: &mut entry.tracked,
                counts: &mut self.counts,
                scrape: self.scrape,
                repeated,
            }),
        }
    }

    /// Remembers the series of a text, in place of what was known of it; `track` as in [`Hit::track`].
    pub fn insert(&mut self, text: &[u8], series: CachedSeries, tracked: bool) {
        let mut entry = Entry { series: Some(series), seen: self.scrape, tracked: Tracked::default() };
        if tracked {
            entry.tracked.note(self.scrape, &mut self.counts);
        }
        self.put(text, entry);
    }

    /// Remembers that the series of a text is dropped.
    pub fn insert_dropped(&mut self, text: &[u8]) {
        self.put(text, Entry { series: None, seen: self.scrape, tracked: Tracked::default() });
    }

    fn put(&mut self, text: &[u8], entry: Entry) {
        let before = self.entries.insert(self.key(text), entry);
        self.seen += usize::from(before.is_none_or(|before| before.seen != self.scrape));
    }

    /// The series that are gone. Cheap when there are none.
    pub fn gone(&self) -> Vec<CachedSeries> {
        if self.counts.retained == self.tracked_before {
            return Vec::new();
        }
        let tracked_in = |scrape: u64| {
            let entries = self.entries.values().filter(move |entry| entry.tracked.last == scrape);
            entries.filter_map(|entry| entry.series.as_ref())
        };
        let present: HashSet<SeriesRef> = tracked_in(self.scrape).map(|series| series.reference).collect();
        let mut reported = HashSet::new();
        tracked_in(self.scrape - 1)
            .filter(|series| !present.contains(&series.reference) && reported.insert(series.reference))
            .cloned()
            .collect()
    }

    /// Forgets what this scrape stored: it failed, and its samples were taken back. All series of the scrape before
    /// are then gone.
    pub fn fail(&mut self) {
        for entry in self.entries.values_mut() {
            if entry.tracked.last == self.scrape {
                entry.tracked.last = entry.tracked.earlier;
            }
        }
        self.counts = Counts::default();
    }

    /// Ends the scrape. After a success entries that it did not have are forgotten; after failures only when the
    /// cache has grown out of all proportion. True if that was so.
    pub fn end(&mut self, success: bool) -> bool {
        let count = self.entries.len() + self.metadata.count();
        let forced = !success && count > self.entries_at_success * 2 + SLACK;
        if success || forced {
            if self.seen < self.entries.len() {
                let scrape = self.scrape;
                self.entries.retain(|_, entry| entry.seen == scrape);
            }
            self.metadata.expire(self.scrape);
        }
        if success {
            self.entries_at_success = count;
        }
        self.tracked_before = self.counts.tracked;
        self.counts = Counts::default();
        self.seen = 0;
        self.scrape += 1;
        forced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn series(reference: u64) -> CachedSeries {
        CachedSeries { reference: SeriesRef(reference), labels: None }
    }

    /// Scrapes the texts; text `n` leads to reference `n / 2`. Gives the references that are gone.
    fn scrape(cache: &mut ScrapeCache, texts: &[u8], fails: bool) -> BTreeSet<u64> {
        for text in texts {
            match cache.look_up(&[*text]) {
                Lookup::Unknown => cache.insert(&[*text], series(u64::from(*text / 2)), true),
                Lookup::Known(mut hit) => hit.track(),
                Lookup::Dropped => unreachable!(),
            }
        }
        if fails {
            cache.fail();
        }
        let gone = cache.gone().iter().map(|series| series.reference.0).collect();
        cache.end(!fails);
        gone
    }

    proptest! {
        #[test]
        fn gone_is_what_the_scrape_before_had(scrapes in prop::collection::vec((prop::collection::vec(0u8..12, 0..10), prop::bool::weighted(0.2)), 1..12)) {
            let mut cache = ScrapeCache::default();
            let mut before: BTreeSet<u64> = BTreeSet::new();
            for (texts, fails) in scrapes {
                let now: BTreeSet<u64> =
                    if fails { BTreeSet::new() } else { texts.iter().map(|text| u64::from(text / 2)).collect() };
                let want: BTreeSet<u64> = before.difference(&now).copied().collect();
                prop_assert_eq!(scrape(&mut cache, &texts, fails), want);
                before = now;
            }
        }
    }

    #[test]
    fn repeated_and_dropped() {
        let mut cache = ScrapeCache::default();
        cache.insert_dropped(b"d");
        assert!(matches!(cache.look_up(b"d"), Lookup::Dropped));
        cache.insert(b"a", series(1), true);
        assert!(matches!(cache.look_up(b"a"), Lookup::Known(hit) if hit.repeated));
        cache.end(true);
        assert!(matches!(cache.look_up(b"a"), Lookup::Known(hit) if !hit.repeated));
        cache.end(true);
        assert!(matches!(cache.look_up(b"d"), Lookup::Unknown));
    }

    #[test]
    fn failures_do_not_grow_the_cache_without_end() {
        let mut cache = ScrapeCache::default();
        let mut forced = 0;
        for scrape in 0..10_000u32 {
            cache.insert(&scrape.to_le_bytes(), series(u64::from(scrape)), false);
            cache.fail();
            forced += usize::from(cache.end(false));
            assert!(cache.entries.len() <= SLACK + 1);
        }
        assert!(forced > 0);
    }

    #[test]
    fn metadata_outlives_its_family_by_ten_scrapes() {
        let mut cache = ScrapeCache::default();
        let metadata = cache.metadata().clone();
        metadata.set_help(cache.scrape(), "a", "text".into());
        let alive: BTreeMap<i32, bool> = (0..13)
            .map(|scrape| {
                cache.end(true);
                (scrape, metadata.get("a", 0).is_some())
            })
            .collect();
        assert_eq!(alive.values().filter(|alive| **alive).count(), 11);
    }
}
