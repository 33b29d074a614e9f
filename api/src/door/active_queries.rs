//! `queries.active`: what is being evaluated, in a file that outlives the process, so that the log of the next start
//! names the queries that a crash interrupted.
//!
//! The file is `[` and then a slot of 1000 bytes for each query that may run at once: a JSON object with the query, cut
//! to fit, and the second in which it began; zeros; a comma as the last byte. A vacant slot is zeros.
//! Source: Prometheus `promql/query_logger.go`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use model::time::Clock;
use parking_lot::Mutex;

/// The file's name in the data directory.
pub const FILE: &str = "queries.active";
/// Bytes of a slot.
const SLOT: usize = 1000;
/// Bytes before the first slot.
const HEADER: u64 = 1;
/// More than this is not read from a file that another server left.
const MAX_FILE: u64 = 16 << 20;

/// The slots of the file.
///
/// Writing is best effort: a disk that fails costs an entry, never a query.
pub struct ActiveQueries {
    file: File,
    clock: Arc<dyn Clock>,
    vacant: Mutex<Vec<usize>>,
}

/// A query's slot, vacant again when this goes.
pub struct Entry<'a> {
    queries: &'a ActiveQueries,
    slot: usize,
}

impl ActiveQueries {
    /// Begins the file anew in a directory that exists, for `slots` queries at once. Also returns the queries that the
    /// last run left in it, as a JSON array, if there are any.
    pub fn open(dir: &Path, slots: usize, clock: Arc<dyn Clock>) -> io::Result<(Self, Option<String>)> {
        let path = dir.join(FILE);
        let unfinished = match File::open(&path) {
            Ok(left) => {
                let mut bytes = Vec::new();
                left.take(MAX_FILE).read_to_end(&mut bytes)?;
                unfinished(&bytes)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(&path)?;
        file.write_all_at(b"[", 0)?;
        file.set_len(HEADER + (slots * SLOT) as u64)?;
        Ok((Self { file, clock, vacant: Mutex::new((0..slots).rev().collect()) }, unfinished))
    }

    /// Notes a query that begins now; `None` when every slot is taken.
    pub fn enter(&self, query: &str) -> Option<Entry<'_>> {
        let slot = self.vacant.lock().pop()?;
        self.write(slot, &entry(query, self.clock.now_ms().div_euclid(1000)));
        Some(Entry { queries: self, slot })
    }

    fn write(&self, slot: usize, bytes: &[u8; SLOT]) {
        // Best effort, see above.
        let _ = self.file.write_all_at(bytes, HEADER + (slot * SLOT) as u64);
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.queries.write(self.slot, &[0; SLOT]);
        self.queries.vacant.lock().push(self.slot);
    }
}

/// A slot's bytes; `now` in seconds.
fn entry(query: &str, now: i64) -> [u8; SLOT] {
    let object = |query: &str| serde_json::json!({ "query": query, "timestamp_sec": now }).to_string();
    let room = SLOT - 1;
    let mut end = query.floor_char_boundary(room);
    let mut text = object(&query[..end]);
    while text.len() > room {
        // A byte of the query takes between one and six of the object, so this much must go in any case.
        end = query.floor_char_boundary(end.saturating_sub((text.len() - room).div_ceil(6)));
        text = object(&query[..end]);
    }
    let mut bytes = [0; SLOT];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes[room] = b',';
    bytes
}

/// The entries in a file's bytes as a JSON array.
fn unfinished(bytes: &[u8]) -> Option<String> {
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    let entries = String::from_utf8_lossy(&text);
    let entries = entries.strip_prefix('[')?;
    let entries = entries.strip_suffix(',').unwrap_or(entries);
    (!entries.is_empty()).then(|| format!("[{entries}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At6;

    impl Clock for At6 {
        fn now_ms(&self) -> i64 {
            6_999
        }
    }

    fn open(dir: &Path) -> (ActiveQueries, Option<String>) {
        ActiveQueries::open(dir, 2, Arc::new(At6)).unwrap()
    }

    #[test]
    fn a_run_that_ends_badly_leaves_its_queries() {
        let dir = tempfile::tempdir().unwrap();
        let (queries, left) = open(dir.path());
        assert_eq!(left, None);
        assert_eq!(std::fs::metadata(dir.path().join(FILE)).unwrap().len(), 2001);

        let first = queries.enter("up").unwrap();
        let second = queries.enter("sum(\"a\nb\")").unwrap();
        assert!(queries.enter("no room").is_none());
        drop(first);
        // A crash drops nothing.
        std::mem::forget(second);
        let (queries, left) = open(dir.path());
        assert_eq!(left.as_deref(), Some("[{\"query\":\"sum(\\\"a\\nb\\\")\",\"timestamp_sec\":6}]"));

        drop(queries.enter("up"));
        assert_eq!(open(dir.path()).1, None);
    }

    #[test]
    fn long_queries_are_cut() {
        for query in ["x".repeat(5000), "\"".repeat(5000), "\u{1}".repeat(5000), "é\n".repeat(2000)] {
            let bytes = entry(&query, i64::MAX);
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(SLOT - 1);
            let object: serde_json::Value = serde_json::from_slice(&bytes[..end]).unwrap();
            let kept = object["query"].as_str().unwrap();
            assert!(query.starts_with(kept));
            assert!(end > SLOT - 16, "{end} bytes of {kept:?}");
            assert_eq!(bytes[SLOT - 1], b',');
        }
    }

    #[test]
    fn other_bytes_are_no_queries() {
        for (bytes, expected) in [
            (&b""[..], None),
            (b"[", None),
            (b"[\0\0\0", None),
            (b"garbage", None),
            (b"[\0\0{\"query\":\"1\"}\0,", Some("[{\"query\":\"1\"}]")),
            (b"[{},\0{},", Some("[{},{}]")),
        ] {
            assert_eq!(unfinished(bytes).as_deref(), expected);
        }
    }
}
