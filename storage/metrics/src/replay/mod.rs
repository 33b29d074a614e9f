//! Brings a head back from disk: head chunk files, the newest checkpoint, the write-ahead log, the out-of-order log.
//!
//! Records name series by numbers that the log gave them; a label set may have had several. Samples that a head chunk
//! holds, or a block, are passed over. Threads read ahead ([`crate::replay::read_ahead`]) and recognise what is laid
//! out alike; another finds the series and fills a [`ColumnBatch`], which is then stored by all cores while reading
//! goes on, and reads too rather than wait. What is stored together is a commit: a snapshot sees all of it or nothing,
//! and so whole records. The logs may be written meanwhile: [`Replay::advance`] reads up to given places, and goes on
//! from there when it is called again.
//!
//! Beside what stays, replay takes at most some 110 MB, and a single record may exceed that: blocks that were read
//! ahead ([`crate::replay::read_ahead`]), values and samples that are stored together ([`ColumnBatch`]), layouts
//! ([`RecordLayouts`]).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use hashbrown::HashMap;
use model::append::SeriesRef;
use parking_lot::MutexGuard;
use storage_base::fs::Disk;
use storage_base::observer::{Event, Observer};
use storage_base::wal::{Position, Reader, segment};
use storage_base::{Corruption, StorageError};

use crate::blocks::tombstones::Tombstones;
use crate::format::{WAL_DIR, WBL_DIR};
use crate::head::Head;
use crate::head::commit::widen;
use crate::head::isolation::Commit;
use crate::head::series::Series;
use crate::head::table::{Pages, SeriesTable};
use crate::record::{LogRef, RefSeries};
use crate::replay::column_batch::{ColumnBatch, FloatOf};
use crate::replay::found_chunks::FoundChunks;
use crate::replay::log_scan::LogScan;
use crate::replay::log_slots::LogSlots;
use crate::replay::progress::Progress;
use crate::replay::read_ahead::{Content, ReadAhead, Workspace};
use crate::replay::record_layout::RecordLayouts;

mod apply;
pub mod column_batch;
pub mod found_chunks;
pub mod interim_head;
pub mod log_scan;
pub mod log_slots;
pub mod progress;
mod read_ahead;
pub mod record_layout;
mod replay_out_of_order;
mod replay_series;
pub mod samples_by_series;

#[cfg(test)]
mod replay_naive_test;
#[cfg(test)]
mod replay_test;

/// What replay met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Repairs of the write-ahead log.
    pub wal_corruptions: u64,
    /// Repairs of the out-of-order log.
    pub wbl_corruptions: u64,
    /// Records of the write-ahead log by kind whose series is unknown.
    pub wal_unknown: Vec<(&'static str, u64)>,
    /// Records of the out-of-order log by kind whose series is unknown.
    pub wbl_unknown: Vec<(&'static str, u64)>,
    /// Numbers in the log that no series of the head goes by, each with the newest time that records may have under
    /// it.
    pub spare_refs: Vec<(LogRef, i64)>,
}

/// Where the write-ahead log and the out-of-order log end; `None` for one that is not there.
pub type Ends = (Option<Position>, Option<Position>);

/// Behind all that is there.
pub const END: Position = Position { segment: u64::MAX, offset: u64::MAX };

/// The most threads that read ahead; the others are for storing.
const READERS_MAX: usize = 4;

/// One of the two logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    /// The write-ahead log.
    Wal,
    /// The out-of-order log.
    Wbl,
}

