//! `meta.json`: what a block is. Written byte for byte as Prometheus 3.14 writes it (`tsdb/block.go`).

use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use storage_base::block::plan::Candidate;
use storage_base::block::publish::replace_file;
use storage_base::fs::Disk;
use storage_base::{Corruption, StorageError};
use ulid::Ulid;

use crate::format::{META_FILE, META_VERSION};

/// What is known about a block without looking into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// The block's id, also its directory's name. Its time is when the block was made.
    #[serde(rename = "ulid", with = "ulid_text")]
    pub id: Ulid,
    /// First millisecond of the block's time, inclusive.
    pub min_time: i64,
    /// End of the block's time in milliseconds, exclusive.
    pub max_time: i64,
    /// What it holds.
    #[serde(default)]
    pub stats: Stats,
    /// Where it came from.
    #[serde(default)]
    pub compaction: Lineage,
    /// Version of the file: [`META_VERSION`].
    pub version: u32,
}

/// Counts of a block's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stats {
    /// Samples of all kinds.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Float samples.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Native histogram samples.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Deleted intervals.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

/// How a block came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lineage {
    /// 1 for a block cut from the head; one more than its highest parent for a merged one.
    pub level: u32,
    /// The blocks of level 1 whose data went into it; a block of level 1 names itself.
    #[serde(with = "ulid_texts", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ulid>,
    /// Merging this block gave a block without samples; it can go.
    #[serde(skip_serializing_if = "is_false")]
    pub deletable: bool,
    /// The blocks it was directly made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Parent>,
    /// Merging this block failed; do not try again.
    #[serde(skip_serializing_if = "is_false")]
    pub failed: bool,
    /// What its data was selected by: [`FROM_OUT_OF_ORDER`] and its like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// The hint of blocks made of out-of-order samples alone.
pub const FROM_OUT_OF_ORDER: &str = "from-out-of-order";
/// The hint of blocks made of the series that were stale.
pub const FROM_STALE_SERIES: &str = "from-stale-series";
/// The hint of blocks made of chosen series.
pub const FROM_SELECTED_SERIES: &str = "from-selected-series";

/// The hints of blocks of a part of the series.
const PARTIAL: [&str; 2] = [FROM_STALE_SERIES, FROM_SELECTED_SERIES];

/// A block that another was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    /// Its id.
    #[serde(rename = "ulid", with = "ulid_text")]
    pub id: Ulid,
    /// First millisecond, inclusive.
    pub min_time: i64,
    /// End in milliseconds, exclusive.
    pub max_time: i64,
}

impl BlockMeta {
    /// The meta of a block cut from the head: level 1, its own source.
    pub fn level_1(id: Ulid, min_time: i64, max_time: i64) -> Self {
        let compaction = Lineage { level: 1, sources: vec![id], ..Lineage::default() };
        Self { id, min_time, max_time, stats: Stats::default(), compaction, version: META_VERSION }
    }

    /// The meta of a block that takes the place of this one, made of it alone (as when tombstones are cleaned):
    /// level 1 and its own source, as Prometheus has it, with this one as parent.
    pub fn rewritten(&self, id: Ulid) -> Self {
        let mut meta = Self::level_1(id, self.min_time, self.max_time);
        meta.compaction.parents.push(self.as_parent());
        meta.compaction.hints.clone_from(&self.compaction.hints);
        meta
    }

    /// The meta of the block that some blocks are merged into. Its stats are those of no content.
    pub fn merged(id: Ulid, parents: &[&Self]) -> Self {
        let sources: BTreeSet<Ulid> =
            parents.iter().flat_map(|meta| &meta.compaction.sources).copied().collect();
        let compaction = Lineage {
            level: parents.iter().map(|meta| meta.compaction.level).max().unwrap_or(0).saturating_add(1),
            sources: sources.into_iter().collect(),
            parents: parents.iter().map(|meta| meta.as_parent()).collect(),
            ..Lineage::default()
        };
        let mut merged = Self {
            id,
            min_time: parents.iter().map(|meta| meta.min_time).min().unwrap_or(0),
            max_time: parents.iter().map(|meta| meta.max_time).max().unwrap_or(0),
            stats: Stats::default(),
            compaction,
            version: META_VERSION,
        };
        for hint in PARTIAL {
            if parents.iter().any(|meta| meta.has_hint(hint)) {
                merged.add_hint(hint);
            }
        }
        if parents.iter().all(|meta| meta.has_hint(FROM_OUT_OF_ORDER)) {
            merged.add_hint(FROM_OUT_OF_ORDER);
        }
        merged
    }

    /// What merging is planned by. Blocks made of stale or of selected series are merged only among themselves, after
    /// all others.
    pub fn candidate(&self) -> Candidate {
        let class =
            PARTIAL.iter().zip(1..).find(|(hint, _)| self.has_hint(hint)).map_or(0, |(_, class)| class);
        Candidate {
            id: self.id,
            min_t: self.min_time,
            max_t: self.max_time,
            class,
            failed: self.compaction.failed,
            entries: self.stats.num_series,
            deletions: self.stats.num_tombstones,
        }
    }

