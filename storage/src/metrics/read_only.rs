//! A data directory read without changing it and without its lock, as tools do while a server may be running.
//!
//! Blocks are mapped. The head is replayed over an [`OverlayDisk`]: what replay repairs or writes goes to a directory
//! of its own.

use std::path::Path;
use std::sync::Arc;

use model::Labels;
use model::read::{Selection, Series};

use super::StoredSample;
use super::block::MetricsBlock;
use super::pieces::PieceCursor;
use super::restore::whole_head;
use super::select::{HeadView, Selected, Snapshot};
use super::store::{ROOT, in_order_end};
use crate::block::meta::block_id;
use crate::block::set::{BlockSet, LiveBlock};
use crate::fs::{Disk, OverlayDisk};
use crate::observer::Observer;
use crate::options::Options;
use crate::{Corruption, StorageError};

/// A directory as it was when it was opened.
pub struct ReadOnly {
    snapshot: Snapshot,
    blocks: Arc<BlockSet<MetricsBlock>>,
}

/// A selected series with its samples in the form in which they are stored.
pub struct StoredSeries(Selected);

/// Reads the samples of a [`StoredSeries`] front to back.
pub struct StoredRuns(PieceCursor);

impl ReadOnly {
    /// Opens a directory for what is at or before `max_t`: when blocks end behind that, the head is left out. `scratch`
    /// is an empty directory that takes what replay writes. A block that cannot be opened is an error.
    pub fn open(
        disk: Arc<dyn Disk>,
        scratch: Arc<dyn Disk>,
        max_t: i64,
        observer: &dyn Observer,
    ) -> Result<Self, StorageError> {
        let blocks = BlockSet::<MetricsBlock>::load(&*disk, Path::new(ROOT), &BlockSet::default())?;
        if let Some(broken) = blocks.quarantined().first() {
            return Err(StorageError::Invalid(format!("corrupted block {}: {}", broken.id, broken.reason)));
        }
        let end = in_order_end(&blocks);
        let disk: Arc<dyn Disk> =
            if end <= max_t { Arc::new(OverlayDisk::new(disk, scratch)) } else { scratch };
        let wal = Path::new(super::log::WAL);
        disk.create_dir_all(wal).map_err(StorageError::doing("creating", disk.display(wal)))?;
        let head = whole_head(&disk, &Options::default(), end, observer)?;
        // As chunks, late samples keep their form.
        head.close_late();
        let blocks = Arc::new(blocks);
        let snapshot = Snapshot::new(blocks.clone(), [HeadView::new(Arc::new(head), end)], None);
        Ok(Self { snapshot, blocks })
    }

    /// The series that match, in the order in which Prometheus's tools give them: by labels, but by number where
    /// nothing but the head answers and `sorted` is not asked for.
    pub fn select(&self, selection: &Selection, sorted: bool) -> Result<Vec<StoredSeries>, StorageError> {
        let mut selected = self.snapshot.selected(selection)?;
        if !sorted && self.blocks.overlapping(selection.min_t, selection.max_t).next().is_none() {
            selected.sort_by_key(|series| series.log_ref());
        }
        Ok(selected.into_iter().map(|series| StoredSeries(*series)).collect())
    }
}

impl StoredSeries {
    /// Its label set.
    pub fn labels(&self) -> &Labels {
        self.0.labels()
    }

    /// Its samples.
    pub fn runs(&self) -> StoredRuns {
        StoredRuns(self.0.pieces())
    }
}

impl StoredRuns {
    /// The next samples, ascending in time; `None` at the end.
    pub fn next_run(&mut self) -> Result<Option<Vec<StoredSample>>, StorageError> {
        self.0.next_stored()
    }
}

/// All blocks of a directory, ascending by first time, with those that others were made of and that wait for removal.
/// One that cannot be opened is an error, unless its content is in another.
pub fn all_blocks(disk: &dyn Disk) -> Result<Vec<MetricsBlock>, StorageError> {
    let root = Path::new(ROOT);
    let entries = disk.list(root).map_err(StorageError::doing("listing", disk.display(root)))?;
    let (mut blocks, mut broken) = (Vec::<MetricsBlock>::new(), Vec::new());
    for entry in entries.into_iter().filter(|entry| entry.is_dir) {
        let Some(id) = block_id(&entry.name) else { continue };
        match MetricsBlock::open(disk, Path::new(&entry.name)) {
            Ok(block) => blocks.push(block),
            Err(e) => broken.push((id, e)),
        }
    }
    let replaced =
        |id| blocks.iter().flat_map(|block| &block.meta().compaction.parents).any(|parent| parent.id == id);
    match broken.into_iter().find(|(id, _)| !replaced(*id)) {
        Some((id, e)) => Err(StorageError::Invalid(format!("corrupted block {id}: {e}"))),
        None => {
            blocks.sort_by_key(|block| block.meta().min_time);
            Ok(blocks)
        }
    }
}

