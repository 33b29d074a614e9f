//! Isolation of snapshots: commits are numbered, a snapshot sees the commits up to its number.
//!
//! Commits are applied one after the other, in the order in which the write-ahead log holds them, so "everything up
//! to number n" is all there is to a view. A series remembers the newest commits that touched it and the time it
//! ended before each ([`Versions`]): its in-order samples ascend in time, so hiding what came after a snapshot is a
//! bound on time. The memory stays small: what no living snapshot can tell apart is forgotten at the next append.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Numbers commits and keeps the living snapshots.
#[derive(Debug, Default)]
pub struct Isolation {
    state: Mutex<Commits>,
}

#[derive(Debug, Default)]
struct Commits {
    /// Newest commit that is applied in full.
    visible: u64,
    /// How many snapshots live at each number.
    live: BTreeMap<u64, usize>,
}

/// A commit under way.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    /// Its number, above all before it.
    pub id: u64,
    /// The oldest number at which a snapshot lives; `u64::MAX` without any.
    pub oldest_view: u64,
}

impl Isolation {
    /// Begins a commit. The caller holds the commit lock: the commit before has ended.
    pub fn begin(&self) -> Commit {
        let state = self.state.lock();
        Commit { id: state.visible + 1, oldest_view: state.oldest() }
    }

    /// Makes a commit visible, all of it at once.
    pub fn end(&self, commit: Commit) {
        self.state.lock().visible = commit.id;
    }

    /// A view of everything committed so far; lives until dropped.
    pub fn view(self: &Arc<Self>) -> View {
        let mut state = self.state.lock();
        let at = state.visible;
        *state.live.entry(at).or_default() += 1;
        View { isolation: self.clone(), at }
    }

    /// The newest commit.
    pub fn visible(&self) -> u64 {
        self.state.lock().visible
    }

    /// The oldest number at which a snapshot lives; the newest commit's without any.
    pub fn low_watermark(&self) -> u64 {
        let state = self.state.lock();
        state.oldest().min(state.visible)
    }

    /// Whether a snapshot lives that was taken before commit `id` ended.
    pub fn seen_before(&self, id: u64) -> bool {
        self.state.lock().oldest() < id
    }
}

impl Commits {
    fn oldest(&self) -> u64 {
        self.live.keys().next().copied().unwrap_or(u64::MAX)
    }
}

/// Keeps a number alive.
#[derive(Debug)]
pub struct View {
    isolation: Arc<Isolation>,
    at: u64,
}

impl View {
    /// The newest commit it sees.
    pub fn at(&self) -> u64 {
        self.at
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let mut state = self.isolation.state.lock();
        if let Some(count) = state.live.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                state.live.remove(&self.at);
            }
        }
    }
}

/// The newest commits of one series, and where it ended before each.
#[derive(Debug)]
pub struct Versions {
    /// Newest commit that appended.
    id: u64,
    /// Time of the last sample before it; `i64::MIN` without one.
    before: i64,
    /// Earlier ones that a living snapshot may still need, ascending.
    #[expect(
        clippy::box_collection,
        reason = "one word instead of three in every series; almost always absent"
    )]
    older: Option<Box<Vec<(u64, i64)>>>,
}

impl Default for Versions {
    fn default() -> Self {
        Self { id: 0, before: i64::MIN, older: None }
    }
}

impl Versions {
    /// Notes that a commit is about to append behind `last_t`.
    #[inline]
    pub fn advance(&mut self, commit: Commit, last_t: i64) {
        if self.id == commit.id {
            return;
        }
        if commit.oldest_view < self.id {
            let older = self.older.get_or_insert_default();
            // The newest entry that every snapshot sees is not needed, nor are those before it.
            let needless = older.partition_point(|(id, _)| *id <= commit.oldest_view);
            older.drain(..needless);
            older.push((self.id, self.before));
        } else if self.older.is_some() {
            self.older = None;
        }
        self.id = commit.id;
        self.before = last_t;
    }

    /// Last time of in-order samples that a view sees; `None` when it sees none of them.
    pub fn bound(&self, view: u64) -> Option<i64> {
        if self.id <= view {
            return Some(i64::MAX);
        }
        let mut bound = self.before;
        for (id, before) in self.older.iter().flat_map(|older| older.iter().rev()) {
            if *id <= view {
                break;
            }
            bound = *before;
        }
        (bound != i64::MIN).then_some(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A series of commits with snapshots taken and dropped in between, against remembering everything.
        #[test]
        fn bounds_are_as_if_all_was_remembered(steps in prop::collection::vec((any::<bool>(), 0u8..3), 1..60)) {
            let isolation = Arc::new(Isolation::default());
            let mut versions = Versions::default();
            let mut last_t = i64::MIN;
            let mut views: Vec<(View, i64)> = Vec::new();
            for (n, (append, action)) in steps.into_iter().enumerate() {
                let commit = isolation.begin();
                if append {
                    versions.advance(commit, last_t);
                    last_t = n as i64;
                    versions.advance(commit, last_t);
                }
                isolation.end(commit);
                match action {
                    0 => views.push((isolation.view(), last_t)),
                    1 if !views.is_empty() => drop(views.remove(n % views.len())),
                    _ => {}
                }
                for (view, seen) in &views {
                    let bound = versions.bound(view.at()).unwrap_or(i64::MIN).min(last_t);
                    prop_assert_eq!(bound, *seen);
                }
            }
            let kept = versions.older.map_or(0, |older| older.len());
            prop_assert!(kept <= 60);
        }
    }

    #[test]
    fn nothing_is_remembered_without_snapshots() {
        let isolation = Arc::new(Isolation::default());
        let mut versions = Versions::default();
        let view = isolation.view();
        for t in 0..10 {
            let commit = isolation.begin();
            versions.advance(commit, t);
            isolation.end(commit);
        }
        assert_eq!(versions.older.as_ref().map(|o| o.len()), Some(9));
        assert!(isolation.seen_before(3));
        drop(view);
        let commit = isolation.begin();
        versions.advance(commit, 10);
        isolation.end(commit);
        assert!(versions.older.is_none());
        assert!(!isolation.seen_before(11));
    }
}
