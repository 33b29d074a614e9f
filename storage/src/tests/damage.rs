//! Damage, nonsense in the logs and a full disk: what is told of it, and what survives.

use std::path::Path;
use std::sync::Arc;

use model::Matcher;
use model::append::{AppendError, Appendable};
use storage_base::fs::{Disk, SimDisk};
use storage_base::wal::{self, Batch, WriterOptions};
use storage_metrics::record::{self, LogRef, RefMmapMarker, RefSample, RefSeries};

use super::*;

#[test]
fn a_mark_never_means_another_chunk() {
    let disk = SimDisk::new(23);
    let options = options_with(|options| {
        options.limits.metrics.out_of_order_window = 20 * HOUR;
        options.metrics.out_of_order_chunk_samples = 5;
    });
    let storage = open_with(&disk, options).0;
    put(&storage, &[("a", 10 * HOUR, 0.0), ("b", 10 * HOUR, 0.0)]);
    let mut storage = Some(storage);
    for name in ["a", "b"] {
        for n in 1..=6 {
            put(storage.as_ref().unwrap(), &[(name, 9 * HOUR - n * MINUTE, n as f64)]);
        }
        // The mark of the full chunk is in the log, the chunk is not yet in its file.
        disk.kill();
        storage = Some(open_with(&disk, options).0);
    }
    let storage = storage.unwrap();
    put(&storage, &[("b", 8 * HOUR, 0.0)]);
    let want = all(&storage);
    assert_eq!((want["a"].len(), want["b"].len()), (7, 8));
    storage.close().unwrap();
    drop(storage);
    assert_eq!(all(&open_with(&disk, options).0), want);
}

/// Adds records behind those of a log.
fn add_records(disk: &SimDisk, dir: &str, put: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    put(&mut batch);
    let disk = Arc::new(disk.clone());
    let mut log = wal::Writer::open(disk, Path::new(dir), WriterOptions::default()).unwrap();
    log.log(&batch).unwrap();
    log.close().unwrap();
}

#[test]
fn times_out_of_proportion_do_no_harm() {
    const FAR: i64 = 1 << 60;
    let options = options_with(|options| {
        options.limits.metrics.out_of_order_window = 3 * HOUR;
        options.limits.metrics.retention_time = 0;
        options.metrics.out_of_order_chunk_samples = 5;
    });
    for (log, times) in [
        ("wbl", &[FAR][..]),
        ("wbl", &[-FAR]),
        ("wbl", &[-FAR, 9 * HOUR + 1, FAR, i64::MAX - 1, i64::MIN, i64::MAX]),
        ("wal", &[FAR]),
        ("wal", &[-FAR]),
        ("wal", &[i64::MIN, -FAR, FAR, i64::MAX]),
    ] {
        let disk = SimDisk::new(28);
        let storage = open_with(&disk, options).0;
        for n in 0..5 * 60 {
            put(&storage, &[("a", 5 * HOUR + n * MINUTE, n as f64)]);
        }
        put(&storage, &[("a", 9 * HOUR - 1, 0.0)]);
        storage.close().unwrap();
        drop(storage);
        add_records(&disk, log, |batch| {
            let of = |n| RefSeries { series: LogRef(n), labels: series(&format!("far {n}")) };
            let sample = |(n, t): (usize, &i64)| RefSample {
                series: LogRef(100 + n as u64 % 2),
                t: *t,
                start_t: 0,
                v: 1.0,
            };
            let samples: Vec<_> = times.iter().enumerate().map(sample).collect();
            if log == "wal" {
                batch.push(|out| record::put_series(out, &[of(100), of(101)]));
            }
            batch.push(|out| record::put_samples(out, &samples, false));
        });
        if log == "wbl" {
            add_records(&disk, "wal", |batch| {
                let of = |n| RefSeries { series: LogRef(n), labels: series(&format!("far {n}")) };
                batch.push(|out| record::put_series(out, &[of(100), of(101)]));
            });
        }
        for _ in 0..2 {
            let (storage, heard) = open_with(&disk, options);
            let all = |storage: &Storage| -> Vec<i64> {
                let found = all(storage);
                let far = found.iter().filter(|(name, _)| name.starts_with("far"));
                far.flat_map(|(_, samples)| samples.iter().map(|(t, _)| *t)).collect()
            };
            let kept = |storage: &Storage| read(&*storage.snapshot(), 5 * HOUR, 10 * HOUR)["a"].len();
            assert_eq!(kept(&storage), 301, "{times:?} in {log}");
            let mut before = all(&storage);
            before.sort_unstable();
            // What is out of order is written out only with what is old.
            let mut appender = storage.appender();
            let _ = appender.append(None, &series("a"), 13 * HOUR, 0.0, 0);
            let end = appender.append(None, &series("a"), i64::MAX, 0.0, 0);
            assert_eq!(end, Err(AppendError::OutOfBounds));
            appender.commit().unwrap();
            storage.compact().unwrap();
            storage.compact().unwrap();
            let mut after = all(&storage);
            after.sort_unstable();
            assert!(!before.is_empty() && !before.contains(&i64::MAX), "{before:?}");
            assert_eq!(after, before, "{times:?} in {log}");
            assert_eq!(kept(&storage), 301, "{times:?} in {log}");
            assert!(storage.blocks().len() < 12, "{}", storage.blocks().len());
            storage.snapshot_to("copy", true).unwrap();
            assert_eq!(heard.problems().concat().matches("failed").count(), 0, "{:?}", heard.problems());
            storage.close().unwrap();
            disk.remove_dir_all(Path::new("snapshots")).unwrap();
        }
    }
}

