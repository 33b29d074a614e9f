//! What a target's series are called in the store: the text of a series to its reference and labels, so that a series
//! that was seen before costs one look-up; and which series have gone.
//!
//! Scrapes are numbered. An entry carries the number of the scrape that last saw it and of the one that last stored a
//! sample for it. A series is gone when the scrape before stored a sample and this one did not, under no text that
//! leads to the same reference.
//!
//! A server has an entry for every active series, so an entry is small: texts are known by 96 bits of hash, and labels
//! are kept only for a store that wants metadata. Should the store have forgotten a series, its labels are made anew.
//! Entries lie in the order in which their texts first came, which is mostly the order in which they come again: the
//! entry behind the last one found is looked at before the hash table; and where the body goes on with its text, the
//! labels in it need not be read again.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use model::append::SeriesRef;
use model::labels::Labels;
use wire::exposition::Format;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::metadata::MetadataCache;

/// Entries beyond twice those of the last success that are kept while scrapes fail.
const SLACK: usize = 1000;

/// A text's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key([u32; 3]);

/// The cache of one target.
#[derive(Debug)]
pub struct ScrapeCache {
    entries: Vec<Entry>,
    /// Where in `entries` a key is.
    places: HashTable<u32>,
    /// Labels of known series, where they are kept.
    labels: HashMap<Key, Labels>,
    /// Where the next text is likely to be found.
    next: usize,
    /// Whether the next text is known to be there.
    expected: bool,
    /// What the bodies are.
    format: Option<Format>,
    /// Random, so that no target can prepare texts of equal hash.
    seed: u64,
    scrape: u32,
    /// Entries seen in this scrape.
    seen: usize,
    counts: TrackedCounts,
    tracked_before: usize,
    entries_at_success: usize,
    metadata: Arc<MetadataCache>,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    /// The scrape that last had the text.
    seen: u32,
    /// Says nothing when the series is dropped.
    reference: SeriesRef,
    /// The scrape that last stored a sample.
    tracked: u32,
    /// Whether the scrape before that one stored one too, for when that one turns out to have failed.
    retained: bool,
    /// Whether relabelling drops the series.
    dropped: bool,
    /// Length of a text that ends with its labels' brace; 0 of any other.
    len: u16,
}

/// How many entries are tracked in this scrape, and how many of them were so in the one before.
#[derive(Clone, Copy, Debug, Default)]
struct TrackedCounts {
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
    entry: &'c mut Entry,
    labels: &'c HashMap<Key, Labels>,
    counts: &'c mut TrackedCounts,
    scrape: u32,
    /// Whether this scrape has brought the series before.
    pub repeated: bool,
}

impl Hit<'_> {
    /// The series' reference.
    pub fn reference(&self) -> SeriesRef {
        self.entry.reference
    }

    /// The series' labels, where they are kept.
    pub fn labels(&self) -> Option<&Labels> {
        if self.labels.is_empty() { None } else { self.labels.get(&self.entry.key) }
    }

    /// Takes note of the reference that the store uses now.
    pub fn set_reference(&mut self, reference: SeriesRef) {
        self.entry.reference = reference;
    }

    /// Notes that a sample was stored, so that the series is marked stale when it is missing in the next scrape.
    pub fn track(&mut self) {
        self.entry.track(self.scrape, self.counts);
    }
}

impl Entry {
    fn track(&mut self, scrape: u32, counts: &mut TrackedCounts) {
        if self.tracked != scrape {
            self.retained = self.tracked.wrapping_add(1) == scrape;
            self.tracked = scrape;
            counts.tracked += 1;
            counts.retained += usize::from(self.retained);
        }
    }
}

impl Key {
    fn hash(&self) -> u64 {
        u64::from(self.0[0]) << 32 | u64::from(self.0[1])
    }
}

/// Length of a text that ends with its labels' brace; 0 of any other, and of one of 64 KiB.
fn label_end(text: &[u8]) -> u16 {
    if text.ends_with(b"}") { u16::try_from(text.len()).unwrap_or(0) } else { 0 }
}

impl Default for ScrapeCache {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            places: HashTable::new(),
            labels: HashMap::new(),
            next: 0,
            expected: false,
            format: None,
            seed: RandomState::new().hash_one(0),
            // An entry that was never tracked holds 0, which must not be the scrape before the first.
            scrape: 2,
            seen: 0,
            counts: TrackedCounts::default(),
            tracked_before: 0,
            entries_at_success: 0,
            metadata: Arc::default(),
        }
    }
}

