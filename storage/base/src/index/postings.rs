//! Postings: ascending sets of series numbers, and their union, intersection and difference.
//!
//! A set is a roaring bitmap, a list in memory, or a list of big-endian numbers in a mapped index, which is never
//! copied: an intersection walks its smallest set and probes the others where they lie.

use std::borrow::Cow;

use roaring::{MultiOps, RoaringBitmap};

/// An ascending set of series numbers.
#[derive(Clone, Debug)]
pub enum Postings<'a> {
    /// A list in memory, ascending, without duplicates.
    List(Cow<'a, [u32]>),
    /// A bitmap in memory.
    Bitmap(Cow<'a, RoaringBitmap>),
    /// Big-endian numbers, ascending, without duplicates, as an index file has them. When a hostile file breaks the
    /// order, answers are wrong but nothing worse happens.
    Mapped(&'a [[u8; 4]]),
}

impl<'a> Postings<'a> {
    /// The set without numbers.
    #[inline]
    pub fn empty() -> Self {
        Self::List(Cow::Borrowed(&[]))
    }

    /// How many numbers the set has.
    #[inline]
    pub fn len(&self) -> u64 {
        match self {
            Self::List(list) => list.len() as u64,
            Self::Bitmap(bitmap) => bitmap.len(),
            Self::Mapped(list) => list.len() as u64,
        }
    }

    /// Whether the set has no number.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::List(list) => list.is_empty(),
            Self::Bitmap(bitmap) => bitmap.is_empty(),
            Self::Mapped(list) => list.is_empty(),
        }
    }

    /// The numbers, ascending.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        match self {
            Self::List(list) => Iter::List(list.iter()),
            Self::Bitmap(bitmap) => Iter::Bitmap(bitmap.iter()),
            Self::Mapped(list) => Iter::Mapped(list.iter()),
        }
    }

    /// The set as a bitmap.
    #[cfg(test)]
    pub(crate) fn into_bitmap(self) -> RoaringBitmap {
        match self {
            Self::Bitmap(bitmap) => bitmap.into_owned(),
            other => match RoaringBitmap::from_sorted_iter(other.iter()) {
                Ok(bitmap) => bitmap,
                Err(_) => other.iter().collect(),
            },
        }
    }

    /// The set as a list.
    pub fn into_vec(self) -> Vec<u32> {
        match self {
            Self::List(list) => list.into_owned(),
            other => other.iter().collect(),
        }
    }

    /// Whether the two sets share a number.
    #[inline]
    pub fn intersects(&self, other: &Postings<'_>) -> bool {
        let (small, large) = if self.len() <= other.len() { (self, other) } else { (other, self) };
        let mut probe = Probe::new(large);
        small.iter().any(|id| probe.has(id))
    }

    #[inline]
    fn last(&self) -> Option<u32> {
        match self {
            Self::List(list) => list.last().copied(),
            Self::Bitmap(bitmap) => bitmap.max(),
            Self::Mapped(list) => list.last().copied().map(u32::from_be_bytes),
        }
    }
}

/// The numbers of a set, ascending.
#[derive(Clone)]
pub enum Iter<'a> {
    /// Of a list.
    List(std::slice::Iter<'a, u32>),
    /// Of a bitmap.
    Bitmap(roaring::bitmap::Iter<'a>),
    /// Of a mapped list.
    Mapped(std::slice::Iter<'a, [u8; 4]>),
}

impl Iterator for Iter<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        match self {
            Self::List(list) => list.next().copied(),
            Self::Bitmap(bitmap) => bitmap.next(),
            Self::Mapped(list) => list.next().copied().map(u32::from_be_bytes),
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::List(list) => list.size_hint(),
            Self::Bitmap(bitmap) => bitmap.size_hint(),
            Self::Mapped(list) => list.size_hint(),
        }
    }
}

