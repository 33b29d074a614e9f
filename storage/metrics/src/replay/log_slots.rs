//! The slots of series by their numbers in the log.

use crate::record::LogRef;

/// Slots of series by their numbers in the log.
#[derive(Debug, Default)]
pub struct LogSlots {
    /// Number of the first in `dense`.
    first: u64,
    /// Numbers are given by counting, so nearly all are here.
    dense: Vec<u32>,
    /// Those that are far from the others.
    sparse: hashbrown::HashMap<u64, u32>,
    len: usize,
    /// Known numbers that were forgotten or given another slot, so far.
    changed: u64,
    /// Numbers that were noted, so far.
    noted: u64,
}

/// No slot.
const NONE: u32 = u32::MAX;
/// Places that are made for each number that is known.
const PLACES: usize = 8;
const PLACES_MIN: usize = 1 << 16;

impl LogSlots {
    /// No number yet; most will not be below `first`.
    pub fn from(LogRef(first): LogRef) -> Self {
        Self { first, ..Self::default() }
    }

    /// The slot of a number.
    #[inline(always)]
    pub fn get(&self, LogRef(number): LogRef) -> Option<u32> {
        match self.dense.get(number.wrapping_sub(self.first) as usize) {
            Some(&slot) if slot != NONE => Some(slot),
            _ if self.sparse.is_empty() => None,
            _ => self.sparse.get(&number).copied(),
        }
    }

    /// Notes the slot of a number. Returns the one before.
    pub fn insert(&mut self, log_ref: LogRef, slot: u32) -> Option<u32> {
        let before = self.remove(log_ref);
        let LogRef(number) = log_ref;
        self.len += 1;
        self.noted += 1;
        let at = number.wrapping_sub(self.first);
        if at >= (PLACES_MIN + PLACES * self.len) as u64 || slot == NONE {
            self.sparse.insert(number, slot);
            return before;
        }
        let at = at as usize;
        if at >= self.dense.len() {
            self.dense.resize((at + 1).next_power_of_two(), NONE);
        }
        self.dense[at] = slot;
        before
    }

    /// Forgets a number. Returns its slot.
    pub fn remove(&mut self, log_ref: LogRef) -> Option<u32> {
        let known = self.get(log_ref)?;
        let LogRef(number) = log_ref;
        self.len -= 1;
        self.changed += 1;
        match self.dense.get_mut(number.wrapping_sub(self.first) as usize) {
            Some(slot) if *slot != NONE => *slot = NONE,
            _ => drop(self.sparse.remove(&number)),
        }
        Some(known)
    }

    /// What is known stays as it is while the first is the same, and what is unknown while the second is the same.
    pub fn versions(&self) -> (u64, u64) {
        (self.changed, self.noted)
    }

    /// All numbers with their slots.
    pub fn iter(&self) -> impl Iterator<Item = (LogRef, u32)> {
        let dense = self.dense.iter().enumerate().filter(|(_, slot)| **slot != NONE);
        let dense = dense.map(|(at, slot)| (self.first.wrapping_add(at as u64), *slot));
        let all = dense.chain(self.sparse.iter().map(|(number, slot)| (*number, *slot)));
        all.map(|(number, slot)| (LogRef(number), slot))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_a_map(
            first in prop_oneof![Just(0u64), Just(1 << 40), Just(u64::MAX)],
            steps in prop::collection::vec((any::<bool>(), prop_oneof![0u64..50, (1u64 << 40)..(1 << 40) + 300_000, any::<u64>()], prop_oneof![0u32..9, Just(NONE)]), 0..60),
        ) {
            let (mut numbers, mut want) = (LogSlots::from(LogRef(first)), BTreeMap::new());
            for (insert, number, slot) in steps {
                match insert {
                    true => prop_assert_eq!(numbers.insert(LogRef(number), slot), want.insert(number, slot)),
                    false => prop_assert_eq!(numbers.remove(LogRef(number)), want.remove(&number)),
                }
                prop_assert_eq!(numbers.get(LogRef(number)), want.get(&number).copied());
            }
            prop_assert_eq!(numbers.iter().map(|(LogRef(n), slot)| (n, slot)).collect::<BTreeMap<_, _>>(), want.clone());
            prop_assert_eq!(numbers.len, want.len());
            prop_assert!(numbers.dense.len() <= (PLACES_MIN + PLACES * 60) * 2);
        }
    }
}
