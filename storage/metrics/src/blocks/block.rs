//! Reads a block of metrics: index, chunks and tombstones, all mapped.
//!
//! A block never changes. Deleting from it writes new tombstones and gives another [`MetricsBlock`] that shares index
//! and chunks; readers of the old one go on seeing what was there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::read::{Columns, Selection, Watch};
use model::{Labels, Matcher};
use rayon::prelude::*;
use storage_base::block::{Block, Ulid, block_id};
use storage_base::format::INDEX_FILE;
use storage_base::fs::Disk;
use storage_base::index::ChunkMeta;
use storage_base::index::projection::Projection;
use storage_base::index::reader::IndexReader;
use storage_base::index::select::{LabelIndex, label_values, select};
use storage_base::index::series_labels::SeriesLabels;
use storage_base::{Corruption, StorageError};

use crate::blocks::chunk_segments::{Chunk, ChunkReader};
use crate::blocks::meta::BlockMeta;
use crate::blocks::tombstones::{EMPTY_LEN, Interval, Intervals, Tombstones};
use crate::codec::chunk::decode;
use crate::format::CHUNKS_DIR;

/// Series that one thread reads in a row.
const PARALLEL_BATCH: usize = 512;
/// How many series behind the one looked at have their chunk loaded ahead.
const AHEAD: usize = 8;

/// A block of metrics, open for reading.
#[derive(Clone, Debug)]
pub struct MetricsBlock {
    dir: PathBuf,
    meta: BlockMeta,
    index: Arc<IndexReader>,
    chunks: Arc<ChunkReader>,
    tombstones: Arc<Tombstones>,
    /// What is wrong with the file of tombstones, in which there were none.
    damage: Option<Corruption>,
    /// Length of the files that deleting rewrites.
    small_files_len: u64,
}

/// A block as the series that one thread selected hold it: counting all series of a selection in one place would send
/// that from core to core.
pub type SharedBlock = Arc<Arc<MetricsBlock>>;

/// A series of a block, as far as it was selected.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockSeries {
    /// Its number in the block.
    pub id: u32,
    /// Its labels.
    pub labels: Labels,
    /// The chunks that have a part in the selected time and are not deleted whole, ascending.
    pub chunks: Box<[ChunkMeta]>,
    /// Its deleted times; `None` when nothing is deleted.
    pub deleted: Option<Arc<Intervals>>,
    /// The newest sample in the selected time, a float without start timestamp, if only that counts and it was found.
    pub newest: Option<(i64, f64)>,
}

impl Block for MetricsBlock {
    fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, StorageError> {
        let (mut meta, meta_len) = BlockMeta::read(disk, dir)?;
        // A copy under another name is a block of its own, as in Prometheus.
        if let Some(id) = dir.file_name().and_then(|name| block_id(name.to_str()?)) {
            meta.id = id;
        }
        let (tombstones, tombstones_len, damage) = match Tombstones::read(disk, dir) {
            Ok((tombstones, len)) => (tombstones, len, None),
            // Neither the metadata nor the file's length says that there was a deletion to lose.
            Err(StorageError::Corrupt(damage))
                if meta.stats.num_tombstones == 0 && Tombstones::file_len(disk, dir)? <= EMPTY_LEN =>
            {
                (Tombstones::new(), 0, Some(damage))
            }
            Err(StorageError::Corrupt(damage)) => return Err(StorageError::DeletionsUnreadable(damage)),
            Err(e) => return Err(e),
        };
        let chunks = ChunkReader::open(disk, &dir.join(CHUNKS_DIR))?;
        let index_path = dir.join(INDEX_FILE);
        let index_file = disk.display(&index_path);
        let index_bytes = disk.map(&index_path).map_err(StorageError::io_while("mapping", &index_file))?;
        Ok(Self {
            dir: dir.to_owned(),
            meta,
            index: Arc::new(IndexReader::open(index_bytes, index_file)?),
            chunks: Arc::new(chunks),
            tombstones: Arc::new(tombstones),
            damage,
            small_files_len: meta_len + tombstones_len,
        })
    }

