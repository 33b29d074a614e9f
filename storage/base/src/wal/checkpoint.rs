//! Takes the place of a log's old segments: one directory with what is still needed of them.
//!
//! `checkpoint.00000007` holds what matters of segments 0 to 7, in a log of its own; replay reads it and then segments
//! 8 and up. It appears whole or not at all. What matters is the store's decision. Source: Prometheus
//! `tsdb/wlog/checkpoint.go`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::writer::WriterOptions;
use super::{Reader, Writer};
use crate::error::StorageError;
use crate::format::{CHECKPOINT_PREFIX, CHECKPOINT_TMP, WAL_NAME_DIGITS};
use crate::fs::Disk;

/// A checkpoint on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last segment it covers.
    pub segment: u64,
    /// Its directory, which is a log.
    pub dir: PathBuf,
}

/// A log that a checkpoint covers: its directory, and a reader of what is covered.
pub type Covered = (PathBuf, Reader);

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
        Err(e) => Err(StorageError::io("listing", disk, dir, e)),
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
    disk.remove_dir_all(dir).map_err(|e| StorageError::io("removing", disk, dir, e))
}

/// Creates the checkpoint that covers everything up to segment `to`, inclusive, from the newest checkpoint and the
/// segments after it. No writer may be in segment `to` or before. `fill` copies what is still needed from what is
/// covered, oldest first, to the new log, and closes that. The caller then removes the segments up to `to` and the
/// older checkpoints. Returns `None` and does nothing when there is such a checkpoint. When it fails, the log is as
/// before.
pub fn create<T>(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    to: u64,
    options: WriterOptions,
    fill: impl FnOnce(Writer, Vec<Covered>) -> Result<T, StorageError>,
) -> Result<Option<T>, StorageError> {
    remove_leftovers(&**disk, dir)?;
    let previous = last(&**disk, dir)?;
    if previous.as_ref().is_some_and(|previous| previous.segment >= to) {
        return Ok(None);
    }
    let name = format!("{CHECKPOINT_PREFIX}{to:0WAL_NAME_DIGITS$}");
    let (tmp, target) = (dir.join(format!("{name}{CHECKPOINT_TMP}")), dir.join(name));
    let filled = Writer::open(Arc::clone(disk), &tmp, options)
        .and_then(|writer| fill(writer, covered(disk, dir, previous, to)?));
    if filled.is_err() {
        // Otherwise the next start does it. The first error is the one to tell.
        let _ = disk.remove_dir_all(&tmp);
    }
    let filled = filled?;
    disk.rename(&tmp, &target).map_err(|e| StorageError::io("renaming", &**disk, &tmp, e))?;
    disk.sync_dir(dir).map_err(|e| StorageError::io("syncing", &**disk, dir, e))?;
    Ok(Some(filled))
}

fn covered(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    previous: Option<Checkpoint>,
    to: u64,
) -> Result<Vec<Covered>, StorageError> {
    let mut covered = Vec::new();
    let mut from = 0;
    if let Some(previous) = previous {
        from = previous.segment + 1;
        let reader = Reader::open_all(Arc::clone(disk), &previous.dir)?;
        covered.push((previous.dir, reader));
    }
    covered.push((dir.to_owned(), Reader::open(Arc::clone(disk), dir, from, 0, to)?));
    Ok(covered)
}
