//! The blocks being served: an immutable list. A change makes another list; readers keep the one they have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ulid::Ulid;

use super::block_id;
use crate::StorageError;
use crate::fs::Disk;

/// A block that can be served.
pub trait Block: Sized {
    /// Opens the block in a directory.
    fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, StorageError>;

    /// Its id, also its directory's name.
    fn id(&self) -> Ulid;

    /// First millisecond of its time, inclusive.
    fn min_t(&self) -> i64;

    /// End of its time in milliseconds, exclusive.
    fn max_t(&self) -> i64;

    /// The blocks it was directly made of.
    fn parents(&self) -> Vec<Ulid>;

    /// Whether its time has a part in `min_t..=max_t`.
    #[inline]
    fn overlaps(&self, min_t: i64, max_t: i64) -> bool {
        self.min_t() <= max_t && min_t < self.max_t()
    }
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

impl<B: Block> BlockSet<B> {
    /// The blocks in a directory. Those of `previous` that are still there are taken from it without being opened
    /// again. One that cannot be opened is set aside; the others are served. Deletes nothing.
    pub fn load(disk: &dyn Disk, parent: &Path, previous: &Self) -> Result<Self, StorageError> {
        let entries = disk.list(parent).map_err(StorageError::io_while("listing", disk.display(parent)))?;
        let mut set = Self::default();
        for entry in entries.into_iter().filter(|entry| entry.is_dir) {
            let Some(id) = block_id(&entry.name) else { continue };
            if let Some(block) = previous.get(id) {
                set.blocks.push(block.clone());
                continue;
            }
            match B::open(disk, &parent.join(&entry.name)) {
                Ok(block) if block.id() == id => set.blocks.push(Arc::new(block)),
                Ok(block) => {
                    let reason = format!("its directory is named {id}, its metadata {}", block.id());
                    set.quarantined.push(Quarantined { id, reason });
                }
                Err(e) => set.quarantined.push(Quarantined { id, reason: e.to_string() }),
            }
        }
        let parents = set.blocks.iter().map(|block| (block.id(), block.parents())).collect();
        let obsolete = superseded(&parents);
        let is_obsolete = |id: Ulid| obsolete.contains(&id);
        let there = set.blocks.iter().map(|block| block.id()).chain(set.quarantined.iter().map(|q| q.id));
        set.superseded = there.filter(|&id| is_obsolete(id)).collect();
        set.blocks.retain(|block| !is_obsolete(block.id()));
        set.quarantined.retain(|quarantined| !is_obsolete(quarantined.id));
        set.sort();
        Ok(set)
    }

    fn sort(&mut self) {
        self.blocks.sort_by_key(|block| (block.min_t(), block.id()));
    }

    /// The blocks, ascending by first time, then by id. Where two have a sample at the same time, the first counts.
    pub fn blocks(&self) -> &[Arc<B>] {
        &self.blocks
    }

    /// The blocks that have a part in `min_t..=max_t`.
    pub fn overlapping(&self, min_t: i64, max_t: i64) -> impl Iterator<Item = &Arc<B>> {
        self.blocks.iter().filter(move |block| block.overlaps(min_t, max_t))
    }

    /// A block by its id.
    pub fn get(&self, id: Ulid) -> Option<&Arc<B>> {
        self.blocks.iter().find(|block| block.id() == id)
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
        let mut set = self.without(&[block.id()]);
        set.blocks.push(block);
        set.sort();
        set
    }