/// A replay under way.
pub struct Replay<'r> {
    pub(crate) head: &'r Head,
    disk: &'r Arc<dyn Disk>,
    observer: &'r dyn Observer,
    progress: &'r Progress,
    pub(crate) min_valid_t: i64,
    pub(crate) found: FoundChunks,
    pub(crate) scan: LogScan,
    /// Where the logs were read to.
    wal: Position,
    wbl: Position,
    /// Series by their numbers in the log.
    pub(crate) numbers: LogSlots,
    /// How records of floats are laid out; the readers'.
    layouts: RecordLayouts,
    pub(crate) batch: ColumnBatch,
    /// What stored records leave to the readers.
    free: Vec<Vec<u64>>,
    done: Vec<Vec<RefSeries>>,
    /// Samples of the record at hand.
    floats: Vec<FloatOf>,
    /// What is being stored; it becomes visible as one.
    pub(crate) commit: Commit,
    /// What its in-order samples span.
    pub(crate) span: Option<(i64, i64)>,
    unknown: HashMap<&'static str, u64>,
    pub(crate) pages: Pages,
    pub(crate) tombstones: Tombstones,
    /// Deletions that nobody sees yet.
    pub(crate) deleted: bool,
    /// Chunks written from now on must lie here or above.
    pub(crate) chunks_from: u64,
    /// Series with a mark in the out-of-order log whose chunk is gone, and how many samples follow it.
    pub(crate) lost_marks: HashMap<u32, usize>,
    /// OutOfOrder chunks below this are in blocks.
    pub(crate) out_of_order_covered: u64,
    /// Records of out-of-order samples that follow in the write-ahead log.
    out_of_order_follows: u8,
    /// The segment that was last reported to the observer.
    announced: Option<u64>,
    /// Progress is not reported any more: commits wait.
    catching_up: bool,
    result: Replayed,
}

