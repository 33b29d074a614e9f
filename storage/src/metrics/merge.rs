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

use super::block::MetricsBlock;
use super::block_writer::{BlockWriter, TimedChunk};
use super::recode::{Recoded, Sample, encode, samples};
use crate::block::chunks::Chunk;
use crate::block::meta::BlockMeta;
use crate::block::tombstones::{Interval, Intervals};
use crate::fs::Disk;
use crate::index::ChunkMeta;
use crate::index::select::LabelIndex;
use crate::index::writer::SymbolPair;
use crate::{Corruption, StorageError};

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

/// Merges `inputs`, which come in the order of [`crate::block::set::BlockSet::blocks`], into a block with the id, times
/// and lineage of `meta` inside `parent`. Samples outside these times are left out. `report` is called now and then, and
/// may break the merge off.
pub fn merge(
    disk: &dyn Disk,
    parent: &Path,
    inputs: &[&MetricsBlock],
    meta: BlockMeta,
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
    while let Some(least) = cursors.iter().filter(|cursor| cursor.id.is_some()).map(|cursor| &cursor.labels).min() {
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
        series.write(&mut writer)?;
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
    ids: crate::index::postings::Iter<'a>,
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
            *symbol = self.map.get(*symbol).ok_or_else(|| entry.corrupt("series refers to an unknown symbol"))?;
        }
        Ok(())
    }
}

/// The chunks of one series of the result.
#[derive(Default)]
struct MergedSeries<'a> {
    labels: Vec<SymbolPair>,
    parts: Vec<Part<'a>>,
    deleted: Vec<Intervals>,
    metas: Vec<ChunkMeta>,
}

/// A chunk of an input.
struct Part<'a> {
    meta: ChunkMeta,
    block: &'a MetricsBlock,
    /// Place of its input's deleted times.
    input: usize,
    trimmed: bool,
}

/// A chunk of the result.
enum Piece<'a> {
    Copied { meta: ChunkMeta, chunk: Chunk<'a>, record: &'a [u8] },
    Encoded(Recoded),
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
                self.parts.push(Part { meta, block, input, trimmed });
            }
        }
        self.deleted.push(deleted);
        Ok(())
    }

    fn write(&mut self, writer: &mut BlockWriter<'_>) -> Result<(), StorageError> {
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
            self.merge_group(group, &mut pieces)?;
        }
        let chunks: Vec<_> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Copied { meta, chunk, record } => {
                    TimedChunk { min_t: meta.min_t, max_t: meta.max_t, chunk: *chunk, record: Some(record) }
                }
                Piece::Encoded(recoded) => TimedChunk {
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
    fn merge_group(&self, group: &[Part<'a>], pieces: &mut Vec<Piece<'a>>) -> Result<(), StorageError> {
        let mut records = Vec::with_capacity(group.len());
        for part in group {
            let (chunk, record) = part.block.chunks().record(part.meta.at)?;
            // The same chunk twice, as when a block was copied, is one.
            let seen = records.last().is_some_and(|(last, _, bytes): &(&Part<'_>, Chunk<'_>, &[u8])| {
                !last.trimmed && !part.trimmed && *bytes == record
            });
            if !seen {
                records.push((part, chunk, record));
            }
        }
        if let [(part, chunk, record)] = records[..]
            && !part.trimmed
        {
            pieces.push(Piece::Copied { meta: part.meta, chunk, record });
            return Ok(());
        }
        let mut merged: Vec<(Sample, usize)> = Vec::new();
        for (part, chunk, _) in records {
            let corrupt = |reason: String| part.block.chunks().corrupt(part.meta.at, reason);
            let deleted = self.deleted.get(part.input);
            let kept = samples(chunk).map_err(|e| corrupt(e.to_string()))?.into_iter();
            let kept = kept.filter(|sample| !deleted.is_some_and(|deleted| deleted.contains(sample.t)));
            merged.extend(kept.map(|sample| (sample, part.input)));
        }
        merged.sort_by_key(|(sample, input)| (sample.t, *input));
        merged.dedup_by_key(|(sample, _)| sample.t);
        let encoded = encode(merged.iter().map(|(sample, _)| sample))
            .map_err(|e| StorageError::Invalid(format!("merged samples cannot be encoded: {e}")))?;
        pieces.extend(encoded.into_iter().map(Piece::Encoded));
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
