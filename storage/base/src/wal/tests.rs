//! Writer, reader and repair together, on a disk that fails.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::reader::ReadLogError;
use super::repair::repair;
use super::writer::WriterOptions;
use super::*;
use crate::format::{WAL_ASIDE, WAL_PAGE};
use crate::fs::{Disk, SimDisk};
use crate::wal::Compression;

const DIR: &str = "wal";
const PAGE: u64 = WAL_PAGE as u64;

fn new_disk(seed: u64) -> (SimDisk, Arc<dyn Disk>) {
    let disk = SimDisk::new(seed);
    (disk.clone(), Arc::new(disk))
}

fn open(disk: &Arc<dyn Disk>, compression: Compression, pages: u64) -> Writer {
    let options = WriterOptions { compression, segment_len: pages * PAGE };
    Writer::open(Arc::clone(disk), Path::new(DIR), options).unwrap()
}

/// A record of `len` bytes that tells its number; half of it compresses.
fn record(number: usize, len: usize) -> Vec<u8> {
    let mut bytes = (number as u32).to_be_bytes().to_vec();
    let mut x = number as u64;
    bytes.extend((0..len.saturating_sub(4)).map(|i| {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if i % 2 == 0 { 0 } else { (x >> 56) as u8 }
    }));
    bytes
}

fn batch(records: &[Vec<u8>]) -> Batch {
    let mut batch = Batch::new();
    for record in records {
        batch.push(|out| out.extend_from_slice(record));
    }
    batch
}

fn read_all(disk: &Arc<dyn Disk>) -> (Vec<Vec<u8>>, Option<Damage>) {
    let mut reader = Reader::open_all(Arc::clone(disk), Path::new(DIR)).unwrap();
    let mut records = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(raw)) => records.push(raw.bytes.to_vec()),
            Ok(None) => return (records, None),
            Err(ReadLogError::Damaged(damage)) => {
                assert!(matches!(reader.next(), Ok(None)));
                return (records, Some(*damage));
            }
            Err(e) => panic!("{e}"),
        }
    }
}

fn compression() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(Compression::None), Just(Compression::Snappy), Just(Compression::Zstd)]
}

/// Lengths of the records of some batches.
fn batches() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let len = prop_oneof![10 => 4usize..300, 3 => 32_000..33_000usize, 1 => 4..150_000usize];
    prop::collection::vec(prop::collection::vec(len, 1..6), 1..12)
}

