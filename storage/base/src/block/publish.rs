//! Making a block appear whole or not at all, and disappear whole.
//!
//! A block is written into a directory named `ULID.tmp-for-creation`. When all its files are durable, the directories
//! are synced, the name is changed and the parent synced. Whatever a crash leaves under a temporary name was never a
//! block, or no longer is one, and is removed at the next start.

use std::path::{Path, PathBuf};

use ulid::Ulid;

use super::block_id;
use crate::StorageError;
use crate::format::{TMP, TMP_FOR_CREATION, TMP_FOR_DELETION};
use crate::fs::Disk;

/// A block being written. Dropped without [`StagedBlock::publish`], it is removed again.
pub struct StagedBlock<'d> {
    disk: &'d dyn Disk,
    parent: PathBuf,
    id: Ulid,
    dir: PathBuf,
    published: bool,
}

impl<'d> StagedBlock<'d> {
    /// Makes the temporary directory inside `parent`, empty.
    pub fn create(disk: &'d dyn Disk, parent: &Path, id: Ulid) -> Result<Self, StorageError> {
        let dir = parent.join(format!("{id}{TMP_FOR_CREATION}"));
        remove_dir_if_there(disk, &dir)?;
        disk.create_dir_all(&dir).map_err(StorageError::io_while("creating", disk.display(&dir)))?;
        Ok(Self { disk, parent: parent.to_owned(), id, dir, published: false })
    }

    /// The temporary directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The block's id.
    pub fn id(&self) -> Ulid {
        self.id
    }

    /// Makes a directory inside the block.
    pub fn create_dir(&self, name: &str) -> Result<PathBuf, StorageError> {
        let dir = self.dir.join(name);
        self.disk
            .create_dir_all(&dir)
            .map_err(StorageError::io_while("creating", self.disk.display(&dir)))?;
        Ok(dir)
    }

    /// Writes a small file into the block and makes its bytes durable.
    pub fn write_file(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        write_durably(self.disk, &self.dir.join(name), bytes)
    }

    /// Makes the block visible under its id. All its files must be durable. Returns its directory.
    pub fn publish(mut self) -> Result<PathBuf, StorageError> {
        let shown = self.disk.display(&self.dir);
        for entry in self.disk.list(&self.dir).map_err(StorageError::io_while("listing", &shown))? {
            if entry.is_dir {
                sync_dir(self.disk, &self.dir.join(entry.name))?;
            }
        }
        sync_dir(self.disk, &self.dir)?;
        let target = self.parent.join(self.id.to_string());
        self.disk.rename(&self.dir, &target).map_err(StorageError::io_while("renaming", shown))?;
        self.published = true;
        sync_dir(self.disk, &self.parent)?;
        Ok(target)
    }
}

impl Drop for StagedBlock<'_> {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now is removed at the next start.
            let _ = self.disk.remove_dir_all(&self.dir);
        }
    }
}

/// Replaces a file of a directory: written aside, synced, renamed, the directory synced. Returns its length.
pub fn replace_file(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> Result<u64, StorageError> {
    let aside = dir.join(format!("{name}{TMP}"));
    write_durably(disk, &aside, bytes)?;
    disk.rename(&aside, &dir.join(name)).map_err(StorageError::io_while("renaming", disk.display(&aside)))?;
    sync_dir(disk, dir)?;
    Ok(bytes.len() as u64)
}

/// Makes a block appear in `target` too, by second names of its files, as a snapshot does. `target` must be on the same
/// disk. The files must not be written in place, which no block's files are.
pub fn link_block(disk: &dyn Disk, dir: &Path, id: Ulid, target: &Path) -> Result<PathBuf, StorageError> {
    let staged = StagedBlock::create(disk, target, id)?;
    let mut ahead = vec![(dir.to_owned(), staged.dir().to_owned())];
    while let Some((from, to)) = ahead.pop() {
        disk.create_dir_all(&to).map_err(StorageError::io_while("creating", disk.display(&to)))?;
        for entry in disk.list(&from).map_err(StorageError::io_while("listing", disk.display(&from)))? {
            let (from, to) = (from.join(&entry.name), to.join(&entry.name));
            if entry.is_dir {
                ahead.push((from, to));
            } else if !entry.name.ends_with(TMP) {
                disk.hard_link(&from, &to).map_err(StorageError::io_while("linking", disk.display(&from)))?;
            }
        }
    }
    staged.publish()
}

/// Removes a block: first its name, then what was in it. Mappings of its files stay readable.
pub fn remove_block(disk: &dyn Disk, parent: &Path, id: Ulid) -> Result<(), StorageError> {
    let dir = parent.join(id.to_string());
    let doomed = parent.join(format!("{id}{TMP_FOR_DELETION}"));
    remove_dir_if_there(disk, &doomed)?;
    match disk.rename(&dir, &doomed) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed.map_err(StorageError::io_while("renaming", disk.display(&dir)))?,
    }
    sync_dir(disk, parent)?;
    remove_dir_if_there(disk, &doomed)
}

