//! Merges blocks into one.
//!
//! All inputs are mapped and walked in label order; one series is in memory at a time. Symbols of an input are mapped
//! to those of the result by a table, so that label sets compare as lists of numbers. A chunk that nothing overlaps and
//! of which nothing is deleted is copied as it lies there. Chunks that overlap are decoded, merged and encoded again:
//! where two samples have the same time, that of the input that comes first counts. Bounds and rules: Prometheus
//! `tsdb/compact.go`, `storage/merge.go`.

use std::iter::Peekable;
use std::ops::ControlFlow;
use std::path::Path;

use model::Sample;
use storage_base::fs::Disk;
use storage_base::index::ChunkMeta;
use storage_base::index::select::LabelIndex;
use storage_base::index::series::SymbolPair;
use storage_base::{Corruption, StorageError};

use crate::blocks::block::MetricsBlock;
use crate::blocks::block_writer::{BlockWriter, TimedChunk};
use crate::blocks::chunk_samples::{ChunkEncodings, EncodedChunk, encode, samples};
use crate::blocks::chunk_segments::Chunk;
use crate::blocks::meta::BlockMeta;
use crate::blocks::tombstones::{Interval, Intervals};

/// Series between two reports of progress.
const REPORT_EVERY: u64 = 256;

/// How far a merge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Series of all inputs that were read.
    pub done: u64,
    /// Series of all inputs.
    pub total: u64,
}

/// What came of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// A block, published, with this meta.
    Block(Box<BlockMeta>),
    /// No sample was left, so there is no block. The inputs can go.
    Empty,
    /// The caller broke it off. Nothing is left of it.
    Cancelled,
}

/// Merges `inputs`, which come in the order of [`storage_base::block::set::BlockSet::blocks`], into a block with the
/// id, times and lineage of `meta` inside `parent`. Samples outside these times are left out. `report` is called now
/// and then, and may break the merge off.
pub fn merge(
    disk: &dyn Disk,
    parent: &Path,
    inputs: &[&MetricsBlock],
    meta: BlockMeta,
    encodings: ChunkEncodings,
    report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Merged, StorageError> {
    let maps = symbol_maps(inputs)?;
    let mut writer = BlockWriter::create(disk, parent, meta.id, merged_symbols(inputs))?;
    let lists = inputs.iter().map(|block| block.index().all()).collect::<Result<Vec<_>, _>>()?;
    let mut progress = Progress { done: 0, total: lists.iter().map(|list| list.len()).sum() };
    let mut cursors = Vec::with_capacity(inputs.len());
    for ((block, map), list) in inputs.iter().zip(maps).zip(&lists) {
        let mut cursor = SeriesCursor { block, map, ids: list.iter(), id: None, labels: Vec::new() };
        cursor.advance()?;
        cursors.push(cursor);
    }
    let bounds = Interval { min_t: meta.min_time, max_t: meta.max_time.saturating_sub(1) };
    let mut series = MergedSeries::default();
    let mut reported = 0;
    while let Some(least) =
        cursors.iter().filter(|cursor| cursor.id.is_some()).map(|cursor| &cursor.labels).min()
    {
        series.clear(least);
        for cursor in &mut cursors {
            if let Some(id) = cursor.id
                && cursor.labels == series.labels
            {
                series.add_input(cursor.block, id, bounds)?;
                cursor.advance()?;
                progress.done += 1;
            }
        }
        series.write(&mut writer, encodings)?;
        if progress.done >= reported + REPORT_EVERY {
            reported = progress.done;
            if report(progress).is_break() {
                return Ok(Merged::Cancelled);
            }
        }
    }
    if report(progress).is_break() {
        return Ok(Merged::Cancelled);
    }
    Ok(writer.finish(meta)?.map_or(Merged::Empty, |meta| Merged::Block(Box::new(meta))))
}

/// Walks over the series of an input, their labels given as symbols of the result.
struct SeriesCursor<'a> {
    block: &'a MetricsBlock,
    map: SymbolMap,
    ids: storage_base::index::postings::Iter<'a>,
    /// `None` at the end.
    id: Option<u32>,
    labels: Vec<SymbolPair>,
}