/// Samples of a block's chunk in the form in which they are stored.
pub fn chunk_samples(
    block: &MetricsBlock,
    chunk: &crate::index::ChunkMeta,
) -> Result<Vec<StoredSample>, Corruption> {
    super::stored_samples(block.chunk(chunk)?).map_err(|e| block.chunks().corrupt(chunk.at, e.to_string()))
}

#[cfg(test)]
mod tests {
    use model::append::{Appendable, HistogramSample};
    use model::histogram::{Histogram, Span};
    use model::read::Hints;

    use super::*;
    use crate::fs::SimDisk;
    use crate::metrics::StoredValue;
    use crate::tests::{HOUR, Heard, MINUTE, open_with, options, put, series};
    use crate::{Limits, Options};

    fn histogram(count: u64) -> Histogram {
        Histogram {
            count,
            sum: 1.0,
            positive_spans: vec![Span { offset: 0, length: 1 }],
            positive_buckets: vec![count as i64],
            ..Histogram::default()
        }
    }

    fn files(disk: &SimDisk, dir: &Path, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in disk.list(dir).unwrap() {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                files(disk, &path, found);
            } else {
                found.push((path.display().to_string(), disk.read(&path).unwrap()));
            }
        }
    }

    fn open(disk: &SimDisk, max_t: i64) -> ReadOnly {
        let scratch = Arc::new(SimDisk::new(0));
        ReadOnly::open(Arc::new(disk.clone()), scratch, max_t, &Heard::default()).unwrap()
    }

    fn times(data: &ReadOnly, sorted: bool) -> Vec<(String, Vec<i64>)> {
        let hints = Hints::default();
        let all = Selection { matchers: Vec::new(), min_t: i64::MIN, max_t: i64::MAX, limit: 0, hints };
        let selected = data.select(&all, sorted).unwrap().into_iter();
        let read = |series: StoredSeries| {
            let (mut times, mut runs) = (Vec::new(), series.runs());
            while let Some(samples) = runs.next_run().unwrap() {
                times.extend(samples.iter().map(|sample| sample.t));
            }
            (series.labels().get("n").unwrap().to_owned(), times)
        };
        selected.map(read).collect()
    }

    #[test]
    fn a_directory_in_use_is_read_and_not_changed() {
        let disk = SimDisk::new(0);
        let limits = Limits { out_of_order_window: HOUR, ..Limits::default() };
        let (storage, _) = open_with(&disk, Options { limits, ..options() });
        for minute in 0..200 {
            put(&storage, &[("b", minute * MINUTE, 1.0), ("a", minute * MINUTE, 1.0)]);
        }
        put(&storage, &[("b", 199 * MINUTE - 1, 1.0)]);
        let mut before = Vec::new();
        files(&disk, Path::new(""), &mut before);

        let data = open(&disk, i64::MAX);
        let minutes: Vec<i64> = (0..200).map(|minute| minute * MINUTE).collect();
        let mut of_b = minutes.clone();
        of_b.insert(199, 199 * MINUTE - 1);
        let want = [("a".to_owned(), minutes), ("b".to_owned(), of_b)];
        assert_eq!(times(&data, true), want);
        assert_eq!(times(&data, false), [want[1].clone(), want[0].clone()], "by number");
        let mut after = Vec::new();
        files(&disk, Path::new(""), &mut after);
        assert!(before == after, "the directory was changed");

        storage.compact().unwrap();
        let data = open(&disk, i64::MAX);
        assert_eq!(times(&data, false), want);
        let (name, of_blocks) = &times(&open(&disk, HOUR), false)[0];
        assert_eq!((&**name, of_blocks.last()), ("a", Some(&(119 * MINUTE))), "no head");
        storage.close().unwrap();
    }

    #[test]
    fn histograms_keep_their_form() {
        let disk = SimDisk::new(0);
        let limits = Limits { out_of_order_window: HOUR, ..Limits::default() };
        let (storage, _) = open_with(&disk, Options { limits, ..options() });
        // The second is late.
        for (t, count) in [(2 * MINUTE, 2), (MINUTE, 1)] {
            let mut appender = storage.appender();
            let sample = HistogramSample::Integer(Arc::new(histogram(count)));
            appender.append_histogram(None, &series("h"), t, sample, 0).unwrap();
            appender.commit().unwrap();
        }
        let data = open(&disk, i64::MAX);
        let hints = Hints::default();
        let all = Selection { matchers: Vec::new(), min_t: 0, max_t: HOUR, limit: 0, hints };
        let mut runs = data.select(&all, true).unwrap()[0].runs();
        let mut counts = Vec::new();
        while let Some(samples) = runs.next_run().unwrap() {
            counts.extend(samples.into_iter().map(|sample| match sample.value {
                StoredValue::Histogram(h) => h.count,
                other => panic!("{other:?}"),
            }));
        }
        assert_eq!(counts, [1, 2]);
    }
}
