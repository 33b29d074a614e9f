//! A disk over another: what is written goes to the upper one, and the lower one is only read. Lets code that repairs,
//! creates and renames run over a directory that must not change.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use super::{Disk, Entry, Lock, Mapped, Space, WriteFile};

/// Bytes that are copied at a time.
const PIECE: usize = 1 << 20;

/// Two disks as one.
#[derive(Debug)]
pub struct OverlayDisk {
    lower: Arc<dyn Disk>,
    upper: Arc<dyn Disk>,
    /// What was removed from the lower disk's view, with all below it.
    hidden: RwLock<HashSet<PathBuf>>,
}

impl OverlayDisk {
    /// Shows `lower` and writes to `upper`, an empty directory that exists.
    pub fn new(lower: Arc<dyn Disk>, upper: Arc<dyn Disk>) -> Self {
        Self { lower, upper, hidden: RwLock::default() }
    }

    fn hide(&self, path: &Path) {
        self.hidden.write().insert(path.to_owned());
    }

    /// The disk that a path is read from.
    fn holder(&self, path: &Path) -> io::Result<&dyn Disk> {
        if self.upper.stat(path).is_ok() {
            return Ok(&*self.upper);
        }
        let hidden = self.hidden.read();
        if path.ancestors().any(|above| hidden.contains(above)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(&*self.lower)
    }

    /// Makes the directory of a path in the upper disk, if the directory exists at all.
    fn prepare(&self, path: &Path) -> io::Result<()> {
        let dir = path.parent().unwrap_or(Path::new(""));
        if !dir.as_os_str().is_empty() {
            self.stat(dir)?;
            self.upper.create_dir_all(dir)?;
        }
        Ok(())
    }

    /// Copies a file or directory to the upper disk, unless it is there.
    fn copy_up(&self, path: &Path) -> io::Result<()> {
        if self.stat(path)?.is_dir {
            self.upper.create_dir_all(path)?;
            return self.list(path)?.iter().try_for_each(|entry| self.copy_up(&path.join(&entry.name)));
        }
        if self.upper.stat(path).is_ok() {
            return Ok(());
        }
        self.prepare(path)?;
        let mut file = self.upper.create(path)?;
        loop {
            let piece = self.lower.read_at(path, file.len(), PIECE)?;
            if piece.is_empty() {
                return Ok(());
            }
            file.append(&piece)?;
        }
    }
}

impl Disk for OverlayDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.prepare(path)?;
        self.upper.create(path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.copy_up(path)?;
        self.upper.open_append(path)
    }

    fn map(&self, path: &Path) -> io::Result<Mapped> {
        self.holder(path)?.map(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.holder(path)?.read(path)
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.holder(path)?.read_at(path, offset, len)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let upper = self.upper.list(dir);
        let hidden = self.hidden.read();
        let lower = if dir.ancestors().any(|above| hidden.contains(above)) {
            Err(io::ErrorKind::NotFound.into())
        } else {
            self.lower.list(dir)
        };
        let (lower, upper) = match (lower, upper) {
            (Err(e), Err(_)) => return Err(e),
            (lower, upper) => (lower.unwrap_or_default(), upper.unwrap_or_default()),
        };
        let shown = lower.into_iter().filter(|entry| !hidden.contains(&dir.join(&entry.name)));
        let entries: BTreeMap<String, Entry> =
            shown.chain(upper).map(|entry| (entry.name.clone(), entry)).collect();
        Ok(entries.into_values().collect())
    }

    fn stat(&self, path: &Path) -> io::Result<Entry> {
        self.holder(path)?.stat(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if self.stat(dir).is_ok_and(|entry| entry.is_dir) {
            return Ok(());
        }
        self.upper.create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.copy_up(from)?;
        self.prepare(to)?;
        if self.list(to).is_ok_and(|entries| !entries.is_empty()) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.upper.rename(from, to)?;
        self.hide(from);
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.copy_up(from)?;
        self.prepare(to)?;
        if self.stat(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.upper.hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.stat(path)?;
        if self.upper.stat(path).is_ok() {
            self.upper.remove_file(path)?;
        }
        self.hide(path);
        Ok(())
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.stat(dir)?;
        if self.upper.stat(dir).is_ok() {
            self.upper.remove_dir_all(dir)?;
        }
        self.hide(dir);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.upper.stat(dir).is_ok() { self.upper.sync_dir(dir) } else { self.stat(dir).map(drop) }
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.prepare(path)?;
        self.upper.lock(path)
    }

    fn space(&self) -> io::Result<Space> {
        self.upper.space()
    }

    fn display(&self, path: &Path) -> String {
        self.lower.display(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::SimDisk;

    fn p(path: &str) -> &Path {
        Path::new(path)
    }

    fn names(disk: &dyn Disk, dir: &str) -> Vec<String> {
        disk.list(p(dir)).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn honours_the_contract() {
        let disk = OverlayDisk::new(Arc::new(SimDisk::new(0)), Arc::new(SimDisk::new(0)));
        super::super::contract_tests::all(&disk);
    }

    #[test]
    fn changes_are_seen_and_the_lower_disk_stays() {
        let lower = SimDisk::new(0);
        lower.create_dir_all(p("wal")).unwrap();
        for (path, bytes) in [("wal/0", "zero"), ("wal/1", "one"), ("wal/2", "two"), ("f", "file")] {
            lower.create(p(path)).unwrap().append(bytes.as_bytes()).unwrap();
        }
        let disk = OverlayDisk::new(Arc::new(lower.clone()), Arc::new(SimDisk::new(0)));
        disk.open_append(p("wal/0")).unwrap().truncate(2).unwrap();
        disk.rename(p("wal/1"), p("wal/1.bad")).unwrap();
        disk.remove_file(p("wal/2")).unwrap();
        disk.create(p("wal/3")).unwrap().append(b"three").unwrap();
        assert_eq!(names(&disk, "wal"), ["0", "1.bad", "3"]);
        assert_eq!(disk.read(p("wal/0")).unwrap(), b"ze");
        assert_eq!(disk.read(p("wal/1.bad")).unwrap(), b"one");
        assert_eq!(disk.read(p("wal/1")).unwrap_err().kind(), io::ErrorKind::NotFound);
        disk.remove_dir_all(p("wal")).unwrap();
        assert_eq!(names(&disk, ""), ["f"]);
        disk.create_dir_all(p("wal")).unwrap();
        assert_eq!(names(&disk, "wal"), Vec::<String>::new());

        assert_eq!(names(&lower, "wal"), ["0", "1", "2"]);
        assert_eq!(lower.read(p("wal/0")).unwrap(), b"zero");
    }
}
