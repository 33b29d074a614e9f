//! The index of a head: label names and values in memory, with the postings of each.
//!
//! A name with one of its values is a *pair*; each pair has a number, so that a head can keep a series' labels as a
//! few numbers ([`MemIndex::add`] gives them, [`MemIndex::labels`] turns them back). Exact look-ups go through a hash
//! table. The ascending order that listing values and matching prefixes need is made when somebody asks for it.

mod cardinality;
mod ids;
mod slots;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::ops::ControlFlow;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use model::Labels;
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use roaring::RoaringBitmap;

pub use self::cardinality::Cardinality;
use self::ids::Ids;
use self::slots::Slots;
use super::pair_lists::{PairList, PairLists, Pairs};
use super::postings::Postings;
use super::select::LabelIndex;
use crate::StorageError;

/// The number of a label pair in its index. It is used again after the last series with the pair was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairId(pub(super) u32);

impl PairId {
    /// The pair with a number.
    #[inline]
    pub fn of(at: u32) -> Self {
        Self(at)
    }

    /// Its number.
    #[inline]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// The number of a label name in its index. It is used again after the last series with the name was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameId(u32);

/// The order of label pairs, made when somebody asks for it, forgotten when there is a new pair.
#[derive(Default)]
struct Ranks {
    of_pairs: Option<Arc<[u32]>>,
    /// Series that were to be ordered since the ranks were forgotten.
    asked: usize,
}

/// An inverted index that grows and shrinks.
#[derive(Default)]
pub struct MemIndex {
    names: Slots<Name>,
    names_by_text: HashTable<u32>,
    pairs: Slots<Pair>,
    pairs_by_text: HashTable<u32>,
    all: RoaringBitmap,
    lists: PairLists,
    hasher: DefaultHashBuilder,
    ranks: Mutex<Ranks>,
}

struct Name {
    text: Box<str>,
    values: RwLock<Values>,
}

/// The pairs of a name.
#[derive(Default)]
struct Values {
    /// Ascending by value.
    sorted: Vec<u32>,
    /// Not yet sorted in.
    fresh: Vec<u32>,
}

impl Values {
    /// Sorts in what is fresh. A few fresh ones do not cost a look at all others.
    fn merge_fresh<'v>(&mut self, value: impl Fn(&u32) -> &'v str) {
        let Self { sorted, fresh } = self;
        fresh.sort_unstable_by_key(&value);
        if fresh.len() > sorted.len() / 16 {
            // Two ascending runs, which the stable sort merges in one pass.
            sorted.append(fresh);
            sorted.sort_by_key(value);
            return;
        }
        let mut end = sorted.len();
        sorted.resize(end + fresh.len(), 0);
        while let Some(last) = fresh.pop() {
            let at = sorted[..end].partition_point(|pair| value(pair) < value(&last));
            sorted.copy_within(at..end, at + fresh.len() + 1);
            sorted[at + fresh.len()] = last;
            end = at;
        }
    }
}

struct Pair {
    name: u32,
    value: Box<str>,
    ids: Ids,
}

impl MemIndex {
    /// An index without series.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many series the index has.
    #[inline]
    pub fn len(&self) -> u64 {
        self.all.len()
    }

