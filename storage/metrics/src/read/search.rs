//! From matchers to series of a head, with as much of their labels and order as the query wants.
//!
//! Series are ordered by the ranks of their label pairs where the index has them ready ([`MemIndex::ranks`]), else by
//! the texts of the first pairs that differ; either is the order of their labels, which need not be put together for
//! it.

use std::cmp::Ordering;

use hashbrown::HashMap;
use model::Labels;
use model::append::SeriesRef;
use model::labels::METADATA_LABELS;
use model::read::{Selection, Unwatched, Watch};
use rayon::prelude::*;
use storage_base::StorageError;
use storage_base::bytes::prefetch::prefetch;
use storage_base::index::mem::{MemIndex, NameId, PairId};
use storage_base::index::pair_lists::PairList;
use storage_base::index::projection::Projection;
use storage_base::index::select;

use crate::blocks::block_writer::SymbolTable;
use crate::head::series::{Open, Series};
use crate::head::table::SeriesTable;
use crate::read::head_view::{HeadView, Subset};
use crate::read::selected::SELECTED_BYTES;

/// Series whose labels are read under one lock of the index.
const BATCH: usize = 512;
/// How many series behind the one looked at are loaded ahead.
const AHEAD: usize = 6;
/// Series that are found before another thread would be awake.
pub(crate) const FEW_SERIES: usize = 4 * BATCH;

/// A series found in the head.
pub(crate) struct FoundSeries {
    pub(crate) labels: Labels,
    pub(crate) series: SeriesRef,
    /// The only sample that counts, where that is known.
    pub(crate) newest: Option<(i64, f64)>,
}

/// What is the same for all series of a selection.
struct Search<'s> {
    selection: &'s Selection,
    subset: Subset,
    ordered: bool,
    /// The names of the labels wanted; `None` for all.
    names: Option<Vec<NameId>>,
    /// Of pairs; `None` when they are to be compared by text.
    ranks: Option<std::sync::Arc<[u32]>>,
}

/// Found series, and by what to order them: the ranks of their pairs, or else the pairs.
#[derive(Default)]
struct Matches {
    found: Vec<FoundSeries>,
    keys: Vec<u32>,
    /// Where the keys of each series end.
    ends: Vec<usize>,
}

impl HeadView {
    /// Matching series with chunks in the selected time.
    pub(crate) fn found(
        &self,
        selection: &Selection,
        subset: Subset,
        wanted: Projection<'_>,
        watch: &dyn Watch,
    ) -> Result<Vec<FoundSeries>, StorageError> {
        let (slots, search) = {
            let index = self.index();
            let slots = select::select(&self.labelled(&index), &selection.matchers)?.into_vec();
            let ordered = wanted.is_ordered() && slots.len() > 1;
            let names = |wanted: &[String]| {
                let names = METADATA_LABELS.into_iter().chain(wanted.iter().map(String::as_str));
                names.filter_map(|name| index.name_id(name)).collect()
            };
            let names = wanted.labels().map(names);
            let ranks = if ordered { index.ranks(slots.len()) } else { None };
            (slots, Search { selection, subset, ordered, names, ranks })
        };
        if slots.len() <= FEW_SERIES {
            return Ok(self.in_order_of_labels(vec![self.part(&slots, &search, watch)?], &search));
        }
        let len = slots.len().div_ceil(4 * rayon::current_num_threads()).max(BATCH);
        let parts = slots.par_chunks(len).map(|slots| self.part(slots, &search, watch));
        Ok(self.in_order_of_labels(parts.collect::<Result<_, _>>()?, &search))
    }

    /// Matching series with some samples in the selected time, ascending by labels, which are not put together.
    pub(crate) fn references(
        &self,
        selection: &Selection,
        subset: Subset,
    ) -> Result<Vec<SeriesRef>, StorageError> {
        let found = self.found(selection, subset, Projection::ORDER, &Unwatched)?;
        Ok(found.into_iter().map(|found| found.series).collect())
    }

    /// The labels of series that the head has, one set for each. A series that is gone has none.
    pub(crate) fn labels_of(&self, series: &[SeriesRef], out: &mut Vec<Labels>) {
        let index = self.index();
        let mut buffer = String::with_capacity(256);
        out.clear();
        out.extend(series.iter().map(|series| match self.series(*series) {
            Some(series) => index.labels_in(&mut buffer, index.pairs(series.pairs)),
            None => Labels::empty(),
        }));
    }

    /// The names and values in the labels of some series.
    pub(crate) fn symbols_of(&self, series: &[SeriesRef]) -> SymbolTable {
        let mut seen: Vec<bool> = Vec::new();
        for series in series.chunks(BATCH) {
            let index = self.index();
            for series in series.iter().filter_map(|series| self.series(*series)) {
                for pair in index.pairs(series.pairs) {
                    if seen.len() <= pair.at() {
                        seen.resize(pair.at() + 1, false);
                    }
                    seen[pair.at()] = true;
                }
            }
        }
        let index = self.index();
        let pairs = seen.iter().enumerate().filter(|(_, seen)| **seen);
        let texts = pairs.filter_map(|(at, _)| index.pair(PairId::of(at as u32)));
        SymbolTable::of(texts.flat_map(|(name, value)| [name, value]))
    }

