//! The head's two logs, and what their records say.
//!
//! `wal/` has everything that was appended; `wbl/`, made when it is first needed, has out-of-order samples again, in
//! the order in which they came. Both are written under the commit lock.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use model::append::SeriesRef;
use model::metadata::Metadata;
use model::sample::Exemplar;
use model::{HistogramValue, SampleValue};
use storage_base::StorageError;
use storage_base::fs::Disk;
use storage_base::wal::segment::{self, Segment};
use storage_base::wal::writer::{PendingSync, Writer, WriterOptions};
use storage_base::wal::{Batch, Position};

use crate::blocks::tombstones::Interval;
use crate::format::{WAL_DIR, WBL_DIR};
use crate::head::append::PendingSample;
use crate::record::{
    self, LogRef, RefExemplar, RefFloatHistogram, RefHistogram, RefMetadata, RefMmapMarker, RefSample,
    RefSeries, RefTombstone,
};

/// Both logs.
pub struct Logs {
    disk: Arc<dyn Disk>,
    options: WriterOptions,
    wal: Option<Writer>,
    wbl: Option<Writer>,
    /// The commit's records, gathered for one write.
    records: Batch,
    /// As `records`, for the out-of-order log.
    out_of_order_records: Batch,
    /// Numbers that no series of the head goes by and that records may have.
    spare_refs: HashMap<LogRef, Spare>,
    /// Whether samples are written with their start timestamps.
    start_t: bool,
    /// Why nothing more is written.
    end: Option<End>,
}

/// Why logs take nothing more.
#[derive(Clone, Debug)]
enum End {
    Closed,
    Poisoned(String),
}

/// Which records may have a number.
#[derive(Clone, Copy, Debug)]
struct Spare {
    /// The last segment with any.
    segment: u64,
    /// The newest time of any.
    max_t: i64,
}

impl Spare {
    fn is_needed(&self, segment: u64, min_t: i64) -> bool {
        self.segment > segment || self.max_t >= min_t
    }
}

impl Logs {
    /// Logs that are not open for writing yet; replay comes first. `start_t` says whether samples are written with
    /// their start timestamps.
    pub fn new(disk: Arc<dyn Disk>, options: WriterOptions, start_t: bool) -> Self {
        Self {
            disk,
            options,
            wal: None,
            wbl: None,
            records: Batch::new(),
            out_of_order_records: Batch::new(),
            spare_refs: HashMap::new(),
            start_t,
            end: None,
        }
    }

    /// Opens the logs for writing. The out-of-order log is opened when there is one. What a killed process left
    /// unsynced is made durable first: later syncs reach new segments only.
    pub fn open(&mut self) -> Result<(), StorageError> {
        for dir in [WAL_DIR, WBL_DIR].map(Path::new) {
            for Segment { path, .. } in segment::list(&*self.disk, dir)? {
                let synced = self.disk.open_append(&path).and_then(|mut file| file.sync());
                synced.map_err(StorageError::io_while("syncing", self.disk.display(&path)))?;
            }
        }
        if self.disk.stat(Path::new(WBL_DIR)).is_ok() {
            self.wbl = Some(Writer::open(self.disk.clone(), Path::new(WBL_DIR), self.options)?);
        }
        self.wal = Some(Writer::open(self.disk.clone(), Path::new(WAL_DIR), self.options)?);
        Ok(())
    }

    /// Refuses once the logs are closed.
    pub fn check_open(&self) -> Result<(), StorageError> {
        match &self.end {
            Some(End::Closed) => Err(StorageError::Closed),
            Some(End::Poisoned(reason)) => Err(StorageError::Poisoned(reason.clone())),
            None => Ok(()),
        }
    }

    /// Refuses all writes from now on.
    pub fn poison(&mut self, reason: &str) {
        self.end.get_or_insert_with(|| End::Poisoned(reason.to_owned()));
    }

