//! Segment files of a log: names, numbers, listing.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::StorageError;
use crate::format::WAL_NAME_DIGITS;
use crate::fs::Disk;

/// A segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number.
    pub number: u64,
    /// Its path, relative to the data directory.
    pub path: PathBuf,
    /// Its length in bytes when it was listed.
    pub len: u64,
}

/// The path of a segment in a log's directory: eight digits, or more when the number needs them.
pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:0WAL_NAME_DIGITS$}"))
}

/// The segments of a log, ascending. Other files are overlooked; a directory that does not exist has none.
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Segment>, StorageError> {
    let entries = match disk.list(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| StorageError::io("listing", disk, dir, e))?,
    };
    let mut segments: Vec<Segment> = entries
        .into_iter()
        .filter(|entry| !entry.is_dir && entry.name.bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|entry| {
            let number = entry.name.parse().ok()?;
            Some(Segment { number, path: dir.join(&entry.name), len: entry.len })
        })
        .collect();
    segments.sort_by_key(|segment| segment.number);
    Ok(segments)
}

/// Removes the segments below a number for good, oldest first, and returns how many there were.
pub fn remove_before(disk: &dyn Disk, dir: &Path, number: u64) -> Result<usize, StorageError> {
    let mut removed = 0;
    for segment in list(disk, dir)?.into_iter().take_while(|segment| segment.number < number) {
        disk.remove_file(&segment.path).map_err(|e| StorageError::io("removing", disk, &segment.path, e))?;
        removed += 1;
    }
    if removed > 0 {
        disk.sync_dir(dir).map_err(|e| StorageError::io("syncing", disk, dir, e))?;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::SimDisk;

    #[test]
    fn lists_numbers_only() {
        let disk = SimDisk::new(0);
        let dir = Path::new("wal");
        assert_eq!(list(&disk, dir).unwrap(), []);
        disk.create_dir_all(&dir.join("checkpoint.00000003")).unwrap();
        for name in ["00000010", "00000009", "00000011.corrupt", "series_state.json", "100000000"] {
            disk.create(&dir.join(name)).unwrap().append(b"x").unwrap();
        }
        let numbers = |segments: Vec<Segment>| segments.into_iter().map(|s| s.number).collect::<Vec<_>>();
        assert_eq!(numbers(list(&disk, dir).unwrap()), [9, 10, 100_000_000]);
        assert_eq!(remove_before(&disk, dir, 10).unwrap(), 1);
        assert_eq!(numbers(list(&disk, dir).unwrap()), [10, 100_000_000]);
        assert_eq!(path(dir, 7), Path::new("wal/00000007"));
    }
}
