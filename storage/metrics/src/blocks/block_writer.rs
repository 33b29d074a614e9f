//! Writes a block of metrics: series in label order, each with its chunks.

use std::hash::BuildHasher;
use std::path::Path;

use hashbrown::{DefaultHashBuilder, HashTable};
use model::Labels;
use storage_base::StorageError;
use storage_base::block::publish::StagedBlock;
use storage_base::format::INDEX_FILE;
use storage_base::fs::Disk;
use storage_base::index::ChunkMeta;
use storage_base::index::series::SymbolPair;
use storage_base::index::writer::IndexWriter;
use ulid::Ulid;

use crate::blocks::chunk_segments::{Chunk, ChunkWriter};
use crate::blocks::meta::{BlockMeta, Stats};
use crate::blocks::tombstones::Tombstones;
use crate::format::{CHUNKS_DIR, META_FILE, TOMBSTONES_FILE};

/// A block being written. Dropped without [`BlockWriter::finish`], it leaves nothing.
pub struct BlockWriter<'d> {
    // The files are closed before the directory goes.
    chunks: ChunkWriter<'d>,
    index: IndexWriter<'d>,
    staged: StagedBlock<'d>,
    stats: Stats,
    metas: Vec<ChunkMeta>,
    pairs: Vec<SymbolPair>,
}

/// A chunk to be written.
#[derive(Clone, Copy, Debug)]
pub struct TimedChunk<'a> {
    /// Time of its first sample, in milliseconds.
    pub min_t: i64,
    /// Time of its last sample, in milliseconds.
    pub max_t: i64,
    /// Its bytes.
    pub chunk: Chunk<'a>,
    /// The same with length and checksum, when it comes from another block; spares the checksum.
    pub record: Option<&'a [u8]>,
}

impl<'d> BlockWriter<'d> {
    /// Begins a block inside `parent`, usually the data directory. `symbols` as [`IndexWriter::create`] wants them.
    pub fn create<S: AsRef<str>>(
        disk: &'d dyn Disk,
        parent: &Path,
        id: Ulid,
        symbols: impl Iterator<Item = Result<S, StorageError>> + Clone,
    ) -> Result<Self, StorageError> {
        let staged = StagedBlock::create(disk, parent, id)?;
        let chunks = ChunkWriter::new(disk, staged.create_dir(CHUNKS_DIR)?);
        let index = IndexWriter::create(disk, &staged.dir().join(INDEX_FILE), symbols)?;
        Ok(Self { chunks, index, staged, stats: Stats::default(), metas: Vec::new(), pairs: Vec::new() })
    }

    /// Begins a block whose series' labels are in a table.
    pub fn create_with(
        disk: &'d dyn Disk,
        parent: &Path,
        id: Ulid,
        symbols: &SymbolTable,
    ) -> Result<Self, StorageError> {
        Self::create(disk, parent, id, symbols.symbols.iter().map(Ok))
    }

    /// Ends chunk segments before they exceed this length in bytes.
    pub fn with_segment_len_max(mut self, len: u64) -> Self {
        self.chunks = self.chunks.with_segment_len_max(len);
        self
    }

    /// Adds a series, greater than the one before. Its chunks must ascend without overlap; without any, nothing is
    /// added.
    pub fn add(&mut self, labels: &[SymbolPair], chunks: &[TimedChunk<'_>]) -> Result<(), StorageError> {
        if chunks.is_empty() {
            return Ok(());
        }
        self.metas.clear();
        for timed in chunks {
            let samples = timed.chunk.samples();
            self.stats.num_samples += samples;
            if timed.chunk.encoding.is_histogram() {
                self.stats.num_histogram_samples += samples;
            } else {
                self.stats.num_float_samples += samples;
            }
            let at = match timed.record {
                Some(record) => self.chunks.write_record(record)?,
                None => self.chunks.write(timed.chunk)?,
            };
            self.metas.push(ChunkMeta { min_t: timed.min_t, max_t: timed.max_t, at });
        }
        self.stats.num_chunks += chunks.len() as u64;
        self.stats.num_series += 1;
        self.index.add_series(labels, &self.metas)
    }

    /// As [`BlockWriter::add`], the labels being in the table that the block was created with.
    pub fn add_labels(
        &mut self,
        symbols: &SymbolTable,
        labels: &Labels,
        chunks: &[TimedChunk<'_>],
    ) -> Result<(), StorageError> {
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.clear();
        for (name, value) in labels.iter() {
            match (symbols.number(name), symbols.number(value)) {
                (Some(name), Some(value)) => pairs.push((name, value)),
                _ => {
                    return Err(StorageError::Internal(format!(
                        "labels of {labels} are not among the block's symbols"
                    )));
                }
            }
        }
        let added = self.add(&pairs, chunks);
        self.pairs = pairs;
        added
    }

    /// Makes everything durable and the block visible; the stats of `meta` are filled in. Returns the meta; `None`
    /// when no sample was added, and then there is no block.
    pub fn finish(self, mut meta: BlockMeta) -> Result<Option<BlockMeta>, StorageError> {
        if self.stats.num_samples == 0 {
            return Ok(None);
        }
        meta.stats = self.stats;
        self.chunks.finish()?;
        self.index.finish()?;
        self.staged.write_file(TOMBSTONES_FILE, &Tombstones::new().to_bytes())?;
        self.staged.write_file(META_FILE, &meta.to_json())?;
        self.staged.publish()?;
        Ok(Some(meta))
    }
}

/// The symbols of a block that is made of label sets.
#[derive(Default)]
pub struct SymbolTable {
    /// Ascending.
    symbols: Vec<Box<str>>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl SymbolTable {
    /// Some names and values, which may repeat.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let seen: hashbrown::HashSet<&str> = texts.into_iter().collect();
        let mut symbols: Vec<Box<str>> = seen.into_iter().map(Box::from).collect();
        symbols.sort_unstable();
        Self::from_ascending(symbols)
    }

    /// The names and values of some label sets.
    #[cfg(test)]
    pub(crate) fn of_labels<'l>(sets: impl IntoIterator<Item = &'l Labels>) -> Self {
        Self::of(sets.into_iter().flat_map(Labels::iter).flat_map(|(name, value)| [name, value]))
    }

    /// A table of symbols that ascend.
    pub fn from_ascending(symbols: Vec<Box<str>>) -> Self {
        let hasher = DefaultHashBuilder::default();
        let hash = |number: &u32| symbols.get(*number as usize).map_or(0, |text| hasher.hash_one(&**text));
        let mut numbers = HashTable::with_capacity(symbols.len());
        for number in 0..symbols.len() as u32 {
            numbers.insert_unique(hash(&number), number, hash);
        }
        Self { symbols, numbers, hasher }
    }

    fn number(&self, text: &str) -> Option<u32> {
        let is_it = |number: &u32| self.symbols.get(*number as usize).is_some_and(|symbol| &**symbol == text);
        self.numbers.find(self.hasher.hash_one(text), is_it).copied()
    }
}
