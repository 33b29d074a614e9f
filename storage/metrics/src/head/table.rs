//! All series of the head, in slots that never move.
//!
//! A slot holds one series behind its own lock. A [`SeriesRef`] is the slot's number and the round of garbage
//! collection in which the series came, so an old reference never meets the series that took its slot. Slots are
//! used again one round later. Series are found by a hash of their labels; a look-up by reference takes no shared
//! lock: a caller that needs many takes a copy of the page list once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;
use model::Labels;
use model::append::SeriesRef;
use parking_lot::{Mutex, MutexGuard, RwLock};
use storage_base::bytes::prefetch::prefetch;
use storage_base::index::mem::MemIndex;
use storage_base::index::pair_lists::PairList;
use storage_base::index::postings::Postings;
use storage_base::index::select::LabelIndex;

use crate::head::series::Series;
use crate::record::LogRef;

/// Slots of a page.
const PAGE: usize = 512;
/// How many slots behind the one in use are loaded ahead.
const PREFETCH: usize = 8;
/// Numbers in the log beyond this were not given by counting: they are not counted on from.
pub(crate) const LOG_REF_MAX: LogRef = LogRef(u64::MAX / 2);
/// Parts of the hash table, each with a lock of its own, so that none takes long to grow.
const SHARDS: usize = 64;

/// Two whole lines of the processor's cache.
#[derive(Default)]
#[repr(align(64))]
struct Slot(Mutex<Series>);

type Page = Arc<[Slot]>;

/// The list of pages at some time; pages are added, never removed.
#[derive(Clone, Default)]
pub struct Pages(Arc<Vec<Page>>);

/// Series by slot and by labels.
pub struct SeriesTable {
    pages: RwLock<Pages>,
    shards: Vec<Mutex<HashTable<Key>>>,
    slots: Mutex<Slots>,
    last_log_ref: AtomicU64,
    index: RwLock<MemIndex>,
}

/// Part of a label set's hash, and its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    hash: u32,
    slot: u32,
}

impl Key {
    /// What the table spreads keys by.
    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

#[derive(Debug)]
struct Slots {
    /// Slots handed out so far.
    len: u32,
    /// Vacant for at least one round.
    free: Vec<u32>,
    /// Vacated in this round.
    resting: Vec<u32>,
    /// Current round, counted from 1.
    generation: u32,
}

/// The table has no room: 2^32 series, or 16 GiB of label pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableFull;

fn reference(generation: u32, slot: u32) -> SeriesRef {
    SeriesRef(u64::from(generation) << 32 | u64::from(slot))
}

/// The slot that a reference names.
pub fn slot_of(series: SeriesRef) -> u32 {
    series.0 as u32
}

impl Pages {
    /// The slot, if the list is new enough to have it.
    #[inline]
    pub fn slot(&self, slot: u32) -> Option<&Mutex<Series>> {
        self.0.get(slot as usize / PAGE).map(|page| &page[slot as usize % PAGE].0)
    }

    /// Loads what an append to the series behind a reference will need: a scrape's series mostly lie in a row.
    #[inline]
    pub fn prefetch_behind(&self, series: SeriesRef) {
        let slot = slot_of(series) as usize + PREFETCH;
        if let Some(Slot(cell)) = self.0.get(slot / PAGE).map(|page| &page[slot % PAGE]) {
            prefetch(cell);
        }
    }

    /// The series in a slot, locked, with those behind it loaded; `None` for a vacant slot.
    #[inline]
    pub fn lock_ahead(&self, slot: u32) -> Option<MutexGuard<'_, Series>> {
        self.prefetch_behind(reference(0, slot));
        Some(self.slot(slot)?.lock()).filter(|series| series.generation != 0)
    }

    /// The series of a reference, locked; `None` when it is gone or the list is too old.
    #[inline]
    pub fn lock(&self, series: SeriesRef) -> Option<MutexGuard<'_, Series>> {
        let guard = self.slot(slot_of(series))?.lock();
        (guard.generation != 0 && guard.generation == (series.0 >> 32) as u32).then_some(guard)
    }
}

