//! The labels of a block's series, read one after the other: neighbours have most of them in common.

use hashbrown::HashMap;
use model::Labels;

use super::find::Wanted;
use crate::Corruption;
use crate::index::reader::IndexReader;
use crate::index::series::{SeriesEntry, SymbolPair};

/// Reads the labels of series of one block, as much of them as is wanted.
pub(super) struct BlockLabels<'b> {
    index: &'b IndexReader,
    wanted: Wanted<'b>,
    /// The labels of the last series, by their place in it.
    last: Vec<Known<'b>>,
    pairs: Vec<SymbolPair>,
    buffer: String,
    /// Label sets by their pairs, where few labels are wanted.
    made: HashMap<Box<[SymbolPair]>, Labels>,
}

/// A label.
#[derive(Clone, Copy)]
struct Known<'b> {
    pair: SymbolPair,
    name: &'b str,
    /// "" for one that is not wanted.
    value: &'b str,
}

impl<'b> BlockLabels<'b> {
    pub(super) fn new(index: &'b IndexReader, wanted: Wanted<'b>) -> Self {
        let (last, pairs, buffer, made) = (Vec::new(), Vec::new(), String::new(), HashMap::new());
        Self { index, wanted, last, pairs, buffer, made }
    }

    /// The label set of a series.
    pub(super) fn of(&mut self, series: &SeriesEntry<'b>) -> Result<Labels, Corruption> {
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
        if !self.wanted.is_all() {
            pairs.clear();
            pairs.extend(wanted.clone().map(|known| known.pair));
            if let Some(labels) = made.get(&pairs[..]) {
                return Ok(labels.clone());
            }
        }
        let labels = Labels::from_sorted_in(buffer, wanted.map(|known| (known.name, known.value)));
        if !self.wanted.is_all() {
            made.insert(pairs.as_slice().into(), labels.clone());
        }
        Ok(labels)
    }

    /// Looks up the label at a place of a series.
    fn learn(&mut self, at: usize, pair: SymbolPair, series: &SeriesEntry<'b>) -> Result<(), Corruption> {
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
    use std::path::Path;

    use model::read::{Hints, Selection};
    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;
    use crate::block::chunks::Chunk;
    use crate::block::meta::BlockMeta;
    use crate::block::set::LiveBlock;
    use crate::codec::chunk::Encoding;
    use crate::codec::gorilla;
    use crate::fs::SimDisk;
    use crate::index::select::tests::label_set;
    use crate::metrics::block::MetricsBlock;
    use crate::metrics::block_writer::{BlockWriter, SymbolTable, TimedChunk};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn labels_as_wanted(
            sets in prop::collection::btree_set(label_set(), 1..60),
            wanted in prop::option::of(prop::sample::subsequence(vec!["l", "m", "always", "never"], 0..3)),
        ) {
            let (disk, id) = (SimDisk::new(0), Ulid::from_parts(1, 1));
            let sets = Vec::from_iter(sets);
            let symbols = SymbolTable::of_labels(&sets);
            let mut writer = BlockWriter::create_with(&disk, Path::new(""), id, &symbols).unwrap();
            let data = gorilla::encode(&[(5, 1.0)]).unwrap();
            let chunk = Chunk { encoding: Encoding::Xor, data: &data };
            for labels in &sets {
                writer.add_labels(&symbols, labels, &[TimedChunk { min_t: 5, max_t: 5, chunk, record: None }]).unwrap();
            }
            writer.finish(BlockMeta::level_1(id, 0, 200)).unwrap().unwrap();
            let block = MetricsBlock::open(&disk, Path::new(&id.to_string())).unwrap();
            let labels = wanted.map(|wanted| wanted.into_iter().map(str::to_owned).collect::<Vec<_>>());
            let hints = Hints { labels: labels.clone(), ..Hints::default() };
            let selection = Selection { matchers: Vec::new(), min_t: 0, max_t: 9, limit: 0, hints };
            let found = block.select_all(&selection, Wanted::of(&selection.hints)).unwrap();
            let kept = |labels: &Labels, wanted: &[String]| labels.keep(&[&["__name__".to_owned()], wanted].concat());
            for (series, all) in found.iter().zip(&sets) {
                let want = labels.as_ref().map_or(all.clone(), |wanted| kept(all, wanted));
                prop_assert_eq!(&series.labels, &want);
            }
            prop_assert_eq!(found.len(), sets.len());
        }
    }
}