    /// Notes numbers that no series goes by any more, each with the newest time that records may have under it.
    pub fn spare(&mut self, log_refs: impl IntoIterator<Item = (LogRef, i64)>) {
        let segment = self.wal.as_ref().map_or(0, |wal| wal.position().segment);
        let spare = log_refs.into_iter().map(|(log_ref, max_t)| (log_ref, Spare { segment, max_t }));
        self.spare_refs.extend(spare);
    }

    /// Whether a number that no series goes by must be kept in a checkpoint of the segments up to `segment` and the
    /// times from `min_t` on.
    pub fn needs_spare(&self, log_ref: LogRef, segment: u64, min_t: i64) -> bool {
        self.spare_refs.get(&log_ref).is_some_and(|spare| spare.is_needed(segment, min_t))
    }

    /// Forgets numbers that a checkpoint of the segments up to `segment` and the times from `min_t` on did not keep.
    pub fn forget_spare(&mut self, segment: u64, min_t: i64) {
        self.spare_refs.retain(|_, spare| spare.is_needed(segment, min_t));
    }

    /// Begins gathering records.
    pub fn clear(&mut self) {
        self.records.clear();
    }

    /// Adds new series.
    pub fn put_series(&mut self, series: &[RefSeries]) {
        self.records.push(|out| record::put_series(out, series));
    }

    /// Adds metadata.
    pub fn put_metadata(&mut self, metadata: &[(SeriesRef, LogRef, Metadata)]) {
        let metadata: Vec<_> = metadata
            .iter()
            .map(|(_, log_ref, metadata)| RefMetadata { series: *log_ref, metadata: metadata.clone() })
            .collect();
        self.records.push(|out| record::put_metadata(out, &metadata));
    }

    /// Adds floats.
    pub fn put_floats(&mut self, floats: &[RefSample]) {
        let start_t = self.start_t;
        self.records.push(|out| record::put_samples(out, floats, start_t));
    }

    /// Adds samples of all kinds: floats, integer histograms, float histograms.
    pub fn put_samples(&mut self, samples: &[PendingSample]) {
        put_samples(&mut self.records, samples, self.start_t);
    }

    /// Adds out-of-order samples, marked as such.
    pub fn put_out_of_order(&mut self, samples: &[PendingSample]) {
        self.out_of_order_records.clear();
        put_samples(&mut self.out_of_order_records, samples, self.start_t);
        // At most five.
        let records = self.out_of_order_records.records().len() as u8;
        if records > 0 {
            // An announcement at the end of a segment counts for nothing: a crash may have left it there.
            self.records.keep_together();
            self.records.push(|out| record::put_out_of_order_follows(out, records));
        }
        for record in self.out_of_order_records.records() {
            self.records.push(|out| out.extend_from_slice(record));
        }
    }

    /// Adds exemplars.
    pub fn put_exemplars(&mut self, exemplars: &[(SeriesRef, LogRef, Exemplar)]) {
        let exemplars: Vec<_> = exemplars
            .iter()
            .map(|(_, log_ref, exemplar)| RefExemplar {
                series: *log_ref,
                t: exemplar.time(),
                v: exemplar.v,
                labels: exemplar.labels.clone(),
            })
            .collect();
        self.records.push(|out| record::put_exemplars(out, &exemplars));
    }

    /// Writes deletions: series, its number in the log, time.
    pub fn write_tombstones(
        &mut self,
        tombstones: &[(SeriesRef, LogRef, Interval)],
    ) -> Result<(), StorageError> {
        let tombstones: Vec<_> = tombstones
            .iter()
            .map(|(_, log_ref, Interval { min_t, max_t })| RefTombstone {
                series: *log_ref,
                min_t: *min_t,
                max_t: *max_t,
            })
            .collect();
        self.records.clear();
        self.records.push(|out| record::put_tombstones(out, &tombstones));
        self.write()
    }

    /// Writes what was gathered to the write-ahead log, all or nothing.
    pub fn write(&mut self) -> Result<(), StorageError> {
        match &mut self.wal {
            Some(wal) if !self.records.is_empty() => wal.log(&self.records),
            Some(_) => Ok(()),
            None => Err(StorageError::Closed),
        }
    }

