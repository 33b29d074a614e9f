//! Brings a head back from disk: head chunk files, the newest checkpoint, the write-ahead log, the out-of-order log.
//!
//! Records name series by numbers that the log gave them; a label set may have had several. Samples that a head chunk
//! holds, or a block, are passed over. Damage ends the log that has it: it is repaired and reported, and what came
//! before it stays.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::mpsc::{SyncSender, sync_channel};

use hashbrown::{HashMap, HashSet};
use model::append::{HistogramSample, SeriesRef};
use model::sample::Exemplar;
use model::sample::is_stale;

use super::closed::ClosedChunk;
use super::commit::{stale_mark, widen};
use super::head::{Head, count};
use super::head_chunks::FoundChunk;
use super::isolation::Commit;
use super::late::{LateChunk, LateSample, Value};
use super::series::{CutRule, Series};
use super::table::Pages;
use crate::block::tombstones::{Interval, Tombstones};
use crate::fs::Disk;
use crate::observer::{Event, Observer};
use crate::wal::reader::{Damage, ReadLogError};
use crate::wal::record::{Decoder, Record, RefSample, RefSeries, RefTombstone};
use crate::wal::repair::repair;
use crate::wal::{Reader, checkpoint};
use crate::{Corruption, StorageError};

/// Replayed samples belong to no commit: every snapshot sees them.
const REPLAYED: Commit = Commit { id: 0, oldest_view: u64::MAX };

/// Records that are decoded before they can be stored. One is a commit, of a few hundred kilobytes at most as a rule.
const RECORDS_AHEAD: usize = 32;

/// Chunks by their series' number in the log.
#[derive(Default)]
pub struct FoundChunks {
    in_order: HashMap<u64, Vec<ClosedChunk>>,
    late: HashMap<u64, Vec<ClosedChunk>>,
    late_places: HashSet<u64>,
}

impl FoundChunks {
    /// Takes a chunk that was found.
    pub fn add(&mut self, found: FoundChunk) {
        if found.late {
            self.late_places.insert(found.chunk.at);
        }
        let chunks = if found.late { &mut self.late } else { &mut self.in_order };
        chunks.entry(found.log_ref).or_default().push(found.chunk);
    }
}

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
    /// Numbers in the log that no series of the head goes by, each with the newest time that records may have under it.
    pub spare_refs: Vec<(u64, i64)>,
}

/// Replays into a new head. In-order samples before `head.times.min_valid_t` are in blocks and passed over.
pub fn replay(
    head: &Head,
    disk: &Arc<dyn Disk>,
    found: FoundChunks,
    observer: &dyn Observer,
) -> Result<Replayed, StorageError> {
    let mut replay = Replay {
        head,
        rule: head.cut_rule(),
        disk,
        observer,
        min_valid_t: head.times.min_valid_t.load(SeqCst),
        found,
        series: HashMap::new(),
        span: None,
        unknown: HashMap::new(),
        pages: head.table.pages(),
        tombstones: Tombstones::new(),
        chunks_from: 0,
        late_follows: 0,
    };
    for log_ref in replay.found.in_order.keys().chain(replay.found.late.keys()) {
        head.table.reserve_log_ref(*log_ref);
    }
    let mut result = Replayed::default();
    let wal = Path::new(super::log::WAL);
    let first = match checkpoint::last(&**disk, wal)? {
        Some(checkpoint) => {
            let damaged = replay.read_log(&checkpoint.dir, 0, Replay::apply)?;
            result.wal_corruptions += u64::from(damaged);
            checkpoint.segment + 1
        }
        None => 0,
    };
    let damaged = replay.read_log(wal, first, Replay::apply)?;
    result.wal_corruptions += u64::from(damaged);
    result.wal_unknown = replay.report_unknown("wal");
    let damaged = replay.read_log(Path::new(super::log::WBL), 0, Replay::apply_late)?;
    result.wbl_corruptions += u64::from(damaged);
    result.wbl_unknown = replay.report_unknown("wbl");
    head.chunks.skip_to(replay.chunks_from)?;
    result.spare_refs = replay.finish();
    Ok(result)
}

/// A record and where it stands, or what makes no sense about it.
struct Decoded {
    segment: u64,
    offset: u64,
    record: Result<Record, String>,
}

/// Reads a log to its end, or to where it is damaged, which is returned.
fn read_records(mut reader: Reader, to: &SyncSender<Decoded>) -> Result<Option<Box<Damage>>, StorageError> {
    let mut decoder = Decoder::default();
    loop {
        let raw = match reader.next() {
            Ok(Some(raw)) => raw,
            Ok(None) => return Ok(None),
            Err(ReadLogError::Storage(e)) => return Err(e),
            Err(ReadLogError::Damaged(damage)) => return Ok(Some(damage)),
        };
        let record = decoder.decode(raw.bytes).map_err(|e| e.to_string());
        if to.send(Decoded { segment: raw.segment, offset: raw.offset, record }).is_err() {
            // Who stores them panicked.
            return Ok(None);
        }
    }
}

