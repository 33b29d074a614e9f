//! A copy of the data directory on the same disk, which is a data directory of its own.

use std::path::Path;
use std::sync::Arc;

use storage_base::StorageError;
use storage_base::fs::Disk;
use storage_base::store::Store;

/// Where copies of the data directory go.
const SNAPSHOTS: &str = "snapshots";

/// Makes `snapshots/<name>`; `with_memory` says whether what is not in blocks yet is part of it. Leaves nothing when it
/// fails.
pub(crate) fn make(
    disk: &dyn Disk,
    stores: &[Arc<dyn Store>],
    name: &str,
    with_memory: bool,
) -> Result<(), StorageError> {
    if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
        return Err(StorageError::Invalid(format!("{name:?} cannot name a snapshot")));
    }
    let dir = Path::new(SNAPSHOTS).join(name);
    let shown = disk.display(&dir);
    if disk.stat(&dir).is_ok() {
        return Err(StorageError::Invalid(format!("{shown} exists already")));
    }
    disk.create_dir_all(&dir).map_err(StorageError::io_while("creating", &shown))?;
    let copied = stores.iter().try_for_each(|store| store.copy_to(&dir, with_memory));
    let durable = copied.and_then(|()| {
        [&dir, Path::new(SNAPSHOTS), Path::new("")].into_iter().try_for_each(|dir| {
            disk.sync_dir(dir).map_err(StorageError::io_while("syncing", disk.display(dir)))
        })
    });
    if durable.is_err() {
        // The first error is the one to tell.
        let _ = disk.remove_dir_all(&dir);
    }
    durable
}
