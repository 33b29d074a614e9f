//! A disk in memory that can lose power, run full and rot, all decided by a seed.
//!
//! # Fault model
//!
//! - **Power cut** ([`SimDisk::power_cut`]). Of every file the bytes of its last `sync` survive. Of what was appended
//!   since, a part of arbitrary length survives, and of that part arbitrary 512-byte sectors may be zeros (length
//!   reached the disk, data did not). A truncation since the last `sync` may or may not have happened.
//! - **Names.** Creations, removals, renames and links are durable after `sync_dir` of the directory they happened
//!   in (a rename between two: of either). Of the later ones a prefix in their order survives; each is atomic, as in
//!   a journalling file system. A file whose name is lost is lost; a durable name may hold a file of which nothing
//!   was synced, hence an empty or torn one.
//! - **Crash at an operation** ([`SimDisk::fail_after`]). The n-th changing operation from now fails half-way and all
//!   later operations fail, until [`SimDisk::power_cut`] or [`SimDisk::kill`].
//! - **Process death** ([`SimDisk::kill`]). All that was written survives. As after a power cut, files that were open
//!   fail and locks are free.
//! - **Full disk** ([`SimDisk::set_capacity`]). An append that does not fit writes a part and fails with
//!   `StorageFull`. Removing and truncating give space back. Names take none.
//! - **Failing sync** ([`SimDisk::fail_syncs`]). The file stays undecided from its last good `sync` on, however often it
//!   is synced later, until it is truncated to there: on Linux a failed write-back drops the dirty pages.
//! - **Rot** ([`SimDisk::flip_bit`], [`SimDisk::cut_file`]). Bits change, files get shorter, behind the program's
//!   back. Reads are never short otherwise: the contract of `Disk` leaves that loop to the real disk.
//!
//! Not modelled: misdirected writes, and reordering between directories that a rename connects.

pub mod random;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use parking_lot::Mutex;