    /// Whether the index has no series.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether another series can be added.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.lists.has_room()
    }

    /// Adds a series under a number that the index does not have. Returns its label pairs, ascending by name, for
    /// [`MemIndex::labels`] and [`MemIndex::remove`].
    pub fn add(&mut self, id: u32, labels: &Labels) -> PairList {
        self.all.insert(id);
        let pairs: Vec<_> = labels.iter().map(|(name, value)| self.add_pair(id, name, value)).collect();
        self.lists.add(pairs.into_iter())
    }

    fn add_pair(&mut self, id: u32, name: &str, value: &str) -> PairId {
        let name = match self.name_id(name) {
            Some(NameId(name)) => name,
            None => self.insert_name(name),
        };
        let hash = self.hasher.hash_one((name, value));
        if let Some(&pair) = self.pairs_by_text.find(hash, |&pair| {
            self.pairs.get(pair).is_some_and(|pair| pair.name == name && &*pair.value == value)
        }) {
            if let Some(pair) = self.pairs.get_mut(pair) {
                pair.ids.insert(id);
            }
            return PairId(pair);
        }
        let pair = self.pairs.insert(Pair { name, value: value.into(), ids: Ids::One(id) });
        self.ranks.get_mut().of_pairs = None;
        let (pairs, hasher) = (&self.pairs, &self.hasher);
        self.pairs_by_text.insert_unique(hash, pair, |&pair| {
            pairs.get(pair).map_or(0, |pair| hasher.hash_one((pair.name, &*pair.value)))
        });
        if let Some(name) = self.names.get_mut(name) {
            name.values.get_mut().fresh.push(pair);
        }
        PairId(pair)
    }

    /// A label name's number.
    #[inline]
    pub fn name_id(&self, text: &str) -> Option<NameId> {
        let is_it = |&name: &u32| self.names.get(name).is_some_and(|name| &*name.text == text);
        self.names_by_text.find(self.hasher.hash_one(text), is_it).copied().map(NameId)
    }

    /// The name of a pair.
    #[inline]
    pub fn name_of(&self, PairId(pair): PairId) -> Option<NameId> {
        self.pairs.get(pair).map(|pair| NameId(pair.name))
    }

    /// The rank of each pair by its number: label sets are ordered as the ranks of their pairs are. Above 0. `None`
    /// where ranking the pairs would take longer than ordering that number of series by their texts.
    pub fn ranks(&self, series: usize) -> Option<Arc<[u32]>> {
        // Ranking a pair takes a fraction of the time of ordering a series.
        const PAIRS_A_SERIES: usize = 8;
        let pairs = self.pairs_by_text.len();
        let mut ranks = self.ranks.try_lock()?;
        if ranks.of_pairs.is_none() {
            ranks.asked += series;
            if pairs > PAIRS_A_SERIES * ranks.asked || pairs > 8 * PAIRS_A_SERIES * series {
                return None;
            }
            *ranks = Ranks { of_pairs: Some(self.rank()), asked: 0 };
        }
        ranks.of_pairs.clone()
    }

    fn rank(&self) -> Arc<[u32]> {
        let mut names: Vec<&Name> = self.names.iter().map(|(_, name)| name).collect();
        names.sort_unstable_by_key(|name| &name.text);
        let mut ranks = vec![0; self.pairs.end()];
        let mut next = 1;
        for name in names {
            for &pair in &self.sorted_values(name).sorted {
                ranks[pair as usize] = next;
                next += 1;
            }
        }
        ranks.into()
    }

    /// The values of a name, all in order.
    fn sorted_values<'n>(&self, name: &'n Name) -> RwLockReadGuard<'n, Values> {
        let values = name.values.read();
        if values.fresh.is_empty() {
            return values;
        }
        drop(values);
        let mut changing = name.values.write();
        changing.merge_fresh(|pair| self.value(*pair));
        RwLockWriteGuard::downgrade(changing)
    }

    #[inline]
    fn value(&self, pair: u32) -> &str {
        self.pairs.get(pair).map_or("", |pair| &*pair.value)
    }

    fn insert_name(&mut self, text: &str) -> u32 {
        let name = self.names.insert(Name { text: text.into(), values: RwLock::default() });
        let (names, hasher) = (&self.names, &self.hasher);
        self.names_by_text.insert_unique(hasher.hash_one(text), name, |&name| {
            names.get(name).map_or(0, |name| hasher.hash_one(&*name.text))
        });
        name
    }

    #[inline]
    fn pair_id(&self, name: &str, value: &str) -> Option<u32> {
        let NameId(name) = self.name_id(name)?;
        let is_it =
            |&pair: &u32| self.pairs.get(pair).is_some_and(|pair| pair.name == name && &*pair.value == value);
        self.pairs_by_text.find(self.hasher.hash_one((name, value)), is_it).copied()
    }

    /// Removes series, each given with the pairs that [`MemIndex::add`] returned for it. Worth calling with many
    /// series at once: names that lose values are gone through once a call.
    pub fn remove(&mut self, series: impl IntoIterator<Item = (u32, PairList)>) {
        let mut orphans = BTreeSet::new();
        for (id, list) in series {
            self.all.remove(id);
            for PairId(at) in self.lists.get(list) {
                if let Some(pair) = self.pairs.get_mut(at)
                    && pair.ids.remove(id)
                {
                    orphans.insert((pair.name, at));
                }
            }
            self.lists.remove(list);
        }
        for group in Vec::from_iter(orphans).chunk_by(|(a, _), (b, _)| a == b) {
            self.remove_pairs(group);
        }
    }

    /// Forgets pairs that no series has; all of one name, ascending.
    fn remove_pairs(&mut self, orphans: &[(u32, u32)]) {
        let Some(&(name_at, _)) = orphans.first() else { return };
        for &(_, at) in orphans {
            if let Some(pair) = self.pairs.remove(at) {
                let hash = self.hasher.hash_one((pair.name, &*pair.value));
                if let Ok(entry) = self.pairs_by_text.find_entry(hash, |&other| other == at) {
                    entry.remove();
                }
            }
        }
        let Some(name) = self.names.get_mut(name_at) else { return };
        let values = name.values.get_mut();
        let stays = |at: &u32| orphans.binary_search_by_key(at, |&(_, at)| at).is_err();
        values.sorted.retain(stays);
        values.fresh.retain(stays);
        if values.sorted.is_empty() && values.fresh.is_empty() {
            let hash = self.hasher.hash_one(&*name.text);
            if let Ok(entry) = self.names_by_text.find_entry(hash, |&other| other == name_at) {
                entry.remove();
            }
            self.names.remove(name_at);
        }
    }

    /// The pairs of a series.
    #[inline]
    pub fn pairs(&self, list: PairList) -> Pairs<'_> {
        self.lists.get(list)
    }

    /// A series' labels.
    #[inline]
    pub fn labels(&self, list: PairList) -> Labels {
        self.labels_in(&mut String::with_capacity(128), self.pairs(list))
    }

    /// Labels of some pairs in order; for many series in a row, whose labels are all put together in the same buffer.
    pub fn labels_in(&self, buffer: &mut String, pairs: impl Iterator<Item = PairId>) -> Labels {
        Labels::from_sorted_in(buffer, pairs.filter_map(|pair| self.pair(pair)))
    }

    /// Name and value of a pair.
    #[inline]
    pub fn pair(&self, PairId(pair): PairId) -> Option<(&str, &str)> {
        let pair = self.pairs.get(pair)?;
        Some((&self.names.get(pair.name)?.text, &pair.value))
    }

    /// All label names and values, ascending, each once: the symbols of a block that is made of this head.
    pub fn symbols(&self) -> Vec<&str> {
        let names = self.names.iter().map(|(_, name)| &*name.text);
        let mut symbols: Vec<_> = names.chain(self.pairs.iter().map(|(_, pair)| &*pair.value)).collect();
        symbols.sort_unstable();
        symbols.dedup();
        symbols
    }

    /// How many series have a label with this value.
    #[cfg(test)]
    pub(crate) fn series_with(&self, name: &str, value: &str) -> u64 {
        self.pair_id(name, value).and_then(|pair| self.pairs.get(pair)).map_or(0, |pair| pair.ids.len())
    }
}

