//! Appends records to a log, a batch in one write.
//!
//! A batch is all or nothing: when writing fails, for a full disk in particular, the log is cut back to where the
//! batch began and is ready for the next one. Batches reach the operating system before [`Writer::log`] returns; when
//! they become durable is the caller's decision, see [`Writer::begin_sync`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::compress::{Compression, Compressor};
use super::{Batch, Position, frame, segment};
use crate::error::StorageError;
use crate::format::{WAL_FRAGMENT_HEADER, WAL_PAGE, WAL_SEGMENT_LEN};
use crate::fs::{Disk, SyncLater, WriteFile};

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Compression of records.
    pub compression: Compression,
    /// A segment is ended before it exceeds this length in bytes, unless one record alone does. A multiple of the
    /// page size.
    pub segment_len: u64,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { compression: Compression::default(), segment_len: WAL_SEGMENT_LEN }
    }
}

/// Numbers of a writer since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Writes to the file.
    pub page_flushes: u64,
    /// Pages that became full.
    pub completed_pages: u64,
    /// Batches that could not be written.
    pub writes_failed: u64,
    /// Fragments written.
    pub record_parts: u64,
    /// Bytes of fragments, headers included.
    pub record_part_bytes: u64,
    /// Bytes that compression saved.
    pub bytes_saved: u64,
    /// Ended segments that were made durable.
    pub syncs: u64,
    /// Time that took.
    pub sync_time: Duration,
}

/// Writes the segments of one log directory. There must be one only.
pub struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: WriterOptions,
    compressor: Compressor,
    segment: u64,
    file: Box<dyn WriteFile>,
    /// Fragments of the batch that are not written yet.
    buffer: Vec<u8>,
    /// Whether the directory has names that are not durable; the bytes of ended segments are.
    new_names: bool,
    /// Where to cut the log before anything else is done, because a failed batch could not be cut off.
    cut_to: Option<Position>,
    stats: WriterStats,
}