    fn id(&self) -> Ulid {
        self.meta.id
    }

    #[inline]
    fn min_t(&self) -> i64 {
        self.meta.min_time
    }

    #[inline]
    fn max_t(&self) -> i64 {
        self.meta.max_time
    }

    fn parents(&self) -> Vec<Ulid> {
        self.meta.compaction.parents.iter().map(|parent| parent.id).collect()
    }
}

impl MetricsBlock {
    /// What it is.
    pub fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// The block's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes of all its files.
    pub fn len(&self) -> u64 {
        self.index.len() + self.chunks.len() + self.small_files_len
    }

    /// Whether it has no bytes; a block always has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its index.
    pub fn index(&self) -> &IndexReader {
        &self.index
    }

    /// Its chunk segments.
    pub fn chunks(&self) -> &ChunkReader {
        &self.chunks
    }

    /// What is wrong with the file of tombstones, if something is. There were none in it, so nothing is lost; with
    /// deletions in it the block cannot be opened.
    pub fn damage(&self) -> Option<&Corruption> {
        self.damage.as_ref()
    }

    /// What is deleted, by number of series.
    pub fn tombstones(&self) -> &Tombstones {
        &self.tombstones
    }

    /// The series that match and have samples in the selected time, in label order. The limit is not applied here:
    /// it counts series of all blocks and the head together.
    pub fn select(&self, selection: &Selection) -> Result<BlockSelection<'_>, StorageError> {
        let ids = select(&*self.index, &selection.matchers)?.into_vec();
        Ok(BlockSelection { ids: ids.into_iter(), entries: Entries::new(self, selection, Projection::ALL) })
    }

    /// As [`MetricsBlock::select`], all at once, on several threads when they are many, with the labels that are
    /// wanted, and newest samples where only those count. `make` is asked, for series that one thread reads, what makes
    /// something of each.
    pub(crate) fn select_all<'b, T: Send, F: FnMut(BlockSeries) -> T>(
        &'b self,
        selection: &Selection,
        wanted: Projection<'b>,
        make: impl Fn() -> F + Sync,
        watch: &dyn Watch,
    ) -> Result<Vec<T>, StorageError> {
        let ids = select(&*self.index, &selection.matchers)?.into_vec();
        let read = |ids: &[u32]| -> Result<Vec<T>, StorageError> {
            let mut entries = Entries::new(self, selection, wanted);
            let found = ids.iter().filter_map(|id| entries.read(*id).transpose());
            let mut found: Vec<BlockSeries> = found.collect::<Result<_, _>>()?;
            let bytes = |series: &BlockSeries| {
                2 * size_of::<BlockSeries>()
                    + series.labels.packed().len()
                    + series.chunks.len() * size_of::<ChunkMeta>()
            };
            watch.grown(found.iter().map(bytes).sum()).map_err(|_| StorageError::Cancelled)?;
            if selection.hints.newest {
                self.find_newest(&mut found, selection);
            }
            Ok(found.into_iter().map(make()).collect())
        };
        if ids.len() <= PARALLEL_BATCH {
            return read(&ids);
        }
        let batches: Result<Vec<Vec<_>>, _> = ids.par_chunks(PARALLEL_BATCH).map(read).collect();
        Ok(batches?.into_iter().flatten().collect())
    }

    /// Reads the newest samples of series whose last chunk is known. What cannot be read is left to the reader of the
    /// series.
    fn find_newest(&self, found: &mut [BlockSeries], selection: &Selection) {
        let mut columns = Columns::default();
        for at in 0..found.len() {
            if let Some(chunk) = found.get(at + AHEAD).and_then(|series| series.chunks.last()) {
                self.chunks.prefetch(chunk.at);
            }
            let series = &mut found[at];
            let ([chunk], None) = (&*series.chunks, &series.deleted) else { continue };
            columns.clear();
            let read = self.read_chunk(chunk, None, selection.min_t, selection.max_t, &mut columns);
            if read.is_ok() && columns.histogram_t.is_empty() && columns.float_start_t.is_empty() {
                series.newest = columns.float_t.last().copied().zip(columns.float_v.last().copied());
            }
        }
    }

    /// Names of labels that matching series have, ascending.
    pub fn label_names(&self, selection: &Selection) -> Result<Vec<String>, StorageError> {
        if selection.matchers.is_empty() {
            let mut names = self.index.names()?;
            names.truncate(if selection.limit == 0 { usize::MAX } else { selection.limit });
            return Ok(names);
        }
        let mut found = std::collections::BTreeSet::new();
        let mut pairs = Vec::new();
        for id in select(&*self.index, &selection.matchers)?.iter() {
            self.index.series(id)?.symbols(&mut pairs)?;
            found.extend(pairs.iter().map(|(name, _)| *name));
        }
        // Symbols ascend as their numbers do.
        let names = found.into_iter().map(|name| Ok(self.index.symbol(name)?.to_owned()));
        names.take(if selection.limit == 0 { usize::MAX } else { selection.limit }).collect()
    }

    /// Values that a label has in matching series, ascending.
    pub fn label_values(&self, name: &str, selection: &Selection) -> Result<Vec<String>, StorageError> {
        label_values(&*self.index, name, &selection.matchers, selection.limit)
    }

    /// The bytes of a chunk, their checksum verified.
    pub fn chunk(&self, chunk: &ChunkMeta) -> Result<Chunk<'_>, Corruption> {
        self.chunks.chunk(chunk.at)
    }

    /// Appends the samples of a chunk that lie in `min_t..=max_t` and not in `deleted`.
    pub fn read_chunk(
        &self,
        chunk: &ChunkMeta,
        deleted: Option<&Intervals>,
        min_t: i64,
        max_t: i64,
        out: &mut Columns,
    ) -> Result<(), Corruption> {
        let bytes = self.chunk(chunk)?;
        let (floats, histograms) = (out.float_t.len(), out.histogram_t.len());
        decode(bytes.encoding, bytes.data, min_t, max_t, out)
            .map_err(|e| self.chunks.corrupt(chunk.at, e.to_string()))?;
        if let Some(deleted) = deleted
            && deleted.overlap(chunk.min_t, chunk.max_t)
        {
            let Columns { float_t, float_v, float_start_t, histogram_t, histogram_v, histogram_start_t } =
                out;
            drop_deleted(deleted, floats, float_t, float_v, float_start_t);
            drop_deleted(deleted, histograms, histogram_t, histogram_v, histogram_start_t);
        }
        Ok(())
    }

    /// Deletes the samples of matching series in `min_t..=max_t`. Returns the block as it is afterwards; `None` when
    /// no matching series has chunks in that time.
    pub fn delete(
        &self,
        disk: &dyn Disk,
        matchers: &[Matcher],
        min_t: i64,
        max_t: i64,
    ) -> Result<Option<Self>, StorageError> {
        let mut tombstones = Tombstones::clone(&self.tombstones);
        let mut chunks = Vec::new();
        let mut any = false;
        for id in select(&*self.index, matchers)?.iter() {
            self.index.series(id)?.chunks(&mut chunks)?;
            if !chunks.iter().any(|chunk| chunk.overlaps(min_t, max_t)) {
                continue;
            }
            // Not beyond what is there, so that the intervals of a series become one.
            let first = chunks.iter().map(|chunk| chunk.min_t).min().unwrap_or(min_t);
            let last = chunks.iter().map(|chunk| chunk.max_t).max().unwrap_or(max_t);
            tombstones.add(u64::from(id), Interval { min_t: min_t.max(first), max_t: max_t.min(last) });
            any = true;
        }
        if !any {
            return Ok(None);
        }
        let mut block = self.clone();
        block.meta.stats.num_tombstones = tombstones.len();
        block.small_files_len = tombstones.write(disk, &self.dir)? + block.meta.write(disk, &self.dir)?;
        block.tombstones = Arc::new(tombstones);
        block.damage = None;
        Ok(Some(block))
    }

    /// Writes a changed lineage (`deletable`, `failed`) and returns the block with it.
    pub fn mark(&self, disk: &dyn Disk, change: impl FnOnce(&mut BlockMeta)) -> Result<Self, StorageError> {
        let mut block = self.clone();
        let before = block.meta.to_json().len() as u64;
        change(&mut block.meta);
        let after = block.meta.write(disk, &self.dir)?;
        block.small_files_len = (block.small_files_len + after).saturating_sub(before);
        Ok(block)
    }
}

