//! A file written front to back through a buffer.

use std::path::Path;

use super::{Disk, WriteFile};
use crate::StorageError;

/// Bytes gathered before they go to the disk.
const BUFFER_LEN: usize = 1 << 20;

/// Appends through a buffer of about 1 MiB. What is still buffered when it is dropped is lost: call
/// [`BufferedFile::finish`].
pub struct BufferedFile {
    file: Box<dyn WriteFile>,
    buffer: Vec<u8>,
    /// Bytes given so far, buffered ones included.
    position: u64,
    shown: String,
}

impl BufferedFile {
    /// Creates a file, empty if it existed.
    pub fn create(disk: &dyn Disk, path: &Path) -> Result<Self, StorageError> {
        let shown = disk.display(path);
        let file = disk.create(path).map_err(StorageError::io_while("creating", &shown))?;
        Ok(Self { file, buffer: Vec::with_capacity(BUFFER_LEN), position: 0, shown })
    }

    /// Where the next byte goes.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The file as an operator would write it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        if self.buffer.len() + bytes.len() > BUFFER_LEN {
            self.flush()?;
        }
        if bytes.len() >= BUFFER_LEN {
            self.file.append(bytes).map_err(StorageError::io_while("writing", &self.shown))?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Appends zeros until the position is a multiple of `align`, at most 16.
    pub fn pad(&mut self, align: u64) -> Result<(), StorageError> {
        let missing = self.position.next_multiple_of(align) - self.position;
        self.write(&[0; 16][..missing as usize])
    }

    /// Hands everything buffered to the disk, so that the file can be mapped.
    pub fn flush(&mut self) -> Result<(), StorageError> {
        self.file.append(&self.buffer).map_err(StorageError::io_while("writing", &self.shown))?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is buffered and makes the bytes durable. Returns the file's length.
    pub fn finish(mut self) -> Result<u64, StorageError> {
        self.flush()?;
        self.file.sync().map_err(StorageError::io_while("syncing", &self.shown))?;
        Ok(self.position)
    }
}