impl ScrapeCache {
    /// The number of the running scrape.
    pub fn scrape(&self) -> u64 {
        u64::from(self.scrape)
    }

    /// The target's metadata; shared with the API.
    pub fn metadata(&self) -> &Arc<MetadataCache> {
        &self.metadata
    }

    fn key(&self, text: &[u8]) -> Key {
        let hash = xxh3_128_with_seed(text, self.seed);
        Key([hash as u32, (hash >> 32) as u32, (hash >> 64) as u32])
    }

    /// Where an entry is.
    #[inline]
    fn find(&self, key: Key) -> Option<usize> {
        if self.entries.get(self.next).is_some_and(|entry| entry.key == key) {
            return Some(self.next);
        }
        let is_it = |place: &u32| self.entries.get(*place as usize).is_some_and(|entry| entry.key == key);
        self.places.find(key.hash(), is_it).map(|place| *place as usize)
    }

    /// A body of this format is about to be read.
    pub fn begin(&mut self, format: Format) {
        // An entry that broke off was never looked up.
        self.expected = false;
        if self.format.replace(format) != Some(format) {
            // What one format takes for labels another may refuse.
            self.entries.iter_mut().for_each(|entry| entry.len = 0);
        }
    }

    /// Length of the next series' text, if it is the likely one and its labels are known to be well formed. The next
    /// text to be looked up is then this one.
    #[inline]
    pub fn expect(&mut self, rest: &[u8]) -> Option<usize> {
        self.expected = false;
        let entry = self.entries.get(self.next).filter(|entry| entry.len > 0)?;
        let text = rest.get(..usize::from(entry.len)).filter(|text| text.ends_with(b"}"))?;
        self.expected = entry.key == self.key(text);
        self.expected.then_some(text.len())
    }