/// Removes deleted times from columns, from a place on.
fn drop_deleted<V>(
    deleted: &Intervals,
    from: usize,
    t: &mut Vec<i64>,
    v: &mut Vec<V>,
    start_t: &mut Vec<i64>,
) {
    let stays: Vec<bool> = t.iter().enumerate().map(|(at, &t)| at < from || !deleted.contains(t)).collect();
    fn keep<T>(stays: &[bool], column: &mut Vec<T>) {
        let mut stays = stays.iter();
        column.retain(|_| stays.next().copied().unwrap_or(true));
    }
    keep(&stays, t);
    keep(&stays, v);
    keep(&stays, start_t);
}

/// Reads the entries of series, one after the other.
struct Entries<'b> {
    block: &'b MetricsBlock,
    labels: SeriesLabels<'b>,
    chunks: Vec<ChunkMeta>,
    min_t: i64,
    max_t: i64,
    /// Whether only the newest sample counts.
    newest: bool,
}

impl<'b> Entries<'b> {
    fn new(block: &'b MetricsBlock, selection: &Selection, wanted: Projection<'b>) -> Self {
        let Selection { min_t, max_t, ref hints, .. } = *selection;
        let labels = SeriesLabels::new(&block.index, wanted);
        Self { block, labels, chunks: Vec::new(), min_t, max_t, newest: hints.newest }
    }

