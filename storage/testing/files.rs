//! Files of a test's disk. Shared by the tests of several crates.

use std::path::Path;

use storage_base::fs::Disk;

/// Replaces a file's bytes.
pub(crate) fn put_file(disk: &dyn Disk, path: &Path, bytes: Vec<u8>) {
    disk.create(path).unwrap().append(&bytes).unwrap();
}