impl Default for SeriesTable {
    fn default() -> Self {
        Self {
            pages: RwLock::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            slots: Mutex::new(Slots { len: 0, free: Vec::new(), resting: Vec::new(), generation: 1 }),
            last_log_ref: AtomicU64::new(0),
            index: RwLock::default(),
        }
    }
}

impl SeriesTable {
    /// An empty table that counts its rounds from `generation` on, above 0.
    pub fn from_generation(generation: u32) -> Self {
        let mut table = Self::default();
        table.slots.get_mut().generation = generation;
        table
    }

    /// The pages as they are now.
    pub fn pages(&self) -> Pages {
        self.pages.read().clone()
    }

    /// Labels to slots. Lock order: a shard of the table, the index, a slot.
    pub fn index(&self) -> &RwLock<MemIndex> {
        &self.index
    }

    /// The highest number given to a series in the write-ahead log.
    pub fn last_log_ref(&self) -> LogRef {
        LogRef(self.last_log_ref.load(Ordering::Relaxed))
    }

    /// Notes a number that the log uses, so that it is not given again.
    pub fn reserve_log_ref(&self, log_ref: LogRef) {
        if log_ref <= LOG_REF_MAX {
            self.last_log_ref.fetch_max(log_ref.0, Ordering::Relaxed);
        }
    }

    /// The series with these labels, and whether it had to be created. A created series gets `log_ref`, or the next
    /// free number.
    pub fn get_or_create(
        &self,
        labels: &Labels,
        log_ref: Option<LogRef>,
    ) -> Result<(SeriesRef, bool), TableFull> {
        let hash = labels.stable_hash();
        let mut shard = self.shard(hash).lock();
        if let Some(found) = self.find(&shard, hash, labels) {
            return Ok((found, false));
        }
        if !self.index.read().has_room() {
            return Err(TableFull);
        }
        let (slot, generation) = self.take_slot()?;
        let log_ref = log_ref
            .unwrap_or_else(|| LogRef(self.last_log_ref.fetch_add(1, Ordering::Relaxed).wrapping_add(1)));
        self.reserve_log_ref(log_ref);
        let pages = self.pages();
        let cell = pages.slot(slot).ok_or(TableFull)?;
        {
            let mut index = self.index.write();
            let pairs = index.add(slot, labels);
            *cell.lock() = Series::new(generation, log_ref, pairs);
        }
        let key = Key { hash: hash as u32, slot };
        shard.insert_unique(Key::spread(key.hash), key, |key| Key::spread(key.hash));
        Ok((reference(generation, slot), true))
    }

    /// The series with these labels.
    pub fn get(&self, labels: &Labels) -> Option<SeriesRef> {
        let hash = labels.stable_hash();
        let shard = self.shard(hash).lock();
        self.find(&shard, hash, labels)
    }

    fn shard(&self, hash: u64) -> &Mutex<HashTable<Key>> {
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    fn find(&self, shard: &HashTable<Key>, hash: u64, labels: &Labels) -> Option<SeriesRef> {
        let mut found = None;
        shard.find(Key::spread(hash as u32), |key| {
            if key.hash != hash as u32 {
                return false;
            }
            let index = self.index.read();
            let pages = self.pages.read();
            let Some(series) = pages.slot(key.slot).map(Mutex::lock) else { return false };
            let pairs = index.pairs(series.pairs);
            let same = pairs.len() == labels.len()
                && labels.iter().zip(pairs).all(|(label, pair)| index.pair(pair) == Some(label));
            if same {
                found = Some(reference(series.generation, key.slot));
            }
            same
        });
        found
    }

    fn take_slot(&self) -> Result<(u32, u32), TableFull> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.free.pop() {
            return Ok((slot, slots.generation));
        }
        let slot = slots.len;
        slots.len = slot.checked_add(1).ok_or(TableFull)?;
        if (slot as usize).is_multiple_of(PAGE) {
            let page: Page = (0..PAGE).map(|_| Slot::default()).collect();
            let mut pages = self.pages.write();
            let mut list = Vec::with_capacity(pages.0.len() + 1);
            list.extend_from_slice(&pages.0);
            list.push(page);
            *pages = Pages(Arc::new(list));
        }
        Ok((slot, slots.generation))
    }