    /// Looks a text up and notes that this scrape has it.
    #[inline]
    pub fn look_up(&mut self, text: &[u8]) -> Lookup<'_> {
        let expected = std::mem::take(&mut self.expected);
        debug_assert!(!expected || self.entries[self.next].key == self.key(text));
        let found = if expected { Some(self.next) } else { self.find(self.key(text)) };
        let Some(at) = found else { return Lookup::Unknown };
        self.next = at + 1;
        let Some(entry) = self.entries.get_mut(at) else { return Lookup::Unknown };
        if !expected {
            entry.len = label_end(text);
        }
        let repeated = entry.seen == self.scrape;
        if !repeated {
            entry.seen = self.scrape;
            self.seen += 1;
        }
        if entry.dropped {
            return Lookup::Dropped;
        }
        Lookup::Known(Hit {
            entry,
            labels: &self.labels,
            counts: &mut self.counts,
            scrape: self.scrape,
            repeated,
        })
    }

    /// Remembers the series of a text, in place of what was known of it; `track` as in [`Hit::track`].
    pub fn insert(&mut self, text: &[u8], series: CachedSeries, tracked: bool) {
        let key = self.key(text);
        if let Some(labels) = series.labels {
            self.labels.insert(key, labels);
        }
        let mut entry = self.entry(key, text, series.reference, false);
        if tracked {
            entry.track(self.scrape, &mut self.counts);
        }
        self.put(entry);
    }

    /// Remembers that the series of a text is dropped.
    pub fn insert_dropped(&mut self, text: &[u8]) {
        let key = self.key(text);
        self.put(self.entry(key, text, SeriesRef(0), true));
    }

    fn entry(&self, key: Key, text: &[u8], reference: SeriesRef, dropped: bool) -> Entry {
        Entry {
            key,
            seen: self.scrape,
            reference,
            tracked: 0,
            retained: false,
            dropped,
            len: label_end(text),
        }
    }

    fn put(&mut self, entry: Entry) {
        let at = self.find(entry.key);
        self.next = at.unwrap_or(self.entries.len()) + 1;
        if let Some(known) = at.and_then(|at| self.entries.get_mut(at)) {
            self.seen += usize::from(known.seen != self.scrape);
            *known = entry;
            return;
        }
        self.seen += 1;
        let Self { entries, places, .. } = self;
        let hash = |place: &u32| entries.get(*place as usize).map_or(0, |entry| entry.key.hash());
        // A body of 2^32 series does not get this far.
        places.insert_unique(entry.key.hash(), entries.len() as u32, hash);
        entries.push(entry);
    }

    /// The series that are gone. Cheap when there are none.
    pub fn gone(&self) -> Vec<CachedSeries> {
        if self.counts.retained == self.tracked_before {
            return Vec::new();
        }
        let tracked_in =
            |scrape: u32| self.entries.iter().filter(move |entry| entry.tracked == scrape && !entry.dropped);
        let present: HashSet<SeriesRef> = tracked_in(self.scrape).map(|entry| entry.reference).collect();
        let mut reported = HashSet::new();
        tracked_in(self.scrape - 1)
            .filter(|entry| !present.contains(&entry.reference) && reported.insert(entry.reference))
            .map(|entry| CachedSeries {
                reference: entry.reference,
                labels: self.labels.get(&entry.key).cloned(),
            })
            .collect()
    }

    /// Forgets what this scrape stored: it failed, and its samples were taken back. All series of the scrape before
    /// are then gone.
    pub fn fail(&mut self) {
        for entry in &mut self.entries {
            if entry.tracked == self.scrape {
                entry.tracked = if entry.retained { self.scrape - 1 } else { 0 };
            }
        }
        self.counts = TrackedCounts::default();
    }

    /// Ends the scrape. After a success entries that it did not have are forgotten; after failures only when the
    /// cache has grown out of all proportion. True if that was so.
    pub fn end(&mut self, success: bool) -> bool {
        let count = self.entries.len() + self.metadata.count();
        let forced = !success && count > self.entries_at_success * 2 + SLACK;
        if success || forced {
            if self.seen < self.entries.len() {
                self.forget_unseen();
            }
            self.entries.shrink_to(self.entries.len() + self.entries.len() / 16);
            self.metadata.expire(self.scrape());
        }
        if success {
            self.entries_at_success = count;
        }
        self.tracked_before = self.counts.tracked;
        self.counts = TrackedCounts::default();
        self.seen = 0;
        self.next = 0;
        // A scrape a second reaches the end after 136 years.
        self.scrape = self.scrape.saturating_add(1);
        forced
    }

    fn forget_unseen(&mut self) {
        let Self { entries, places, labels, scrape, .. } = self;
        entries.retain(|entry| {
            if entry.seen != *scrape && !labels.is_empty() {
                labels.remove(&entry.key);
            }
            entry.seen == *scrape
        });
        let hash = |place: &u32| entries.get(*place as usize).map_or(0, |entry| entry.key.hash());
        places.clear();
        places.shrink_to(entries.len(), hash);
        for (place, entry) in (0u32..).zip(entries.iter()) {
            places.insert_unique(entry.key.hash(), place, hash);
        }
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
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry>(), 32);
    }

    #[test]
    fn the_next_text_is_expected() {
        let mut cache = ScrapeCache::default();
        cache.begin(Format::Text);
        for (text, n) in [("a{}", 1), ("b", 2), ("c{x=\"y\"}", 3)] {
            cache.insert(text.as_bytes(), series(n), true);
        }
        let expect_all = |cache: &mut ScrapeCache| {
            let mut rest = &b"a{} 1\nb 2\nc{x=\"y\"} 3\n"[..];
            let mut lens = Vec::new();
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                lens.push(cache.expect(rest));
                let text = rest.split(|b| *b == b' ').next().unwrap();
                assert!(matches!(cache.look_up(text), Lookup::Known(_)));
                rest = &rest[end + 1..];
            }
            cache.end(true);
            lens
        };
        cache.end(true);
        cache.begin(Format::Text);
        assert_eq!(expect_all(&mut cache), [Some(3), None, Some(8)]);
        // Another format has to read the labels once.
        cache.begin(Format::OpenMetrics);
        assert_eq!(expect_all(&mut cache), [None; 3]);
        cache.begin(Format::OpenMetrics);
        assert_eq!(expect_all(&mut cache), [Some(3), None, Some(8)]);
        assert_eq!((cache.expect(b"a"), cache.expect(b"b{} 1")), (None, None));
    }

    #[test]
    fn labels_go_with_their_text() {
        let mut cache = ScrapeCache::default();
        let labels = Labels::from_pairs([("a", "b")]);
        for text in [b"a", b"b"] {
            let kept = Some(labels.clone());
            cache.insert(text, CachedSeries { reference: SeriesRef(7), labels: kept }, true);
        }
        cache.end(true);
        assert!(matches!(cache.look_up(b"b"), Lookup::Known(hit) if hit.labels() == Some(&labels)));
        cache.end(true);
        assert_eq!((cache.entries.len(), cache.places.len(), cache.labels.len()), (1, 1, 1));
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
