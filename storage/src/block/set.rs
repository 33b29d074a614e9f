//! The blocks being served: an immutable list. A change makes another list; readers keep the one they have.

use std::path::Path;
use std::sync::Arc;

use ulid::Ulid;

use super::meta::{BlockMeta, block_id};
use super::plan::superseded;
use crate::StorageError;
use crate::fs::Disk;

/// A block that can be served.
pub trait LiveBlock: Sized {
    /// Opens the block in a directory.
    fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, StorageError>;

    /// What it is.
    fn meta(&self) -> &BlockMeta;
}

/// A list of blocks.
#[derive(Debug)]
pub struct BlockSet<B> {
    /// Ascending by first time, then by id.
    blocks: Vec<Arc<B>>,
    quarantined: Vec<Quarantined>,
    superseded: Vec<Ulid>,
}

/// A block that is not served because it could not be opened. It stays on disk and is tried again with each load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its id.
    pub id: Ulid,
    /// What is wrong, with file and offset.
    pub reason: String,
}

impl<B> Default for BlockSet<B> {
    fn default() -> Self {
        Self { blocks: Vec::new(), quarantined: Vec::new(), superseded: Vec::new() }
    }
}

impl<B: LiveBlock> BlockSet<B> {
    /// The blocks in a directory. Those of `previous` that are still there are taken from it without being opened
    /// again. One that cannot be opened is set aside; the others are served. Deletes nothing.
    pub fn load(disk: &dyn Disk, parent: &Path, previous: &Self) -> Result<Self, StorageError> {
        let entries = disk.list(parent).map_err(StorageError::doing("listing", disk.display(parent)))?;
        let mut set = Self::default();
        for entry in entries.into_iter().filter(|entry| entry.is_dir) {
            let Some(id) = block_id(&entry.name) else { continue };
            if let Some(block) = previous.get(id) {
                set.blocks.push(block.clone());
                continue;
            }
            match B::open(disk, &parent.join(&entry.name)) {
                Ok(block) if block.meta().id == id => set.blocks.push(Arc::new(block)),
                Ok(block) => {
                    let reason = format!("its directory is named {id}, its metadata {}", block.meta().id);
                    set.quarantined.push(Quarantined { id, reason });
                }
                Err(e) => set.quarantined.push(Quarantined { id, reason: e.to_string() }),
            }
        }
        let obsolete = superseded(&set.metas());
        let is_obsolete = |id: Ulid| obsolete.contains(&id);
        let there =
            set.blocks.iter().map(|block| block.meta().id).chain(set.quarantined.iter().map(|q| q.id));
        set.superseded = there.filter(|&id| is_obsolete(id)).collect();
        set.blocks.retain(|block| !is_obsolete(block.meta().id));
        set.quarantined.retain(|quarantined| !is_obsolete(quarantined.id));
        set.sort();
        Ok(set)
    }

    fn sort(&mut self) {
        self.blocks.sort_by_key(|block| (block.meta().min_time, block.meta().id));
    }

    /// The blocks, ascending by first time, then by id. Where two have a sample at the same time, the first counts.
    pub fn blocks(&self) -> &[Arc<B>] {
        &self.blocks
    }

    /// The blocks that have a part in `min_t..=max_t`.
    pub fn overlapping(&self, min_t: i64, max_t: i64) -> impl Iterator<Item = &Arc<B>> {
        self.blocks.iter().filter(move |block| block.meta().overlaps(min_t, max_t))
    }

    /// A block by its id.
    pub fn get(&self, id: Ulid) -> Option<&Arc<B>> {
        self.blocks.iter().find(|block| block.meta().id == id)
    }

    /// The metas of all blocks, for [`super::plan`].
    pub fn metas(&self) -> Vec<BlockMeta> {
        self.blocks.iter().map(|block| block.meta().clone()).collect()
    }

    /// Blocks that could not be opened.
    pub fn quarantined(&self) -> &[Quarantined] {
        &self.quarantined
    }

    /// Blocks on disk that are not served because served ones were made of them. They can be removed.
    pub fn superseded(&self) -> &[Ulid] {
        &self.superseded
    }