    /// This block as a parent of another.
    pub fn as_parent(&self) -> Parent {
        Parent { id: self.id, min_time: self.min_time, max_time: self.max_time }
    }

    /// Whether a hint is there.
    pub fn has_hint(&self, hint: &str) -> bool {
        self.compaction.hints.iter().any(|h| h == hint)
    }

    /// Adds a hint; they are ascending.
    pub fn add_hint(&mut self, hint: &str) {
        if let Err(at) = self.compaction.hints.binary_search_by(|h| h.as_str().cmp(hint)) {
            self.compaction.hints.insert(at, hint.to_owned());
        }
    }

    /// Whether the block's time has a part in `min_t..=max_t`.
    pub fn overlaps(&self, min_t: i64, max_t: i64) -> bool {
        self.min_time <= max_t && min_t < self.max_time
    }

    /// The file's bytes.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let written = self.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, tabs));
        debug_assert!(written.is_ok(), "numbers, texts and lists always have a JSON form");
        bytes
    }

    /// Reads the file's bytes; `file` is its name for messages. Unknown keys are ignored.
    pub fn from_json(bytes: &[u8], file: &str) -> Result<Self, Corruption> {
        let corrupt = |offset: u64, reason: String| Corruption { file: file.to_owned(), offset, reason };
        let meta: Self = serde_json::from_slice(bytes).map_err(|e| {
            let before = bytes.split_inclusive(|&b| b == b'\n').take(e.line().saturating_sub(1));
            corrupt(
                (before.map(<[u8]>::len).sum::<usize>() + e.column().saturating_sub(1)) as u64,
                e.to_string(),
            )
        })?;
        if meta.version != META_VERSION {
            return Err(corrupt(0, format!("unknown version {} of block metadata", meta.version)));
        }
        if meta.min_time > meta.max_time {
            return Err(corrupt(0, format!("minTime {} is after maxTime {}", meta.min_time, meta.max_time)));
        }
        Ok(meta)
    }

    /// Reads the meta of the block in a directory. Also returns the file's length.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<(Self, u64), StorageError> {
        let path = dir.join(META_FILE);
        let file = disk.display(&path);
        let bytes = disk.read(&path).map_err(StorageError::io_while("reading", &file))?;
        Ok((Self::from_json(&bytes, &file)?, bytes.len() as u64))
    }

    /// Replaces the meta of the block in a directory. Returns the file's length.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<u64, StorageError> {
        replace_file(disk, dir, META_FILE, &self.to_json())
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_false(b: &bool) -> bool {
    !b
}

mod ulid_text {
    use super::*;