impl SeriesCursor<'_> {
    fn advance(&mut self) -> Result<(), Corruption> {
        self.id = self.ids.next();
        let Some(id) = self.id else { return Ok(()) };
        let index = self.block.index();
        let entry = index.series(id)?;
        entry.symbols(&mut self.labels)?;
        for symbol in self.labels.iter_mut().flat_map(|(name, value)| [name, value]) {
            *symbol =
                self.map.get(*symbol).ok_or_else(|| entry.corrupt("series refers to an unknown symbol"))?;
        }
        Ok(())
    }
}

/// The chunks of one series of the result.
#[derive(Default)]
struct MergedSeries<'a> {
    labels: Vec<SymbolPair>,
    parts: Vec<InputChunk<'a>>,
    deleted: Vec<Intervals>,
    metas: Vec<ChunkMeta>,
}

/// A chunk of an input.
struct InputChunk<'a> {
    meta: ChunkMeta,
    block: &'a MetricsBlock,
    /// Place of its input's deleted times.
    input: usize,
    trimmed: bool,
}

/// A chunk of the result.
enum OutputChunk<'a> {
    Copied { meta: ChunkMeta, chunk: Chunk<'a>, record: &'a [u8] },
    Encoded(EncodedChunk),
}

impl<'a> MergedSeries<'a> {
    fn clear(&mut self, labels: &[SymbolPair]) {
        self.labels.clear();
        self.labels.extend_from_slice(labels);
        self.parts.clear();
        self.deleted.clear();
    }

    fn add_input(&mut self, block: &'a MetricsBlock, id: u32, bounds: Interval) -> Result<(), Corruption> {
        let mut deleted = block.tombstones().get(u64::from(id)).cloned().unwrap_or_default();
        if let Some(before) = bounds.min_t.checked_sub(1) {
            deleted.add(Interval { min_t: i64::MIN, max_t: before });
        }
        if let Some(after) = bounds.max_t.checked_add(1) {
            deleted.add(Interval { min_t: after, max_t: i64::MAX });
        }
        block.index().series(id)?.chunks(&mut self.metas)?;
        let input = self.deleted.len();
        for &meta in &self.metas {
            if !deleted.covers(meta.min_t, meta.max_t) {
                let trimmed = deleted.overlap(meta.min_t, meta.max_t);
                self.parts.push(InputChunk { meta, block, input, trimmed });
            }
        }
        self.deleted.push(deleted);
        Ok(())
    }

    fn write(&mut self, writer: &mut BlockWriter<'_>, encodings: ChunkEncodings) -> Result<(), StorageError> {
        self.parts.sort_by_key(|part| (part.meta.min_t, part.meta.max_t, part.input));
        let mut pieces = Vec::with_capacity(self.parts.len());
        let mut rest = &self.parts[..];
        while let Some((first, others)) = rest.split_first() {
            let mut end = first.meta.max_t;
            let overlapping = others.iter().take_while(|part| {
                let overlaps = part.meta.min_t <= end;
                end = end.max(part.meta.max_t);
                overlaps
            });
            let (group, after) = rest.split_at(1 + overlapping.count());
            rest = after;
            self.merge_group(group, encodings, &mut pieces)?;
        }
        let chunks: Vec<_> = pieces
            .iter()
            .map(|piece| match piece {
                OutputChunk::Copied { meta, chunk, record } => {
                    TimedChunk { min_t: meta.min_t, max_t: meta.max_t, chunk: *chunk, record: Some(record) }
                }
                OutputChunk::Encoded(recoded) => TimedChunk {
                    min_t: recoded.min_t,
                    max_t: recoded.max_t,
                    chunk: Chunk { encoding: recoded.encoding, data: &recoded.data },
                    record: None,
                },
            })
            .collect();
        writer.add(&self.labels, &chunks)
    }

