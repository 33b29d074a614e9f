//! A disk in memory for tests that need no faults.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, Entry, Lock, Mapped, Space, WriteFile};

type Files = Arc<Mutex<BTreeMap<PathBuf, Option<Arc<Mutex<Vec<u8>>>>>>>;

/// Directories are `None`.
#[derive(Debug, Default)]
pub struct MemoryDisk(Files);

struct File(Arc<Mutex<Vec<u8>>>);

impl WriteFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().extend_from_slice(bytes);
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.lock().truncate(len as usize);
        Ok(())
    }
    fn len(&self) -> u64 {
        self.0.lock().len() as u64
    }
}

impl MemoryDisk {
    fn file(&self, path: &Path) -> io::Result<Arc<Mutex<Vec<u8>>>> {
        self.0.lock().get(path).cloned().flatten().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Replaces a file's bytes.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        self.0.lock().insert(path.to_owned(), Some(Arc::new(Mutex::new(bytes))));
    }
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let file = Arc::new(Mutex::new(Vec::new()));
        self.0.lock().insert(path.to_owned(), Some(file.clone()));
        Ok(Box::new(File(file)))
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(File(self.file(path)?)))
    }
    fn map(&self, path: &Path) -> io::Result<Mapped> {
        Ok(Mapped::from_vec(self.read(path)?))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.file(path)?.lock().clone())
    }
    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        Ok(self.read(path)?.into_iter().skip(offset as usize).take(len).collect())
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let files = self.0.lock();
        let inside = files.iter().filter(|(path, _)| path.parent() == Some(dir));
        Ok(inside
            .map(|(path, file)| Entry {
                name: path.file_name().unwrap().to_str().unwrap().to_owned(),
                is_dir: file.is_none(),
                len: file.as_ref().map_or(0, |file| file.lock().len() as u64),
            })
            .collect())
    }
    fn stat(&self, path: &Path) -> io::Result<Entry> {
        let dir = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().unwrap().to_str().unwrap();
        self.list(dir)?.into_iter().find(|e| e.name == name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut files = self.0.lock();
        for dir in dir.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
            files.insert(dir.to_owned(), None);
        }
        Ok(())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.0.lock();
        let moved: Vec<_> = files.keys().filter(|path| path.starts_with(from)).cloned().collect();
        if moved.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for path in moved {
            let file = files.remove(&path).unwrap();
            let rest = path.strip_prefix(from).unwrap();
            let target = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            files.insert(target, file);
        }
        Ok(())
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.file(from)?;
        self.0.lock().insert(to.to_owned(), Some(file));
        Ok(())
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.lock().remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut files = self.0.lock();
        let before = files.len();
        files.retain(|path, _| !path.starts_with(dir));
        if files.len() == before { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) }
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn lock(&self, _: &Path) -> io::Result<Box<dyn Lock>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn space(&self) -> io::Result<Space> {
        Ok(Space { total: 1 << 40, free: 1 << 40 })
    }
    fn display(&self, path: &Path) -> String {
        path.display().to_string()
    }
}
