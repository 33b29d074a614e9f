//! Subsets of labels and their keys, for grouping and matching: computed once for each series, without building label
//! sets.

use std::hash::{BuildHasher, Hasher};

use model::Labels;
use model::labels::METRIC_NAME;
use xxhash_rust::xxh64::xxh64;

use crate::matrix::is_metadata_label;

/// Which labels count.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelSubset {
    /// `by`, `on`: these, sorted.
    Only(Vec<String>),
    /// `without`, `ignoring`: all but these, sorted, and the name.
    Except(Vec<String>),
}

impl LabelSubset {
    /// The subset that a clause with labels in any order names.
    pub fn new(only: bool, names: &[String]) -> Self {
        let mut names = names.to_vec();
        if !only {
            names.push(METRIC_NAME.to_owned());
        }
        names.sort_unstable();
        names.dedup();
        if only { Self::Only(names) } else { Self::Except(names) }
    }

    #[inline]
    fn takes(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.binary_search_by(|n| n.as_str().cmp(name)).is_ok(),
            Self::Except(names) => names.binary_search_by(|n| n.as_str().cmp(name)).is_err(),
        }
    }

    /// Whether no label counts whatever the series.
    #[inline]
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Only(names) if names.is_empty())
    }

    /// Writes the key of a series; equal exactly when the counting labels are. With `nameless`, the labels that
    /// describe the metric count as absent.
    #[inline]
    pub fn key(&self, labels: &Labels, nameless: bool, key: &mut Vec<u8>) {
        key.clear();
        for (name, value) in labels.iter() {
            if self.takes(name) && !(nameless && is_metadata_label(name)) {
                for text in [name, value] {
                    key.extend_from_slice(&(text.len() as u32).to_le_bytes());
                    key.extend_from_slice(text.as_bytes());
                }
            }
        }
    }

    /// The counting labels as a set.
    pub fn labels(&self, labels: &Labels, nameless: bool) -> Labels {
        Labels::from_sorted(
            labels.iter().filter(|(name, _)| self.takes(name) && !(nameless && is_metadata_label(name))),
        )
    }
}

/// Hashes keys and label sets with XXH64. Not for keys that an attacker could choose to collide: a query's cost is
/// bounded by its own limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher;

impl BuildHasher for KeyHasher {
    type Hasher = KeyHash;

    #[inline]
    fn build_hasher(&self) -> KeyHash {
        KeyHash(0)
    }
}

/// The state of a [`KeyHasher`].
pub struct KeyHash(u64);

impl Hasher for KeyHash {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh64(bytes, self.0);
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.0 = self.0.rotate_left(8) ^ u64::from(byte);
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.0 = (self.0 ^ n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_counting_labels() {
        let a = Labels::from_pairs([("__name__", "m"), ("x", "1"), ("y", "2")]);
        let b = Labels::from_pairs([("__name__", "n"), ("x", "1"), ("z", "2")]);
        let names = ["x".to_owned(), "q".to_owned()];
        let same = |subset: &LabelSubset, nameless| {
            let (mut ka, mut kb) = (Vec::new(), Vec::new());
            subset.key(&a, nameless, &mut ka);
            subset.key(&b, nameless, &mut kb);
            (ka == kb, subset.labels(&a, nameless).to_string())
        };
        assert_eq!(same(&LabelSubset::new(true, &names), false), (true, r#"{x="1"}"#.to_owned()));
        assert_eq!(same(&LabelSubset::new(false, &names), false), (false, r#"{y="2"}"#.to_owned()));
        let by_name = LabelSubset::new(true, &["__name__".to_owned()]);
        assert_eq!(same(&by_name, false), (false, r#"{__name__="m"}"#.to_owned()));
        assert_eq!(same(&by_name, true), (true, "{}".to_owned()));
    }
}