    /// Makes pieces of chunks that overlap each other, or of one that overlaps none.
    fn merge_group(
        &self,
        group: &[InputChunk<'a>],
        mut encodings: ChunkEncodings,
        pieces: &mut Vec<OutputChunk<'a>>,
    ) -> Result<(), StorageError> {
        let mut records = Vec::with_capacity(group.len());
        for part in group {
            let (chunk, record) = part.block.chunks().record(part.meta.at)?;
            // The same chunk twice, as when a block was copied, is one.
            let seen =
                records.last().is_some_and(|(last, _, bytes): &(&InputChunk<'_>, Chunk<'_>, &[u8])| {
                    !last.trimmed && !part.trimmed && *bytes == record
                });
            if !seen {
                records.push((part, chunk, record));
            }
        }
        if let [(part, chunk, record)] = records[..]
            && !part.trimmed
        {
            pieces.push(OutputChunk::Copied { meta: part.meta, chunk, record });
            return Ok(());
        }
        let mut merged: Vec<(Sample, usize)> = Vec::new();
        for (part, chunk, _) in records {
            encodings = encodings.and(chunk.encoding);
            let corrupt = |reason: String| part.block.chunks().corrupt(part.meta.at, reason);
            let deleted = self.deleted.get(part.input);
            let kept = samples(chunk).map_err(|e| corrupt(e.to_string()))?.into_iter();
            let kept = kept.filter(|sample| !deleted.is_some_and(|deleted| deleted.contains(sample.t)));
            merged.extend(kept.map(|sample| (sample, part.input)));
        }
        merged.sort_by_key(|(sample, input)| (sample.t, *input));
        merged.dedup_by_key(|(sample, _)| sample.t);
        let encoded = encode(merged.iter().map(|(sample, _)| sample), encodings)
            .map_err(|e| StorageError::Internal(format!("merged samples cannot be encoded: {e}")))?;
        pieces.extend(encoded.into_iter().map(OutputChunk::Encoded));
        Ok(())
    }
}

/// Turns an input's symbols into those of the result.
struct SymbolMap {
    /// The input's numbers, ascending, when they are not 0, 1, 2 … (index version 1).
    numbers: Option<Vec<u32>>,
    merged: Vec<u32>,
}

impl SymbolMap {
    fn get(&self, symbol: u32) -> Option<u32> {
        let at = match &self.numbers {
            None => symbol as usize,
            Some(numbers) => numbers.binary_search(&symbol).ok()?,
        };
        self.merged.get(at).copied()
    }
}

fn symbol_maps(inputs: &[&MetricsBlock]) -> Result<Vec<SymbolMap>, StorageError> {
    let mut maps: Vec<_> = inputs
        .iter()
        .map(|block| {
            let count = block.index().symbol_count() as usize;
            let numbers = (block.index().version() == 1).then(Vec::new);
            SymbolMap { numbers, merged: Vec::with_capacity(count) }
        })
        .collect();
    let mut symbols = merged_symbols(inputs);
    let mut next = 0u32;
    while let Some(least) = symbols.least().transpose()? {
        for (input, map) in symbols.inputs.iter_mut().zip(&mut maps) {
            while let Some(Ok((number, _))) = input.next_if(|head| is_symbol(head, least)) {
                map.merged.push(next);
                if let Some(numbers) = &mut map.numbers {
                    numbers.push(number);
                }
            }
        }
        next += 1;
    }
    Ok(maps)
}

fn merged_symbols<'b>(
    inputs: &[&'b MetricsBlock],
) -> MergedSymbols<impl Iterator<Item = Result<(u32, &'b str), Corruption>> + Clone> {
    MergedSymbols { inputs: inputs.iter().map(|block| block.index().symbols().peekable()).collect() }
}

fn is_symbol(head: &Result<(u32, &str), Corruption>, text: &str) -> bool {
    matches!(head, Ok((_, symbol)) if *symbol == text)
}

/// The symbols of all inputs, ascending, each once.
struct MergedSymbols<I: Iterator> {
    inputs: Vec<Peekable<I>>,
}

impl<I: Iterator<Item: Clone> + Clone> Clone for MergedSymbols<I> {
    fn clone(&self) -> Self {
        Self { inputs: self.inputs.clone() }
    }
}

impl<'b, I: Iterator<Item = Result<(u32, &'b str), Corruption>>> MergedSymbols<I> {
    /// The next symbol, which stays.
    fn least(&mut self) -> Option<Result<&'b str, StorageError>> {
        let mut least: Option<&str> = None;
        for input in &mut self.inputs {
            match input.peek() {
                Some(Ok((_, text))) if least.is_none_or(|least| *text < least) => least = Some(text),
                Some(Err(e)) => return Some(Err(e.clone().into())),
                _ => {}
            }
        }
        least.map(Ok)
    }
}

