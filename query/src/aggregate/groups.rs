//! Which group of an aggregation a series belongs to.

use std::collections::HashMap;

use model::Labels;

use crate::label_subset::{KeyHasher, LabelSubset};
use crate::matrix::Row;

/// Numbers the groups of an aggregation.
pub struct Groups {
    subset: LabelSubset,
    /// Names that must go count as gone already.
    eager: bool,
    numbers: HashMap<Vec<u8>, usize, KeyHasher>,
    key: Vec<u8>,
    /// The labels looked at last, whether without name, and the group's number.
    last: Option<(Labels, bool, usize)>,
}

impl Groups {
    /// Groups `by` the labels, or `without` them. With `eager`, names that must go count as gone already.
    pub fn new(grouping: &[String], without: bool, eager: bool) -> Self {
        Self {
            subset: LabelSubset::new(!without, grouping),
            eager,
            numbers: HashMap::with_hasher(KeyHasher),
            key: Vec::new(),
            last: None,
        }
    }

    /// The number of a series' group, ascending from 0, and its labels if the group is new.
    #[inline]
    pub fn number(&mut self, row: &Row) -> (usize, Option<Labels>) {
        if self.subset.is_nothing() && !self.numbers.is_empty() {
            return (0, None);
        }
        let nameless = self.eager && row.drop_name;
        if let Some((labels, without_name, number)) = &self.last
            && labels.is_same(&row.labels)
            && *without_name == nameless
        {
            return (*number, None);
        }
        self.subset.key(&row.labels, nameless, &mut self.key);
        if let Some(number) = self.numbers.get(&self.key) {
            self.last = Some((row.labels.clone(), nameless, *number));
            return (*number, None);
        }
        let number = self.numbers.len();
        self.numbers.insert(self.key.clone(), number);
        (number, Some(self.subset.labels(&row.labels, nameless)))
    }
}
