//! Bytes of a sealed file, mapped or in memory; cloning shares them.

use std::ops::Deref;
use std::sync::Arc;

/// A file's bytes. Derefs to `[u8]`.
#[derive(Clone)]
pub struct Mapped(Source);

#[derive(Clone)]
enum Source {
    Memory(Arc<[u8]>),
    File(Arc<memmap2::Mmap>),
}

impl Mapped {
    /// Bytes that live in memory.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Source::Memory(Arc::from(bytes)))
    }

    /// Bytes of a mapped file.
    pub fn from_mmap(map: memmap2::Mmap) -> Self {
        Self(Source::File(Arc::new(map)))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Memory(bytes) => bytes,
            Source::File(map) => map,
        }
    }
}

impl std::fmt::Debug for Mapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mapped({} bytes)", self.len())
    }
}