    /// Those of some slots that have chunks in the selected time.
    fn part(&self, slots: &[u32], search: &Search<'_>, watch: &dyn Watch) -> Result<Matches, StorageError> {
        let Search { selection, subset, ordered, names, ranks } = search;
        let mut part = Matches::default();
        part.found.reserve(slots.len());
        let mut labels_of = LabelsOf::new(names.as_deref());
        for slots in slots.chunks(BATCH) {
            let mut bytes = 0;
            let index = self.index();
            for (at, &slot) in slots.iter().enumerate() {
                if let Some(cell) = slots.get(at + AHEAD).and_then(|slot| self.slot(*slot)) {
                    prefetch(cell);
                }
                let Some(series) = self.slot(slot).map(|cell| cell.lock()) else { continue };
                let Some(reference) = SeriesTable::reference_of(slot, &series) else { continue };
                if !self.overlaps(&series, selection.min_t, selection.max_t, *subset) {
                    continue;
                }
                let newest =
                    if selection.hints.newest { self.newest(reference, &series, selection) } else { None };
                let labels = labels_of.list(&index, series.pairs);
                bytes += SELECTED_BYTES + labels.packed().len();
                part.found.push(FoundSeries { labels, series: reference, newest });
                if *ordered {
                    let key = |pair: PairId| match ranks {
                        Some(ranks) => ranks.get(pair.at()).copied().unwrap_or(0),
                        None => pair.at() as u32,
                    };
                    part.keys.extend(index.pairs(series.pairs).map(key));
                    part.ends.push(part.keys.len());
                }
            }
            drop(index);
            watch.grown(bytes).map_err(|_| StorageError::Cancelled)?;
        }
        Ok(part)
    }

    /// The newest float in the selected time, if the series ends in it and has nothing but in-order floats.
    fn newest(&self, reference: SeriesRef, series: &Series, selection: &Selection) -> Option<(i64, f64)> {
        let Open::Floats(chunk) = series.open() else { return None };
        let (min_t, max_t) = self.in_order(series, selection.min_t, selection.max_t)?;
        let plain = series.out_of_order.is_none() && !self.deletes_of(reference);
        let is_in_time = (min_t..=max_t).contains(&chunk.last_t());
        (plain && is_in_time).then(|| (chunk.last_t(), chunk.last_v()))
    }

    /// Puts parts together, in the order of labels if that is wanted.
    fn in_order_of_labels(&self, parts: Vec<Matches>, search: &Search<'_>) -> Vec<FoundSeries> {
        let len = parts.iter().map(|part| part.found.len()).sum();
        let mut found = Vec::with_capacity(len);
        if !search.ordered {
            parts.into_iter().for_each(|part| found.extend(part.found));
            return found;
        }
        let mut order = Vec::with_capacity(len);
        for part in &parts {
            let mut start = 0;
            for &end in &part.ends {
                let key = &part.keys[start..end];
                start = end;
                // Most series differ in one of the first two.
                let at = |i: usize| key.get(i).map_or(0, |rank| u64::from(*rank));
                let first = if search.ranks.is_some() { at(0) << 32 | at(1) } else { 0 };
                order.push((first, key, order.len()));
            }
        }
        type Place<'k> = (u64, &'k [u32], usize);
        let by_rank = |a: &Place<'_>, b: &Place<'_>| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1));
        match (search.ranks.is_some(), len > FEW_SERIES) {
            (true, false) => order.sort_unstable_by(by_rank),
            (true, true) => order.par_sort_unstable_by(by_rank),
            (false, _) => {
                let index = self.index();
                let by_text = |a: &Place<'_>, b: &Place<'_>| compare_pairs(&index, a.1, b.1);
                if len > FEW_SERIES {
                    order.par_sort_unstable_by(by_text)
                } else {
                    order.sort_unstable_by(by_text)
                }
            }
        }
        let order: Vec<usize> = order.into_iter().map(|(_, _, at)| at).collect();
        let mut unordered: Vec<Option<FoundSeries>> =
            parts.into_iter().flat_map(|part| part.found).map(Some).collect();
        found.extend(order.into_iter().filter_map(|at| unordered[at].take()));
        found
    }
}

/// The order of two label sets, given by the pairs of each.
fn compare_pairs(index: &MemIndex, a: &[u32], b: &[u32]) -> Ordering {
    match a.iter().zip(b).find(|(a, b)| a != b) {
        Some((a, b)) => index.pair(PairId::of(*a)).cmp(&index.pair(PairId::of(*b))),
        None => a.len().cmp(&b.len()),
    }
}

/// Puts label sets together, equal ones once where few labels are wanted.
struct LabelsOf<'n> {
    buffer: String,
    names: Option<&'n [NameId]>,
    kept: Vec<PairId>,
    made: HashMap<Box<[PairId]>, Labels>,
}