    /// Every series with its reference, as of now, in no order of labels. Series that come meanwhile may be missed.
    pub fn references(&self) -> Vec<SeriesRef> {
        let pages = self.pages();
        let slots = self.slots_in_use();
        slots
            .into_iter()
            .filter_map(|slot| {
                let generation = pages.slot(slot)?.lock().generation;
                (generation != 0).then(|| reference(generation, slot))
            })
            .collect()
    }

    fn slots_in_use(&self) -> Vec<u32> {
        // An index in memory does not fail.
        self.index.read().all().map(Postings::into_vec).unwrap_or_default()
    }

    /// The reference of the series in a slot; `None` when it is vacant.
    pub fn reference_of(slot: u32, series: &Series) -> Option<SeriesRef> {
        (series.generation != 0).then(|| reference(series.generation, slot))
    }

    /// A series' labels.
    pub fn labels(&self, series: SeriesRef) -> Option<Labels> {
        let index = self.index.read();
        let pages = self.pages.read();
        let guard = pages.lock(series)?;
        Some(index.labels(guard.pairs))
    }

    /// Drops series for which `gone` says so when it holds the series' lock. Returns what was dropped: reference and
    /// number in the log. Their slots rest until the next call.
    pub fn remove(
        &self,
        candidates: &[SeriesRef],
        mut gone: impl FnMut(&Series) -> bool,
    ) -> Vec<(SeriesRef, LogRef)> {
        const BATCH: usize = 1024;
        let pages = self.pages();
        let mut removed = Vec::new();
        for batch in candidates.chunks(BATCH) {
            let mut vacated: Vec<(u32, PairList)> = Vec::with_capacity(batch.len());
            for &series in batch {
                let Some(labels) = self.labels(series) else { continue };
                let hash = labels.stable_hash();
                let mut shard = self.shard(hash).lock();
                let Some(mut guard) = pages.lock(series) else { continue };
                if !gone(&guard) {
                    continue;
                }
                let slot = slot_of(series);
                if let Ok(entry) = shard.find_entry(Key::spread(hash as u32), |key| key.slot == slot) {
                    entry.remove();
                }
                removed.push((series, guard.log_ref));
                vacated.push((slot, guard.pairs));
                *guard = Series::default();
            }
            self.index.write().remove(vacated);
        }
        let mut slots = self.slots.lock();
        let resting = std::mem::replace(
            &mut slots.resting,
            removed.iter().map(|(series, _)| slot_of(*series)).collect(),
        );
        slots.free.extend(resting);
        slots.generation += 1;
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(n: usize) -> Labels {
        Labels::from_pairs([("__name__", "m"), ("n", &n.to_string()), ("even", ["y", "n"][n % 2])])
    }

    #[test]
    fn references_never_meet_another_series() {
        let table = SeriesTable::default();
        let first: Vec<_> = (0..2000).map(|n| table.get_or_create(&labels(n), None).unwrap()).collect();
        assert!(first.iter().all(|(_, created)| *created));
        assert_eq!(table.last_log_ref(), LogRef(2000));
        for (n, (series, _)) in first.iter().enumerate() {
            assert_eq!(table.get_or_create(&labels(n), None).unwrap(), (*series, false));
            assert_eq!(table.get(&labels(n)), Some(*series));
            assert_eq!(table.labels(*series), Some(labels(n)));
        }
        let odd: Vec<_> = first.iter().skip(1).step_by(2).map(|(series, _)| *series).collect();
        assert_eq!(table.remove(&odd, |_| true).len(), 1000);
        assert_eq!(table.references().len(), 1000);
        assert!(odd.iter().all(|series| table.pages().lock(*series).is_none()));
        assert_eq!(table.get(&labels(1)), None);
        // A round later the slots are used again, the references are not.
        table.remove(&[], |_| true);
        let again: Vec<_> =
            (0..1000).map(|n| table.get_or_create(&labels(2 * n + 1), None).unwrap().0).collect();
        assert!(again.iter().all(|series| slot_of(*series) < 2000 && !odd.contains(series)));
        assert!(odd.iter().all(|series| table.pages().lock(*series).is_none()));
        assert_eq!(table.index().read().len(), 2000);
    }
}