/// Cuts a file to some of its bytes.
fn cut(disk: &SimDisk, path: &Path, len: u64) {
    disk.open_append(path).unwrap().truncate(len).unwrap();
}

/// Flips a bit of a file.
fn flip(disk: &SimDisk, path: &Path, at: usize) {
    let mut bytes = disk.read(path).unwrap();
    bytes[at] ^= 1;
    disk.create(path).unwrap().append(&bytes).unwrap();
}

/// A store with blocks and a checkpoint.
fn with_blocks(disk: &SimDisk) -> Storage {
    let storage = open_with(disk, options()).0;
    for n in 0..16 * 60 {
        let samples: Vec<_> =
            (0..20).map(|i| (["a", "b", "c", "d"][i % 4], n * MINUTE + i as i64, 1.5)).collect();
        put(&storage, &samples);
    }
    storage.compact().unwrap();
    storage
}

#[test]
fn a_checkpoint_that_was_cut_short_is_named_and_its_loss_counted() {
    let disk = SimDisk::new(31);
    with_blocks(&disk).close().unwrap();
    let checkpoint = wal::checkpoint::last(&disk, Path::new("wal")).unwrap().unwrap();
    let segment = wal::segment::path(&checkpoint.dir, 0);
    // Within its first record.
    cut(&disk, &segment, 30);
    let (storage, heard) = open_with(&disk, options());
    let problems = heard.problems().concat();
    assert!(problems.contains("checkpoint.") && problems.contains("corrupt at offset"), "{problems}");
    assert_eq!(figure(&storage, "prometheus_tsdb_wal_corruptions_total"), 1.0);
    storage.close().unwrap();
    drop(storage);
    // It is repaired; the log still has samples of the series that were lost.
    let problems = open_with(&disk, options()).1.problems().concat();
    assert!(!problems.contains("corrupt"), "{problems}");
}

#[test]
fn damage_of_the_out_of_order_log_is_counted() {
    let disk = SimDisk::new(32);
    let storage = open_with(&disk, window(HOUR)).0;
    put(&storage, &[("a", HOUR, 0.0)]);
    for n in 1..10 {
        put(&storage, &[("a", HOUR - n, 0.0)]);
    }
    storage.close().unwrap();
    drop(storage);
    flip(&disk, &wal::segment::path(Path::new("wbl"), 0), 30);
    let (storage, heard) = open_with(&disk, window(HOUR));
    assert_eq!(
        heard.problems().concat().matches("wbl/00000000: corrupt").count(),
        1,
        "{:?}",
        heard.problems()
    );
    assert_eq!(figure(&storage, "prometheus_tsdb_wal_corruptions_total"), 1.0);
}