use self::random::Random;
use self::state::{Id, NameChange, Node, ROOT, State, UNLIMITED, crash, is_a_directory};
use super::{Disk, Entry, Lock, Mapped, Space, SyncLater, WriteFile};

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    /// An empty disk without limit.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: Random::new(seed),
            nodes: BTreeMap::from([(ROOT, Node::empty_dir())]),
            next_id: ROOT + 1,
            pending: Vec::new(),
            capacity: UNLIMITED,
            fail_after: None,
            crashed: false,
            fail_syncs: false,
            epoch: 0,
            locks: BTreeSet::new(),
        })))
    }

    /// Loses power and comes back: what was not made durable is lost in part or whole.
    pub fn power_cut(&self) {
        let mut state = self.0.lock();
        state.lose_names();
        state.lose_bytes();
        state.restart();
    }

    /// The process dies and starts again: everything written is there.
    pub fn kill(&self) {
        self.0.lock().restart();
    }

    /// Lets the changing operation after the next `n` fail half-way, and all others after it.
    pub fn fail_after(&self, n: u64) {
        self.0.lock().fail_after = Some(n);
    }

    /// Whether [`SimDisk::fail_after`] has struck and nobody has restarted.
    pub fn has_crashed(&self) -> bool {
        self.0.lock().crashed
    }

    /// Sets the size of the disk in bytes; `None` for no limit. May be less than what is used.
    pub fn set_capacity(&self, capacity: Option<u64>) {
        self.0.lock().capacity = capacity.unwrap_or(UNLIMITED);
    }

    /// Bytes that named files use.
    pub fn used(&self) -> u64 {
        self.0.lock().used()
    }

    /// Lets every `sync` of a file fail, or no longer.
    pub fn fail_syncs(&self, fail: bool) {
        self.0.lock().fail_syncs = fail;
    }

    /// Inverts one bit of a file, counted from the first byte's least significant.
    pub fn flip_bit(&self, path: &Path, bit: u64) -> io::Result<()> {
        self.rot(path, |bytes| {
            if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
                *byte ^= 1 << (bit % 8);
            }
        })
    }

    /// Makes a file at most `len` bytes long.
    pub fn cut_file(&self, path: &Path, len: usize) -> io::Result<()> {
        self.rot(path, |bytes| bytes.truncate(len))
    }

    fn rot(&self, path: &Path, change: impl Fn(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.0.lock();
        let id = state.find(path)?;
        let Some(Node::File { now, durable, shared, .. }) = state.nodes.get_mut(&id) else {
            return Err(is_a_directory());
        };
        change(now);
        change(durable);
        *shared = (*shared).min(now.len()).min(durable.len());
        Ok(())
    }

    fn changing<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock();
        state.alive()?;
        if state.strikes() {
            return Err(crash());
        }
        change(&mut state)
    }

    fn reading<T>(&self, read: impl FnOnce(&State) -> io::Result<T>) -> io::Result<T> {
        let state = self.0.lock();
        state.alive()?;
        read(&state)
    }

    fn handle(&self, id: Id, epoch: u64) -> Box<dyn WriteFile> {
        Box::new(SimFile { disk: self.clone(), id, epoch })
    }
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.0.lock();
        write!(f, "SimDisk({} nodes, epoch {})", state.nodes.len(), state.epoch)
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let (id, epoch) = self.changing(|state| {
            let (dir, name) = state.parent(path)?;
            let id = state.new_node(Node::empty_file());
            state.change_names(NameChange { removed: None, added: Some((dir, name, id)) });
            Ok((id, state.epoch))
        })?;
        Ok(self.handle(id, epoch))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let (id, epoch) = self.reading(|state| {
            state.file(path)?;
            Ok((state.find(path)?, state.epoch))
        })?;
        Ok(self.handle(id, epoch))
    }

    fn map(&self, path: &Path) -> io::Result<Mapped> {
        self.read(path).map(Mapped::from_vec)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.reading(|state| state.file(path).cloned())
    }

    fn read_at(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.reading(|state| {
            let bytes = state.file(path)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            Ok(bytes[start..start.saturating_add(len).min(bytes.len())].to_vec())
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.reading(|state| {
            let names = state.dir(state.find(dir)?)?;
            Ok(names.iter().map(|(name, id)| new_entry(name.clone(), state.nodes.get(id))).collect())
        })
    }

    fn stat(&self, path: &Path) -> io::Result<Entry> {
        self.reading(|state| {
            let id = state.find(path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok(new_entry(name, state.nodes.get(&id)))
        })
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.changing(|state| {
            let mut at = ROOT;
            for component in dir.components() {
                let Component::Normal(name) = component else { continue };
                let name = name.to_string_lossy().into_owned();
                at = match state.dir(at)?.get(&name) {
                    Some(&id) => id,
                    None => {
                        let id = state.new_node(Node::empty_dir());
                        state.change_names(NameChange { removed: None, added: Some((at, name, id)) });
                        id
                    }
                };
            }
            state.dir(at).map(drop)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.changing(|state| {
            let id = state.find(from)?;
            let removed = state.parent(from)?;
            let (dir, name) = state.parent(to)?;
            if let Some(Node::Dir { now, .. }) =
                state.dir(dir)?.get(&name).and_then(|old| state.nodes.get(old))
                && !now.is_empty()
            {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            state.change_names(NameChange { removed: Some(removed), added: Some((dir, name, id)) });
            Ok(())
        })
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.changing(|state| {
            state.file(from)?;
            let id = state.find(from)?;
            let (dir, name) = state.parent(to)?;
            if state.dir(dir)?.contains_key(&name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.change_names(NameChange { removed: None, added: Some((dir, name, id)) });
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.changing(|state| {
            state.file(path)?;
            let removed = state.parent(path)?;
            state.change_names(NameChange { removed: Some(removed), added: None });
            Ok(())
        })
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        // Name by name as the system does it, so that a crash may come in between.
        for entry in self.list(dir)? {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                self.remove_dir_all(&path)?;
            } else {
                self.remove_file(&path)?;
            }
        }
        self.changing(|state| {
            let removed = state.parent(dir)?;
            state.change_names(NameChange { removed: Some(removed), added: None });
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.changing(|state| {
            let id = state.find(dir)?;
            state.dir(id)?;
            state.sync_dir(id);
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        if self.stat(path).is_err() {
            self.create(path)?;
        }
        self.changing(|state| {
            let id = state.find(path)?;
            if !state.locks.insert(id) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let (dir, name) = state.parent(path)?;
            Ok(Box::new(SimLock { disk: self.clone(), id, dir, name, epoch: state.epoch }) as Box<dyn Lock>)
        })
    }

    fn space(&self) -> io::Result<Space> {
        self.reading(|state| {
            Ok(Space { total: state.capacity, free: state.capacity.saturating_sub(state.used()) })
        })
    }

    fn display(&self, path: &Path) -> String {
        path.display().to_string()
    }
}

fn new_entry(name: String, node: Option<&Node>) -> Entry {
    Entry { name, is_dir: matches!(node, Some(Node::Dir { .. })), len: node.map_or(0, Node::len) }
}

struct SimFile {
    disk: SimDisk,
    id: Id,
    epoch: u64,
}

impl SimFile {
    /// Runs a change on the file's bytes; `crashed` says to do it half and fail.
    fn change<T>(&self, change: impl FnOnce(&mut State, Id, bool) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        if state.epoch != self.epoch {
            return Err(io::Error::other("the file was open when the simulated disk restarted"));
        }
        state.alive()?;
        let strikes = state.strikes();
        change(&mut state, self.id, strikes)
    }
}

impl WriteFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.change(|state, id, strikes| {
            let room = match state.capacity {
                UNLIMITED => UNLIMITED,
                capacity => capacity.saturating_sub(state.used()),
            };
            let fits = bytes.len() as u64 <= room;
            let most = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            let taken = if strikes || !fits { state.random.up_to(most) } else { bytes.len() };
            if let Some(Node::File { now, .. }) = state.nodes.get_mut(&id) {
                now.extend_from_slice(&bytes[..taken]);
            }
            match (strikes, fits) {
                (true, _) => Err(crash()),
                (_, false) => Err(io::ErrorKind::StorageFull.into()),
                _ => Ok(()),
            }
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.change(|state, id, strikes| {
            if strikes {
                return Err(crash());
            }
            let fail = state.fail_syncs;
            if let Some(Node::File { now, durable, shared, doubtful }) = state.nodes.get_mut(&id) {
                *doubtful |= fail;
                if !*doubtful {
                    durable.truncate(*shared);
                    durable.extend_from_slice(&now[*shared..]);
                    *shared = now.len();
                }
            }
            if fail {
                return Err(io::Error::other("simulated failure of sync"));
            }
            Ok(())
        })
    }

    fn sync_later(&self) -> io::Result<SyncLater> {
        let mut file = Self { disk: self.disk.clone(), id: self.id, epoch: self.epoch };
        Ok(Box::new(move || file.sync()))
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.change(|state, id, strikes| {
            if strikes {
                return Err(crash());
            }
            if let Some(Node::File { now, shared, doubtful, .. }) = state.nodes.get_mut(&id) {
                now.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
                *shared = (*shared).min(now.len());
                *doubtful &= now.len() > *shared;
            }
            Ok(())
        })
    }

    fn len(&self) -> u64 {
        self.disk.0.lock().nodes.get(&self.id).map_or(0, Node::len)
    }
}

struct SimLock {
    disk: SimDisk,
    id: Id,
    dir: Id,
    name: String,
    epoch: u64,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.0.lock();
        // After a crash the dead process's destructors have no effect.
        if state.epoch == self.epoch && !state.crashed {
            state.locks.remove(&self.id);
            state.change_names(NameChange { removed: Some((self.dir, self.name.clone())), added: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(path: &str) -> &Path {
        Path::new(path)
    }

    #[test]
    fn honours_the_contract() {
        super::super::contract_tests::all(&SimDisk::new(0));
    }

    #[test]
    fn synced_bytes_and_names_survive_and_the_rest_is_a_torn_prefix() {
        let (mut shorter, mut zeros, mut nameless) = (0, 0, 0);
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            let mut file = disk.create(p("f")).unwrap();
            file.append(&[1; 700]).unwrap();
            file.sync().unwrap();
            disk.sync_dir(p("")).unwrap();
            file.append(&[2; 2000]).unwrap();
            disk.create(p("g")).unwrap();
            disk.power_cut();
            assert!(file.append(b"x").is_err(), "a file must not outlive the crash");
            let bytes = disk.read(p("f")).unwrap();
            assert_eq!(bytes[..700], [1; 700]);
            assert!(bytes[700..].iter().all(|&b| b == 2 || b == 0));
            shorter += usize::from(bytes.len() < 2700);
            zeros += usize::from(bytes.contains(&0));
            nameless += usize::from(disk.stat(p("g")).is_err());
        }
        assert!(
            shorter > 50 && zeros > 20 && nameless > 50 && nameless < 150,
            "{shorter} {zeros} {nameless}"
        );
    }

    #[test]
    fn a_rename_is_atomic() {
        for seed in 0..100 {
            let disk = SimDisk::new(seed);
            disk.create_dir_all(p("new")).unwrap();
            let mut file = disk.create(p("new/f")).unwrap();
            file.append(b"x").unwrap();
            file.sync().unwrap();
            disk.sync_dir(p("new")).unwrap();
            disk.sync_dir(p("")).unwrap();
            disk.rename(p("new"), p("old")).unwrap();
            disk.power_cut();
            let names: Vec<_> = disk.list(p("")).unwrap().into_iter().map(|e| e.name).collect();
            assert_eq!(names.len(), 1);
            assert_eq!(disk.read(&p(&names[0]).join("f")).unwrap(), b"x");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_disk() {
        let run = || {
            let disk = SimDisk::new(42);
            let mut file = disk.create(p("f")).unwrap();
            disk.sync_dir(p("")).unwrap();
            file.append(&[7; 5000]).unwrap();
            disk.power_cut();
            disk.read(p("f")).unwrap()
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn full_disk() {
        let disk = SimDisk::new(1);
        disk.set_capacity(Some(10));
        let mut file = disk.create(p("f")).unwrap();
        file.append(&[1; 8]).unwrap();
        let full = file.append(&[2; 8]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        assert!(file.len() >= 8 && file.len() <= 10);
        file.truncate(2).unwrap();
        file.append(&[3; 8]).unwrap();
        assert_eq!(disk.space().unwrap(), Space { total: 10, free: 0 });
        disk.remove_file(p("f")).unwrap();
        assert_eq!(disk.used(), 0);
    }

    #[test]
    fn crash_at_an_operation() {
        let disk = SimDisk::new(3);
        disk.fail_after(2);
        let mut file = disk.create(p("f")).unwrap();
        file.append(b"1234").unwrap();
        assert!(!disk.has_crashed());
        assert!(file.append(b"5678").is_err());
        assert!(disk.has_crashed());
        assert!(file.sync().is_err() && disk.read(p("f")).is_err());
        disk.kill();
        assert!(disk.read(p("f")).unwrap().starts_with(b"1234"));
    }

    #[test]
    fn a_failed_sync_promises_nothing() {
        let lost = (0..50).any(|seed| {
            let disk = SimDisk::new(seed);
            let mut file = disk.create(p("f")).unwrap();
            disk.sync_dir(p("")).unwrap();
            file.append(b"12345678").unwrap();
            disk.fail_syncs(true);
            assert!(file.sync().is_err());
            disk.fail_syncs(false);
            file.sync().unwrap();
            disk.power_cut();
            disk.read(p("f")).unwrap() != b"12345678"
        });
        assert!(lost);
        let disk = SimDisk::new(0);
        let mut file = disk.create(p("f")).unwrap();
        disk.sync_dir(p("")).unwrap();
        file.append(b"1").unwrap();
        disk.fail_syncs(true);
        assert!(file.sync().is_err());
        disk.fail_syncs(false);
        file.truncate(0).unwrap();
        file.append(b"2").unwrap();
        file.sync().unwrap();
        disk.power_cut();
        assert_eq!(disk.read(p("f")).unwrap(), b"2");
    }

    #[test]
    fn locks_end_with_the_process() {
        let disk = SimDisk::new(0);
        let lock = disk.lock(p("lock")).unwrap();
        assert_eq!(disk.lock(p("lock")).map(drop).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        disk.kill();
        let next = disk.lock(p("lock")).unwrap();
        drop(lock);
        assert!(disk.lock(p("lock")).is_err(), "the dead owner's destructor frees nothing");
        drop(next);
        assert!(disk.stat(p("lock")).is_err());
    }

    #[test]
    fn rot() {
        let disk = SimDisk::new(0);
        disk.create(p("f")).unwrap().append(&[0, 0, 0]).unwrap();
        disk.flip_bit(p("f"), 9).unwrap();
        assert_eq!(disk.read(p("f")).unwrap(), [0, 2, 0]);
        disk.cut_file(p("f"), 1).unwrap();
        assert_eq!(disk.read(p("f")).unwrap(), [0]);
    }
}