/// The numbers that all of `sets` have and none of `without` has. Without any set in `sets` that is none.
pub fn intersect<'a>(mut sets: Vec<Postings<'a>>, without: Vec<Postings<'a>>) -> Postings<'a> {
    sets.sort_by_key(Postings::len);
    let mut sets = sets.into_iter();
    let Some(smallest) = sets.next() else {
        return Postings::empty();
    };
    let rest: Vec<_> = sets.collect();
    if smallest.is_empty() || (rest.is_empty() && without.is_empty()) {
        return smallest;
    }
    if let Postings::Bitmap(first) = &smallest
        && let Some(rest) = bitmaps(&rest)
        && let Some(without) = bitmaps(&without)
    {
        let mut result = first.clone().into_owned();
        for set in rest {
            result &= set;
        }
        for set in without {
            result -= set;
        }
        return Postings::Bitmap(Cow::Owned(result));
    }
    let mut rest: Vec<_> = rest.iter().map(Probe::new).collect();
    let mut without: Vec<_> = without.iter().map(Probe::new).collect();
    let ids = smallest
        .iter()
        .filter(|&id| rest.iter_mut().all(|set| set.has(id)) && !without.iter_mut().any(|set| set.has(id)));
    Postings::List(Cow::Owned(ids.collect()))
}

fn bitmaps<'s>(sets: &'s [Postings<'_>]) -> Option<Vec<&'s RoaringBitmap>> {
    sets.iter()
        .map(|set| match set {
            Postings::Bitmap(bitmap) => Some(&**bitmap),
            _ => None,
        })
        .collect()
}

/// The numbers that any of `sets` has.
pub fn union<'a>(mut sets: Vec<Postings<'a>>) -> Postings<'a> {
    sets.retain(|set| !set.is_empty());
    if sets.len() < 2 {
        return sets.pop().unwrap_or_else(Postings::empty);
    }
    let (in_bitmaps, in_lists): (Vec<_>, Vec<_>) =
        sets.iter().partition(|set| matches!(set, Postings::Bitmap(_)));
    let listed = union_lists(&in_lists);
    if in_bitmaps.is_empty() {
        return listed;
    }
    let mut result = in_bitmaps
        .into_iter()
        .filter_map(|set| match set {
            Postings::Bitmap(bitmap) => Some(&**bitmap),
            _ => None,
        })
        .union();
    match listed {
        Postings::Bitmap(bitmap) => result |= &*bitmap,
        list => result.extend(list.iter()),
    }
    Postings::Bitmap(Cow::Owned(result))
}

fn union_lists<'a>(sets: &[&Postings<'a>]) -> Postings<'a> {
    let total: u64 = sets.iter().map(|set| set.len()).sum();
    let last = sets.iter().filter_map(|set| set.last()).max().unwrap_or(0);
    // A plain bit field is the fastest union, as long as it takes no more memory than the lists.
    if u64::from(last) / 8 <= 4 * total {
        let mut bits = vec![0u8; last as usize / 8 + 1];
        for id in sets.iter().flat_map(|set| set.iter()) {
            if let Some(byte) = bits.get_mut(id as usize / 8) {
                *byte |= 1 << (id % 8);
            }
        }
        return Postings::Bitmap(Cow::Owned(RoaringBitmap::from_lsb0_bytes(0, &bits)));
    }
    // The stable sort makes use of the ascending runs.
    let mut ids: Vec<u32> = sets.iter().flat_map(|set| set.iter()).collect();
    ids.sort();
    ids.dedup();
    Postings::List(Cow::Owned(ids))
}

