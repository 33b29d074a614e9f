//! A first look at the logs, before anything of them is replayed: damage is found and repaired, so that new segments
//! can follow what is sound, and what must be known before a sample is taken or a query answered is gathered.
//!
//! All checksums are verified, by all cores; of the write-ahead log nothing is decompressed but series and deletions.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use storage_base::StorageError;
use storage_base::fs::Disk;
use storage_base::observer::{Event, Observer};
use storage_base::wal::checkpoint::{self, Checkpoint};
use storage_base::wal::reader::ReadLogError;
use storage_base::wal::repair::repair;
use storage_base::wal::{Position, Reader, StoredRecord, compress, parts, segment};

use crate::blocks::tombstones::Interval;
use crate::format::{WAL_DIR, WBL_DIR};
use crate::head::table::LOG_REF_MAX;
use crate::record::{self, Decoder, LogRef, Record, RefTombstone};

/// What the logs say of themselves.
#[derive(Debug, Default)]
pub struct LogScan {
    /// Stands for the segments before it.
    pub checkpoint: Option<Checkpoint>,
    /// Repairs of the write-ahead log.
    pub wal_corruptions: u64,
    /// Repairs of the out-of-order log.
    pub wbl_corruptions: u64,
    /// Numbers by which records name series, and that no other series may get: lowest and highest.
    pub numbers: Option<(LogRef, LogRef)>,
    /// Time of the newest sample in the write-ahead log, if that was asked for and there is one.
    pub max_t: Option<i64>,
    /// Deleted times by the series' number, but for series that were dropped as a whole.
    pub deletions: HashMap<LogRef, Vec<Interval>>,
    /// OutOfOrder head chunks below any of these places are in blocks, if it is a place at all.
    pub out_of_order_covered: Vec<u64>,
    /// Bytes of records in both logs, as they are stored.
    pub bytes: u64,
}

/// Looks at the logs of a data directory and repairs them. `times` asks for [`LogScan::max_t`], which takes reading all
/// samples.
pub fn scan_logs(
    disk: &Arc<dyn Disk>,
    times: bool,
    observer: &dyn Observer,
) -> Result<LogScan, StorageError> {
    let mut scanner = Scanner::new(disk, observer, times);
    let wal = Path::new(WAL_DIR);
    let checkpoint = checkpoint::last(&**disk, wal)?;
    let mut first = 0;
    if let Some(checkpoint) = &checkpoint {
        first = checkpoint.segment + 1;
        scanner.found.wal_corruptions +=
            u64::from(scanner.log(&checkpoint.dir, 0, Tail::Whole, Scanner::wal_record)?);
    }
    scanner.found.wal_corruptions += u64::from(scanner.gap(wal, first, checkpoint.as_ref())?);
    scanner.found.wal_corruptions +=
        u64::from(scanner.log(wal, first, Tail::MayBeTorn, Scanner::wal_record)?);
    let wbl = Path::new(WBL_DIR);
    scanner.found.wbl_corruptions += u64::from(scanner.log(wbl, 0, Tail::MayBeTorn, Scanner::wbl_record)?);
    Ok(LogScan { checkpoint, ..scanner.found })
}

impl LogScan {
    /// Takes a number into account.
    pub fn note_number(&mut self, number: LogRef) {
        note_number(&mut self.numbers, number);
    }

    /// Adds what a later part of a log says.
    fn add(&mut self, part: Self) {
        let (first, last) = part.numbers.unzip();
        first.into_iter().chain(last).for_each(|number| self.note_number(number));
        self.max_t = self.max_t.max(part.max_t);
        for (number, deletions) in part.deletions {
            self.deletions.entry(number).or_default().extend(deletions);
        }
        self.out_of_order_covered.extend(part.out_of_order_covered);
        self.bytes += part.bytes;
    }
}

/// How a log may end that nothing was lost of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Within a record, where a crash broke off writing.
    MayBeTorn,
    /// Behind a record: it was complete before it got its name.
    Whole,
}

/// What to do with each record.
type Visit<'l> = fn(&mut Scanner<'l>, &StoredRecord<'_>);

struct Scanner<'l> {
    disk: &'l Arc<dyn Disk>,
    observer: &'l dyn Observer,
    times: bool,
    decoder: Decoder,
    /// The last record that was decompressed.
    record: Vec<u8>,
    found: LogScan,
}

impl<'l> Scanner<'l> {
    fn new(disk: &'l Arc<dyn Disk>, observer: &'l dyn Observer, times: bool) -> Self {
        let found = LogScan::default();
        Self { disk, observer, times, decoder: Decoder::default(), record: Vec::new(), found }
    }

    /// Whether segments are missing between a checkpoint, or the log's beginning, and the first that is there. Reported
    /// only: segments that follow are as good as ever.
    fn gap(&self, dir: &Path, first: u64, checkpoint: Option<&Checkpoint>) -> Result<bool, StorageError> {
        let segments = segment::list(&**self.disk, dir)?;
        let Some(found) = segments.iter().find(|segment| segment.number >= first) else { return Ok(false) };
        if found.number == first {
            return Ok(false);
        }
        self.observer.event(&Event::SegmentsMissing {
            missing: self.disk.display(&segment::path(dir, first)),
            found: self.disk.display(&found.path),
            checkpoint: checkpoint.map(|checkpoint| self.disk.display(&checkpoint.dir)),
        });
        Ok(true)
    }

