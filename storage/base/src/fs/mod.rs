//! The disk, passed in. Everything below `storage` reads and writes through [`Disk`], so that tests can crash it.
//!
//! Paths are relative to the data directory and use `/`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

mod buffered;
#[cfg(test)]
mod contract_tests;
mod disk;
mod mapped;
mod overlay;
pub mod sim;

pub use buffered::BufferedFile;
pub use disk::RealDisk;
pub use mapped::Mapped;
pub use overlay::OverlayDisk;
pub use sim::SimDisk;

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Name without its directory.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Size in bytes; 0 for a directory.
    pub len: u64,
}

/// Bytes on the file system that holds the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size of the file system.
    pub total: u64,
    /// What this process may still use.
    pub free: u64,
}

/// Makes a file durable when called.
pub type SyncLater = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// A file open for writing at its end.
pub trait WriteFile: Send {
    /// Appends all bytes or fails; after a failure the file may end in a part of them, and `len` tells how much.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when all that was appended survives a power cut.
    fn sync(&mut self) -> io::Result<()>;
    /// The same as `sync`, to be run elsewhere while appending goes on: covers what was appended before the call.
    fn sync_later(&self) -> io::Result<SyncLater>;
    /// Cuts the file to a length, as after a failed append.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    /// Bytes in the file.
    fn len(&self) -> u64;
    /// Whether the file is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Keeps a lock file locked until dropped, which removes the file.
pub trait Lock: Send + Sync {}

/// A directory tree. A file's bytes survive a crash after `WriteFile::sync`; its name, a rename or a removal after
/// `sync_dir` of the directory that holds the name.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates an empty file, whose directory must exist. A file that has the name loses it and keeps its bytes for
    /// those who mapped or linked it.
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;
    /// Opens an existing file to write at its end.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;
    /// The whole file, memory-mapped where the disk can. The file must not be written again while the mapping lives,
    /// except by appending: the mapping keeps the length it had.
    fn map(&self, path: &Path) -> io::Result<Mapped>;
    /// The whole file, copied.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// `len` bytes at `offset`, fewer at the end of the file.
    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>>;
    /// The entries of a directory, ascending by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// What a path is; `NotFound` when it is nothing.
    fn stat(&self, path: &Path) -> io::Result<Entry>;
    /// Creates a directory and its parents; no error when it exists.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file or directory, replacing a file or an empty directory.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// A second name for a file's bytes, for snapshots.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with all it holds.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes a directory's names durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the exclusive lock on a file, creating it or taking over what a crash left; `WouldBlock` when another
    /// process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
    /// Space on the file system.
    fn space(&self) -> io::Result<Space>;
    /// The path as an operator would write it, for messages.
    fn display(&self, path: &Path) -> String;
}

/// Bytes of the files in a directory and its directories; what cannot be listed does not count.
pub fn bytes_below(disk: &dyn Disk, dir: &Path) -> u64 {
    let mut total = 0;
    let mut dirs = vec![PathBuf::from(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in disk.list(&dir).unwrap_or_default() {
            if entry.is_dir {
                dirs.push(dir.join(entry.name));
            } else {
                total += entry.len;
            }
        }
    }
    total
}