    fn read(&mut self, id: u32) -> Result<Option<BlockSeries>, StorageError> {
        let Self { block, ref mut labels, ref mut chunks, min_t, max_t, newest } = *self;
        let entry = block.index.series(id)?;
        entry.chunks(chunks)?;
        chunks.retain(|chunk| chunk.overlaps(min_t, max_t));
        let deleted = match block.tombstones.get(u64::from(id)) {
            None => {
                // Chunks of a series do not overlap, and each begins with a sample.
                let ascend = || chunks.is_sorted_by(|a, b| a.max_t < b.min_t);
                if newest && chunks.len() > 1 && ascend() {
                    chunks.drain(..chunks.len() - 1);
                }
                None
            }
            Some(deleted) => {
                chunks.retain(|chunk| !deleted.covers(chunk.min_t.max(min_t), chunk.max_t.min(max_t)));
                Some(Arc::new(deleted.clone()))
            }
        };
        if chunks.is_empty() {
            return Ok(None);
        }
        let labels = labels.of(&entry)?;
        Ok(Some(BlockSeries { id, labels, chunks: chunks.as_slice().into(), deleted, newest: None }))
    }
}

/// The series of a selection, in label order.
pub struct BlockSelection<'b> {
    ids: std::vec::IntoIter<u32>,
    entries: Entries<'b>,
}

