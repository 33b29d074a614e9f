//! Memory for the bits of open chunks: cells of 64 bytes, linked to chains that grow at their end.
//!
//! A million open chunks grow by a few bytes at a time, all at once. From a general allocator each would be a buffer
//! that is moved whenever it is full, with room to spare and a hole behind it; here a chunk wastes half a cell, and
//! nothing is ever moved. A chain is known by its last cell, whose link leads to the first. Whoever holds a chain's
//! series locked is the only one to touch its cells: the words are atomic so that safe code may share them, and are
//! read and written in no particular order.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use parking_lot::Mutex;
use storage_base::bytes::prefetch::prefetch;

/// Bits of a word.
pub const WORD_BITS: u32 = u32::BITS;
/// Words of a cell that hold bits; one more is the link.
const WORDS: u32 = 15;
/// A cell's number: which group of pages, which page of it, which cell of that.
const CELL_BITS: u32 = 12;
const PAGE_BITS: u32 = 10;
const GROUP_BITS: u32 = 32 - CELL_BITS - PAGE_BITS;
/// Cells at the end of the numbers that are never begun: 256 GiB are in use then.
const RESERVE: u32 = 1 << 16;

/// One line of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Cell {
    words: [AtomicU32; WORDS as usize],
    /// The next cell; of a chain's last one the first; of a free one the next free.
    link: AtomicU32,
}

type Page = Box<[Cell]>;
type Group = Box<[OnceLock<Page>]>;

/// All cells of a head.
#[derive(Debug)]
pub struct BitStore {
    groups: Box<[OnceLock<Group>]>,
    free: Mutex<Free>,
    /// Cells that were ever used.
    begun: AtomicU32,
}

#[derive(Debug, Default)]
struct Free {
    /// The first of `len` free cells.
    first: u32,
    len: u32,
}

/// A growing row of words. It does not give its cells back by itself.
#[derive(Debug, Default)]
pub struct Chain {
    /// Counts for something when there are words.
    last: u32,
}

/// A chain's last cell, once it was looked up. It is of that chain alone, and lasts while others leave the chain.
#[derive(Debug, Default)]
pub struct LastCell<'s>(Option<&'s Cell>);

impl Default for BitStore {
    fn default() -> Self {
        let groups = (0..1 << GROUP_BITS).map(|_| OnceLock::new()).collect();
        Self { groups, free: Mutex::default(), begun: AtomicU32::new(0) }
    }
}

fn empty<T>(len: u32) -> Box<[OnceLock<T>]> {
    (0..len).map(|_| OnceLock::new()).collect()
}

impl BitStore {
    /// Whether there is room for a chunk's next words.
    pub fn has_room(&self) -> bool {
        self.begun.load(Relaxed) < u32::MAX - RESERVE
    }

    /// Cells in use.
    pub fn cells(&self) -> u32 {
        let free = self.free.lock();
        self.begun.load(Relaxed) - free.len
    }

    #[inline]
    fn cell(&self, number: u32) -> Option<&Cell> {
        let group = self.groups.get((number >> (CELL_BITS + PAGE_BITS)) as usize)?.get()?;
        let page = group.get((number >> CELL_BITS) as usize & ((1 << PAGE_BITS) - 1))?.get()?;
        page.get(number as usize & ((1 << CELL_BITS) - 1))
    }

    /// Loads a chain's last cell.
    #[inline]
    pub fn prefetch(&self, chain: &Chain) {
        if let Some(cell) = self.cell(chain.last) {
            prefetch(cell);
        }
    }

    /// A cell that nobody uses.
    #[cold]
    fn take(&self) -> u32 {
        let mut free = self.free.lock();
        if free.len > 0 {
            let number = free.first;
            free.first = self.cell(number).map_or(0, |cell| cell.link.load(Relaxed));
            free.len -= 1;
            // Whoever comes next waits for its link.
            if let Some(next) = self.cell(free.first) {
                prefetch(next);
            }
            return number;
        }
        // `has_room` stops the count long before its end.
        let number = self.begun.load(Relaxed);
        self.begun.store(number.saturating_add(1), Relaxed);
        if let Some(group) = self.groups.get((number >> (CELL_BITS + PAGE_BITS)) as usize)
            && let Some(page) = group
                .get_or_init(|| empty(1 << PAGE_BITS))
                .get((number >> CELL_BITS) as usize & ((1 << PAGE_BITS) - 1))
        {
            page.get_or_init(|| (0..1 << CELL_BITS).map(|_| Cell::default()).collect());
        }
        number
    }

    /// Adds a word behind the `len` words of a chain.
    #[inline]
    pub fn push<'s>(&'s self, chain: &mut Chain, last: &mut LastCell<'s>, len: u32, word: u32) {
        let at = len % WORDS;
        if at == 0 {
            self.grow(chain, len == 0);
            last.0 = None;
        }
        if last.0.is_none() {
            last.0 = self.cell(chain.last);
        }
        if let Some(cell) = last.0 {
            cell.words[at as usize].store(word, Relaxed);
        }
    }

    #[inline(never)]
    fn grow(&self, chain: &mut Chain, is_first: bool) {
        let new = self.take();
        let first = match self.cell(chain.last).filter(|_| !is_first) {
            Some(last) => last.link.swap(new, Relaxed),
            None => new,
        };
        if let Some(cell) = self.cell(new) {
            cell.link.store(first, Relaxed);
        }
        chain.last = new;
    }

    /// The `len` words of a chain, in order.
    pub fn words(&self, chain: &Chain, len: u32) -> impl Iterator<Item = u32> {
        let mut number = chain.last;
        (0..len.div_ceil(WORDS)).flat_map(move |n| {
            // The first follows the last.
            let cell = self.cell(number).and_then(|cell| {
                number = cell.link.load(Relaxed);
                self.cell(number)
            });
            let used = (len - n * WORDS).min(WORDS) as usize;
            cell.into_iter().flat_map(move |cell| cell.words[..used].iter().map(|word| word.load(Relaxed)))
        })
    }

    /// Gives the cells of a chain of `len` words back.
    pub fn release(&self, chain: &mut Chain, len: u32) {
        let Some(last) = self.cell(chain.last).filter(|_| len > 0) else { return };
        let mut free = self.free.lock();
        let first = last.link.swap(free.first, Relaxed);
        *free = Free { first, len: free.len + len.div_ceil(WORDS) };
        chain.last = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chains_are_rows_of_words(steps in prop::collection::vec((0usize..5, any::<u32>(), 0u32..40), 1..80)) {
            let store = BitStore::default();
            let mut chains: [(Chain, Vec<u32>); 5] = Default::default();
            for (subset, word, more) in steps {
                let (chain, want) = &mut chains[subset];
                if more == 0 {
                    store.release(chain, want.len() as u32);
                    want.clear();
                }
                for word in (0..more).map(|n| word.wrapping_add(n)) {
                    store.push(chain, &mut LastCell::default(), want.len() as u32, word);
                    want.push(word);
                }
                for (chain, want) in &chains {
                    prop_assert!(store.words(chain, want.len() as u32).eq(want.iter().copied()));
                }
                let cells: usize = chains.iter().map(|(_, want)| want.len().div_ceil(WORDS as usize)).sum();
                prop_assert_eq!(store.cells() as usize, cells);
            }
            for (chain, want) in &mut chains {
                store.release(chain, want.len() as u32);
            }
            prop_assert_eq!(store.cells(), 0);
            prop_assert!(store.has_room());
        }
    }
}