    /// Writes out-of-order samples to the out-of-order log, behind the places of the chunks that were closed to make
    /// room for them. Returns where the log ended before.
    pub fn write_out_of_order(
        &mut self,
        markers: &[(LogRef, u64)],
        samples: &[PendingSample],
    ) -> Result<Position, StorageError> {
        let markers: Vec<_> = markers
            .iter()
            .map(|(log_ref, chunk)| RefMmapMarker { series: *log_ref, chunk: *chunk })
            .collect();
        self.out_of_order_records.clear();
        self.out_of_order_records.push(|out| record::put_mmap_markers(out, &markers));
        put_samples(&mut self.out_of_order_records, samples, self.start_t);
        if self.wbl.is_none() {
            self.wbl = Some(Writer::open(self.disk.clone(), Path::new(WBL_DIR), self.options)?);
        }
        let Some(wbl) = &mut self.wbl else { return Err(StorageError::Closed) };
        let before = wbl.position();
        wbl.log(&self.out_of_order_records)?;
        Ok(before)
    }

    /// Notes in the out-of-order log that out-of-order chunks below a place are in blocks.
    pub fn write_out_of_order_covered(&mut self, place: u64) -> Result<(), StorageError> {
        self.out_of_order_records.clear();
        self.out_of_order_records.push(|out| record::put_out_of_order_covered(out, place));
        self.wbl.as_mut().ok_or(StorageError::Closed)?.log(&self.out_of_order_records)
    }

    /// Takes back what was written to the out-of-order log from a position on.
    pub fn take_back_out_of_order(&mut self, position: Position) {
        if let Some(wbl) = &mut self.wbl {
            wbl.take_back(position);
        }
    }

    /// The write-ahead log; `None` once it is closed.
    pub fn wal(&mut self) -> Option<&mut Writer> {
        self.wal.as_mut()
    }

    /// The out-of-order log, if there is one.
    pub fn wbl(&mut self) -> Option<&mut Writer> {
        self.wbl.as_mut()
    }

    /// Where the logs end, both together; `None` for one that is not open.
    pub fn ends(&self) -> (Option<Position>, Option<Position>) {
        (self.wal.as_ref().map(Writer::logged_to), self.wbl.as_ref().map(Writer::logged_to))
    }

    /// Segments that ended and are not yet durable.
    pub fn finished(&mut self) -> Vec<PendingSync> {
        self.wal
            .iter_mut()
            .chain(&mut self.wbl)
            .filter(|log| log.has_finished())
            .map(Writer::begin_sync_finished)
            .collect()
    }

    /// Makes everything durable that was written. The syncing itself is left to the caller, outside the lock.
    pub fn begin_sync(&mut self) -> Result<Vec<PendingSync>, StorageError> {
        self.wal.iter_mut().chain(&mut self.wbl).map(Writer::begin_sync).collect()
    }

    /// Ends both logs in good order.
    pub fn close(&mut self) -> Result<(), StorageError> {
        self.end.get_or_insert(End::Closed);
        for log in [self.wal.take(), self.wbl.take()].into_iter().flatten() {
            log.close()?;
        }
        Ok(())
    }
}

/// Adds samples of all kinds; a series' samples of one kind keep their order.
fn put_samples(records: &mut Batch, samples: &[PendingSample], with_start_t: bool) {
    let (mut floats, mut integers, mut float_histograms) = (Vec::new(), Vec::new(), Vec::new());
    for sample in samples {
        let (series, t, start_t) = (sample.log_ref, sample.t, sample.start_t);
        match &sample.value {
            SampleValue::Float(v) => floats.push(RefSample { series, t, start_t, v: *v }),
            SampleValue::Histogram(HistogramValue::Integer(v)) => {
                integers.push(RefHistogram { series, t, start_t, v: v.clone() });
            }
            SampleValue::Histogram(HistogramValue::Float(v)) => {
                float_histograms.push(RefFloatHistogram { series, t, start_t, v: v.clone() });
            }
        }
    }
    records.push(|out| record::put_samples(out, &floats, with_start_t));
    record::put_histograms(records, &integers, with_start_t);
    record::put_float_histograms(records, &float_histograms, with_start_t);
}
