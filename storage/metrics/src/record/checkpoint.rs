//! What a checkpoint of the metrics log keeps of old records.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use model::metadata::Metadata;
use storage_base::fs::Disk;
use storage_base::wal::{Batch, Reader, Writer, WriterOptions, checkpoint, compress, segment};
use storage_base::{Corruption, StorageError};

use super::{Decoder, LogRef, Record, RefMetadata, RefTombstone};
use crate::record;

/// Records gathered before they are written, in bytes.
const FLUSH_LEN: usize = 1 << 20;

/// What is still needed of the past.
pub struct Keep<'a> {
    /// Whether a series is in the head, or named by segments that stay.
    pub series: &'a dyn Fn(LogRef) -> bool,
    /// Samples, histograms and exemplars before this are in blocks; milliseconds.
    pub min_t: i64,
}

/// How much was read and how much of it was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Series.
    pub series: Dropped,
    /// Float and histogram samples.
    pub samples: Dropped,
    /// Tombstones.
    pub tombstones: Dropped,
    /// Exemplars.
    pub exemplars: Dropped,
    /// Metadata.
    pub metadata: Dropped,
}

/// How many records of a kind were read, and how many of them were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// All.
    pub total: usize,
    /// Those not kept.
    pub dropped: usize,
}

/// Creates the checkpoint that covers everything up to segment `to`, inclusive, as [`checkpoint::create`]. A record
/// whose checksum is right and that makes no sense is left out, as replay does, and handed to `passed_over`.
pub fn create(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    to: u64,
    keep: &Keep<'_>,
    options: WriterOptions,
    passed_over: &mut dyn FnMut(Corruption),
) -> Result<CheckpointStats, StorageError> {
    let stats = checkpoint::create(disk, dir, to, options, |writer, covered| {
        let mut filter = Filter {
            keep,
            writer,
            batch: Batch::new(),
            metadata: HashMap::new(),
            stats: CheckpointStats::default(),
            out_of_order: 0,
            passed_over,
        };
        for (dir, reader) in covered {
            filter.copy(&**disk, &dir, reader)?;
        }
        filter.finish()
    })?;
    Ok(stats.unwrap_or_default())
}

/// Copies records and leaves out what is not needed.
struct Filter<'a> {
    keep: &'a Keep<'a>,
    writer: Writer,
    batch: Batch,
    /// The newest metadata of each series.
    metadata: HashMap<LogRef, Metadata>,
    stats: CheckpointStats,
    /// Records of out-of-order samples that follow; the out-of-order log has them.
    out_of_order: u8,
    passed_over: &'a mut dyn FnMut(Corruption),
}

impl Filter<'_> {
    fn copy(&mut self, disk: &dyn Disk, dir: &Path, mut reader: Reader) -> Result<(), StorageError> {
        let mut decoder = Decoder::default();
        let mut segment = None;
        let mut bytes = Vec::new();
        while let Some(raw) = reader.next_stored()? {
            if segment.replace(raw.segment) != Some(raw.segment) {
                // A crash may have left the announcement without what it announced.
                self.out_of_order = 0;
            }
            let decompressed = compress::decompress(raw.codec, raw.stored, &mut bytes);
            match decompressed.and_then(|()| decoder.decode(&bytes).map_err(|e| e.to_string())) {
                Ok(decoded) => self.add(decoded, record::has_start_t(&bytes)),
                Err(reason) => (self.passed_over)(Corruption {
                    file: disk.display(&segment::path(dir, raw.segment)),
                    offset: raw.offset,
                    reason,
                }),
            }
            if self.batch.byte_len() > FLUSH_LEN {
                self.writer.log(&self.batch)?;
                self.batch.clear();
            }
        }
        Ok(())
    }

    fn add(&mut self, record: Record, start_t: bool) {
        if self.out_of_order > 0 {
            self.out_of_order -= 1;
            return;
        }
        if let Record::OutOfOrderFollows(records) = record {
            self.out_of_order = records;
            return;
        }
        let Self { keep: Keep { series: keep, min_t }, batch, metadata, stats, .. } = self;
        let min_t = *min_t;
        match record {
            Record::Series(mut all) => {
                retain(&mut all, &mut stats.series, |s| keep(s.series));
                batch.push(|out| record::put_series(out, &all));
            }
            Record::Samples(mut all) => {
                retain(&mut all, &mut stats.samples, |s| s.t >= min_t);
                batch.push(|out| record::put_samples(out, &all, start_t));
            }
            Record::Histograms(mut all) => {
                retain(&mut all, &mut stats.samples, |s| s.t >= min_t);
                record::put_histograms(batch, &all, start_t);
            }
            Record::FloatHistograms(mut all) => {
                retain(&mut all, &mut stats.samples, |s| s.t >= min_t);
                record::put_float_histograms(batch, &all, start_t);
            }
            Record::Tombstones(mut all) => {
                let needed = |t: &RefTombstone| keep(t.series) && t.max_t >= min_t;
                retain(&mut all, &mut stats.tombstones, needed);
                batch.push(|out| record::put_tombstones(out, &all));
            }
            Record::Exemplars(mut all) => {
                retain(&mut all, &mut stats.exemplars, |e| e.t >= min_t);
                batch.push(|out| record::put_exemplars(out, &all));
            }
            Record::Metadata(all) => {
                stats.metadata.total += all.len();
                for RefMetadata { series, metadata: new } in all {
                    if !keep(series) || metadata.insert(series, new).is_some() {
                        stats.metadata.dropped += 1;
                    }
                }
            }
            // Marks belong to the out-of-order log, which has no checkpoints; the unknown is not needed.
            Record::MmapMarkers(_)
            | Record::OutOfOrderCovered(_)
            | Record::OutOfOrderFollows(_)
            | Record::Unknown(_) => {}
        }
    }

    fn finish(mut self) -> Result<CheckpointStats, StorageError> {
        let mut metadata: Vec<RefMetadata> =
            self.metadata.drain().map(|(series, metadata)| RefMetadata { series, metadata }).collect();
        metadata.sort_by_key(|m| m.series);
        self.batch.push(|out| record::put_metadata(out, &metadata));
        self.writer.log(&self.batch)?;
        self.writer.close()?;
        Ok(self.stats)
    }
}