    pub fn serialize<S: Serializer>(id: &Ulid, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(id)
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(d: D) -> Result<Ulid, D::Error> {
        let text = String::deserialize(d)?;
        Ulid::from_str(&text).map_err(|e| serde::de::Error::custom(format!("{text:?} is not a ULID: {e}")))
    }
}

mod ulid_texts {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Text(#[serde(with = "ulid_text")] Ulid);

    pub fn serialize<S: Serializer>(ids: &[Ulid], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(ids.iter().map(|&id| Text(id)))
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(d: D) -> Result<Vec<Ulid>, D::Error> {
        Ok(Vec::<Text>::deserialize(d)?.into_iter().map(|Text(id)| id).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "01BX5ZZKBKACTAV9WEVGEMMVRZ";

    fn id() -> Ulid {
        Ulid::from_str(ID).unwrap()
    }

    #[test]
    fn text_is_prometheus_text() {
        let mut meta = BlockMeta::level_1(id(), -5, 7_200_000);
        assert_eq!(
            String::from_utf8(meta.to_json()).unwrap(),
            "{\n\t\"ulid\": \"01BX5ZZKBKACTAV9WEVGEMMVRZ\",\n\t\"minTime\": -5,\n\t\"maxTime\": 7200000,\n\t\"stats\": {},\n\
             \t\"compaction\": {\n\t\t\"level\": 1,\n\t\t\"sources\": [\n\t\t\t\"01BX5ZZKBKACTAV9WEVGEMMVRZ\"\n\t\t]\n\t},\n\
             \t\"version\": 1\n}"
        );
        meta.stats =
            Stats { num_samples: 3, num_series: 1, num_chunks: 2, num_float_samples: 3, ..Stats::default() };
        meta.compaction.deletable = true;
        meta.compaction.failed = true;
        meta.compaction.parents.push(meta.as_parent());
        meta.add_hint(FROM_STALE_SERIES);
        meta.add_hint(FROM_OUT_OF_ORDER);
        meta.add_hint(FROM_STALE_SERIES);
        let text = String::from_utf8(meta.to_json()).unwrap();
        for part in [
            "\"stats\": {\n\t\t\"numSamples\": 3,\n\t\t\"numFloatSamples\": 3,\n\t\t\"numSeries\": 1,\n\t\t\"numChunks\": 2\n\t},",
            "\"deletable\": true,\n\t\t\"parents\": [\n\t\t\t{\n\t\t\t\t\"ulid\": \"01BX5ZZKBKACTAV9WEVGEMMVRZ\",\n\t\t\t\t\"minTime\": -5,",
            "\"failed\": true,\n\t\t\"hints\": [\n\t\t\t\"from-out-of-order\",\n\t\t\t\"from-stale-series\"\n\t\t]",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(BlockMeta::from_json(text.as_bytes(), "m"), Ok(meta));
    }

    #[test]
    fn reading_bears_what_others_add_and_names_what_is_wrong() {
        let thanos = format!(
            r#"{{"ulid":"{ID}","minTime":0,"maxTime":1,"stats":{{"numSeries":1,"x":2}},"compaction":{{"level":2}},"version":1,
            "thanos":{{"labels":{{}},"source":"sidecar"}}}}"#
        );
        let meta = BlockMeta::from_json(thanos.as_bytes(), "m").unwrap();
        assert_eq!((meta.compaction.level, meta.stats.num_series), (2, 1));
        for (text, offset, reason) in [
            (thanos.replace("\"version\":1", "\"version\":2"), 0, "unknown version 2"),
            (thanos.replace("\"maxTime\":1", "\"maxTime\":-1"), 0, "is after maxTime"),
            (thanos.replace(ID, "x"), 10, "not a ULID"),
            ("{\n\"ulid\": 1}".into(), 10, "expected a string"),
            ("{\n  nonsense".into(), 4, "key must be a string"),
            (String::new(), 0, "EOF"),
        ] {
            let e = BlockMeta::from_json(text.as_bytes(), "m").unwrap_err();
            assert!(e.reason.contains(reason), "{e}");
            assert_eq!(e.offset, offset, "{e}");
        }
    }

    #[test]
    fn merged_metas_tell_their_origin() {
        let id = |n| Ulid::from_parts(n, 0);
        let times = [(0, 20), (20, 40), (10, 60)];
        let mut metas: Vec<_> =
            times.iter().zip(1..).map(|(&(min, max), n)| BlockMeta::level_1(id(n), min, max)).collect();
        let numbers = |ids: Vec<Ulid>| ids.into_iter().map(|id| id.timestamp_ms()).collect::<Vec<_>>();
        metas[1].compaction.level = 3;
        metas[1].compaction.sources = vec![id(9), id(1)];
        let merge = |metas: &[BlockMeta]| BlockMeta::merged(id(10), &Vec::from_iter(metas));
        let merged = merge(&metas);
        assert_eq!(
            (merged.id, merged.min_time, merged.max_time, merged.compaction.level),
            (id(10), 0, 60, 4)
        );
        assert_eq!(numbers(merged.compaction.sources.clone()), [1, 3, 9]);
        assert_eq!(numbers(merged.compaction.parents.iter().map(|parent| parent.id).collect()), [1, 2, 3]);
        assert_eq!(merged.compaction.hints, Vec::<String>::new());
        metas[0].add_hint(FROM_OUT_OF_ORDER);
        assert!(!merge(&metas).has_hint(FROM_OUT_OF_ORDER));
        metas[1].add_hint(FROM_OUT_OF_ORDER);
        assert!(merge(&metas[..2]).has_hint(FROM_OUT_OF_ORDER));
        metas[0].add_hint(FROM_STALE_SERIES);
        assert_eq!(merge(&metas).compaction.hints, [FROM_STALE_SERIES]);
    }

    #[test]
    fn candidates_tell_what_planning_needs() {
        let mut meta = BlockMeta::level_1(id(), 3, 9);
        meta.stats = Stats { num_series: 4, num_tombstones: 2, ..Stats::default() };
        meta.compaction.failed = true;
        let want =
            Candidate { id: id(), min_t: 3, max_t: 9, class: 0, failed: true, entries: 4, deletions: 2 };
        assert_eq!(meta.candidate(), want);
        meta.add_hint(FROM_OUT_OF_ORDER);
        assert_eq!(meta.candidate().class, 0);
        meta.add_hint(FROM_SELECTED_SERIES);
        assert_eq!(meta.candidate().class, 2);
        meta.add_hint(FROM_STALE_SERIES);
        assert_eq!(meta.candidate().class, 1);
    }

    proptest! {
        #[test]
        fn hostile_bytes_do_no_harm(at: prop::sample::Index, bytes in prop::collection::vec(any::<u8>(), 0..6)) {
            let mut text = BlockMeta::level_1(id(), 0, 1).to_json();
            let at = at.index(text.len());
            text.splice(at..text.len().min(at + bytes.len()), bytes);
            let _ = BlockMeta::from_json(&text, "m");
        }
    }
}