impl LabelIndex for MemIndex {
    type Value = PairId;

    fn all(&self) -> Result<Postings<'_>, StorageError> {
        Ok(Postings::Bitmap(Cow::Borrowed(&self.all)))
    }

    fn find(&self, name: &str, value: &str) -> Result<Option<PairId>, StorageError> {
        Ok(self.pair_id(name, value).map(PairId))
    }

    fn postings(&self, PairId(pair): PairId) -> Result<Postings<'_>, StorageError> {
        Ok(match self.pairs.get(pair).map(|pair| &pair.ids) {
            None => Postings::empty(),
            Some(Ids::One(id)) => Postings::List(Cow::Borrowed(std::slice::from_ref(id))),
            Some(Ids::List(list)) => Postings::List(Cow::Borrowed(list)),
            Some(Ids::Bitmap(bitmap)) => Postings::Bitmap(Cow::Borrowed(bitmap)),
        })
    }

    fn value_count(&self, name: &str) -> Result<u64, StorageError> {
        let values =
            self.name_id(name).and_then(|NameId(name)| self.names.get(name)).map(|name| name.values.read());
        Ok(values.map_or(0, |values| (values.sorted.len() + values.fresh.len()) as u64))
    }

    fn names(&self) -> Result<Vec<String>, StorageError> {
        let mut names: Vec<_> = self.names.iter().map(|(_, name)| name.text.to_string()).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn values(
        &self,
        name: &str,
        from: &str,
        visit: &mut dyn FnMut(&str, PairId) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let Some(name) = self.name_id(name).and_then(|NameId(name)| self.names.get(name)) else {
            return Ok(());
        };
        let values = self.sorted_values(name);
        let start = values.sorted.partition_point(|pair| self.value(*pair) < from);
        for pair in values.sorted.iter().skip(start) {
            if visit(self.value(*pair), PairId(*pair)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index_testing::label_set;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    fn values(index: &MemIndex, name: &str, from: &str) -> Vec<String> {
        let mut found = Vec::new();
        index
            .values(name, from, &mut |value, _| {
                found.push(value.to_owned());
                ControlFlow::Continue(())
            })
            .unwrap();
        found
    }

    #[test]
    fn values_stay_ascending_while_series_come_and_go() {
        let mut index = MemIndex::new();
        let set = |i: u32| labels(&[("__name__", "up"), ("i", &format!("{:02}", i * 7 % 50))]);
        let pairs: Vec<_> = (0..25).map(|i| index.add(i, &set(i))).collect();
        assert_eq!(values(&index, "i", "").len(), 25);
        let more: Vec<_> = (25..50).map(|i| index.add(i, &set(i))).collect();
        let all: Vec<String> = (0..50).map(|i| format!("{i:02}")).collect();
        assert_eq!(values(&index, "i", ""), all);
        assert_eq!(values(&index, "i", "47x"), ["48", "49"]);
        assert_eq!(index.labels(pairs[3]), set(3));
        assert_eq!(index.labels(more[5]), set(30));

        index.remove((0..25).map(|i| (i, pairs[i as usize])));
        let left: BTreeSet<String> = (25..50).map(|i| set(i).get("i").unwrap().to_owned()).collect();
        assert!(values(&index, "i", "").iter().eq(left.iter()));
        assert_eq!((index.len(), index.series_with("__name__", "up")), (25, 25));
        // Slots of removed pairs are used again and carry nothing over.
        index.add(100, &labels(&[("other", "x")]));
        assert_eq!(values(&index, "other", ""), ["x"]);
        assert!(values(&index, "i", "").iter().eq(left.iter()));

        index.remove((25..50).map(|i| (i, more[i as usize - 25])));
        assert_eq!(index.names().unwrap(), ["other"]);
        assert_eq!(index.symbols(), ["other", "x"]);
        assert_eq!(index.find("i", "07").unwrap(), None);
    }

    #[test]
    fn single_values_are_sorted_in() {
        let mut index = MemIndex::new();
        let mut want = BTreeSet::new();
        for id in 0..300 {
            let value = format!("{:03}", id * 97 % 1000);
            index.add(id, &labels(&[("i", &value)]));
            want.insert(value);
            if id % 3 == 0 {
                assert!(values(&index, "i", "").iter().eq(want.iter()));
            }
        }
    }

    #[test]
    fn postings_grow_from_one_to_bitmap() {
        let mut index = MemIndex::new();
        let set = labels(&[("a", "b")]);
        for id in (0..200).rev() {
            index.add(id, &set);
            let pair = index.find("a", "b").unwrap().unwrap();
            assert!(index.postings(pair).unwrap().iter().eq(id..200));
        }
        assert!(index.all().unwrap().iter().eq(0..200));
    }

    #[test]
    fn postings_are_of_ids_in_any_order() {
        let mut index = MemIndex::new();
        let set = labels(&[("a", "b")]);
        // Ascending, but for slots that are used again; beyond what is made of lists, and beyond one container.
        let ids = (0..9000u32).map(|n| if n % 7 == 6 { n * 8 - 37 } else { n * 8 });
        let mut want = BTreeSet::new();
        for (n, id) in ids.enumerate() {
            index.add(id, &set);
            want.insert(id);
            if n % 1000 == 6 {
                let pair = index.find("a", "b").unwrap().unwrap();
                assert!(index.postings(pair).unwrap().iter().eq(want.iter().copied()));
            }
        }
        let pair = index.find("a", "b").unwrap().unwrap();
        assert!(index.postings(pair).unwrap().iter().eq(want));
    }

    proptest! {
        #[test]
        fn ranks_are_in_the_order_of_labels(rounds in prop::collection::vec(
            prop::collection::btree_set(label_set(), 1..20),
            2,
        )) {
            let mut index = MemIndex::new();
            let mut known: Vec<(u32, Labels, PairList)> = Vec::new();
            for (id, labels) in (0..).zip(rounds.into_iter().flatten()) {
                let pairs = index.add(id, &labels);
                known.push((id, labels, pairs));
                if id % 3 == 2 {
                    // Numbers of pairs come free, and are used again.
                    let (id, _, pairs) = known.swap_remove(id as usize % known.len());
                    index.remove([(id, pairs)]);
                }
                let ranks = index.ranks(1 << 20).unwrap();
                let key = |list: &PairList| index.pairs(*list).map(|pair| ranks[pair.at()]).collect::<Vec<_>>();
                for ((_, a, a_pairs), (_, b, b_pairs)) in known.iter().zip(known.iter().skip(1)) {
                    prop_assert_eq!(a.cmp(b), key(a_pairs).cmp(&key(b_pairs)), "{} {}", a, b);
                }
            }
        }
    }

    #[test]
    fn ranks_are_made_for_many_series_only() {
        let mut index = MemIndex::new();
        for id in 0..10_000 {
            index.add(id, &labels(&[("l", &id.to_string())]));
        }
        assert!(index.ranks(10).is_none());
        assert!(index.ranks(1000).is_none());
        assert!(index.ranks(1000).is_some());
        assert!(index.ranks(10).is_some());
        index.add(10_000, &labels(&[("l", "new")]));
        assert!(index.ranks(1000).is_none());
    }
}