    /// Reads a log to its end and repairs it when it is damaged. Returns whether anything that was once whole is lost.
    fn log(&mut self, dir: &Path, first: u64, tail: Tail, visit: Visit<'l>) -> Result<bool, StorageError> {
        let first = self.sound_segments(dir, first, visit)?;
        let mut reader = Reader::open(self.disk.clone(), dir, first, 0, u64::MAX)?;
        let damage = loop {
            match reader.next_stored() {
                Ok(Some(stored)) => {
                    self.found.bytes += stored.stored.len() as u64;
                    visit(self, &stored);
                }
                Ok(None) => return Ok(false),
                Err(ReadLogError::Storage(e)) => return Err(e),
                Err(ReadLogError::Damaged(damage)) => break damage,
            }
        };
        let repair = repair(&**self.disk, &damage)?;
        let torn = damage.torn && tail == Tail::MayBeTorn;
        if !torn {
            self.observer.event(&Event::repaired(damage.corruption, repair.action));
        }
        Ok(!torn)
    }

    /// Reads the segments of a log from one on, by all cores, up to the first that is damaged or has none behind it
    /// where one is missing. Returns the number of the segment to go on with.
    fn sound_segments(&mut self, dir: &Path, first: u64, visit: Visit<'l>) -> Result<u64, StorageError> {
        let mut segments = segment::list(&**self.disk, dir)?;
        segments.retain(|segment| segment.number >= first);
        let gap = segments.windows(2).position(|pair| pair[0].number + 1 != pair[1].number);
        segments.truncate(gap.unwrap_or(segments.len()));
        let mut cut = Vec::new();
        for segment in &segments {
            cut.extend(parts::of_segment(&**self.disk, segment)?);
        }
        let (disk, observer, times) = (self.disk, self.observer, self.times);
        let scanner = |&(from, to): &(Position, Position)| {
            let mut reader = Reader::open_between(disk.clone(), dir, from, to).ok()?;
            let mut scanner = Scanner::new(disk, observer, times);
            while let Some(stored) = reader.next_stored().ok()? {
                scanner.found.bytes += stored.stored.len() as u64;
                visit(&mut scanner, &stored);
            }
            Some(scanner.found)
        };
        let scans: Vec<Option<LogScan>> = cut.par_iter().with_max_len(1).map(scanner).collect();
        let parts: Vec<_> = cut.iter().zip(scans).collect();
        let damaged = parts.iter().find(|(_, scan)| scan.is_none()).map(|((from, _), _)| from.segment);
        let end = damaged.unwrap_or(segments.last().map_or(first, |last| last.number + 1));
        for ((from, _), scan) in parts {
            if let Some(scan) = scan.filter(|_| from.segment < end) {
                self.found.add(scan);
            }
        }
        Ok(end)
    }

    // What makes no sense in a record is for replay to report.

    fn wal_record(&mut self, stored: &StoredRecord<'_>) {
        let kind = compress::first_byte(stored.codec, stored.stored);
        let wanted = |kind| {
            record::is_series(kind) || record::is_tombstones(kind) || (self.times && record::is_samples(kind))
        };
        if kind.is_some_and(|kind| !wanted(kind))
            || compress::decompress(stored.codec, stored.stored, &mut self.record).is_err()
        {
            return;
        }
        let Some(&kind) = self.record.first() else { return };
        if record::is_series(kind) {
            let numbers = &mut self.found.numbers;
            let _ = record::each_series_number(&self.record, |number| note_number(numbers, number));
        } else if record::is_floats(kind) && self.times {
            let max_t = &mut self.found.max_t;
            let _ = record::each_float(&self.record, |sample| *max_t = (*max_t).max(Some(sample.t)));
        } else if wanted(kind) {
            self.decoded();
        }
    }

    fn decoded(&mut self) {
        let max_t = &mut self.found.max_t;
        match self.decoder.decode(&self.record) {
            Ok(Record::Histograms(samples)) => *max_t = samples.iter().map(|s| s.t).max().max(*max_t),
            Ok(Record::FloatHistograms(samples)) => *max_t = samples.iter().map(|s| s.t).max().max(*max_t),
            Ok(Record::Tombstones(tombstones)) => {
                for RefTombstone { series, min_t, max_t } in tombstones {
                    note_number(&mut self.found.numbers, series);
                    if (min_t, max_t) != (i64::MIN, i64::MAX) {
                        let deleted = self.found.deletions.entry(series).or_default();
                        deleted.push(Interval { min_t, max_t });
                    }
                }
            }
            _ => {}
        }
    }

    fn wbl_record(&mut self, stored: &StoredRecord<'_>) {
        if compress::decompress(stored.codec, stored.stored, &mut self.record).is_err() {
            return;
        }
        let Ok(record) = self.decoder.decode(&self.record) else { return };
        let numbers = &mut self.found.numbers;
        let mut note = |number| note_number(numbers, number);
        match record {
            Record::Samples(samples) => samples.iter().for_each(|s| note(s.series)),
            Record::Histograms(samples) => samples.iter().for_each(|s| note(s.series)),
            Record::FloatHistograms(samples) => samples.iter().for_each(|s| note(s.series)),
            Record::MmapMarkers(markers) => markers.iter().for_each(|m| note(m.series)),
            Record::OutOfOrderCovered(place) => self.found.out_of_order_covered.push(place),
            _ => {}
        }
    }
}

fn note_number(numbers: &mut Option<(LogRef, LogRef)>, number: LogRef) {
    if number > LOG_REF_MAX {
        return;
    }
    let (first, last) = numbers.get_or_insert((number, number));
    *first = (*first).min(number);
    *last = (*last).max(number);
}
