//! Samples to a block without a head that lives on: what was recorded elsewhere becomes a block of its own.
//!
//! Full chunks go to files of a scratch directory, so that memory holds the series and an open chunk of each.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use model::Labels;
use model::append::{AppendError, SeriesRef};
use storage_base::StorageError;
use storage_base::fs::Disk;
use storage_base::wal::writer::WriterOptions;
use ulid::Ulid;

use super::head_block::write_block;
use crate::blocks::meta::BlockMeta;
use crate::head::head_chunks::HeadChunks;
use crate::head::isolation::Commit;
use crate::head::log::Logs;
use crate::head::open_chunk::CutRule;
use crate::head::series::{Bounds, Place};
use crate::head::table::Pages;
use crate::head::{Head, HeadOptions};
use crate::options::Options;
use crate::read::head_view::{HeadView, Subset};

/// Every view sees the samples.
const COMMIT: Commit = Commit { id: 0, oldest_view: u64::MAX };

/// The samples of one block to be.
pub struct Backfill {
    head: Arc<Head>,
    pages: Pages,
    segment_len: u64,
}

impl Backfill {
    /// Nothing yet. `scratch` is an empty directory; the caller removes it. Chunks do not cross multiples of
    /// `chunk_range` milliseconds.
    pub fn new(scratch: Arc<dyn Disk>, chunk_range: i64) -> Result<Self, StorageError> {
        let options = Options::default();
        let (chunks, _) = HeadChunks::open(scratch.clone(), |_| {})?;
        let head_options = HeadOptions {
            rule: CutRule::new(chunk_range, options.samples_per_chunk),
            out_of_order_chunk_samples: usize::from(options.out_of_order_chunk_samples),
            log_metadata: false,
            zero_at_start: false,
            window: 0,
            exemplars: 0,
        };
        let head = Arc::new(Head::new(
            chunks,
            Logs::new(scratch, WriterOptions::default(), false),
            i64::MIN,
            head_options,
        ));
        let pages = head.table.pages();
        Ok(Self { head, pages, segment_len: options.block_segment_bytes })
    }

    /// The number by which samples of a series are added.
    pub fn series(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            return Err(AppendError::InvalidLabels("empty labelset".into()));
        }
        let full = |_| AppendError::InvalidLabels("too many series".into());
        let (series, _) = self.head.table.get_or_create(labels, None).map_err(full)?;
        if self.pages.lock(series).is_none() {
            self.pages = self.head.table.pages();
        }
        Ok(series)
    }

    /// Adds a sample, later than those of its series. One that is there already is passed over.
    pub fn add(&mut self, series: SeriesRef, t: i64, v: f64) -> Result<(), AppendError> {
        let bounds = Bounds { min_valid_t: i64::MIN, head_max_t: i64::MAX, window: 0, refuse_late: false };
        let mut series = self.pages.lock(series).ok_or(AppendError::UnknownSeries)?;
        if series.place_float(t, v, &bounds, &self.head.chunks)? == Place::Next {
            series.push_float(COMMIT, t, v, 0, self.head.rule, &self.head.chunks)?;
            drop(series);
            self.head.times.note(t, t);
        }
        Ok(())
    }

    /// Writes everything as a block inside `parent`, spanning just its samples. Returns its meta; `None` without any
    /// sample.
    pub fn write(self, disk: &dyn Disk, parent: &Path, id: Ulid) -> Result<Option<BlockMeta>, StorageError> {
        let times = &self.head.times;
        if !times.known() {
            return Ok(None);
        }
        // Chunks that the scratch directory refused would be missing.
        self.head.chunks.flush()?;
        let (min_t, max_t) = (times.min_t.load(SeqCst), times.max_t.load(SeqCst));
        let meta = BlockMeta::level_1(id, min_t, max_t.saturating_add(1));
        let view = HeadView::new(self.head.clone(), i64::MIN);
        write_block(disk, parent, &view, meta, Subset::All, self.segment_len, &mut |_| Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use model::read::{Columns, Hints, Selection};

    use super::*;
    use crate::blocks::block::MetricsBlock;
    use storage_base::block::Block;
    use storage_base::fs::SimDisk;

    #[test]
    fn samples_become_a_block() {
        let disk = SimDisk::new(0);
        let mut backfill = Backfill::new(Arc::new(SimDisk::new(0)), 1 << 20).unwrap();
        for i in ["1", "0"] {
            let series = backfill.series(&Labels::from_pairs([("__name__", "m"), ("i", i)])).unwrap();
            for n in 0..1000 {
                backfill.add(series, 5000 + n * 10, n as f64).unwrap();
            }
            backfill.add(series, 14_990, 999.0).unwrap();
            assert_eq!(backfill.add(series, 14_990, 1.0), Err(AppendError::Duplicate));
            assert_eq!(backfill.add(series, 14_989, 1.0), Err(AppendError::OutOfOrder));
        }
        let id = Ulid::from_parts(1, 1);
        let meta = backfill.write(&disk, Path::new(""), id).unwrap().unwrap();
        assert_eq!((meta.min_time, meta.max_time), (5000, 14_991));
        assert_eq!((meta.stats.num_series, meta.stats.num_samples), (2, 2000));
        let block = MetricsBlock::open(&disk, Path::new(&id.to_string())).unwrap();
        let hints = Hints::default();
        let selection = Selection { matchers: vec![], min_t: 0, max_t: i64::MAX, limit: 0, hints };
        for (series, i) in block.select(&selection).unwrap().zip(["0", "1"]) {
            let series = series.unwrap();
            assert_eq!(series.labels.get("i"), Some(i));
            let mut columns = Columns::default();
            for chunk in &series.chunks {
                block.read_chunk(chunk, series.deleted.as_deref(), 0, i64::MAX, &mut columns).unwrap();
            }
            assert!(columns.float_t.iter().copied().eq((0..1000).map(|n| 5000 + n * 10)));
            assert!(columns.float_v.iter().copied().eq((0..1000).map(f64::from)));
        }
    }

    #[test]
    fn nothing_gives_no_block() {
        let disk = SimDisk::new(0);
        let mut backfill = Backfill::new(Arc::new(SimDisk::new(0)), 1 << 20).unwrap();
        assert!(backfill.series(&Labels::empty()).is_err());
        backfill.series(&Labels::from_pairs([("a", "1")])).unwrap();
        assert_eq!(backfill.write(&disk, Path::new(""), Ulid::from_parts(1, 1)).unwrap(), None);
        assert!(disk.list(Path::new("")).unwrap().is_empty());
    }
}