struct Replay<'r> {
    head: &'r Head,
    rule: CutRule,
    disk: &'r Arc<dyn Disk>,
    observer: &'r dyn Observer,
    min_valid_t: i64,
    found: FoundChunks,
    /// Series by their numbers in the log.
    series: HashMap<u64, SeriesRef>,
    /// What the stored in-order samples span that the head does not know of yet.
    span: Option<(i64, i64)>,
    unknown: HashMap<&'static str, u64>,
    pages: Pages,
    tombstones: Tombstones,
    /// Chunks written from now on must lie here or above.
    chunks_from: u64,
    /// Records of late samples that follow in the write-ahead log.
    late_follows: u8,
}

impl Replay<'_> {
    /// Reads a log to its end and repairs it when it is damaged. Returns whether anything that was once whole is lost.
    fn read_log(
        &mut self,
        dir: &Path,
        first: u64,
        apply: fn(&mut Self, Record) -> Result<(), String>,
    ) -> Result<bool, StorageError> {
        let reader = Reader::open(self.disk.clone(), dir, first, 0, u64::MAX)?;
        let last = reader.last_segment().unwrap_or(0);
        let (sender, receiver) = sync_channel(RECORDS_AHEAD);
        // Reading, decompressing and decoding cost about as much as storing: each has its thread.
        let ended = std::thread::scope(|scope| {
            let reading = std::thread::Builder::new()
                .name("replay".into())
                .spawn_scoped(scope, move || read_records(reader, &sender))
                .map_err(StorageError::doing("starting", "the replay thread"))?;
            let mut at = first;
            for Decoded { segment, offset, record } in receiver {
                if segment != at {
                    // A crash may have left the announcement without what it announced.
                    self.late_follows = 0;
                    self.observer.event(&Event::Replaying { segment: at, last });
                    at = segment;
                }
                if let Err(reason) = record.and_then(|record| apply(self, record)) {
                    // Its checksum is right: what is wrong was written so, and the next record is sound.
                    let file = self.disk.display(&crate::wal::segment::path(dir, segment));
                    self.observer.event(&Event::passed_over(Corruption { file, offset, reason }));
                }
            }
            reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        if let Some((min_t, max_t)) = self.span.take() {
            self.head.times.note(min_t, max_t);
        }
        let Some(damage) = ended else { return Ok(false) };
        let repair = repair(&**self.disk, &damage)?;
        let torn = damage.torn;
        if !torn {
            self.observer.event(&Event::repaired(damage.corruption, repair.action));
        }
        Ok(!torn)
    }

    fn report_unknown(&mut self, log: &'static str) -> Vec<(&'static str, u64)> {
        let mut unknown: Vec<_> = self.unknown.drain().collect();
        unknown.sort_unstable();
        let count = unknown.iter().map(|(_, count)| count).sum();
        if count > 0 {
            self.observer.event(&Event::UnknownReferences { log, count });
        }
        unknown
    }

    fn find(&mut self, log_ref: SeriesRef, kind: &'static str) -> Option<SeriesRef> {
        let found = self.series.get(&log_ref.0).copied();
        if found.is_none() {
            // A power cut may have taken the series' record and left this. Nobody else may get the number.
            self.head.table.reserve_log_ref(log_ref.0);
            *self.unknown.entry(kind).or_default() += 1;
        }
        found
    }

    /// An error says that the record makes no sense and that nothing of it was taken.
    fn apply(&mut self, record: Record) -> Result<(), String> {
        if self.late_follows > 0 {
            self.late_follows -= 1;
            return Ok(());
        }
        let kind = record.kind();
        let min_valid_t = self.min_valid_t;
        match record {
            Record::Series(series) => series.into_iter().for_each(|series| self.add_series(series)),
            Record::Samples(samples) => {
                for sample in samples.into_iter().filter(|sample| sample.t >= min_valid_t) {
                    if let Some(series) = self.find(sample.series, kind) {
                        self.push_float(series, sample);
                    }
                }
            }
            Record::Histograms(samples) => {
                for sample in samples.into_iter().filter(|sample| sample.t >= min_valid_t) {
                    if let Some(series) = self.find(sample.series, kind) {
                        self.push_histogram(
                            series,
                            (sample.t, sample.start_t),
                            HistogramSample::Integer(sample.v),
                        );
                    }
                }
            }
            Record::FloatHistograms(samples) => {
                for sample in samples.into_iter().filter(|sample| sample.t >= min_valid_t) {
                    if let Some(series) = self.find(sample.series, kind) {
                        self.push_histogram(
                            series,
                            (sample.t, sample.start_t),
                            HistogramSample::Float(sample.v),
                        );
                    }
                }
            }
            Record::Tombstones(tombstones) => {
                for tombstone in tombstones {
                    self.delete(tombstone, kind);
                }
            }
            Record::Exemplars(exemplars) => {
                for exemplar in exemplars.into_iter().filter(|exemplar| exemplar.t >= min_valid_t) {
                    if let Some(labels) =
                        self.find(exemplar.series, kind).and_then(|series| self.head.table.labels(series))
                    {
                        let exemplar =
                            Exemplar { labels: exemplar.labels, v: exemplar.v, t: Some(exemplar.t) };
                        // Duplicates are part of a log that was replayed before.
                        let _ = self.head.exemplars.lock().add(&labels, exemplar);
                    }
                }
            }
            Record::Metadata(metadata) => {
                for metadata in metadata {
                    if let Some(series) = self.find(metadata.series, kind) {
                        self.head.metadata.lock().insert(series, Arc::new(metadata.metadata));
                    }
                }
            }
            Record::LateFollows(records) => self.late_follows = records,
            Record::MmapMarkers(_) | Record::LateCovered(_) | Record::Unknown(_) => {}
        }
        Ok(())
    }

    fn add_series(&mut self, RefSeries { series: log_ref, labels }: RefSeries) {
        self.head.table.reserve_log_ref(log_ref.0);
        // A table of 2^32 series does not get this far.
        let Ok((series, created)) = self.head.table.get_or_create(&labels, Some(log_ref.0)) else { return };
        if created {
            count(&self.head.counters.series, 1);
            count(&self.head.counters.series_created, 1);
        }
        if self.series.insert(log_ref.0, series).is_some() {
            return;
        }
        if self.pages.lock(series).is_none() {
            self.pages = self.head.table.pages();
        }
        let in_order = self.found.in_order.remove(&log_ref.0).unwrap_or_default();
        let late = self.found.late.remove(&log_ref.0).unwrap_or_default();
        let Some(mut guard) = self.pages.lock(series) else { return };
        guard.logged = true;
        if guard.is_empty() {
            guard.log_ref = log_ref.0;
        }
        self.attach(&mut guard, in_order, late);
    }

    /// Gives a series the chunks found for one of its numbers.
    fn attach(&self, series: &mut Series, in_order: Vec<ClosedChunk>, late: Vec<ClosedChunk>) {
        let chunks_before = series.chunks();
        for chunk in in_order.into_iter().filter(|chunk| chunk.max_t >= self.min_valid_t) {
            if series.insert_closed(chunk, &self.head.chunks) {
                self.head.times.note(chunk.min_t.max(self.min_valid_t), chunk.max_t);
            }
        }
        for chunk in late {
            self.head.times.note_late(chunk.min_t, chunk.max_t);
            series.late.get_or_insert_default().closed.push(LateChunk { chunk, commits: None });
        }
        self.head.counters.chunks_made((series.chunks() - chunks_before) as u64);
    }

    fn push_float(&mut self, reference: SeriesRef, sample: RefSample) {
        let Some(mut series) = self.pages.lock(reference) else { return };
        if sample.t <= series.last_t() {
            return;
        }
        if is_stale(sample.v)
            && let Some(mark) = stale_mark(&series, sample.v)
        {
            drop(series);
            return self.push_histogram(reference, (sample.t, sample.start_t), mark);
        }
        let before = series.tail();
        let RefSample { t, v, start_t, .. } = sample;
        if let Ok(made) = series.push_float(REPLAYED, t, v, start_t, self.rule, &self.head.chunks) {
            self.head.counters.chunks_made(u64::from(made));
            self.head.counters.tail_changed(before, series.tail());
            drop(series);
            widen(&mut self.span, sample.t);
        }
    }

    fn push_histogram(&mut self, reference: SeriesRef, (t, start_t): (i64, i64), v: HistogramSample) {
        let Some(mut series) = self.pages.lock(reference) else { return };
        if t <= series.last_t() {
            return;
        }
        let before = series.tail();
        if let Ok(made) = series.push_histogram(REPLAYED, t, &v, start_t, self.rule, &self.head.chunks) {
            self.head.counters.chunks_made(u64::from(made));
            self.head.counters.tail_changed(before, series.tail());
            drop(series);
            widen(&mut self.span, t);
        }
    }

    fn delete(&mut self, RefTombstone { series: log_ref, min_t, max_t }: RefTombstone, kind: &'static str) {
        self.head.table.reserve_log_ref(log_ref.0);
        if (min_t, max_t) == (i64::MIN, i64::MAX) {
            // The series as a whole was dropped; what comes after belongs to another of the same labels.
            if let Some(series) = self.series.remove(&log_ref.0)
                && let Some(mut guard) = self.pages.lock(series)
            {
                let before = guard.tail();
                self.head.counters.chunks_dropped(guard.chunks() as u64);
                guard.clear(&self.head.chunks);
                self.head.counters.tail_changed(before, guard.tail());
            }
            return;
        }
        // Late samples may be older than any in-order one.
        if let Some(series) = self.find(log_ref, kind) {
            self.tombstones.add(series.0, Interval { min_t, max_t });
        }
    }

    /// As [`Replay::apply`], for the out-of-order log.
    fn apply_late(&mut self, record: Record) -> Result<(), String> {
        let kind = record.kind();
        match record {
            Record::Samples(samples) => {
                for sample in samples {
                    self.insert_late(sample.series, kind, (sample.t, sample.start_t), Value::Float(sample.v));
                }
            }
            Record::Histograms(samples) => {
                for sample in samples {
                    let value = Value::Histogram(HistogramSample::Integer(sample.v));
                    self.insert_late(sample.series, kind, (sample.t, sample.start_t), value);
                }
            }
            Record::FloatHistograms(samples) => {
                for sample in samples {
                    let value = Value::Histogram(HistogramSample::Float(sample.v));
                    self.insert_late(sample.series, kind, (sample.t, sample.start_t), value);
                }
            }
            Record::MmapMarkers(markers) => {
                // A mark counts when its chunk is there. 0 stands for samples that went into a block.
                for marker in markers {
                    if marker.chunk != 0 && !self.found.late_places.contains(&marker.chunk) {
                        // A power cut took the chunk, and maybe its file: the mark must not mean another one day.
                        let behind = (marker.chunk >> 32 << 32).saturating_add(1 << 32);
                        if self.head.chunks.could_begin_at(behind) {
                            self.chunks_from = self.chunks_from.max(behind);
                        }
                        continue;
                    }
                    if let Some(series) = self.find(marker.series, kind)
                        && let Some(mut guard) = self.pages.lock(series)
                        && let Some(late) = &mut guard.late
                        && !late.open.is_empty()
                    {
                        late.open = Vec::new();
                        self.head.counters.chunks_dropped(1);
                    }
                }
            }
            Record::LateCovered(place) => {
                if !self.head.chunks.could_begin_at(place) {
                    return Err(format!("no head chunk file begins at {place:#x}"));
                }
                self.chunks_from = self.chunks_from.max(place);
                let series: Vec<_> = self.series.values().copied().collect();
                for series in series {
                    let Some(mut guard) = self.pages.lock(series) else { continue };
                    let before = guard.chunks();
                    if let Some(late) = &mut guard.late {
                        late.closed.retain(|late| late.chunk.at >= place);
                    }
                    self.head.counters.chunks_dropped((before - guard.chunks()) as u64);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn insert_late(
        &mut self,
        log_ref: SeriesRef,
        kind: &'static str,
        (t, start_t): (i64, i64),
        value: Value,
    ) {
        let Some(series) = self.find(log_ref, kind) else { return };
        let Some(mut guard) = self.pages.lock(series) else { return };
        let forms = self.rule.forms;
        let late = guard.late.get_or_insert_default();
        let opens = late.open.is_empty();
        if late.insert(LateSample::new(t, start_t, value, REPLAYED.id, forms)) {
            self.head.counters.chunks_made(u64::from(opens));
            self.head.times.note_late(t, t);
        }
    }

    /// Drops what turned out to be empty, and publishes the deletions. Returns the numbers that no series goes by.
    fn finish(mut self) -> Vec<(u64, i64)> {
        let head = self.head;
        self.tombstones.drop_before(self.min_valid_t.min(head.times.late_min_t.load(SeqCst)));
        *head.tombstones.write() = Arc::new(self.tombstones);
        let all = head.table.references();
        for series in &all {
            if let Some(mut guard) = self.pages.lock(*series)
                && guard.late.as_ref().is_some_and(|late| late.chunks() == 0)
            {
                guard.late = None;
            }
            if self.pages.lock(*series).is_some_and(|guard| guard.late.is_some()) {
                head.late_series.lock().insert(*series);
            }
        }
        let removed = head.table.remove(&all, |series| series.is_empty());
        head.counters.series.fetch_sub(removed.len() as u64, Relaxed);
        count(&head.counters.series_removed, removed.len() as u64);
        let spare = self.series.iter().filter_map(|(log_ref, series)| match self.pages.lock(*series) {
            Some(guard) if guard.log_ref == *log_ref => None,
            // Late samples may be of any time.
            Some(guard) if guard.late.is_some() => Some((*log_ref, i64::MAX)),
            Some(guard) => Some((*log_ref, guard.last_t())),
            None => Some((*log_ref, i64::MIN)),
        });
        spare.collect()
    }
}
