//! Makes a damaged log whole again: cuts the damaged segment before the bad record and puts later segments aside.
//! Prometheus deletes what we put aside; in both the log then ends where the damage began.

use std::io;
use std::path::{Path, PathBuf};

use super::reader::Damage;
use super::segment;
use crate::error::StorageError;
use crate::format::{WAL_ASIDE, WAL_REPAIR_TMP};
use crate::fs::Disk;

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// For the operator: what was cut where, and which files hold what was put aside.
    pub action: String,
    /// Files that were put aside, as an operator would write them.
    pub aside: Vec<String>,
}

/// Repairs a log's directory, on which no writer may be open. May be interrupted and run again.
pub fn repair(disk: &dyn Disk, damage: &Damage) -> Result<Repair, StorageError> {
    let mut aside = Vec::new();
    // From the last backwards: interrupted, the log is as before without its end.
    let later = segment::list(disk, &damage.dir)?;
    for later in later.iter().rev().take_while(|later| later.number > damage.segment.number) {
        let to = free_name(disk, &later.path)?;
        disk.rename(&later.path, &to).map_err(|e| StorageError::io("renaming", disk, &later.path, e))?;
        aside.push(disk.display(&to));
    }
    let file = disk.display(&damage.segment.path);
    let offset = damage.offset;
    let mut action = format!("{file}: cut at offset {offset}");
    if damage.torn || offset >= damage.segment.len {
        cut(disk, &damage.segment.path, offset)?;
    } else {
        match copy_aside(disk, &damage.segment.path, offset) {
            Ok(to) => aside.push(disk.display(&to)),
            // Going on matters more than keeping what is broken.
            Err(e) if e.is_disk_full() => {
                cut(disk, &damage.segment.path, offset)?;
                action.push_str("; the disk is too full to keep what came after it");
            }
            Err(e) => return Err(e),
        }
    }
    sync_dir(disk, &damage.dir)?;
    if !aside.is_empty() {
        aside.sort();
        action.push_str(&format!("; kept aside: {}", aside.join(", ")));
    }
    Ok(Repair { action, aside })
}

fn cut(disk: &dyn Disk, path: &Path, offset: u64) -> Result<(), StorageError> {
    let cut = || {
        let mut file = disk.open_append(path)?;
        // Nothing to cut where the damage is that a later segment is missing.
        if file.len() > offset {
            file.truncate(offset)?;
        }
        file.sync()
    };
    cut().map_err(|e| StorageError::io("truncating", disk, path, e))
}

/// Replaces a file by its first `len` bytes and keeps the whole under another name.
fn copy_aside(disk: &dyn Disk, path: &Path, len: u64) -> Result<PathBuf, StorageError> {
    let tmp = with_suffix(path, WAL_REPAIR_TMP);
    let copy = || {
        let mut file = disk.create(&tmp)?;
        while file.len() < len {
            let piece = disk.read_at(path, file.len(), (len - file.len()).min(1 << 20) as usize)?;
            if piece.is_empty() {
                break;
            }
            file.append(&piece)?;
        }
        file.sync()
    };
    let copied = copy();
    if copied.is_err() {
        // It would hold space that the rest needs.
        let _ = disk.remove_file(&tmp);
    }
    copied.map_err(|e| StorageError::io("writing", disk, &tmp, e))?;
    let aside = free_name(disk, path)?;
    disk.hard_link(path, &aside).map_err(|e| StorageError::io("linking", disk, &aside, e))?;
    disk.rename(&tmp, path).map_err(|e| StorageError::io("renaming", disk, &tmp, e))?;
    Ok(aside)
}

/// A name that nobody has: `00000003.corrupt`, `00000003.corrupt.1`, …
fn free_name(disk: &dyn Disk, path: &Path) -> Result<PathBuf, StorageError> {
    let mut name = with_suffix(path, WAL_ASIDE);
    for n in 1.. {
        match disk.stat(&name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => break,
            Err(e) => return Err(StorageError::io("looking up", disk, &name, e)),
            Ok(_) => name = with_suffix(path, &format!("{WAL_ASIDE}.{n}")),
        }
    }
    Ok(name)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    disk.sync_dir(dir).map_err(|e| StorageError::io("syncing", disk, dir, e))
}