impl<'b, I: Iterator<Item = Result<(u32, &'b str), Corruption>>> Iterator for MergedSymbols<I> {
    type Item = Result<&'b str, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let least = self.least()?;
        if let Ok(least) = least {
            for input in &mut self.inputs {
                while input.next_if(|head| is_symbol(head, least)).is_some() {}
            }
        }
        Some(least)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::read::{Hints, Selection};
    use model::{Labels, Matcher};
    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;
    use crate::blocks::block_writer::SymbolTable;
    use crate::blocks::chunk_samples::tests::{Meaning, meaning, value};
    use model::SampleValue;
    use storage_base::block::publish::remove_leftovers;
    use storage_base::block::{Block, BlockSet};
    use storage_base::fs::SimDisk;

    /// Samples of each series.
    type Content<V = Meaning> = BTreeMap<Labels, BTreeMap<i64, V>>;

    #[derive(Clone, Debug)]
    struct Input {
        content: Content<SampleValue>,
        /// Samples of a chunk.
        chunk_len: usize,
        /// Series whose `i` has this value lose this time.
        deleted: Option<(u8, Interval)>,
    }

    fn name(series: u8) -> Labels {
        let letter = ["a", "b", "é", "ab"][usize::from(series % 4)];
        Labels::from_pairs([("__name__", letter), ("i", &series.to_string())])
    }

    fn input() -> impl Strategy<Value = Input> {
        let sample = (0..6u8, prop_oneof![0..60i64, 1000..1040i64], value());
        let samples = prop::collection::vec(sample, 0..60);
        let deleted = prop::option::of((0..6u8, 0..1040i64, 0..60i64));
        (samples, 1..9usize, deleted).prop_map(|(samples, chunk_len, deleted)| {
            let mut content = Content::new();
            for (series, t, v) in samples {
                content.entry(name(series)).or_default().insert(t, v);
            }
            let deleted =
                deleted.map(|(series, min_t, len)| (series, Interval { min_t, max_t: min_t + len }));
            Input { content, chunk_len, deleted }
        })
    }