impl Writer {
    /// Starts a new segment behind the last one, creating the directory when it is not there. Replay and repair come
    /// before.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: WriterOptions) -> Result<Self, StorageError> {
        if options.segment_len == 0 || !options.segment_len.is_multiple_of(WAL_PAGE as u64) {
            return Err(StorageError::Invalid(format!(
                "log segment size of {} bytes is not a multiple of {WAL_PAGE}",
                options.segment_len
            )));
        }
        disk.create_dir_all(dir).map_err(|e| StorageError::io("creating", &*disk, dir, e))?;
        let parent = dir.parent().unwrap_or(Path::new(""));
        disk.sync_dir(parent).map_err(|e| StorageError::io("syncing", &*disk, parent, e))?;
        let segment = segment::list(&*disk, dir)?.last().map_or(0, |last| last.number + 1);
        let file = create(&*disk, dir, segment)?;
        disk.sync_dir(dir).map_err(|e| StorageError::io("syncing", &*disk, dir, e))?;
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            options,
            compressor: Compressor::new(options.compression),
            segment,
            file,
            buffer: Vec::new(),
            new_names: false,
            cut_to: None,
            stats: WriterStats::default(),
        })
    }

    /// Writes all records of a batch, or on error none.
    pub fn log(&mut self, batch: &Batch) -> Result<(), StorageError> {
        self.cut_back()?;
        let (start, stats) = (self.position(), self.stats);
        let logged = self.try_log(batch);
        if logged.is_err() {
            self.buffer.clear();
            let WriterStats { syncs, sync_time, .. } = self.stats;
            self.stats = WriterStats { writes_failed: stats.writes_failed + 1, syncs, sync_time, ..stats };
            self.cut_to = Some(start);
            // When this fails too, the next call tries again.
            let _ = self.cut_back();
        }
        logged
    }

    fn try_log(&mut self, batch: &Batch) -> Result<(), StorageError> {
        let mut left = batch.byte_len();
        for (number, record) in batch.records().enumerate() {
            // What belongs together goes into one segment, unless it exceeds a whole one.
            if batch.together_from() == Some(number) && self.end() > 0 {
                // Stored no longer than they are, each with a header and what a page's end may waste.
                let len = left + (batch.records().len() - number) * 2 * WAL_FRAGMENT_HEADER;
                let fits = |end| frame::end_of(end, len) <= self.options.segment_len;
                if !fits(self.end()) && fits(0) {
                    self.flush()?;
                    self.next_segment()?;
                }
            }
            left -= record.len();
            self.compressor.compress(record);
            let len = self.compressor.stored(record).1.len();
            // A record never crosses segments; one that exceeds a whole segment gets one of its own.
            if self.end() > 0 && frame::end_of(self.end(), len) > self.options.segment_len {
                self.flush()?;
                self.next_segment()?;
            }
            let (end, before) = (self.end(), self.buffer.len());
            let (codec, stored) = self.compressor.stored(record);
            self.stats.record_parts += frame::put(&mut self.buffer, end, codec, stored) as u64;
            self.stats.record_part_bytes += (self.buffer.len() - before) as u64;
            self.stats.bytes_saved += (record.len() - stored.len()) as u64;
        }
        self.flush()
    }

    /// Where the segment will end when the buffer is written.
    fn end(&self) -> u64 {
        self.file.len() + self.buffer.len() as u64
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let pages = |len: u64| len / WAL_PAGE as u64;
        let before = pages(self.file.len());
        self.file.append(&self.buffer).map_err(|e| self.error("writing", e))?;
        self.buffer.clear();
        self.stats.page_flushes += 1;
        self.stats.completed_pages += pages(self.file.len()) - before;
        Ok(())
    }

    /// Undoes what a failed batch left, be it in one segment or several.
    fn cut_back(&mut self) -> Result<(), StorageError> {
        let Some(to) = self.cut_to else { return Ok(()) };
        while self.segment > to.segment {
            let path = segment::path(&self.dir, self.segment);
            match self.disk.remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StorageError::io("removing", &*self.disk, &path, e));
                }
                _ => {}
            }
            let previous = segment::path(&self.dir, self.segment - 1);
            self.file = self
                .disk
                .open_append(&previous)
                .map_err(|e| StorageError::io("opening", &*self.disk, &previous, e))?;
            self.segment -= 1;
        }
        self.file.truncate(to.offset).map_err(|e| self.error("truncating", e))?;
        self.cut_to = None;
        Ok(())
    }

    /// Takes back everything that was logged from a position on, which [`Writer::position`] gave since the log was
    /// opened. When the disk refuses, the next batch tries again.
    pub fn take_back(&mut self, to: Position) {
        self.cut_to = Some(self.cut_to.map_or(to, |earlier| earlier.min(to)));
        let _ = self.cut_back();
    }

    /// Ends the segment and starts the next one, whose number is returned. The ended one is made durable before
    /// anything goes into the next: a power cut must not leave a hole between them, which nothing would tell from
    /// the unused end of a segment.
    pub fn next_segment(&mut self) -> Result<u64, StorageError> {
        self.pad();
        let start = Instant::now();
        self.file.sync().map_err(|e| self.error("syncing", e))?;
        self.stats.syncs += 1;
        self.stats.sync_time += start.elapsed();
        self.file = create(&*self.disk, &self.dir, self.segment + 1)?;
        self.segment += 1;
        self.new_names = true;
        Ok(self.segment)
    }

    /// Fills the last page with zeros, as Prometheus leaves a segment. Readers do without.
    fn pad(&mut self) {
        let len = self.file.len();
        let room = frame::room(len);
        if room < WAL_PAGE && self.file.append(&[0; WAL_PAGE][..room]).is_err() {
            // A part of the zeros reads as well as none; but the next record would follow them.
            let _ = self.file.truncate(len);
        }
    }

    /// Where the next record goes.
    pub fn position(&self) -> Position {
        Position { segment: self.segment, offset: self.file.len() }
    }

    /// Where the last batch that was logged ends: a failed one may not have been cut off yet.
    pub fn logged_to(&self) -> Position {
        self.cut_to.unwrap_or_else(|| self.position())
    }

    /// Numbers since the writer was opened.
    pub fn stats(&self) -> WriterStats {
        self.stats
    }

    /// Whether a segment was ended whose successor's name is not durable yet.
    pub fn has_finished(&self) -> bool {
        self.new_names
    }

    /// What must be done that the name of a new segment is durable: Prometheus's policy, a call after each batch for
    /// which [`Writer::has_finished`] says so. [`PendingSync::run`] needs no access to the writer.
    pub fn begin_sync_finished(&mut self) -> PendingSync {
        PendingSync {
            disk: Arc::clone(&self.disk),
            dir: std::mem::take(&mut self.new_names).then(|| self.dir.clone()),
            file: None,
            durable: Position { segment: self.segment, offset: 0 },
        }
    }

    /// What must be done to make everything durable that was logged up to now.
    pub fn begin_sync(&mut self) -> Result<PendingSync, StorageError> {
        let sync = self.file.sync_later().map_err(|e| self.error("syncing", e))?;
        let mut pending = self.begin_sync_finished();
        pending.file = Some((self.path(), sync));
        pending.durable = self.position();
        Ok(pending)
    }

    /// Makes everything durable that was logged up to now.
    pub fn sync(&mut self) -> Result<(), StorageError> {
        self.begin_sync()?.run().map(drop)
    }

    /// Ends the log in good order: fills the last page, makes everything durable.
    pub fn close(mut self) -> Result<(), StorageError> {
        self.cut_back()?;
        self.pad();
        self.sync()
    }

    fn path(&self) -> PathBuf {
        segment::path(&self.dir, self.segment)
    }

    fn error(&self, action: &'static str, source: std::io::Error) -> StorageError {
        StorageError::io(action, &*self.disk, &self.path(), source)
    }
}

fn create(disk: &dyn Disk, dir: &Path, number: u64) -> Result<Box<dyn WriteFile>, StorageError> {
    let path = segment::path(dir, number);
    disk.create(&path).map_err(|e| StorageError::io("creating", disk, &path, e))
}

/// What is to be synced. Dropped unrun, it is not.
#[must_use]
pub struct PendingSync {
    disk: Arc<dyn Disk>,
    dir: Option<PathBuf>,
    file: Option<(PathBuf, SyncLater)>,
    durable: Position,
}

impl PendingSync {
    /// Syncs; may take long. Returns up to where the log is durable now. A failure means that what was logged may be
    /// lost by a power cut, and syncing again would not help; the log itself goes on.
    pub fn run(self) -> Result<Position, StorageError> {
        if let Some((path, sync)) = self.file {
            sync().map_err(|e| StorageError::io("syncing", &*self.disk, &path, e))?;
        }
        if let Some(dir) = self.dir {
            self.disk.sync_dir(&dir).map_err(|e| StorageError::io("syncing", &*self.disk, &dir, e))?;
        }
        Ok(self.durable)
    }
}