#[test]
fn a_block_that_lacks_something_that_is_not_data_is_served() {
    let disk = SimDisk::new(33);
    let storage = with_blocks(&disk);
    storage.delete_series(&[Matcher::equal("n", "a")], 0, HOUR).unwrap();
    let deleted = all(&storage);
    storage.close().unwrap();
    let block = storage.blocks()[0].ulid.clone();
    drop(storage);
    // Who made it.
    let meta = Path::new(&block).join("meta.json");
    let text = String::from_utf8(disk.read(&meta).unwrap()).unwrap();
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    fields.remove("compaction").unwrap();
    disk.create(&meta).unwrap().append(&serde_json::to_vec(&fields).unwrap()).unwrap();
    assert_eq!(all(&open(&disk)), deleted);
    // Its name.
    let other = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    disk.rename(Path::new(&block), Path::new(other)).unwrap();
    let storage = open(&disk);
    assert_eq!(all(&storage), deleted);
    assert_eq!(storage.blocks()[0].ulid, other);
    drop(storage);
}

#[test]
fn damaged_tombstones_never_show_what_was_deleted() {
    let disk = SimDisk::new(35);
    let storage = with_blocks(&disk);
    let whole = all(&storage);
    storage.delete_series(&[Matcher::equal("n", "a")], 0, HOUR).unwrap();
    let deleted = all(&storage);
    storage.close().unwrap();
    let blocks = storage.blocks();
    drop(storage);
    let stones = |at: usize| Path::new(&blocks[at].ulid).join("tombstones");
    let kept = disk.read(&stones(0)).unwrap();
    let flipped = (0..kept.len() * 8).step_by(9).map(|bit| {
        let mut bytes = kept.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    let cut = [0, 5, 9, kept.len() - 1].map(|len| kept[..len].to_vec());
    for damaged in flipped.chain(cut) {
        disk.create(&stones(0)).unwrap().append(&damaged).unwrap();
        let (storage, heard) = open_with(&disk, options());
        let (found, warnings) = read_with_warnings(&*storage.snapshot(), i64::MIN, i64::MAX);
        assert!(found["a"].iter().all(|sample| deleted["a"].contains(sample)));
        assert!(found["a"].len() < deleted["a"].len(), "the block is withheld");
        for text in [heard.problems().concat(), warnings.concat()] {
            assert!(text.contains(&blocks[0].ulid) && text.contains("restore the file"), "{text}");
        }
        assert_eq!(disk.read(&stones(0)).unwrap(), damaged, "what is left of it stays");
    }
    // To remove the file is to accept what it hid.
    disk.remove_file(&stones(0)).unwrap();
    assert_eq!(all(&open(&disk)), whole);
    disk.create(&stones(0)).unwrap().append(&kept).unwrap();
    // Where nothing was deleted nothing is withheld, and Prometheus can open it again.
    let empty = disk.read(&stones(1)).unwrap();
    for damaged in [vec![], empty[..5].to_vec(), vec![0; empty.len()]] {
        disk.create(&stones(1)).unwrap().append(&damaged).unwrap();
        let (storage, heard) = open_with(&disk, options());
        assert_eq!(all(&storage), deleted);
        assert!(heard.problems().concat().contains("nothing was deleted"), "{:?}", heard.problems());
        assert_eq!(disk.read(&stones(1)).unwrap(), empty);
    }
    // Restored while the store is open.
    disk.create(&stones(0)).unwrap().append(&kept[..9]).unwrap();
    let storage = open_with(&disk, options()).0;
    disk.create(&stones(0)).unwrap().append(&kept).unwrap();
    storage.compact().unwrap();
    assert_eq!(all(&storage), deleted);
}

/// The records of the out-of-order log behind its last mark: their kinds, and how many samples.
fn behind_the_last_mark(disk: &SimDisk) -> usize {
    let mut reader = wal::Reader::open_all(Arc::new(disk.clone()), Path::new("wbl")).unwrap();
    let mut samples = 0;
    while let Some(raw) = reader.next().unwrap() {
        match record::Decoder::default().decode(raw.bytes).unwrap() {
            record::Record::MmapMarkers(_) => samples = 0,
            record::Record::Samples(all) => samples += all.len(),
            _ => {}
        }
    }
    samples
}

#[test]
fn samples_whose_chunk_was_lost_are_logged_again_behind_its_mark() {
    let disk = SimDisk::new(34);
    let options = options_with(|options| {
        options.limits.metrics.out_of_order_window = 20 * HOUR;
        options.metrics.out_of_order_chunk_samples = 5;
    });
    let storage = open_with(&disk, options).0;
    put(&storage, &[("a", 10 * HOUR, 0.0)]);
    for n in 1..=6 {
        put(&storage, &[("a", 9 * HOUR - n * MINUTE, n as f64)]);
    }
    // One is behind the mark, and the chunk of the others is not yet in its file.
    assert_eq!(behind_the_last_mark(&disk), 1);
    disk.kill();
    drop(storage);
    // Once is enough.
    for _ in 0..3 {
        let storage = open_with(&disk, options).0;
        assert_eq!(all(&storage)["a"].len(), 7);
        assert_eq!(behind_the_last_mark(&disk), 7);
        disk.kill();
    }
}

#[test]
fn missing_segments_are_reported_and_what_follows_is_kept() {
    let disk = SimDisk::new(29);
    for n in 0..3 {
        // A restart begins a segment.
        let storage = open_with(&disk, options()).0;
        put(&storage, &[("a", n * MINUTE, n as f64), (&format!("b{n}"), n * MINUTE, 0.0)]);
        storage.close().unwrap();
    }
    for (removed, missing, kept) in [(0, "wal/00000000", "wal/00000001"), (1, "wal/00000000", "wal/00000002")]
    {
        disk.remove_file(&wal::segment::path(Path::new("wal"), removed)).unwrap();
        let (storage, heard) = open_with(&disk, options());
        let problems = heard.problems().concat();
        assert!(
            problems.contains(&format!("segments from {missing} to before {kept} are missing")),
            "{problems}"
        );
        assert!(problems.contains("there is no checkpoint"), "{problems}");
        assert_eq!(figure(&storage, "prometheus_tsdb_wal_corruptions_total"), 1.0);
        assert_eq!(all(&storage)["b2"].len(), 1);
        storage.close().unwrap();
    }
    // Behind a checkpoint.
    let disk = SimDisk::new(30);
    let storage = open_with(&disk, options()).0;
    for n in 0..16 * 60 {
        let samples: Vec<_> =
            (0..20).map(|i| (["a", "b", "c", "d"][i % 4], n * MINUTE + i as i64, 1.5)).collect();
        put(&storage, &samples);
    }
    storage.compact().unwrap();
    storage.close().unwrap();
    drop(storage);
    let checkpoint = wal::checkpoint::last(&disk, Path::new("wal")).unwrap().unwrap();
    let (storage, heard) = open_with(&disk, options());
    assert_eq!(heard.problems(), [""; 0]);
    storage.close().unwrap();
    drop(storage);
    disk.remove_file(&wal::segment::path(Path::new("wal"), checkpoint.segment + 1)).unwrap();
    let problems = open_with(&disk, options()).1.problems().concat();
    assert!(problems.contains("checkpoint.") && problems.contains("ends before them"), "{problems}");
}

#[test]
fn marks_and_numbers_out_of_proportion_do_no_harm() {
    let disk = SimDisk::new(22);
    let options = options_with(|options| {
        options.limits.metrics.out_of_order_window = 20 * HOUR;
        options.metrics.out_of_order_chunk_samples = 5;
        options.metrics.samples_per_chunk = 10;
    });
    let storage = open_with(&disk, options).0;
    for n in 0..100 {
        put(&storage, &[("a", 10 * HOUR + n * MINUTE, n as f64)]);
        put(&storage, &[("a", 10 * HOUR - (n + 1) * MINUTE, n as f64)]);
    }
    storage.close().unwrap();
    drop(storage);
    add_records(&disk, "wbl", |batch| {
        batch.push(|out| record::put_out_of_order_covered(out, u64::MAX));
        batch.push(|out| record::put_out_of_order_covered(out, 0x7fff_ffff << 32));
        let markers = [0, 1, u64::MAX].map(|n| RefMmapMarker { series: LogRef(n), chunk: u64::MAX - n });
        batch.push(|out| record::put_mmap_markers(out, &markers));
    });
    add_records(&disk, "wal", |batch| {
        let of = |n, name| RefSeries { series: LogRef(n), labels: series(name) };
        batch.push(|out| record::put_series(out, &[of(u64::MAX, "x"), of(u64::MAX - 1, "a"), of(0, "y")]));
        let sample = |n| RefSample { series: LogRef(n), t: 12 * HOUR, start_t: 0, v: 1.0 };
        batch.push(|out| record::put_samples(out, &[sample(u64::MAX), sample(0)], false));
        batch.push(|out| record::put_out_of_order_follows(out, 6));
        batch.push(|out| out.extend([2, 1]));
        batch.push(|out| record::put_samples(out, &[sample(1)], false));
    });
    let mut found = None;
    for time in 0..3 {
        let (storage, heard) = open_with(&disk, options);
        let problems = heard.problems().concat();
        assert_eq!(problems.matches("the record was passed over").count(), 4, "{problems}");
        let all = all(&storage);
        assert_eq!((all["a"].len(), all["x"].len(), all["y"].len()), (201 + time, 1, 1));
        put(&storage, &[("a", 12 * HOUR + 1 + time as i64, 0.0), (&format!("new {time}"), 13 * HOUR, 0.0)]);
        assert!(disk.list(Path::new("chunks_head")).unwrap().len() < 10);
        found = Some(super::all(&storage));
        disk.kill();
    }
    // Checkpoints pass over the same records.
    let (storage, heard) = open_with(&disk, options);
    assert_eq!(Some(all(&storage)), found);
    let before = heard.problems().len();
    for hour in 14..40 {
        put(&storage, &[("a", hour * HOUR, 1.0)]);
        storage.compact().unwrap();
    }
    assert!(figure(&storage, "prometheus_tsdb_checkpoint_creations_total") > 0.0);
    assert_eq!(figure(&storage, "prometheus_tsdb_checkpoint_creations_failed_total"), 0.0);
    let problems = heard.problems()[before..].concat();
    assert_eq!(problems.matches("the record was passed over").count(), 2, "{problems}");
    let want = all(&storage);
    disk.kill();
    drop(storage);
    let (storage, heard) = open_with(&disk, options);
    assert_eq!((all(&storage), heard.problems()), (want, vec![]));
}

#[test]
fn a_full_disk_heals() {
    let disk = SimDisk::new(9);
    let storage = open(&disk);
    put(&storage, &[("a", 1000, 1.0)]);
    disk.set_capacity(Some(disk.used()));
    for n in 0..10 {
        let mut appender = storage.appender();
        appender.append(None, &series("a"), 2000 + n, 2.0, 0).unwrap();
        appender.append(None, &series("new"), 2000 + n, 2.0, 0).unwrap();
        assert!(appender.commit().unwrap_err().disk_full);
    }
    assert_eq!(all(&storage), expect(&[("a", &[(1000, 1.0)])]));
    disk.set_capacity(None);
    put(&storage, &[("a", 3000, 3.0), ("new", 3000, 3.0)]);
    let want = expect(&[("a", &[(1000, 1.0), (3000, 3.0)]), ("new", &[(3000, 3.0)])]);
    assert_eq!(all(&storage), want);
    disk.kill();
    drop(storage);
    assert_eq!(all(&open(&disk)), want);
}
