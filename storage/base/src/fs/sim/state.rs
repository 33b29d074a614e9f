//! What is on a simulated disk, durable and not, and what a power cut leaves of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use super::random::Random;

/// What a sector is to a power cut, in bytes.
const SECTOR: usize = 512;
/// The size of a disk without limit.
pub(super) const UNLIMITED: u64 = 1 << 50;

pub(super) type Id = u64;
pub(super) const ROOT: Id = 0;

pub(super) struct State {
    pub(super) random: Random,
    pub(super) nodes: BTreeMap<Id, Node>,
    pub(super) next_id: Id,
    /// Changes of names that no `sync_dir` has made durable, oldest first.
    pub(super) pending: Vec<NameChange>,
    pub(super) capacity: u64,
    /// Changing operations until the crash.
    pub(super) fail_after: Option<u64>,
    pub(super) crashed: bool,
    pub(super) fail_syncs: bool,
    /// Counts restarts; files opened before the last one fail.
    pub(super) epoch: u64,
    pub(super) locks: BTreeSet<Id>,
}

#[derive(Clone)]
pub(super) enum Node {
    Dir {
        now: BTreeMap<String, Id>,
        durable: BTreeMap<String, Id>,
    },
    File {
        now: Vec<u8>,
        durable: Vec<u8>,
        /// How many first bytes `now` and `durable` share.
        shared: usize,
        /// Whether a sync failed since.
        doubtful: bool,
    },
}

/// Names that appear and disappear together.
#[derive(Clone)]
pub(super) struct NameChange {
    pub(super) removed: Option<(Id, String)>,
    pub(super) added: Option<(Id, String, Id)>,
}

impl NameChange {
    pub(super) fn dirs(&self) -> impl Iterator<Item = Id> + '_ {
        self.removed.iter().map(|r| r.0).chain(self.added.iter().map(|a| a.0))
    }
}

impl Node {
    pub(super) fn empty_dir() -> Self {
        Self::Dir { now: BTreeMap::new(), durable: BTreeMap::new() }
    }

    pub(super) fn empty_file() -> Self {
        Self::File { now: Vec::new(), durable: Vec::new(), shared: 0, doubtful: false }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Dir { .. } => 0,
            Self::File { now, .. } => now.len() as u64,
        }
    }
}

impl State {
    pub(super) fn alive(&self) -> io::Result<()> {
        if self.crashed { Err(crash()) } else { Ok(()) }
    }

    /// Counts a changing operation and tells whether it is the one to crash in.
    pub(super) fn strikes(&mut self) -> bool {
        match &mut self.fail_after {
            Some(0) => self.crashed = true,
            Some(n) => *n -= 1,
            None => {}
        }
        self.crashed
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Id> {
        let mut id = ROOT;
        for component in path.components() {
            id = match component {
                Component::CurDir => id,
                Component::Normal(name) => {
                    *self.dir(id)?.get(&*name.to_string_lossy()).ok_or(io::ErrorKind::NotFound)?
                }
                _ => return Err(io::ErrorKind::InvalidInput.into()),
            };
        }
        Ok(id)
    }

    /// The directory that holds a path's last name, and that name.
    pub(super) fn parent(&self, path: &Path) -> io::Result<(Id, String)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = self.find(path.parent().unwrap_or(Path::new("")))?;
        self.dir(dir)?;
        Ok((dir, name.to_string_lossy().into_owned()))
    }