impl<'n> LabelsOf<'n> {
    fn new(names: Option<&'n [NameId]>) -> Self {
        Self { buffer: String::with_capacity(256), names, kept: Vec::new(), made: HashMap::new() }
    }

    fn list(&mut self, index: &MemIndex, list: PairList) -> Labels {
        let pairs = index.pairs(list);
        let Some(names) = self.names else { return index.labels_in(&mut self.buffer, pairs) };
        self.kept.clear();
        let is_wanted = |pair: &PairId| index.name_of(*pair).is_some_and(|name| names.contains(&name));
        self.kept.extend(pairs.filter(is_wanted));
        if let Some(labels) = self.made.get(&self.kept[..]) {
            return labels.clone();
        }
        let labels = index.labels_in(&mut self.buffer, self.kept.iter().copied());
        self.made.insert(self.kept.as_slice().into(), labels.clone());
        labels
    }
}

#[cfg(test)]
mod tests {
    use model::append::Appendable;
    use model::read::{Hints, SeriesSource as _};
    use model::{MatchOp, Matcher};

    use super::*;
    use crate::testing::open;
    use storage_base::fs::SimDisk;

    #[test]
    fn labels_and_order_as_wanted() {
        let storage = open(&SimDisk::new(1));
        // More series than one thread finds, in no order.
        let series: Vec<Labels> = (0..3 * FEW_SERIES)
            .map(|n| n * 7919 % (3 * FEW_SERIES))
            .map(|n| {
                let (name, kind) = (format!("m{}", n % 5), format!("k{}", n % 3));
                let pairs =
                    [("__name__", name), ("kind", kind), ("id", n.to_string()), ("zone", "z".repeat(n % 2))];
                Labels::from_pairs(pairs)
            })
            .collect();
        let mut appender = storage.appender();
        for (n, labels) in series.iter().enumerate() {
            appender.append(None, labels, 1000, n as f64, 0).unwrap();
        }
        appender.commit().unwrap();
        let snapshot = storage.snapshot();
        for (matchers, few) in [
            (vec![Matcher::new(MatchOp::Regex, "kind", "k[12]").unwrap()], false),
            (vec![Matcher::equal("__name__", "m3"), Matcher::equal("zone", "z")], false),
            (vec![Matcher::new(MatchOp::Regex, "id", "12.").unwrap()], true),
        ] {
            let matches = |labels: &&Labels| matchers.iter().all(|matcher| matcher.matches_labels(labels));
            let mut want: Vec<Labels> = series.iter().filter(matches).cloned().collect();
            assert_eq!(want.len() < 20, few);
            want.sort();
            for hints in [
                Hints::default(),
                Hints { labels: Some(vec!["zone".to_owned(), "nowhere".to_owned()]), ..Hints::default() },
                Hints { labels: Some(Vec::new()), newest: true, unordered: true },
            ] {
                let kept = |labels: &Labels| match &hints.labels {
                    Some(names) => labels.keep(&[&["__name__".to_owned()], &names[..]].concat()),
                    None => labels.clone(),
                };
                let mut want: Vec<Labels> = want.iter().map(kept).collect();
                let unordered = hints.unordered;
                let selection =
                    Selection { matchers: matchers.clone(), min_t: 0, max_t: 2000, limit: 0, hints };
                let found = snapshot.select(&selection).unwrap().series;
                let mut found: Vec<Labels> = found.iter().map(|series| series.labels().clone()).collect();
                if unordered {
                    want.sort();
                    found.sort();
                }
                assert_eq!(found, want);
                let [roughly, closely] =
                    [false, true].map(|closely| snapshot.at_most(&selection, closely).unwrap());
                assert!(!snapshot.may_wait(&selection));
                let found = found.len() as u64;
                assert!(found <= closely && closely <= roughly, "{found}, {closely}, {roughly}");
                // A scan of all values of `id` is too much.
                assert_eq!(found == closely, !few);
            }
        }
    }

    #[test]
    fn labels_of_times_that_the_head_has() {
        let storage = open(&SimDisk::new(1));
        let mut appender = storage.appender();
        appender.append(None, &Labels::from_pairs([("__name__", "up")]), 5000, 1.0, 0).unwrap();
        appender.append(None, &Labels::from_pairs([("__name__", "up")]), 7000, 1.0, 0).unwrap();
        appender.commit().unwrap();
        let snapshot = storage.snapshot();
        // There are no blocks: before the head's first sample there is nothing.
        for (min_t, max_t, has) in
            [(0, 1, false), (0, 4999, false), (0, 5000, true), (6000, 6001, true), (7001, 9000, false)]
        {
            let selection =
                Selection { matchers: Vec::new(), min_t, max_t, limit: 0, hints: Hints::default() };
            let names = snapshot.label_names(&selection).unwrap();
            let values = snapshot.label_values("__name__", &selection).unwrap();
            assert_eq!((names.len(), values.len()), (has.into(), has.into()), "{min_t} to {max_t}");
        }
    }
}