fn retain<T>(all: &mut Vec<T>, stats: &mut Dropped, keep: impl Fn(&T) -> bool) {
    let total = all.len();
    all.retain(keep);
    stats.total += total;
    stats.dropped += total - all.len();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{RefExemplar, RefHistogram, RefSample, RefSeries};
    use model::Labels;
    use model::histogram::{CUSTOM_BUCKETS_SCHEMA, Histogram};
    use storage_base::format::CHECKPOINT_TMP;
    use storage_base::fs::SimDisk;
    use storage_base::wal::checkpoint::{last, remove_before, remove_leftovers};

    const DIR: &str = "wal";

    fn none(damage: Corruption) {
        panic!("{damage}");
    }

    fn disk(seed: u64) -> (SimDisk, Arc<dyn Disk>) {
        let disk = SimDisk::new(seed);
        (disk.clone(), Arc::new(disk))
    }

    /// Four segments; in each a series, a sample of it and of series 1, and more.
    fn write(disk: &Arc<dyn Disk>) {
        let mut writer = Writer::open(Arc::clone(disk), Path::new(DIR), WriterOptions::default()).unwrap();
        for n in 1..=4u64 {
            let series = LogRef(n);
            let t = n as i64 * 100;
            let mut batch = Batch::new();
            let labels = Labels::from_pairs([("n", n.to_string())]);
            batch.push(|out| record::put_series(out, &[RefSeries { series, labels: labels.clone() }]));
            let sample = |series, start_t| RefSample { series, t, start_t, v: n as f64 };
            batch.push(|out| record::put_samples(out, &[sample(series, 0), sample(LogRef(1), 0)], false));
            batch.push(|out| record::put_samples(out, &[sample(series, 7)], true));
            let v = |schema| Arc::new(Histogram { schema, ..Histogram::default() });
            let histogram = |schema| RefHistogram { series, t, start_t: 0, v: v(schema) };
            record::put_histograms(&mut batch, &[histogram(1), histogram(CUSTOM_BUCKETS_SCHEMA)], false);
            batch.push(|out| record::put_exemplars(out, &[RefExemplar { series, t, v: 1.0, labels }]));
            batch.push(|out| record::put_tombstones(out, &[RefTombstone { series, min_t: 0, max_t: t }]));
            let metadata = Metadata { help: format!("{n}"), ..Metadata::default() };
            batch.push(|out| record::put_metadata(out, &[RefMetadata { series: LogRef(1), metadata }]));
            batch.push(|out| out.extend([99, 1, 2, 3]));
            writer.log(&batch).unwrap();
            if n < 4 {
                writer.next_segment().unwrap();
            }
        }
        writer.close().unwrap();
    }

    /// What a log says, for comparing.
    fn content(disk: &Arc<dyn Disk>, dir: &Path) -> Vec<String> {
        let mut reader = Reader::open_all(Arc::clone(disk), dir).unwrap();
        let mut content = Vec::new();
        while let Some(raw) = reader.next().unwrap() {
            content.push(format!("{:?}", Decoder::default().decode(raw.bytes).unwrap()));
        }
        content
    }

    fn has(content: &[String], text: &str) -> bool {
        content.iter().any(|record| record.contains(text))
    }

    #[test]
    fn keeps_what_is_needed() {
        let (_, disk) = disk(0);
        write(&disk);
        let dir = Path::new(DIR);
        assert_eq!(last(&*disk, dir).unwrap(), None);
        let keep = Keep { series: &|series| series.0 != 2, min_t: 200 };
        let stats = create(&disk, dir, 1, &keep, WriterOptions::default(), &mut none).unwrap();
        let dropped = |total, dropped| Dropped { total, dropped };
        assert_eq!(stats.series, dropped(2, 1));
        // Two float samples, one with a start timestamp, two histograms: those of the first segment are too old.
        assert_eq!(stats.samples, dropped(10, 5));
        assert_eq!((stats.tombstones, stats.exemplars), (dropped(2, 2), dropped(2, 1)));
        assert_eq!(stats.metadata, dropped(2, 1));
        let checkpoint = last(&*disk, dir).unwrap().unwrap();
        assert_eq!((checkpoint.segment, checkpoint.dir.as_path()), (1, Path::new("wal/checkpoint.00000001")));
        let kept = content(&disk, &checkpoint.dir);
        assert!(has(&kept, "n=\"1\"") && !has(&kept, "n=\"2\"}, series"), "{kept:?}");
        assert!(has(&kept, "t: 200, start_t: 7") && !has(&kept, "t: 100"));
        assert!(has(&kept, "help: \"2\"") && !has(&kept, "help: \"1\"") && !has(&kept, "Unknown(99)"));

        // The next one reads the first, which then goes, as do the segments.
        segment::remove_before(&*disk, dir, 2).unwrap();
        let keep = Keep { series: &|_| true, min_t: 300 };
        let stats = create(&disk, dir, 2, &keep, WriterOptions::default(), &mut none).unwrap();
        assert_eq!(stats.series, dropped(2, 0));
        remove_before(&*disk, dir, 2).unwrap();
        segment::remove_before(&*disk, dir, 3).unwrap();
        let names: Vec<_> = disk.list(dir).unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["00000003", "checkpoint.00000002"]);
        let again = create(&disk, dir, 2, &keep, WriterOptions::default(), &mut none).unwrap();
        assert_eq!(again, CheckpointStats::default());
    }

    #[test]
    fn a_record_without_sense_is_left_out() {
        let (_, disk) = disk(0);
        write(&disk);
        let dir = Path::new(DIR);
        let mut writer = Writer::open(Arc::clone(&disk), dir, WriterOptions::default()).unwrap();
        let mut batch = Batch::new();
        batch.push(|out| out.extend([2, 1]));
        let sample = RefSample { series: LogRef(1), t: 700, start_t: 0, v: 1.0 };
        batch.push(|out| record::put_samples(out, &[sample], false));
        writer.log(&batch).unwrap();
        writer.close().unwrap();
        let last = segment::list(&*disk, dir).unwrap().pop().unwrap().number;
        let keep = Keep { series: &|_| true, min_t: 0 };
        let mut passed_over = Vec::new();
        create(&disk, dir, last, &keep, WriterOptions::default(), &mut |damage| passed_over.push(damage))
            .unwrap();
        let [damage] = &passed_over[..] else { panic!("{passed_over:?}") };
        assert_eq!(damage.file, disk.display(&segment::path(dir, last)));
        let kept = content(&disk, &checkpoint::last(&*disk, dir).unwrap().unwrap().dir);
        assert!(has(&kept, "t: 700"));
    }

    #[test]
    fn a_crash_at_any_operation_leaves_the_log_whole() {
        let dir = Path::new(DIR);
        let keep = Keep { series: &|_| true, min_t: 0 };
        let replay = |disk: &Arc<dyn Disk>| {
            let (mut all, mut from) = (Vec::new(), 0);
            if let Some(checkpoint) = last(&**disk, dir).unwrap() {
                all = content(disk, &checkpoint.dir);
                from = checkpoint.segment + 1;
            }
            let mut reader = Reader::open(Arc::clone(disk), dir, from, 0, u64::MAX).unwrap();
            while let Some(raw) = reader.next().unwrap() {
                all.push(format!("{:?}", Decoder::default().decode(raw.bytes).unwrap()));
            }
            // Metadata moves to the end, and all but the newest goes; the unknown goes.
            all.retain(|record| !record.starts_with("Metadata") && !record.starts_with("Unknown"));
            all
        };
        let mut finished = false;
        for n in 0..100 {
            let (sim, disk) = disk(n);
            write(&disk);
            let before = replay(&disk);
            sim.fail_after(n);
            finished = create(&disk, dir, 2, &keep, WriterOptions::default(), &mut none).is_ok()
                && segment::remove_before(&*disk, dir, 3).is_ok();
            sim.power_cut();
            assert_eq!(replay(&disk), before, "crash at operation {n}");
            remove_leftovers(&*disk, dir).unwrap();
            let tmp = disk.list(dir).unwrap().iter().any(|e| e.name.ends_with(CHECKPOINT_TMP));
            assert!(!tmp);
        }
        assert!(finished, "the operations must be counted to the end");
    }

    #[test]
    fn a_full_disk_leaves_no_trace() {
        let (sim, disk) = disk(0);
        write(&disk);
        let (used, dir) = (sim.used(), Path::new(DIR));
        sim.set_capacity(Some(used + 100));
        let keep = Keep { series: &|_| true, min_t: 0 };
        let full = create(&disk, dir, 2, &keep, WriterOptions::default(), &mut none).unwrap_err();
        assert!(full.is_disk_full());
        assert_eq!((sim.used(), last(&*disk, dir).unwrap()), (used, None));
    }
}