    pub(super) fn dir(&self, id: Id) -> io::Result<&BTreeMap<String, Id>> {
        match self.nodes.get(&id) {
            Some(Node::Dir { now, .. }) => Ok(now),
            Some(Node::File { .. }) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<&Vec<u8>> {
        match self.nodes.get(&self.find(path)?) {
            Some(Node::File { now, .. }) => Ok(now),
            _ => Err(is_a_directory()),
        }
    }

    pub(super) fn new_node(&mut self, node: Node) -> Id {
        let id = self.next_id;
        self.next_id += 1;
        self.nodes.insert(id, node);
        id
    }

    pub(super) fn change_names(&mut self, change: NameChange) {
        if let Some((dir, name)) = &change.removed
            && let Some(Node::Dir { now, .. }) = self.nodes.get_mut(dir)
        {
            now.remove(name);
        }
        if let Some((dir, name, id)) = &change.added
            && let Some(Node::Dir { now, .. }) = self.nodes.get_mut(dir)
        {
            now.insert(name.clone(), *id);
        }
        self.pending.push(change);
    }

    pub(super) fn make_names_durable(&mut self, change: &NameChange) {
        if let Some((dir, name)) = &change.removed
            && let Some(Node::Dir { durable, .. }) = self.nodes.get_mut(dir)
        {
            durable.remove(name);
        }
        if let Some((dir, name, id)) = &change.added
            && let Some(Node::Dir { durable, .. }) = self.nodes.get_mut(dir)
        {
            durable.insert(name.clone(), *id);
        }
    }

    pub(super) fn sync_dir(&mut self, dir: Id) {
        // What a rename connects becomes durable together, so that no later change of the other directory overtakes
        // an earlier one.
        let mut dirs = BTreeSet::from([dir]);
        loop {
            let before = dirs.len();
            for change in &self.pending {
                if change.dirs().any(|d| dirs.contains(&d)) {
                    dirs.extend(change.dirs());
                }
            }
            if dirs.len() == before {
                break;
            }
        }
        let (synced, pending) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|c: &NameChange| c.dirs().any(|d| dirs.contains(&d)));
        self.pending = pending;
        let synced: Vec<NameChange> = synced;
        for change in &synced {
            self.make_names_durable(change);
        }
    }

    pub(super) fn reachable(&self) -> BTreeSet<Id> {
        let mut found = BTreeSet::new();
        let mut rest = vec![ROOT];
        while let Some(id) = rest.pop() {
            if found.insert(id)
                && let Some(Node::Dir { now, .. }) = self.nodes.get(&id)
            {
                rest.extend(now.values());
            }
        }
        found
    }

    pub(super) fn used(&self) -> u64 {
        self.reachable().iter().filter_map(|id| self.nodes.get(id)).map(Node::len).sum()
    }

    pub(super) fn lose_names(&mut self) {
        let kept = self.random.up_to(self.pending.len());
        let pending = std::mem::take(&mut self.pending);
        for change in &pending[..kept] {
            self.make_names_durable(change);
        }
        for node in self.nodes.values_mut() {
            if let Node::Dir { now, durable } = node {
                now.clone_from(durable);
            }
        }
    }

    pub(super) fn lose_bytes(&mut self) {
        for node in self.nodes.values_mut() {
            let Node::File { now, durable, shared, doubtful } = node else { continue };
            if *shared == durable.len() || self.random.one_in(2) {
                // Appended to, possibly after a truncation that took place.
                let kept = *shared + self.random.up_to(now.len() - *shared);
                now.truncate(kept);
                if self.random.one_in(2) {
                    lose_sectors(&mut now[*shared..], *shared, &mut self.random);
                }
            } else {
                now.clone_from(durable);
            }
            durable.clone_from(now);
            *shared = now.len();
            *doubtful = false;
        }
    }

    pub(super) fn restart(&mut self) {
        self.epoch += 1;
        self.crashed = false;
        self.fail_after = None;
        self.locks.clear();
        let reachable = self.reachable();
        // After a process death, names that are only durable must stay until they are removed for good.
        if self.pending.is_empty() {
            self.nodes.retain(|id, _| reachable.contains(id));
        }
    }
}

/// Zeroes some sectors of bytes that start at `offset` of their file.
fn lose_sectors(bytes: &mut [u8], offset: usize, random: &mut Random) {
    let mut at = 0;
    while at < bytes.len() {
        let end = (at + SECTOR - (offset + at) % SECTOR).min(bytes.len());
        if random.one_in(3) {
            bytes[at..end].fill(0);
        }
        at = end;
    }
}

pub(super) fn crash() -> io::Error {
    io::Error::other("simulated crash")
}

pub(super) fn is_a_directory() -> io::Error {
    io::ErrorKind::IsADirectory.into()
}