    /// Writes a block and deletes from it.
    fn write(disk: &SimDisk, number: u64, input: &Input) {
        let id = Ulid::from_parts(number, 0);
        let symbols = SymbolTable::of_labels(input.content.keys());
        let mut writer =
            BlockWriter::create_with(disk, Path::new(""), id, &symbols).unwrap().with_segment_len_max(200);
        for (labels, samples) in &input.content {
            let samples: Vec<_> =
                samples.iter().map(|(&t, value)| Sample { t, start_t: 0, value: value.clone() }).collect();
            let chunks: Vec<_> = samples
                .chunks(input.chunk_len)
                .flat_map(|part| encode(part.iter(), ChunkEncodings::default()).unwrap())
                .collect();
            let chunks: Vec<_> = chunks
                .iter()
                .map(|chunk| TimedChunk {
                    min_t: chunk.min_t,
                    max_t: chunk.max_t,
                    chunk: Chunk { encoding: chunk.encoding, data: &chunk.data },
                    record: None,
                })
                .collect();
            writer.add_labels(&symbols, labels, &chunks).unwrap();
        }
        let times = || input.content.values().flat_map(BTreeMap::keys).copied();
        let (min, max) = (times().min().unwrap_or(0), times().max().unwrap_or(0) + 1);
        let written = writer.finish(BlockMeta::level_1(id, min, max)).unwrap();
        assert_eq!(written.is_some(), !input.content.is_empty());
        if let (Some(meta), Some((series, interval))) = (written, input.deleted) {
            let samples: usize = input.content.values().map(BTreeMap::len).sum();
            assert_eq!(meta.stats.num_samples, samples as u64);
            let block = MetricsBlock::open(disk, Path::new(&id.to_string())).unwrap();
            let matcher = Matcher::equal("i", series.to_string());
            block.delete(disk, &[matcher], interval.min_t, interval.max_t).unwrap();
        }
    }

    fn load(disk: &SimDisk) -> BlockSet<MetricsBlock> {
        BlockSet::load(disk, Path::new(""), &BlockSet::default()).unwrap()
    }

    /// All samples of some blocks, the first of them counting where two have one.
    fn read(blocks: &[std::sync::Arc<MetricsBlock>]) -> Content {
        let selection = Selection {
            matchers: Vec::new(),
            min_t: i64::MIN,
            max_t: i64::MAX,
            limit: 0,
            hints: Hints::default(),
        };
        let mut content = Content::new();
        for block in blocks {
            for series in block.select(&selection).unwrap() {
                let series = series.unwrap();
                for chunk in &series.chunks {
                    for sample in samples(block.chunk(chunk).unwrap()).unwrap() {
                        if !series.deleted.as_ref().is_some_and(|deleted| deleted.contains(sample.t)) {
                            let samples = content.entry(series.labels.clone()).or_default();
                            samples.entry(sample.t).or_insert(meaning(&sample.value));
                        }
                    }
                }
            }
        }
        content
    }

