//! Tombstones: which times of which series are deleted.
//!
//! File: `u32 magic | u8 version | n × (uvarint series, varint min_t, varint max_t) | u32 crc` over the entries alone.
//! Source: Prometheus `tsdb/tombstones/tombstones.go`.

use std::collections::BTreeMap;
use std::path::Path;

use storage_base::block::publish::replace_file;
use storage_base::bytes::crc::Crc32c;
use storage_base::bytes::reader::{ByteReader, Truncated};
use storage_base::bytes::varint::{put_uvarint, put_varint};
use storage_base::fs::Disk;
use storage_base::{Corruption, StorageError};

use crate::format::{TOMBSTONES_FILE, TOMBSTONES_MAGIC, TOMBSTONES_VERSION};

const HEADER_LEN: usize = 5;
/// Length of a file without deletions: header and checksum.
pub const EMPTY_LEN: u64 = 9;

/// Milliseconds from the first to the last, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    /// First millisecond.
    pub min_t: i64,
    /// Last millisecond.
    pub max_t: i64,
}

/// Times as ascending intervals with gaps between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intervals(Vec<Interval>);

impl Intervals {
    /// No time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an interval; what it overlaps or touches becomes one with it. One that ends before it begins adds nothing.
    pub fn add(&mut self, added: Interval) {
        if added.max_t < added.min_t {
            return;
        }
        let list = &mut self.0;
        let from = list.partition_point(|i| i.max_t < added.min_t.saturating_sub(1));
        let until = list.partition_point(|i| i.min_t <= added.max_t.saturating_add(1)).max(from);
        let merged = list.get(from..until).unwrap_or_default().iter().fold(added, |merged, i| Interval {
            min_t: merged.min_t.min(i.min_t),
            max_t: merged.max_t.max(i.max_t),
        });
        list.splice(from..until, [merged]);
    }

    /// Whether a time is in one of them.
    pub fn contains(&self, t: i64) -> bool {
        self.0.get(self.0.partition_point(|i| i.max_t < t)).is_some_and(|i| i.min_t <= t)
    }

    /// Whether one of them holds all of `min_t..=max_t`.
    pub fn covers(&self, min_t: i64, max_t: i64) -> bool {
        self.0
            .get(self.0.partition_point(|i| i.max_t < min_t))
            .is_some_and(|i| i.min_t <= min_t && max_t <= i.max_t)
    }

    /// Whether one of them has a part in `min_t..=max_t`.
    pub fn overlap(&self, min_t: i64, max_t: i64) -> bool {
        self.0.get(self.0.partition_point(|i| i.max_t < min_t)).is_some_and(|i| i.min_t <= max_t)
    }

    /// The intervals, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Interval> + '_ {
        self.0.iter().copied()
    }

    /// How many intervals there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets intervals that end before a time.
    pub fn drop_before(&mut self, t: i64) {
        self.0.drain(..self.0.partition_point(|i| i.max_t < t));
    }
}

impl FromIterator<Interval> for Intervals {
    fn from_iter<T: IntoIterator<Item = Interval>>(iter: T) -> Self {
        let mut intervals = Self::new();
        iter.into_iter().for_each(|interval| intervals.add(interval));
        intervals
    }
}

/// Deleted times by series, the series numbered as its block or head numbers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tombstones(BTreeMap<u64, Intervals>);

impl Tombstones {
    /// Nothing deleted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Deletes a time of a series.
    pub fn add(&mut self, series: u64, interval: Interval) {
        // A range that ends before it begins deletes nothing; the series must not look as if something were deleted.
        if interval.min_t <= interval.max_t {
            self.0.entry(series).or_default().add(interval);
        }
    }

    /// What is deleted of a series.
    pub fn get(&self, series: u64) -> Option<&Intervals> {
        self.0.get(&series)
    }

    /// Forgets a series.
    pub fn remove(&mut self, series: u64) {
        self.0.remove(&series);
    }

