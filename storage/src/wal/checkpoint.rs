//! Replaces old segments of the metrics log by one directory with what is still needed of them.
//!
//! `checkpoint.00000007` holds what matters of segments 0 to 7, in a log of its own; replay reads it and then segments
//! 8 and up. It appears whole or not at all. Source: Prometheus `tsdb/wlog/checkpoint.go`.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::append::SeriesRef;
use model::metadata::Metadata;

use super::reader::ReadLogError;
use super::record::{self, Decoder, Record, RefMetadata, RefTombstone};
use super::writer::WriterOptions;
use super::{Batch, Reader, Writer};
use crate::error::{Corruption, StorageError};
use crate::format::{CHECKPOINT_PREFIX, CHECKPOINT_TMP, WAL_NAME_DIGITS};
use crate::fs::Disk;

/// Records gathered before they are written, in bytes.
const FLUSH_LEN: usize = 1 << 20;

/// A checkpoint on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last segment it covers.
    pub segment: u64,
    /// Its directory, which is a log.
    pub dir: PathBuf,
}

/// What is still needed of the past.
pub struct Keep<'a> {
    /// Whether a series is in the head, or named by segments that stay.
    pub series: &'a dyn Fn(SeriesRef) -> bool,
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

/// Of so many, so many were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// All.
    pub total: usize,
    /// Those not kept.
    pub dropped: usize,
}

/// The newest checkpoint of a log.
pub fn last(disk: &dyn Disk, dir: &Path) -> Result<Option<Checkpoint>, StorageError> {
    Ok(list(disk, dir)?.pop())
}

/// All checkpoints of a log, ascending.
fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Checkpoint>, StorageError> {
    let mut found: Vec<Checkpoint> = names(disk, dir)?
        .into_iter()
        .filter_map(|name| {
            let digits = name.strip_prefix(CHECKPOINT_PREFIX)?;
            let segment = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
            Some(Checkpoint { segment, dir: dir.join(name) })
        })
        .collect();
    found.sort_by_key(|checkpoint| checkpoint.segment);
    Ok(found)
}

/// Names of the directories in a directory.
fn names(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>, StorageError> {
    match disk.list(dir) {
        Ok(entries) => Ok(entries.into_iter().filter(|e| e.is_dir).map(|e| e.name).collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(StorageError::refused("listing", disk, dir, e)),
    }
}

/// Removes the checkpoints that cover less than `segment`, which a newer one does.
pub fn remove_before(disk: &dyn Disk, dir: &Path, segment: u64) -> Result<(), StorageError> {
    for old in list(disk, dir)?.into_iter().take_while(|c| c.segment < segment) {
        remove(disk, &old.dir)?;
    }
    Ok(())
}

/// Removes what an interrupted [`create`] left; returns the paths as an operator would write them.
pub fn remove_leftovers(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>, StorageError> {
    let mut removed = Vec::new();
    for name in names(disk, dir)? {
        if name.starts_with(CHECKPOINT_PREFIX) && name.ends_with(CHECKPOINT_TMP) {
            let path = dir.join(name);
            remove(disk, &path)?;
            removed.push(disk.display(&path));
        }
    }
    Ok(removed)
}

fn remove(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    disk.remove_dir_all(dir).map_err(|e| StorageError::refused("removing", disk, dir, e))
}

/// Creates the checkpoint that covers everything up to segment `to`, inclusive, from the newest checkpoint and the
/// segments after it. No writer may be in segment `to` or before. The caller then removes the segments up to `to` and
/// the older checkpoints. When it fails, the log is as before.
pub fn create(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    to: u64,
    keep: &Keep<'_>,
    options: WriterOptions,
) -> Result<CheckpointStats, StorageError> {
    remove_leftovers(&**disk, dir)?;
    let name = format!("{CHECKPOINT_PREFIX}{to:0WAL_NAME_DIGITS$}");
    let (tmp, target) = (dir.join(format!("{name}{CHECKPOINT_TMP}")), dir.join(name));
    let stats = fill(disk, dir, &tmp, to, keep, options);
    if stats.is_err() {
        // Otherwise the next start does it. The first error is the one to tell.
        let _ = disk.remove_dir_all(&tmp);
    }
    let stats = stats?;
    // One that covers the same segments is replaced, as when the caller failed to remove them.
    if list(&**disk, dir)?.iter().any(|c| c.dir == target) {
        remove(&**disk, &target)?;
    }
    disk.rename(&tmp, &target).map_err(|e| StorageError::refused("renaming", &**disk, &tmp, e))?;
    disk.sync_dir(dir).map_err(|e| StorageError::refused("syncing", &**disk, dir, e))?;
    Ok(stats)
}

fn fill(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    tmp: &Path,
    to: u64,
    keep: &Keep<'_>,
    options: WriterOptions,
) -> Result<CheckpointStats, StorageError> {
    let mut filter = Filter {
        keep,
        writer: Writer::open(Arc::clone(disk), tmp, options)?,
        batch: Batch::new(),
        metadata: HashMap::new(),
        stats: CheckpointStats::default(),
    };
    let mut from = 0;
    if let Some(previous) = last(&**disk, dir)? {
        from = previous.segment + 1;
        filter.copy(&**disk, &previous.dir, Reader::open_all(Arc::clone(disk), &previous.dir)?)?;
    }
    filter.copy(&**disk, dir, Reader::open(Arc::clone(disk), dir, from, 0, to)?)?;
    filter.finish()
}

/// Copies records and leaves out what is not needed.
struct Filter<'a> {
    keep: &'a Keep<'a>,
    writer: Writer,
    batch: Batch,
    /// The newest metadata of each series.
    metadata: HashMap<SeriesRef, Metadata>,
    stats: CheckpointStats,
}

impl Filter<'_> {
    fn copy(&mut self, disk: &dyn Disk, dir: &Path, mut reader: Reader) -> Result<(), StorageError> {
        let mut decoder = Decoder::default();
        while let Some(raw) = reader.next().map_err(StorageError::from)? {
            let decoded = decoder.decode(raw.bytes).map_err(|e| Corruption {
                file: disk.display(&super::segment::path(dir, raw.segment)),
                offset: raw.offset,
                reason: e.to_string(),
            })?;
            self.add(decoded, record::has_start_t(raw.bytes));
            if self.batch.byte_len() > FLUSH_LEN {
                self.writer.log(&self.batch)?;
                self.batch.clear();
            }
        }
        Ok(())
    }

    fn add(&mut self, record: Record, start_t: bool) {
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
            Record::MmapMarkers(_) | Record::Unknown(_) => {}
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
