//! The head's index of labels together with its series, which know their labels.

use std::ops::ControlFlow;

use storage_base::StorageError;
use storage_base::index::mem::{MemIndex, PairId};
use storage_base::index::postings::Postings;
use storage_base::index::select::LabelIndex;

use crate::head::table::Pages;

/// Index and series of a head, looked at together. Holds nothing; the caller holds the lock of the index.
pub(crate) struct HeadIndex<'h> {
    pub(crate) index: &'h MemIndex,
    pub(crate) pages: &'h Pages,
}

impl LabelIndex for HeadIndex<'_> {
    type Value = PairId;

    const KNOWS_LABELS: bool = true;

    /// A vacant slot has no labels.
    fn label(&self, slot: u32, name: &str) -> Result<&str, StorageError> {
        let (Some(cell), Some(name)) = (self.pages.slot(slot), self.index.name_id(name)) else {
            return Ok("");
        };
        let pairs = {
            let series = cell.lock();
            if series.generation == 0 {
                return Ok("");
            }
            series.pairs
        };
        let pair = self.index.pairs(pairs).find(|pair| self.index.name_of(*pair) == Some(name));
        Ok(pair.and_then(|pair| self.index.pair(pair)).map_or("", |(_, value)| value))
    }

    fn all(&self) -> Result<Postings<'_>, StorageError> {
        self.index.all()
    }

    fn find(&self, name: &str, value: &str) -> Result<Option<PairId>, StorageError> {
        self.index.find(name, value)
    }

    fn postings(&self, value: PairId) -> Result<Postings<'_>, StorageError> {
        self.index.postings(value)
    }

    fn value_count(&self, name: &str) -> Result<u64, StorageError> {
        self.index.value_count(name)
    }

    fn names(&self) -> Result<Vec<String>, StorageError> {
        self.index.names()
    }

    fn values(
        &self,
        name: &str,
        from: &str,
        visit: &mut dyn FnMut(&str, PairId) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.index.values(name, from, visit)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::Labels;
    use proptest::prelude::*;

    use super::*;
    use crate::head::table::{SeriesTable, slot_of};
    use crate::index_testing::{agrees_with_filter, label_set, matcher};

    /// Few names and values, in combinations of which each is a series: whatever is left after one matcher is fewer
    /// than the series that the values of the next have.
    fn product() -> impl Strategy<Value = BTreeSet<Labels>> {
        let values = ["", "a", "ab", "b", "ba", "é", "a\n"];
        let all: Vec<Labels> = values
            .iter()
            .flat_map(|l| values.iter().map(move |m| [("always", "x"), ("l", l), ("m", m)]))
            .map(Labels::from_pairs)
            .collect();
        let len = all.len();
        prop::sample::subsequence(all, 0..=len).prop_map(|series| series.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn agrees_with_a_filter_over_all_series(
            series in prop_oneof![prop::collection::btree_set(label_set(), 0..60), product()],
            matchers in prop::collection::vec(matcher(), 0..4),
        ) {
            let table = SeriesTable::default();
            let add = |labels: Labels| (slot_of(table.get_or_create(&labels, None).unwrap().0), labels);
            let series: Vec<_> = series.into_iter().map(add).collect();
            let (index, pages) = (table.index().read(), table.pages());
            agrees_with_filter(&HeadIndex { index: &index, pages: &pages }, &series, &matchers)?;
        }
    }
}
