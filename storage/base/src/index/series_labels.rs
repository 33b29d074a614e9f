//! The labels of the series of an index file, read one after the other: neighbours have most of them in common.

use hashbrown::HashMap;
use model::Labels;

use super::projection::Projection;
use super::reader::IndexReader;
use super::series::{SeriesEntry, SymbolPair};
use crate::Corruption;

/// Reads the labels of series of one index, as much of them as is wanted.
pub struct SeriesLabels<'i> {
    index: &'i IndexReader,
    wanted: Projection<'i>,
    /// The labels of the last series, by their place in it.
    last: Vec<Known<'i>>,
    pairs: Vec<SymbolPair>,
    buffer: String,
    /// Label sets by their pairs, where few labels are wanted.
    made: HashMap<Box<[SymbolPair]>, Labels>,
}

/// A label.
#[derive(Clone, Copy)]
struct Known<'i> {
    pair: SymbolPair,
    name: &'i str,
    /// "" for one that is not wanted.
    value: &'i str,
}

impl<'i> SeriesLabels<'i> {
    /// A reader that has read nothing yet.
    pub fn new(index: &'i IndexReader, wanted: Projection<'i>) -> Self {
        let (last, pairs, buffer, made) = (Vec::new(), Vec::new(), String::new(), HashMap::new());
        Self { index, wanted, last, pairs, buffer, made }
    }

    /// The label set of a series of the index, without those that are not wanted. Series may come in any order; an
    /// error says which one's labels are damaged, and others can still be read.
    pub fn of(&mut self, series: &SeriesEntry<'i>) -> Result<Labels, Corruption> {
        let mut pairs = std::mem::take(&mut self.pairs);
        series.symbols(&mut pairs)?;
        for (at, pair) in pairs.iter().enumerate() {
            if self.last.get(at).is_none_or(|known| known.pair != *pair) {
                self.learn(at, *pair, series)?;
            }
        }
        self.last.truncate(pairs.len());
        self.pairs = pairs;
        let Self { last, buffer, made, pairs, .. } = self;
        let wanted = last.iter().filter(|known| !known.value.is_empty());
        if self.wanted.labels().is_some() {
            pairs.clear();
            pairs.extend(wanted.clone().map(|known| known.pair));
            if let Some(labels) = made.get(&pairs[..]) {
                return Ok(labels.clone());
            }
        }
        let labels = Labels::from_sorted_in(buffer, wanted.map(|known| (known.name, known.value)));
        if self.wanted.labels().is_some() {
            made.insert(pairs.as_slice().into(), labels.clone());
        }
        Ok(labels)
    }

    /// Looks up the label at a place of a series.
    fn learn(&mut self, at: usize, pair: SymbolPair, series: &SeriesEntry<'i>) -> Result<(), Corruption> {
        let known = self.last.get(at).filter(|known| known.pair.0 == pair.0).map(|known| known.name);
        let name = match known {
            Some(name) => name,
            None => {
                // What stood behind another name may be out of order behind this one.
                self.last.truncate(at);
                self.index.symbol(pair.0)?
            }
        };
        let before = at.checked_sub(1).and_then(|before| self.last.get(before));
        if before.is_some_and(|before| before.name >= name) {
            return Err(series.corrupt("labels of a series are out of order"));
        }
        let mut value = "";
        if self.wanted.has(name) {
            value = self.index.symbol(pair.1)?;
            if value.is_empty() {
                return Err(series.corrupt("a label of a series is empty"));
            }
        }
        let label = Known { pair, name, value };
        match self.last.get_mut(at) {
            Some(known) => *known = label,
            None => self.last.push(label),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::read::Hints;
    use proptest::prelude::*;

    use super::*;
    use crate::index::reader::tests::{open, write};
    use crate::index::select::LabelIndex;
    use crate::index_testing::label_set;

    proptest! {
        #[test]
        fn labels_as_wanted(
            sets in prop::collection::btree_set(label_set(), 1..60),
            wanted in prop::option::of(prop::sample::subsequence(vec!["l", "m", "always", "never"], 0..3)),
            order in any::<u64>(),
        ) {
            let series = Vec::from_iter(sets.into_iter().map(|labels| (labels, Vec::new())));
            let index = open(write(&series, 100)).unwrap();
            let wanted = wanted.map(|wanted| wanted.into_iter().map(str::to_owned).collect::<Vec<_>>());
            let hints = Hints { labels: wanted.clone(), ..Hints::default() };
            let mut labels = SeriesLabels::new(&index, Projection::of(&hints));
            let ids = index.all().unwrap().into_vec();
            prop_assert_eq!(ids.len(), series.len());
            let mut numbers = Vec::from_iter(0..ids.len());
            numbers.sort_by_key(|number| (*number as u64).wrapping_mul(order));
            for number in numbers {
                let all = &series[number].0;
                let kept = |wanted: &Vec<String>| all.keep(&[&["__name__".to_owned()], &wanted[..]].concat());
                let want = wanted.as_ref().map_or(all.clone(), kept);
                prop_assert_eq!(labels.of(&index.series(ids[number]).unwrap()).unwrap(), want);
            }
        }
    }
}