    /// All series with deleted times, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Intervals)> {
        self.0.iter().map(|(&series, intervals)| (series, intervals))
    }

    /// Number of intervals of all series.
    pub fn len(&self) -> u64 {
        self.0.values().map(|intervals| intervals.len() as u64).sum()
    }

    /// Whether nothing is deleted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets intervals that end before a time.
    pub fn drop_before(&mut self, t: i64) {
        self.0.retain(|_, intervals| {
            intervals.drop_before(t);
            !intervals.is_empty()
        });
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = TOMBSTONES_MAGIC.to_be_bytes().to_vec();
        bytes.push(TOMBSTONES_VERSION);
        for (series, intervals) in self.iter() {
            for interval in intervals.iter() {
                put_uvarint(&mut bytes, series);
                put_varint(&mut bytes, interval.min_t);
                put_varint(&mut bytes, interval.max_t);
            }
        }
        let crc = Crc32c::of(bytes.get(HEADER_LEN..).unwrap_or_default());
        bytes.extend_from_slice(&crc.to_bytes());
        bytes
    }

    /// Reads the file's bytes; `file` is its name for messages.
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self, Corruption> {
        let corrupt = |offset: usize, reason: String| Corruption {
            file: file.to_owned(),
            offset: offset as u64,
            reason,
        };
        let short = || corrupt(bytes.len(), "tombstones file is too short".into());
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or_else(short)?;
        let ([m0, m1, m2, m3, version], entries) =
            body.split_first_chunk::<HEADER_LEN>().ok_or_else(short)?;
        let magic = u32::from_be_bytes([*m0, *m1, *m2, *m3]);
        if magic != TOMBSTONES_MAGIC {
            return Err(corrupt(0, format!("not a tombstones file: magic number {magic:08x}")));
        }
        if *version != TOMBSTONES_VERSION {
            return Err(corrupt(4, format!("unknown version {version} of a tombstones file")));
        }
        if *crc != Crc32c::of(entries).to_bytes() {
            return Err(corrupt(body.len(), "checksum of the tombstones does not match".into()));
        }
        let mut stones = Vec::new();
        let mut reader = ByteReader::new(entries);
        while !reader.is_empty() {
            let at = body.len() - reader.len();
            let mut entry =
                || Ok((reader.uvarint()?, Interval { min_t: reader.varint()?, max_t: reader.varint()? }));
            let (series, interval) =
                entry().map_err(|Truncated| corrupt(at, "tombstone is cut off".into()))?;
            stones.push((series, interval));
        }
        // In order each addition is at the end.
        stones.sort_unstable();
        let mut tombstones = Self::new();
        stones.into_iter().for_each(|(series, interval)| tombstones.add(series, interval));
        Ok(tombstones)
    }

    /// Reads the tombstones of the block in a directory; a missing file means none. Also returns the file's length.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<(Self, u64), StorageError> {
        let path = dir.join(TOMBSTONES_FILE);
        let file = disk.display(&path);
        match disk.read(&path).map_err(StorageError::io_while("reading", &file)) {
            Ok(bytes) => Ok((Self::from_bytes(&bytes, &file)?, bytes.len() as u64)),
            Err(e) if e.is_missing() => Ok((Self::new(), 0)),
            Err(e) => Err(e),
        }
    }

    /// Length of the file of the block in a directory.
    pub fn file_len(disk: &dyn Disk, dir: &Path) -> Result<u64, StorageError> {
        let path = dir.join(TOMBSTONES_FILE);
        let stat = disk.stat(&path).map_err(StorageError::io_while("examining", disk.display(&path)))?;
        Ok(stat.len)
    }

    /// Replaces the tombstones of the block in a directory. Returns the file's length.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<u64, StorageError> {
        replace_file(disk, dir, TOMBSTONES_FILE, &self.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn interval() -> impl Strategy<Value = Interval> {
        (-20..20i64, -3..15i64).prop_map(|(min_t, len)| Interval { min_t, max_t: min_t + len })
    }

    #[test]
    fn empty_ranges_leave_no_trace() {
        let mut tombstones = Tombstones::new();
        tombstones.add(37, Interval { min_t: 5, max_t: -22 });
        assert_eq!(tombstones, Tombstones::new());
        assert_eq!(Tombstones::from_bytes(&tombstones.to_bytes(), "t"), Ok(tombstones));
    }

    proptest! {
        #[test]
        fn intervals_are_sets_of_times(added in prop::collection::vec(interval(), 0..12), a in -25..40i64, len in 0..10i64, before in -25..40i64) {
            let mut intervals: Intervals = added.iter().copied().collect();
            let mut times: BTreeSet<i64> = added.iter().flat_map(|i| i.min_t..=i.max_t).collect();
            for t in -30..50 {
                prop_assert_eq!(intervals.contains(t), times.contains(&t));
            }
            prop_assert!(intervals.0.windows(2).all(|w| w[0].max_t + 1 < w[1].min_t), "{:?}", intervals);
            prop_assert_eq!(intervals.covers(a, a + len), (a..=a + len).all(|t| times.contains(&t)));
            prop_assert_eq!(intervals.overlap(a, a + len), (a..=a + len).any(|t| times.contains(&t)));
            intervals.drop_before(before);
            times.retain(|t| *t >= before);
            prop_assert!((before..50).all(|t| intervals.contains(t) == times.contains(&t)));
        }

        #[test]
        fn what_was_written_is_read(entries in prop::collection::vec((any::<u64>(), any::<i64>(), any::<i64>()), 0..20)) {
            let mut tombstones = Tombstones::new();
            for (series, a, b) in entries {
                tombstones.add(series, Interval { min_t: a.min(b), max_t: a.max(b) });
            }
            prop_assert_eq!(Tombstones::from_bytes(&tombstones.to_bytes(), "t"), Ok(tombstones));
        }

        #[test]
        fn hostile_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut file = TOMBSTONES_MAGIC.to_be_bytes().to_vec();
            file.push(TOMBSTONES_VERSION);
            file.extend_from_slice(&bytes);
            file.extend_from_slice(&Crc32c::of(&bytes).to_bytes());
            let _ = Tombstones::from_bytes(&file, "t");
            let _ = Tombstones::from_bytes(&bytes, "t");
        }
    }

    #[test]
    fn ends_of_time_do_not_overflow() {
        let mut intervals = Intervals::new();
        intervals.add(Interval { min_t: 5, max_t: i64::MAX });
        intervals.add(Interval { min_t: i64::MIN, max_t: -5 });
        assert_eq!(intervals.len(), 2);
        intervals.add(Interval { min_t: i64::MIN, max_t: i64::MAX });
        assert!(intervals.covers(i64::MIN, i64::MAX) && intervals.len() == 1);
    }

    #[test]
    fn bytes_are_prometheus_bytes() {
        let mut tombstones = Tombstones::new();
        tombstones.add(300, Interval { min_t: -1, max_t: 64 });
        let bytes = tombstones.to_bytes();
        assert_eq!(bytes[..10], [0x01, 0x30, 0xba, 0x30, 1, 0xac, 0x02, 0x01, 0x80, 0x01]);
        for (at, offset, reason) in [(0, 0, "not a tombstones"), (4, 4, "version"), (7, 10, "checksum")] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 8;
            let e = Tombstones::from_bytes(&bytes, "t").unwrap_err();
            assert_eq!(e.offset, offset, "{e}");
            assert!(e.reason.contains(reason), "{e}");
        }
    }
}