    /// This list without some blocks.
    pub fn without(&self, ids: &[Ulid]) -> Self {
        Self {
            blocks: self.blocks.iter().filter(|block| !ids.contains(&block.id())).cloned().collect(),
            quarantined: self.quarantined.clone(),
            superseded: self.superseded.iter().filter(|id| !ids.contains(id)).copied().collect(),
        }
    }
}

/// The blocks that need not be kept because others, which are there, were made of them. `parents` are those of each
/// readable block; the result may name blocks that are not among the readable ones.
fn superseded(parents: &BTreeMap<Ulid, Vec<Ulid>>) -> BTreeSet<Ulid> {
    let parents_of = |id: &Ulid| parents.get(id).map_or(&[][..], Vec::as_slice);
    let is_parent: BTreeSet<Ulid> = parents.values().flatten().copied().collect();
    // Only from blocks that nothing was made of, so that false claims of parentage do not delete each other.
    let mut pending: Vec<Ulid> = parents.keys().filter(|id| !is_parent.contains(id)).copied().collect();
    let mut found = BTreeSet::new();
    while let Some(id) = pending.pop() {
        pending.extend(parents_of(&id).iter().copied().filter(|parent| found.insert(*parent)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Corruption;
    use crate::file_testing::put_file;
    use crate::fs::SimDisk;

    /// A block whose one file says where its time begins and, by number, of which blocks it was made.
    struct Numbered {
        id: Ulid,
        min_t: i64,
        parents: Vec<Ulid>,
    }

    const FILE: &str = "about";

    fn id(n: u64) -> Ulid {
        Ulid::from_parts(n, 0)
    }

    impl Block for Numbered {
        fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, StorageError> {
            let path = dir.join(FILE);
            let bytes = disk.read(&path).map_err(StorageError::io_while("reading", disk.display(&path)))?;
            let text = String::from_utf8_lossy(&bytes);
            let numbers: Result<Vec<i64>, _> = text.split(' ').map(str::parse).collect();
            let file = disk.display(&path);
            let reason = |e: std::num::ParseIntError| Corruption { file, offset: 4, reason: e.to_string() };
            let numbers = numbers.map_err(reason)?;
            let parents = numbers[2..].iter().map(|&n| id(n as u64)).collect();
            Ok(Self { id: id(numbers[0] as u64), min_t: numbers[1], parents })
        }

        fn id(&self) -> Ulid {
            self.id
        }

        fn min_t(&self) -> i64 {
            self.min_t
        }

        fn max_t(&self) -> i64 {
            self.min_t + 10
        }

        fn parents(&self) -> Vec<Ulid> {
            self.parents.clone()
        }
    }

    fn put(disk: &SimDisk, n: u64, min_t: i64, parents: &[u64]) -> Ulid {
        let dir = Path::new("data").join(id(n).to_string());
        let numbers =
            [n.to_string(), min_t.to_string()].into_iter().chain(parents.iter().map(u64::to_string));
        disk.create_dir_all(&dir).unwrap();
        put_file(disk, &dir.join(FILE), Vec::from_iter(numbers).join(" ").into_bytes());
        id(n)
    }

    fn load(disk: &SimDisk, previous: &BlockSet<Numbered>) -> BlockSet<Numbered> {
        BlockSet::load(disk, Path::new("data"), previous).unwrap()
    }

    fn ids(set: &BlockSet<Numbered>) -> Vec<u64> {
        set.blocks().iter().map(|block| block.id().timestamp_ms()).collect()
    }

    #[test]
    fn broken_blocks_are_set_aside_and_the_rest_is_served() {
        let disk = SimDisk::new(0);
        disk.create_dir_all(Path::new("data/wal")).unwrap();
        put(&disk, 1, 50, &[]);
        let broken = put(&disk, 2, 20, &[]);
        put(&disk, 3, 0, &[]);
        let file = Path::new("data").join(broken.to_string()).join(FILE);
        let good = disk.read(&file).unwrap();
        put_file(&disk, &file, b"{\n  nonsense".to_vec());
        let first = load(&disk, &BlockSet::default());
        assert_eq!(ids(&first), [3, 1]);
        let [quarantined] = first.quarantined() else { panic!() };
        assert_eq!(quarantined.id, broken);
        let want = format!("{}: corrupt at offset 4: invalid digit", file.display());
        assert!(quarantined.reason.starts_with(&want), "{}", quarantined.reason);

        put_file(&disk, &file, good);
        let second = load(&disk, &first);
        assert_eq!((ids(&second), second.quarantined()), (vec![3, 2, 1], &[][..]));
        assert!(Arc::ptr_eq(&first.blocks()[0], &second.blocks()[0]));
        assert_eq!(second.overlapping(10, 20).count(), 1);
        assert_eq!(ids(&second.without(&[broken])), [3, 1]);
        let moved = Numbered { id: broken, min_t: 90, parents: Vec::new() };
        assert_eq!(ids(&second.replace(Arc::new(moved))), [3, 1, 2]);
    }

    #[test]
    fn children_take_the_place_of_their_parents_once_they_are_readable() {
        let disk = SimDisk::new(0);
        let (a, b) = (put(&disk, 1, 0, &[]), put(&disk, 2, 10, &[]));
        let child = put(&disk, 3, 0, &[1, 2]);
        let file = Path::new("data").join(child.to_string()).join(FILE);
        let good = disk.read(&file).unwrap();
        put_file(&disk, &file, Vec::new());
        let set = load(&disk, &BlockSet::default());
        assert_eq!((ids(&set), set.superseded()), (vec![1, 2], &[][..]));
        put_file(&disk, &file, good);
        let set = load(&disk, &set);
        assert_eq!((ids(&set), set.superseded()), (vec![3], &[a, b][..]));
        assert!(set.quarantined().is_empty());
    }

    #[test]
    fn ancestors_of_readable_blocks_are_superseded() {
        let made_of = |n: u64, parents: &[u64]| (id(n), parents.iter().map(|&n| id(n)).collect());
        for (blocks, want) in [
            (vec![made_of(1, &[]), made_of(2, &[])], &[][..]),
            (vec![made_of(1, &[]), made_of(2, &[]), made_of(3, &[1, 2])], &[1, 2]),
            (vec![made_of(1, &[]), made_of(3, &[1, 2]), made_of(4, &[3])], &[1, 2, 3]),
            (vec![made_of(1, &[2]), made_of(2, &[1]), made_of(3, &[3])], &[]),
        ] {
            let found = superseded(&blocks.iter().cloned().collect());
            assert_eq!(found, want.iter().map(|&n| id(n)).collect(), "{blocks:?}");
        }
    }
}