fn numbered(batches: &[Vec<usize>]) -> Vec<Vec<Vec<u8>>> {
    let mut number = 0;
    let mut next = |len: &usize| {
        number += 1;
        record(number, *len)
    };
    batches.iter().map(|lens| lens.iter().map(&mut next).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_logged_is_read(batches in batches(), compression in compression(), pages in 1u64..5, reopen in 0usize..12) {
        let (_, disk) = new_disk(0);
        let batches = numbered(&batches);
        let mut writer = open(&disk, compression, pages);
        for (i, records) in batches.iter().enumerate() {
            if i == reopen {
                writer = open(&disk, compression, pages);
            }
            writer.log(&batch(records)).unwrap();
        }
        let last = writer.position();
        writer.close().unwrap();
        let want: Vec<Vec<u8>> = batches.concat();
        prop_assert_eq!(read_all(&disk), (want.clone(), None));

        // Records tell where they are, and one can start at any of them.
        let mut reader = Reader::open_all(Arc::clone(&disk), Path::new(DIR)).unwrap();
        let mut places = Vec::new();
        while let Some(raw) = reader.next().unwrap() {
            prop_assert!(raw.end > raw.offset);
            places.push(Position { segment: raw.segment, offset: raw.offset });
        }
        prop_assert!(places.is_sorted() && places.iter().all(|&place| place < last));
        let from = places[places.len() / 2];
        let mut reader =
            Reader::open(Arc::clone(&disk), Path::new(DIR), from.segment, from.offset, u64::MAX).unwrap();
        let mut rest = Vec::new();
        while let Some(raw) = reader.next().unwrap() {
            rest.push(raw.bytes.to_vec());
        }
        prop_assert_eq!(&rest[..], &want[places.len() / 2..]);
        for segment in segment::list(&*disk, Path::new(DIR)).unwrap() {
            prop_assert!(segment.len % PAGE == 0 || reopen < batches.len());
            prop_assert!(segment.len <= pages * PAGE || segment.len <= 150_000 + 5 * 7 + PAGE);
        }
    }

    /// A full disk, at any place: failed batches leave nothing, others everything, and the log goes on.
    #[test]
    fn full_disk(batches in batches(), room in 0u64..300_000, pages in 1u64..5, seed: u64) {
        let (sim, disk) = new_disk(seed);
        let batches = numbered(&batches);
        let mut writer = open(&disk, Compression::None, pages);
        sim.set_capacity(Some(room));
        let mut kept = Vec::new();
        let mut failed = 0;
        for records in &batches {
            let before = writer.position();
            match writer.log(&batch(records)) {
                Ok(()) => kept.extend(records.iter().cloned()),
                Err(e) => {
                    prop_assert!(e.is_disk_full());
                    prop_assert_eq!(writer.position(), before);
                    failed += 1;
                }
            }
        }
        prop_assert_eq!(writer.stats().writes_failed, failed);
        prop_assert_eq!(read_all(&disk), (kept.clone(), None));
        sim.set_capacity(None);
        writer.log(&batch(&[record(0, 40_000)])).unwrap();
        kept.push(record(0, 40_000));
        writer.close().unwrap();
        prop_assert_eq!(read_all(&disk), (kept, None));
    }

    /// Loss of power at any operation: after repair the log is a prefix of what was logged, with all that was synced.
    #[test]
    fn power_cut(
        batches in batches(), pages in 1u64..5, sync_every in 1usize..6, at in 0u64..40, seed: u64, power: bool,
        compression in compression(),
    ) {
        let (sim, disk) = new_disk(seed);
        let batches = numbered(&batches);
        let mut writer = open(&disk, compression, pages);
        sim.fail_after(at);
        let (mut safe, mut logged) = (0, 0);
        for (i, records) in batches.iter().enumerate() {
            if writer.log(&batch(records)).is_err() {
                break;
            }
            logged += records.len();
            if i % sync_every == 0 {
                if writer.sync().is_err() {
                    break;
                }
                safe = logged;
            }
        }
        if power {
            sim.power_cut();
        } else {
            sim.kill();
            safe = logged;
        }
        let want = batches.concat();
        let (_, damage) = read_all(&disk);
        if let Some(damage) = damage {
            let repaired = repair(&*disk, &damage).unwrap();
            prop_assert_eq!(repaired.aside.is_empty(), damage.torn);
        }
        let (got, damage) = read_all(&disk);
        prop_assert_eq!(damage, None);
        prop_assert!(got.len() >= safe, "{} records of {} synced", got.len(), safe);
        prop_assert!(got[..] == want[..got.len()], "{} records are not a prefix", got.len());
        // What a crash cost is never a part of a batch that was logged and survived the process.
        prop_assert!(power || got.len() >= logged);
        let mut writer = open(&disk, compression, pages);
        writer.log(&batch(&[record(9999, 100)])).unwrap();
        prop_assert_eq!(read_all(&disk).0.pop(), Some(record(9999, 100)));
    }

    /// A flipped bit: what is before it is kept, the rest is put aside, and the repair may itself be interrupted.
    #[test]
    fn rot(batches in batches(), pages in 1u64..5, bit: prop::sample::Index, pick: prop::sample::Index, at in 0u64..12, seed: u64) {
        let (sim, disk) = new_disk(seed);
        let want = numbered(&batches).concat();
        let mut writer = open(&disk, Compression::None, pages);
        for record in &want {
            writer.log(&batch(std::slice::from_ref(record))).unwrap();
        }
        writer.close().unwrap();
        let segments = segment::list(&*disk, Path::new(DIR)).unwrap();
        let rotten = &segments[pick.index(segments.len())];
        sim.flip_bit(&rotten.path, bit.index(rotten.len as usize * 8) as u64).unwrap();
        let (before, damage) = read_all(&disk);
        // Flips in compression bits and in the zeros behind the last record of a page may go unseen.
        if let Some(damage) = damage {
            prop_assert_eq!(damage.segment.number, rotten.number);
            prop_assert_eq!(&damage.corruption.file, &disk.display(&rotten.path));
            sim.fail_after(at);
            let _ = repair(&*disk, &damage);
            sim.power_cut();
            let (_, damage) = read_all(&disk);
            if let Some(damage) = damage {
                repair(&*disk, &damage).unwrap();
            }
            let (got, damage) = read_all(&disk);
            prop_assert_eq!(damage, None);
            prop_assert_eq!(&got[..], &before[..]);
            prop_assert_eq!(&got[..], &want[..got.len()]);
        }
    }
}

#[test]
fn damage_names_file_and_offset_and_nothing_is_deleted() {
    let (sim, disk) = new_disk(0);
    let mut writer = open(&disk, Compression::None, 1);
    for n in 0..3 {
        for i in 0..3 {
            writer.log(&batch(&[record(3 * n + i, 100)])).unwrap();
        }
        writer.next_segment().unwrap();
    }
    writer.close().unwrap();
    // A byte of the second record's data in segment 1.
    sim.flip_bit(Path::new("wal/00000001"), (107 + 50) * 8).unwrap();
    let (records, damage) = read_all(&disk);
    let damage = damage.unwrap();
    assert_eq!(records.len(), 4);
    assert_eq!((damage.offset, damage.torn), (107, false));
    let message = damage.corruption.to_string();
    assert!(message.starts_with("wal/00000001: corrupt at offset 107: checksum is "), "{message}");
    let repaired = repair(&*disk, &damage).unwrap();
    let aside = ["wal/00000001.corrupt", "wal/00000002.corrupt", "wal/00000003.corrupt"];
    assert_eq!(repaired.aside, aside);
    let action = format!("wal/00000001: cut at offset 107; kept aside: {}", aside.join(", "));
    assert_eq!(repaired.action, action);
    assert_eq!(disk.stat(Path::new("wal/00000001.corrupt")).unwrap().len, PAGE);
    // The same again takes another name.
    sim.flip_bit(Path::new("wal/00000001"), 8 * 20).unwrap();
    let damage = read_all(&disk).1.unwrap();
    assert_eq!(repair(&*disk, &damage).unwrap().aside, ["wal/00000001.corrupt.1"]);
    assert_eq!(read_all(&disk).0.len(), 3);
    assert!(disk.list(Path::new(DIR)).unwrap().iter().any(|e| e.name.ends_with(WAL_ASIDE)));
}

#[test]
fn a_missing_segment_is_damage() {
    let (_, disk) = new_disk(0);
    let mut writer = open(&disk, Compression::None, 1);
    for n in 0..4 {
        writer.log(&batch(&[record(n, 10)])).unwrap();
        writer.next_segment().unwrap();
    }
    writer.close().unwrap();
    disk.remove_file(Path::new("wal/00000001")).unwrap();
    let (records, damage) = read_all(&disk);
    let damage = damage.unwrap();
    assert_eq!(records, [record(0, 10)]);
    let message = damage.corruption.to_string();
    assert_eq!(message, "wal/00000000: corrupt at offset 32768: segment 1 is missing after it");
    let aside = repair(&*disk, &damage).unwrap().aside;
    assert_eq!(aside, ["wal/00000002.corrupt", "wal/00000003.corrupt", "wal/00000004.corrupt"]);
    assert_eq!(read_all(&disk), (records, None));
}

#[test]
fn a_torn_end_is_cut_in_place() {
    let (sim, disk) = new_disk(0);
    let mut writer = open(&disk, Compression::None, 4);
    writer.log(&batch(&[record(1, 50_000), record(2, 50_000)])).unwrap();
    drop(writer);
    sim.cut_file(Path::new("wal/00000000"), 70_000).unwrap();
    let (records, damage) = read_all(&disk);
    let damage = damage.unwrap();
    assert_eq!((records, damage.torn, damage.offset), (vec![record(1, 50_000)], true, 50_014));
    assert_eq!(repair(&*disk, &damage).unwrap().aside, [""; 0]);
    assert_eq!(read_all(&disk), (vec![record(1, 50_000)], None));
    assert_eq!(disk.stat(Path::new("wal/00000000")).unwrap().len, 50_014);
}

#[test]
fn sync_runs_apart_from_the_writer() {
    let (sim, disk) = new_disk(0);
    let mut writer = open(&disk, Compression::None, 1);
    writer.log(&batch(&[record(1, 20_000)])).unwrap();
    assert!(!writer.has_finished());
    writer.log(&batch(&[record(2, 20_000)])).unwrap();
    assert!(writer.has_finished());
    let pending = writer.begin_sync_finished();
    assert!(!writer.has_finished());
    assert_eq!(pending.run().unwrap(), Position { segment: 1, offset: 0 });
    let pending = writer.begin_sync().unwrap();
    writer.log(&batch(&[record(3, 1000)])).unwrap();
    assert_eq!(pending.run().unwrap(), Position { segment: 1, offset: 20_007 });
    sim.power_cut();
    let (records, _) = read_all(&disk);
    assert!(records.starts_with(&[record(1, 20_000), record(2, 20_000)]));
    let stats = writer.stats();
    assert_eq!((stats.record_parts, stats.page_flushes), (3, 3));
    assert_eq!(stats.record_part_bytes, 41_021);
}

#[test]
fn segment_size_must_be_whole_pages() {
    let (_, disk) = new_disk(0);
    for segment_len in [0, PAGE - 1, PAGE + 1] {
        let options = WriterOptions { compression: Compression::None, segment_len };
        assert!(Writer::open(Arc::clone(&disk), Path::new(DIR), options).is_err());
    }
}

#[test]
fn records_that_belong_together_lie_in_one_segment() {
    let record = |n: u8, len: usize| {
        move |out: &mut Vec<u8>| out.extend((0..len).map(|i| n ^ (i as u8).wrapping_mul(97)))
    };
    let segment_len = 2 * WAL_PAGE as u64;
    for first in (0..2 * WAL_PAGE - 400).step_by(97) {
        for (lens, fits) in [
            (&[3usize, 200, 60][..], true),
            (&[3, WAL_PAGE, WAL_PAGE / 2], true),
            (&[3, 3 * WAL_PAGE], false),
        ] {
            let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
            let dir = Path::new("wal");
            let options = WriterOptions { compression: Compression::None, segment_len };
            let mut log = Writer::open(disk.clone(), dir, options).unwrap();
            let mut batch = Batch::new();
            batch.push(record(0, first + 1));
            batch.keep_together();
            for (n, len) in lens.iter().enumerate() {
                batch.push(record(n as u8 + 1, *len));
            }
            log.log(&batch).unwrap();
            log.close().unwrap();
            let mut reader = Reader::open_all(disk, dir).unwrap();
            let (mut found, mut segments) = (Vec::new(), Vec::new());
            while let Some(raw) = reader.next().unwrap() {
                found.push(raw.bytes.to_vec());
                segments.push(raw.segment);
            }
            assert_eq!(found, batch.records().map(<[u8]>::to_vec).collect::<Vec<_>>());
            assert_eq!(segments[1..].windows(2).all(|pair| pair[0] == pair[1]), fits, "{first} {lens:?}");
        }
    }
}

#[test]
fn ended_segments_are_counted_as_synced() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let mut log = Writer::open(disk, Path::new("wal"), WriterOptions::default()).unwrap();
    assert_eq!(log.stats().syncs, 0);
    log.next_segment().unwrap();
    log.next_segment().unwrap();
    assert_eq!(log.stats().syncs, 2);
}