/// Removes what crashes left of blocks: directories with a block's id and a temporary suffix, nothing else. Returns
/// their names.
pub fn remove_leftovers(disk: &dyn Disk, parent: &Path) -> Result<Vec<String>, StorageError> {
    let entries = disk.list(parent).map_err(StorageError::io_while("listing", disk.display(parent)))?;
    let mut removed = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.is_dir && is_leftover(&entry.name)) {
        remove_dir_if_there(disk, &parent.join(&entry.name))?;
        removed.push(entry.name);
    }
    Ok(removed)
}

fn is_leftover(name: &str) -> bool {
    [TMP_FOR_CREATION, TMP_FOR_DELETION, TMP]
        .iter()
        .any(|suffix| name.strip_suffix(suffix).is_some_and(|id| block_id(id).is_some()))
}

fn write_durably(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let shown = disk.display(path);
    let mut file = disk.create(path).map_err(StorageError::io_while("creating", &shown))?;
    file.append(bytes).map_err(StorageError::io_while("writing", &shown))?;
    file.sync().map_err(StorageError::io_while("syncing", shown))
}

fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    disk.sync_dir(dir).map_err(StorageError::io_while("syncing", disk.display(dir)))
}

fn remove_dir_if_there(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    match disk.remove_dir_all(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(StorageError::io_while("removing", disk.display(dir))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::SimDisk;

    fn names(disk: &dyn Disk, dir: &str) -> Vec<String> {
        disk.list(Path::new(dir)).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn a_block_appears_whole_or_not_at_all() {
        let disk = SimDisk::new(0);
        let parent = Path::new("data");
        let id = Ulid::from_parts(1, 2);
        disk.create_dir_all(parent).unwrap();
        let staged = StagedBlock::create(&disk, parent, id).unwrap();
        staged.write_file("a", b"1").unwrap();
        drop(staged);
        assert!(names(&disk, "data").is_empty());

        let staged = StagedBlock::create(&disk, parent, id).unwrap();
        staged.write_file("a", b"1").unwrap();
        let dir = staged.create_dir("inside").unwrap();
        replace_file(&disk, &dir, "b", b"2").unwrap();
        assert_eq!(names(&disk, "data"), [format!("{id}.tmp-for-creation")]);
        staged.publish().unwrap();
        assert_eq!(names(&disk, "data"), [id.to_string()]);
        assert_eq!(names(&disk, &format!("data/{id}")), ["a", "inside"]);
        let dir = parent.join(id.to_string());
        assert_eq!(disk.read(&dir.join("inside/b")).unwrap(), b"2");
        link_block(&disk, &dir, id, Path::new("copy")).unwrap();
        replace_file(&disk, &dir, "a", b"changed").unwrap();
        assert_eq!(names(&disk, "copy"), [id.to_string()]);
        let copy = Path::new("copy").join(id.to_string());
        assert_eq!(disk.read(&copy.join("a")).unwrap(), b"1");
        assert_eq!(disk.read(&copy.join("inside/b")).unwrap(), b"2");
        remove_block(&disk, parent, id).unwrap();
        remove_block(&disk, parent, id).unwrap();
        assert!(names(&disk, "data").is_empty());
    }

    #[test]
    fn leftovers_are_only_what_looks_like_a_block_with_a_suffix() {
        let disk = SimDisk::new(0);
        let id = Ulid::from_parts(1, 2).to_string();
        let stay = ["wal", "checkpoint.00000001.tmp", &id, "x.tmp-for-creation"];
        let go = [format!("{id}.tmp"), format!("{id}.tmp-for-creation"), format!("{id}.tmp-for-deletion")];
        for name in stay.iter().copied().chain(go.iter().map(String::as_str)) {
            disk.create_dir_all(&Path::new("data").join(name)).unwrap();
        }
        assert_eq!(remove_leftovers(&disk, Path::new("data")).unwrap(), go);
        assert_eq!(names(&disk, "data").len(), stay.len());
    }
}