    /// This list with a block in the place of the one that has its id.
    pub fn replace(&self, block: Arc<B>) -> Self {
        let mut set = self.without(&[block.meta().id]);
        set.blocks.push(block);
        set.sort();
        set
    }

    /// This list without some blocks.
    pub fn without(&self, ids: &[Ulid]) -> Self {
        Self {
            blocks: self.blocks.iter().filter(|block| !ids.contains(&block.meta().id)).cloned().collect(),
            quarantined: self.quarantined.clone(),
            superseded: self.superseded.iter().filter(|id| !ids.contains(id)).copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::publish::tests::put_file;
    use crate::fs::SimDisk;

    struct Meta(BlockMeta);

    impl LiveBlock for Meta {
        fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, StorageError> {
            Ok(Self(BlockMeta::read(disk, dir)?.0))
        }

        fn meta(&self) -> &BlockMeta {
            &self.0
        }
    }

    fn put(disk: &SimDisk, n: u64, min_time: i64, parents: &[u64]) -> Ulid {
        let id = Ulid::from_parts(n, 0);
        let mut meta = BlockMeta::level_1(id, min_time, min_time + 10);
        for &parent in parents {
            meta.compaction.parents.push(BlockMeta::level_1(Ulid::from_parts(parent, 0), 0, 1).as_parent());
        }
        let dir = Path::new("data").join(id.to_string());
        disk.create_dir_all(&dir).unwrap();
        meta.write(disk, &dir).unwrap();
        id
    }

    fn load(disk: &SimDisk, previous: &BlockSet<Meta>) -> BlockSet<Meta> {
        BlockSet::load(disk, Path::new("data"), previous).unwrap()
    }

    fn ids(set: &BlockSet<Meta>) -> Vec<u64> {
        set.blocks().iter().map(|block| block.meta().id.timestamp_ms()).collect()
    }

    #[test]
    fn broken_blocks_are_set_aside_and_the_rest_is_served() {
        let disk = SimDisk::new(0);
        disk.create_dir_all(Path::new("data/wal")).unwrap();
        put(&disk, 1, 50, &[]);
        let broken = put(&disk, 2, 20, &[]);
        put(&disk, 3, 0, &[]);
        let file = Path::new("data").join(broken.to_string()).join("meta.json");
        let good = disk.read(&file).unwrap();
        put_file(&disk, &file, b"{\n  nonsense".to_vec());
        let first = load(&disk, &BlockSet::default());
        assert_eq!(ids(&first), [3, 1]);
        let [quarantined] = first.quarantined() else { panic!() };
        assert_eq!(quarantined.id, broken);
        let want = format!("{}: corrupt at offset 4: key must be a string", file.display());
        assert!(quarantined.reason.starts_with(&want), "{}", quarantined.reason);

        put_file(&disk, &file, good);
        let second = load(&disk, &first);
        assert_eq!((ids(&second), second.quarantined()), (vec![3, 2, 1], &[][..]));
        assert!(Arc::ptr_eq(&first.blocks()[0], &second.blocks()[0]));
        assert_eq!(second.overlapping(10, 20).count(), 1);
        assert_eq!(ids(&second.without(&[broken])), [3, 1]);
        let moved = Meta(BlockMeta::level_1(broken, 90, 91));
        assert_eq!(ids(&second.replace(Arc::new(moved))), [3, 1, 2]);
    }

    #[test]
    fn children_take_the_place_of_their_parents_once_they_are_readable() {
        let disk = SimDisk::new(0);
        let (a, b) = (put(&disk, 1, 0, &[]), put(&disk, 2, 10, &[]));
        let child = put(&disk, 3, 0, &[1, 2]);
        let file = Path::new("data").join(child.to_string()).join("meta.json");
        let good = disk.read(&file).unwrap();
        put_file(&disk, &file, Vec::new());
        let set = load(&disk, &BlockSet::default());
        assert_eq!((ids(&set), set.superseded()), (vec![1, 2], &[][..]));
        put_file(&disk, &file, good);
        let set = load(&disk, &set);
        assert_eq!((ids(&set), set.superseded()), (vec![3], &[a, b][..]));
        assert!(set.quarantined().is_empty());
    }
}