/// Asks a set for ascending numbers; each question goes on where the last one ended.
enum Probe<'s> {
    List(&'s [u32]),
    Bitmap(&'s RoaringBitmap),
    Mapped(&'s [[u8; 4]]),
}

impl<'s> Probe<'s> {
    #[inline]
    fn new(set: &'s Postings<'_>) -> Self {
        match set {
            Postings::List(list) => Self::List(list),
            Postings::Bitmap(bitmap) => Self::Bitmap(bitmap),
            Postings::Mapped(list) => Self::Mapped(list),
        }
    }

    fn has(&mut self, id: u32) -> bool {
        match self {
            Self::List(rest) => {
                *rest = skip_below(rest, |other| *other < id);
                rest.first() == Some(&id)
            }
            Self::Bitmap(bitmap) => bitmap.contains(id),
            Self::Mapped(rest) => {
                // Big-endian numbers compare as their bytes do.
                let id = id.to_be_bytes();
                *rest = skip_below(rest, |other| *other < id);
                rest.first() == Some(&id)
            }
        }
    }
}

/// `list` from the first entry that is not `below`, found in steps of doubling width.
fn skip_below<T>(list: &[T], below: impl Fn(&T) -> bool) -> &[T] {
    let mut step = 1;
    let mut from = 0;
    while list.get(from + step - 1).is_some_and(&below) {
        from += step;
        step *= 2;
    }
    let until = list.len().min(from + step);
    let skipped = from + list.get(from..until).map_or(0, |window| window.partition_point(&below));
    list.get(skipped..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    type Set = BTreeSet<u32>;

    fn set() -> impl Strategy<Value = (Set, u8)> {
        let ids = prop_oneof![
            prop::collection::btree_set(0..300u32, 0..200),
            prop::collection::btree_set(prop_oneof![0..100_000u32, Just(u32::MAX)], 0..20),
            (0..1000u32, 0..1000u32).prop_map(|(from, len)| (from..from + len).collect()),
        ];
        (ids, 0..3u8)
    }

    fn mapped(set: &Set) -> Vec<[u8; 4]> {
        set.iter().map(|id| id.to_be_bytes()).collect()
    }

    fn postings<'a>(set: &Set, kind: u8, bytes: &'a [[u8; 4]]) -> Postings<'a> {
        match kind {
            0 => Postings::List(set.iter().copied().collect()),
            1 => Postings::Bitmap(Cow::Owned(set.iter().copied().collect())),
            _ => Postings::Mapped(bytes),
        }
    }

    proptest! {
        #[test]
        fn operations_are_those_of_sets(keep in prop::collection::vec(set(), 0..4), drop in prop::collection::vec(set(), 0..3)) {
            let keep_bytes: Vec<_> = keep.iter().map(|(set, _)| mapped(set)).collect();
            let drop_bytes: Vec<_> = drop.iter().map(|(set, _)| mapped(set)).collect();
            let make = |sets: &[(Set, u8)], bytes: &'_ [Vec<[u8; 4]>]| -> Vec<Postings<'static>> {
                sets.iter().zip(bytes).map(|((set, kind), bytes)| postings(set, *kind, bytes.clone().leak())).collect()
            };

            let all: Set = keep.iter().flat_map(|(set, _)| set).copied().collect();
            prop_assert!(union(make(&keep, &keep_bytes)).iter().eq(all.iter().copied()));
            prop_assert!(union(make(&keep, &keep_bytes)).into_bitmap().iter().eq(all.iter().copied()));

            let mut common = keep.first().map(|(set, _)| set.clone()).unwrap_or_default();
            for (set, _) in &keep {
                common = common.intersection(set).copied().collect();
            }
            for (set, _) in &drop {
                common = common.difference(set).copied().collect();
            }
            let result = intersect(make(&keep, &keep_bytes), make(&drop, &drop_bytes));
            prop_assert!(result.iter().eq(common.iter().copied()));
            prop_assert_eq!(result.len(), common.len() as u64);
            prop_assert_eq!(result.is_empty(), common.is_empty());

            if let [a, b, ..] = &make(&keep, &keep_bytes)[..] {
                prop_assert_eq!(a.intersects(b), !keep[0].0.is_disjoint(&keep[1].0));
            }
        }
    }

    #[test]
    fn unordered_mapped_lists_do_no_harm() {
        let bytes: Vec<[u8; 4]> = [9u32, 2, u32::MAX, 2, 1].map(u32::to_be_bytes).to_vec();
        let bad = || Postings::Mapped(&bytes);
        union(vec![bad(), bad()]);
        intersect(vec![bad(), Postings::List(Cow::Borrowed(&[1, 2, 3]))], vec![bad()]);
        bad().into_bitmap();
    }
}
