//! The label pairs of many series: short lists of small numbers, a few bytes each.
//!
//! A list is one integer for its length and one for each pair, seven bits a byte, in pages that never move. A list
//! that goes leaves its words to the next one of as many words; series come and go with much the same labels.

use super::mem::PairId;
use crate::bytes::varint::put_uvarint;

/// Bytes of a word, which a list begins at.
const WORD: usize = 4;
/// Words of a page; the bits of a list's number that say where in its page it begins.
const PAGE_BITS: u32 = 14;
const PAGE: usize = WORD << PAGE_BITS;
/// Pages at the end of the numbers that are never begun: 16 GiB are in use then.
const RESERVE: usize = 1 << 8;

/// Where a list begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairList(u32);

/// Lists of label pairs.
#[derive(Default)]
pub struct PairLists {
    /// A list that is longer than a page has one for itself.
    pages: Vec<Box<[u8]>>,
    /// Bytes used of the last page.
    used: usize,
    /// By their number of words, the places of lists that went.
    free: Vec<Vec<PairList>>,
    /// The list that is being put together.
    scratch: Vec<u8>,
}

/// The pairs of a list, in order.
#[derive(Clone, Debug)]
pub struct Pairs<'l> {
    rest: &'l [u8],
    left: u32,
}

impl PairLists {
    /// Whether there is room for another list.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.pages.len() < (1 << (u32::BITS - PAGE_BITS)) - RESERVE
    }

    /// Keeps a list.
    pub fn add(&mut self, pairs: impl ExactSizeIterator<Item = PairId>) -> PairList {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        put_uvarint(&mut bytes, pairs.len() as u64);
        pairs.for_each(|PairId(pair)| put_uvarint(&mut bytes, u64::from(pair)));
        bytes.resize(bytes.len().next_multiple_of(WORD), 0);
        let list = self.place(bytes.len());
        let (page, at) = split(list);
        if let Some(place) = self.pages.get_mut(page).and_then(|page| page.get_mut(at..at + bytes.len())) {
            place.copy_from_slice(&bytes);
        }
        self.scratch = bytes;
        list
    }

    fn place(&mut self, len: usize) -> PairList {
        if let Some(list) = self.free.get_mut(len / WORD).and_then(Vec::pop) {
            return list;
        }
        if self.pages.last().is_none_or(|page| self.used + len > page.len()) {
            self.pages.push(vec![0; len.max(PAGE)].into_boxed_slice());
            self.used = 0;
        }
        // `has_room` bounds the pages.
        let list = PairList((((self.pages.len() - 1) << PAGE_BITS) + self.used / WORD) as u32);
        self.used += len;
        list
    }

    /// A list's pairs. A list that was removed gives those of the one in its place.
    #[inline]
    pub fn get(&self, list: PairList) -> Pairs<'_> {
        let (page, at) = split(list);
        let mut pairs =
            Pairs { rest: self.pages.get(page).and_then(|page| page.get(at..)).unwrap_or(&[]), left: 1 };
        pairs.left = pairs.number().unwrap_or(0);
        pairs
    }

    /// Forgets a list.
    pub fn remove(&mut self, list: PairList) {
        let (page, at) = split(list);
        let mut pairs = self.get(list);
        pairs.by_ref().for_each(drop);
        let len = self.pages.get(page).map_or(0, |page| page.len() - at - pairs.rest.len());
        let words = len.div_ceil(WORD);
        if self.free.len() <= words {
            self.free.resize(words + 1, Vec::new());
        }
        self.free[words].push(list);
    }
}

#[inline]
fn split(PairList(list): PairList) -> (usize, usize) {
    ((list >> PAGE_BITS) as usize, WORD * (list as usize % (1 << PAGE_BITS)))
}

impl Pairs<'_> {
    #[inline]
    fn number(&mut self) -> Option<u32> {
        let mut number = 0;
        for shift in (0..u32::BITS).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u32::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

impl Iterator for Pairs<'_> {
    type Item = PairId;

    #[inline]
    fn next(&mut self) -> Option<PairId> {
        self.left = self.left.checked_sub(1)?;
        self.number().map(PairId)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Pairs<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_are_as_they_were_added(steps in prop::collection::vec((any::<bool>(), 0usize..30, any::<u32>(), 0u32..32), 1..200)) {
            let mut lists = PairLists::default();
            let mut want: Vec<(PairList, Vec<PairId>)> = Vec::new();
            let mut most = 0;
            for (add, len, from, shift) in steps {
                if add {
                    // Some are longer than a page.
                    let len = if len == 29 { 20_000 } else { len };
                    let pairs: Vec<_> = (0..len as u32).map(|n| PairId(from.wrapping_add(n) >> shift)).collect();
                    want.push((lists.add(pairs.iter().copied()), pairs));
                } else if !want.is_empty() {
                    let (list, _) = want.swap_remove(len % want.len());
                    lists.remove(list);
                }
                for (list, pairs) in &want {
                    prop_assert_eq!(lists.get(*list).len(), pairs.len());
                    prop_assert!(lists.get(*list).eq(pairs.iter().copied()));
                }
                most = most.max(lists.pages.len());
            }
            // The same lists again take no more room.
            let again: Vec<_> = want.iter().map(|(_, pairs)| pairs.clone()).collect();
            want.iter().for_each(|(list, _)| lists.remove(*list));
            for pairs in again {
                lists.add(pairs.into_iter());
            }
            prop_assert_eq!(lists.pages.len(), most);
        }
    }
}