impl<'r> Replay<'r> {
    /// A replay into a new head. In-order samples before `head.times.min_valid_t` are in blocks and passed over.
    /// `scan` is of the logs in `disk`, which are sound.
    pub fn new(
        head: &'r Head,
        disk: &'r Arc<dyn Disk>,
        observer: &'r dyn Observer,
        progress: &'r Progress,
        found: FoundChunks,
        scan: LogScan,
    ) -> Self {
        found.numbers().for_each(|number| head.table.reserve_log_ref(number));
        let covered = scan.out_of_order_covered.iter().filter(|place| head.chunks.could_begin_at(**place));
        let out_of_order_covered = covered.copied().max().unwrap_or(0);
        progress.bytes_total.store(scan.bytes, Relaxed);
        let first = scan.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.segment + 1);
        progress.first.store(first, Relaxed);
        Self {
            head,
            disk,
            observer,
            progress,
            min_valid_t: head.times.min_valid_t.load(SeqCst),
            found,
            wal: Position { segment: first, offset: 0 },
            wbl: Position::default(),
            numbers: LogSlots::from(scan.numbers.map_or(LogRef(0), |(first, _)| first)),
            layouts: RecordLayouts::default(),
            batch: ColumnBatch::default(),
            free: Vec::new(),
            done: Vec::new(),
            floats: Vec::new(),
            commit: head.isolation.begin(),
            span: None,
            unknown: HashMap::new(),
            pages: head.table.pages(),
            tombstones: Tombstones::new(),
            deleted: false,
            chunks_from: 0,
            lost_marks: HashMap::new(),
            out_of_order_covered,
            out_of_order_follows: 0,
            announced: None,
            catching_up: false,
            result: Replayed {
                wal_corruptions: scan.wal_corruptions,
                wbl_corruptions: scan.wbl_corruptions,
                ..Replayed::default()
            },
            scan,
        }
    }

    /// Replays the checkpoint. Comes first.
    pub fn checkpoint(&mut self) -> Result<(), StorageError> {
        let Some(checkpoint) = self.scan.checkpoint.take() else { return Ok(()) };
        self.read_log(Log::Wal, &checkpoint.dir, Position::default(), END).map(drop)
    }

    /// Replays what was logged up to `ends`. Returns how many bytes that was.
    pub fn advance(&mut self, ends: Ends) -> Result<u64, StorageError> {
        let mut bytes = 0;
        if let Some(end) = ends.0 {
            bytes += self.read_log(Log::Wal, Path::new(WAL_DIR), self.wal, end)?;
            self.wal = end;
        }
        let before = std::mem::take(&mut self.result.wal_unknown);
        self.result.wal_unknown = self.report_unknown("wal", before);
        if let Some(end) = ends.1 {
            bytes += self.read_log(Log::Wbl, Path::new(WBL_DIR), self.wbl, end)?;
            self.wbl = end;
        }
        let before = std::mem::take(&mut self.result.wbl_unknown);
        self.result.wbl_unknown = self.report_unknown("wbl", before);
        Ok(bytes)
    }

    /// Replays the rest, and ends replay, while commits wait.
    pub fn finish(&mut self, ends: Ends) -> Result<Replayed, StorageError> {
        self.catching_up = true;
        self.advance(ends)?;
        self.drop_empty_series()
    }

    /// The head's series of a number.
    pub fn named(&self, number: LogRef) -> Option<SeriesRef> {
        let slot = self.numbers.get(number)?;
        SeriesTable::reference_of(slot, &self.pages.slot(slot)?.lock())
    }

    /// Reads part of a log. Returns how many bytes of records that was.
    fn read_log(&mut self, log: Log, dir: &Path, from: Position, to: Position) -> Result<u64, StorageError> {
        let reader = Reader::open_between(self.disk.clone(), dir, from, to)?;
        let last = reader.last_segment().unwrap_or(0);
        let ahead = ReadAhead::new(reader, log, std::mem::take(&mut self.layouts));
        // The thread that replays reads too when there is nothing to replay.
        let readers = (rayon::current_num_threads() - 1).clamp(1, READERS_MAX);
        let (mut at, mut bytes, mut stopped) = (None, 0, false);
        std::thread::scope(|scope| {
            let ahead = &ahead;
            let end = ahead.end();
            let spawn = |_| {
                let thread = std::thread::Builder::new().name("replay reader".into());
                thread
                    .spawn_scoped(scope, || ahead.work())
                    .map_err(StorageError::io_while("starting", "a replay thread"))
            };
            let readers: Vec<_> = (0..readers).map(spawn).collect::<Result<_, _>>()?;
            let mut workspace = Workspace::default();
            while let Some(block) = ahead.next(&mut workspace) {
                stopped = self.progress.stop.load(Relaxed);
                if stopped {
                    break;
                }
                bytes += block.stored;
                self.progress.bytes.fetch_add(block.stored, Relaxed);
                let (floats, values) = (block.floats, Arc::new(block.values));
                for item in block.items {
                    if at.replace(item.segment) != Some(item.segment) {
                        // A crash may have left the announcement without what it announced.
                        self.out_of_order_follows = 0;
                        self.enter(item.segment, last);
                    }
                    let applied = match (item.content, log) {
                        (Content::Floats(range), _) => self.apply_floats(&floats[range]),
                        (Content::LaidOut(layout, base_t, at), _) => {
                            self.apply_laid_out(&layout, base_t, &values, at);
                            Ok(())
                        }
                        (Content::Record(record), Log::Wal) => record.and_then(|record| self.apply(record)),
                        (Content::Record(record), Log::Wbl) => {
                            record.and_then(|record| self.apply_out_of_order(record))
                        }
                    };
                    if let Err(reason) = applied {
                        // Its checksum is right: what is wrong was written so, and the next record is sound.
                        let file = self.disk.display(&segment::path(dir, item.segment));
                        let damage = Corruption { file, offset: item.offset, reason };
                        self.observer.event(&Event::passed_over(damage));
                    }
                }
                self.free.extend(Arc::into_inner(values));
                ahead.give_back(&mut self.free, &mut self.done);
            }
            drop(end);
            for reader in readers {
                reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
            Ok::<_, StorageError>(())
        })?;
        let (read, layouts) = ahead.finish();
        self.layouts = layouts;
        self.store();
        self.free.clear();
        self.done.clear();
        if stopped { Err(StorageError::Stopping) } else { read.map(|()| bytes) }
    }

    fn enter(&mut self, segment: u64, last: u64) {
        self.progress.segment.store(segment, Relaxed);
        self.progress.last.store(last, Relaxed);
        if self.announced != Some(segment) && !self.catching_up {
            self.announced = Some(segment);
            let first = self.progress.first.load(Relaxed);
            self.observer.event(&Event::Replaying { first, segment, last });
        }
    }

    /// Stores what was gathered and makes it visible.
    pub(crate) fn store(&mut self) {
        let head = self.head;
        let free = |memory| self.free.push(memory);
        if !self.batch.is_empty()
            && let Some((first, last)) = self.batch.store(head, &self.pages, self.commit, free)
        {
            widen(&mut self.span, first);
            widen(&mut self.span, last);
        }
        if let Some((min_t, max_t)) = self.span.take() {
            head.times.note(min_t, max_t);
        }
        if std::mem::take(&mut self.deleted) {
            *head.tombstones.write() = Arc::new(self.tombstones.clone());
        }
        head.isolation.end(self.commit);
        self.commit = head.isolation.begin();
    }

    /// Adds what was unknown since the last call to what was before.
    fn report_unknown(
        &mut self,
        log: &'static str,
        before: Vec<(&'static str, u64)>,
    ) -> Vec<(&'static str, u64)> {
        let count = self.unknown.values().sum();
        if count > 0 {
            self.observer.event(&Event::UnknownReferences { log, count });
        }
        for (kind, count) in before {
            *self.unknown.entry(kind).or_default() += count;
        }
        let mut unknown: Vec<_> = self.unknown.drain().collect();
        unknown.sort_unstable();
        unknown
    }

    /// The slot of a number.
    pub(crate) fn find(&mut self, number: LogRef, kind: &'static str) -> Option<u32> {
        let found = self.numbers.get(number);
        if found.is_none() {
            // A power cut may have taken the series' record and left this. Nobody else may get the number.
            self.head.table.reserve_log_ref(number);
            *self.unknown.entry(kind).or_default() += 1;
        }
        found
    }

    /// As [`Replay::find`], for what goes by references.
    pub(crate) fn find_reference(&mut self, number: LogRef, kind: &'static str) -> Option<SeriesRef> {
        self.find(number, kind)?;
        self.named(number)
    }

    pub(crate) fn series(&self, slot: u32) -> Option<MutexGuard<'_, Series>> {
        self.pages.slot(slot).map(|cell| cell.lock()).filter(|series| series.generation != 0)
    }

    /// Drops what turned out to be empty, and lets chunks be written where they may.
    fn drop_empty_series(&mut self) -> Result<Replayed, StorageError> {
        let head = self.head;
        head.chunks.skip_to(self.chunks_from)?;
        self.tombstones.drop_before(self.min_valid_t.min(head.times.out_of_order_min_t.load(SeqCst)));
        self.deleted = true;
        self.store();
        let mut empty = Vec::new();
        {
            let mut out_of_order_series = head.out_of_order_series.lock();
            for series in head.table.references() {
                self.pages.prefetch_behind(series);
                let Some(mut guard) = self.pages.lock(series) else { continue };
                if guard.out_of_order.as_ref().is_some_and(|out_of_order| out_of_order.chunks() == 0) {
                    guard.out_of_order = None;
                }
                if guard.out_of_order.is_some() {
                    out_of_order_series.insert(series);
                }
                if guard.is_empty() {
                    empty.push(series);
                }
            }
        }
        let removed = head.table.remove(&empty, |series| series.is_empty());
        head.figures.series_dropped(removed.len() as u64);
        let spare = self.numbers.iter().filter_map(|(number, slot)| match self.series(slot) {
            Some(guard) if guard.log_ref == number => None,
            // OutOfOrder samples may be of any time.
            Some(guard) if guard.out_of_order.is_some() => Some((number, i64::MAX)),
            Some(guard) => Some((number, guard.last_t())),
            None => Some((number, i64::MIN)),
        });
        Ok(Replayed { spare_refs: spare.collect(), ..std::mem::take(&mut self.result) })
    }
}
