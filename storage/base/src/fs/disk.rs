//! The real disk: one directory of the operating system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fs::{FlockOperation, flock, statvfs};
use rustix::io::Errno;

use super::{Disk, Entry, Lock, Mapped, Space, SyncLater, WriteFile};

/// A directory of the operating system; paths are relative to it.
#[derive(Clone, Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// The disk below a directory, which need not exist yet: `create_dir_all("")` creates it.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn at(&self, path: &Path) -> PathBuf {
        // Joining an empty path would add a slash.
        if path.as_os_str().is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let path = self.at(path);
        // A file that existed may be mapped or hard-linked: leave its bytes alone and take the name only.
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Box::new(RealFile { file, len: 0 }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let file = OpenOptions::new().append(true).open(self.at(path))?;
        let len = file.metadata()?.len();
        Ok(Box::new(RealFile { file, len }))
    }

    fn map(&self, path: &Path) -> io::Result<Mapped> {
        let file = File::open(self.at(path))?;
        if file.metadata()?.len() == 0 {
            return Ok(Mapped::from_vec(Vec::new()));
        }
        #[expect(
            unsafe_code,
            reason = "mapping spares a copy of every block and lets the page cache own the memory"
        )]
        // SAFETY: the bytes of a mapping must not change and the file must not shrink while it lives. By the contract
        // of `Disk::map` files are mapped when sealed: `create` never reuses a file that has a name, only appending
        // and removal follow, and neither touches mapped bytes. Other processes are kept out by the directory's lock.
        // A process that writes into the data directory in spite of it can make us read garbage, which checksums are
        // there for, or raise SIGBUS by truncating; Prometheus stands or falls by the same.
        let map = unsafe { memmap2::Mmap::map(&file) }?;
        Ok(Mapped::from_mmap(map))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(self.at(path))
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let file = File::open(self.at(path))?;
        let there = file.metadata()?.len().saturating_sub(offset);
        let len = len.min(usize::try_from(there).unwrap_or(usize::MAX));
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = offset + bytes.len() as u64;
            match rustix::io::pread(&file, spare_capacity(&mut bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.at(dir))? {
            let entry = entry?;
            let metadata = match fs::metadata(entry.path()) {
                // Removed meanwhile, or a link to nothing.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            entries.push(new_entry(entry.file_name().to_string_lossy().into_owned(), &metadata));
        }
        entries.sort();
        Ok(entries)
    }

    fn stat(&self, path: &Path) -> io::Result<Entry> {
        let metadata = fs::metadata(self.at(path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(new_entry(name, &metadata))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(self.at(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(self.at(from), self.at(to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(self.at(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(self.at(dir))?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let path = self.at(path);
        loop {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            // Its last owner may have removed it after we opened it; then the lock is on nothing.
            let ours = file.metadata()?;
            match fs::metadata(&path) {
                Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => {
                    return Ok(Box::new(RealLock { path, _file: file }));
                }
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn space(&self) -> io::Result<Space> {
        let stat = statvfs(&self.root)?;
        Ok(Space {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    fn display(&self, path: &Path) -> String {
        self.at(path).display().to_string()
    }
}

fn new_entry(name: String, metadata: &fs::Metadata) -> Entry {
    let is_dir = metadata.is_dir();
    Entry { name, is_dir, len: if is_dir { 0 } else { metadata.len() } }
}

struct RealFile {
    file: File,
    len: u64,
}

impl WriteFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.len += bytes.len() as u64;
                Ok(())
            }
            Err(e) => {
                self.len = self.file.metadata().map_or(self.len, |metadata| metadata.len());
                Err(e)
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        // Includes the length, which is all the metadata that matters here.
        self.file.sync_data()
    }

    fn sync_later(&self) -> io::Result<SyncLater> {
        let file = self.file.try_clone()?;
        Ok(Box::new(move || file.sync_data()))
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.len = len;
        Ok(())
    }

    fn len(&self) -> u64 {
        self.len
    }
}

struct RealLock {
    path: PathBuf,
    _file: File,
}

impl Lock for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        // Before the lock goes with the file, so that nobody else's file is removed. If it stays, the next owner
        // takes it over.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> (tempfile::TempDir, RealDisk) {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path().join("data"));
        disk.create_dir_all(Path::new("")).unwrap();
        (dir, disk)
    }

    #[test]
    fn honours_the_contract() {
        let (_dir, disk) = disk();
        super::super::contract_tests::all(&disk);
    }

    #[test]
    fn a_lock_excludes_and_is_removed() {
        let (_dir, disk) = disk();
        let lock = disk.lock(Path::new("lock")).unwrap();
        let again = disk.lock(Path::new("lock")).map(drop).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::WouldBlock);
        drop(lock);
        assert!(disk.stat(Path::new("lock")).is_err());
        // A stale file is taken over.
        disk.create(Path::new("lock")).unwrap();
        disk.lock(Path::new("lock")).unwrap();
    }

    #[test]
    fn mapping_keeps_its_bytes() {
        let (_dir, disk) = disk();
        let path = Path::new("f");
        disk.create(path).unwrap().append(b"old").unwrap();
        let map = disk.map(path).unwrap();
        disk.create(path).unwrap().append(b"new").unwrap();
        assert_eq!(&*map, b"old");
        assert_eq!(&*disk.map(path).unwrap(), b"new");
    }

    #[test]
    fn space_and_names() {
        let (dir, disk) = disk();
        let space = disk.space().unwrap();
        assert!(space.total >= space.free && space.total > 0);
        assert_eq!(disk.display(Path::new("a/b")), dir.path().join("data/a/b").to_str().unwrap());
    }
}