impl Iterator for BlockSelection<'_> {
    type Item = Result<BlockSeries, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        for id in self.ids.by_ref() {
            if let Some(series) = self.entries.read(id).transpose() {
                return Some(series);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::MatchOp;
    use model::read::{Hints, Unwatched};
    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;
    use crate::blocks::block_writer::{BlockWriter, SymbolTable, TimedChunk};
    use crate::codec::gorilla::XorAppender;
    use crate::file_testing::put_file;
    use storage_base::fs::SimDisk;

    fn selection(matchers: Vec<Matcher>, min_t: i64, max_t: i64) -> Selection {
        Selection { matchers, min_t, max_t, limit: 0, hints: Hints::default() }
    }

    /// Series `i` = 0 to 4, each with a sample at every 10 ms of 0 to 190, five to a chunk; `odd` on those that are.
    fn block(disk: &SimDisk) -> MetricsBlock {
        let id = Ulid::from_parts(1, 1);
        let labels = |i: usize| {
            let odd = if i % 2 == 1 { "yes" } else { "" };
            Labels::from_pairs([("__name__", "m"), ("i", &i.to_string()), ("odd", odd)])
        };
        let sets: Vec<_> = (0..5).map(labels).collect();
        let symbols = SymbolTable::of_labels(&sets);
        let mut writer = BlockWriter::create_with(disk, Path::new(""), id, &symbols).unwrap();
        for labels in &sets {
            let chunks: Vec<_> = (0..4)
                .map(|chunk| {
                    let mut appender = XorAppender::new();
                    (0..5).for_each(|n| appender.append(chunk * 50 + n * 10, n as f64).unwrap());
                    (chunk * 50, appender.into_bytes())
                })
                .collect();
            let chunks: Vec<_> = chunks
                .iter()
                .map(|(min_t, data)| TimedChunk {
                    min_t: *min_t,
                    max_t: min_t + 40,
                    chunk: Chunk { encoding: crate::codec::chunk::Encoding::Xor, data },
                    record: None,
                })
                .collect();
            writer.add_labels(&symbols, labels, &chunks).unwrap();
        }
        writer.finish(BlockMeta::level_1(id, 0, 200)).unwrap().unwrap();
        MetricsBlock::open(disk, Path::new(&id.to_string())).unwrap()
    }

    fn times(block: &MetricsBlock, selection: &Selection) -> Vec<(String, Vec<i64>)> {
        block
            .select(selection)
            .unwrap()
            .map(|series| {
                let series = series.unwrap();
                let mut columns = Columns::default();
                for chunk in &series.chunks {
                    let Selection { min_t, max_t, .. } = *selection;
                    block.read_chunk(chunk, series.deleted.as_deref(), min_t, max_t, &mut columns).unwrap();
                }
                assert_eq!(columns.float_t.len(), columns.float_v.len());
                (series.labels.get("i").unwrap().to_owned(), columns.float_t)
            })
            .collect()
    }

    #[test]
    fn selects_by_labels_and_time() {
        let disk = SimDisk::new(0);
        let block = block(&disk);
        let odd = || Matcher::equal("odd", "yes");
        let even = || Matcher::equal("odd", "");
        assert_eq!(
            times(&block, &selection(vec![odd()], 35, 60)),
            [("1".into(), vec![40, 50, 60]), ("3".into(), vec![40, 50, 60])]
        );
        assert_eq!(times(&block, &selection(vec![even()], 191, 1000)), []);
        // Between the samples of a chunk there are none, but the chunk alone does not show it.
        assert_eq!(times(&block, &selection(vec![even()], 11, 19)).len(), 3);
        assert_eq!(times(&block, &selection(vec![even()], 41, 49)), []);
        // For the newest sample the last chunk that begins in time will do.
        for (max_t, newest) in [(99, 90), (100, 100), (149, 140)] {
            let mut selection = selection(vec![odd()], 35, max_t);
            let whole = times(&block, &selection);
            selection.hints.newest = true;
            let found = times(&block, &selection);
            assert!(whole.iter().all(|(_, times)| times.len() > 5 && times.last() == Some(&newest)));
            assert!(found.iter().all(|(_, times)| times.len() <= 5 && times.last() == Some(&newest)));
            let of = |series: BlockSeries| series.newest.map(|(t, _)| t);
            assert_eq!(
                block.select_all(&selection, Projection::ALL, || of, &Unwatched).unwrap(),
                [Some(newest); 2]
            );
        }
        let names = |matchers| block.label_names(&selection(matchers, 0, 0)).unwrap();
        assert_eq!(names(vec![]), ["__name__", "i", "odd"]);
        assert_eq!(names(vec![even()]), ["__name__", "i"]);
        let values = |name, matchers| block.label_values(name, &selection(matchers, 0, 0)).unwrap();
        assert_eq!(values("i", vec![odd()]), ["1", "3"]);
        assert_eq!(values("odd", vec![]), ["yes"]);
        let limited = Selection { limit: 2, ..selection(vec![], 0, 0) };
        assert_eq!(block.label_names(&limited).unwrap(), ["__name__", "i"]);
        assert_eq!(block.label_values("i", &limited).unwrap(), ["0", "1"]);
        let files = ["index", "meta.json", "tombstones", "chunks/000001"];
        let len: u64 =
            files.iter().map(|file| disk.read(&block.dir().join(file)).unwrap().len() as u64).sum();
        assert_eq!(block.len(), len);
    }

    #[test]
    fn deleting_leaves_the_old_view_as_it_was() {
        let disk = SimDisk::new(0);
        let before = block(&disk);
        let all = selection(vec![Matcher::new(MatchOp::Regex, "i", "0|3").unwrap()], 0, 1000);
        let three = Matcher::equal("i", "3");
        assert!(before.delete(&disk, std::slice::from_ref(&three), 200, 300).unwrap().is_none());
        let after = before.delete(&disk, std::slice::from_ref(&three), i64::MIN, 64).unwrap().unwrap();
        let after = after.delete(&disk, &[three], 100, 150).unwrap().unwrap();
        assert_eq!(after.meta().stats.num_tombstones, 2);
        let whole: Vec<i64> = (0..20).map(|n| n * 10).collect();
        let rest = vec![70, 80, 90, 160, 170, 180, 190];
        assert_eq!(times(&before, &all), [("0".into(), whole.clone()), ("3".into(), whole.clone())]);
        let reopened = MetricsBlock::open(&disk, before.dir()).unwrap();
        for block in [&after, &reopened] {
            assert_eq!(times(block, &all), [("0".into(), whole.clone()), ("3".into(), rest.clone())]);
            assert_eq!(block.meta(), after.meta());
            assert_eq!(block.len(), after.len());
            // What is deleted whole is not there.
            assert_eq!(times(block, &selection(all.matchers.clone(), 0, 60)).len(), 1);
            assert_eq!(block.select(&all).unwrap().last().unwrap().unwrap().chunks.len(), 2);
        }
        let failed = after.mark(&disk, |meta| meta.compaction.failed = true).unwrap();
        let reopened = MetricsBlock::open(&disk, before.dir()).unwrap();
        assert_eq!((failed.meta(), failed.len()), (reopened.meta(), reopened.len()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn hostile_bytes_do_no_harm(file in 0..4usize, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
            let disk = SimDisk::new(0);
            let dir = block(&disk).dir().to_owned();
            let path = dir.join(["index", "meta.json", "tombstones", "chunks/000001"][file]);
            let mut bytes = disk.read(&path).unwrap();
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            put_file(&disk, &path, bytes);
            let Ok(block) = MetricsBlock::open(&disk, &dir) else { return Ok(()) };
            let all = selection(Vec::new(), i64::MIN, i64::MAX);
            let mut seen = BTreeSet::new();
            for series in block.select(&all).into_iter().flatten().flatten() {
                seen.insert(series.labels);
                for chunk in &series.chunks {
                    let _ = block.read_chunk(chunk, series.deleted.as_deref(), 0, 1000, &mut Columns::default());
                }
            }
            prop_assert!(seen.len() <= 5);
            let _ = block.label_names(&all);
            let _ = block.label_values("i", &selection(vec![Matcher::equal("odd", "yes")], 0, 1));
        }
    }
}