    fn merge_all(disk: &SimDisk, set: &BlockSet<MetricsBlock>) -> Result<Merged, StorageError> {
        let blocks: Vec<_> = set.blocks().iter().map(|block| &**block).collect();
        let metas: Vec<_> = blocks.iter().map(|block| block.meta()).collect();
        let meta = BlockMeta::merged(Ulid::from_parts(100, 0), &metas);
        merge(disk, Path::new(""), &blocks, meta, ChunkEncodings::default(), &mut |_| {
            ControlFlow::Continue(())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn merged_blocks_hold_what_their_inputs_held(inputs in prop::collection::vec(input(), 1..5)) {
            let disk = SimDisk::new(0);
            for (input, number) in inputs.iter().zip(1..) {
                write(&disk, number, input);
            }
            let set = load(&disk);
            prop_assert!(set.quarantined().is_empty());

            let mut want = Content::new();
            for block in set.blocks() {
                let input = &inputs[block.meta().id.timestamp_ms() as usize - 1];
                for (labels, samples) in &input.content {
                    for (&t, v) in samples {
                        let deleted = input.deleted.is_some_and(|(series, interval)| {
                            *labels == name(series) && (interval.min_t..=interval.max_t).contains(&t)
                        });
                        if !deleted {
                            want.entry(labels.clone()).or_default().entry(t).or_insert(meaning(v));
                        }
                    }
                }
            }
            prop_assert_eq!(&read(set.blocks()), &want);

            let samples: u64 = want.values().map(|samples| samples.len() as u64).sum();
            match merge_all(&disk, &set).unwrap() {
                Merged::Cancelled => prop_assert!(false),
                Merged::Empty => prop_assert_eq!(samples, 0),
                Merged::Block(meta) => {
                    let after = load(&disk);
                    prop_assert_eq!(after.blocks().len(), 1);
                    prop_assert_eq!(after.blocks()[0].meta(), &*meta);
                    prop_assert_eq!((meta.stats.num_samples, meta.stats.num_series), (samples, want.len() as u64));
                    prop_assert_eq!(read(after.blocks()), want);
                }
            }
        }

        #[test]
        fn a_crash_leaves_the_old_blocks_or_the_new_one(
            inputs in prop::collection::vec(input(), 2..4),
            seed: u64,
            operations in 0..40u64,
        ) {
            let disk = SimDisk::new(seed);
            for (input, number) in inputs.iter().zip(1..) {
                write(&disk, number, input);
            }
            let before = load(&disk);
            let want = read(before.blocks());
            disk.fail_after(operations);
            let merged = merge_all(&disk, &before);
            disk.power_cut();
            remove_leftovers(&disk, Path::new("")).unwrap();
            let after = load(&disk);
            prop_assert!(after.quarantined().is_empty(), "{:?}", after.quarantined());
            if let Ok(Merged::Block(meta)) = merged {
                prop_assert_eq!(after.blocks()[0].meta().id, meta.id);
            }
            prop_assert_eq!(read(after.blocks()), want);
        }
    }

    #[test]
    fn untouched_chunks_are_copied_and_equal_ones_are_one() {
        let disk = SimDisk::new(0);
        let content = |from: i64| {
            Content::from([(name(1), (from..from + 20).map(|t| (t, SampleValue::Float(1.5))).collect())])
        };
        let input = |from| Input { content: content(from), chunk_len: 7, deleted: None };
        for (number, from) in [(1, 0), (2, 0), (3, 20)] {
            write(&disk, number, &input(from));
        }
        let Merged::Block(meta) = merge_all(&disk, &load(&disk)).unwrap() else { panic!() };
        assert_eq!((meta.stats.num_chunks, meta.stats.num_samples), (6, 40));
        assert_eq!((meta.compaction.level, meta.min_time, meta.max_time), (2, 0, 40));
    }

    #[test]
    fn breaking_off_leaves_nothing() {
        let disk = SimDisk::new(0);
        let content = Content::from([(name(1), BTreeMap::from([(1, SampleValue::Float(2.0))]))]);
        write(&disk, 1, &Input { content, chunk_len: 1, deleted: None });
        let set = load(&disk);
        let block = &*set.blocks()[0];
        let mut seen = Vec::new();
        let meta = block.meta().rewritten(Ulid::from_parts(9, 9));
        let merged =
            merge(&disk, Path::new(""), &[block], meta, ChunkEncodings::default(), &mut |progress| {
                seen.push(progress);
                ControlFlow::Break(())
            });
        assert_eq!(merged.unwrap(), Merged::Cancelled);
        assert_eq!(seen, [Progress { done: 1, total: 1 }]);
        assert_eq!(disk_names(&disk), [block.meta().id.to_string()]);
    }

    #[test]
    fn a_broken_chunk_is_reported_with_its_place() {
        let disk = SimDisk::new(0);
        let content = Content::from([(name(1), BTreeMap::from([(1, SampleValue::Float(2.0))]))]);
        write(&disk, 1, &Input { content, chunk_len: 1, deleted: None });
        let set = load(&disk);
        let file = set.blocks()[0].dir().join("chunks/000001");
        disk.flip_bit(&file, 8 * 12).unwrap();
        let Err(StorageError::Corrupt(corruption)) = merge_all(&disk, &load(&disk)) else { panic!() };
        assert_eq!((corruption.file, corruption.offset), (disk.display(&file), 8));
        assert_eq!(disk_names(&disk).len(), 1);
    }

    fn disk_names(disk: &SimDisk) -> Vec<String> {
        disk.list(Path::new("")).unwrap().into_iter().map(|entry| entry.name).collect()
    }
}
