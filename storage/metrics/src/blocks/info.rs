//! What an administrator sees of a block.

use super::block::MetricsBlock;

/// One block in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its ULID, also its directory.
    pub ulid: String,
    /// First millisecond, inclusive.
    pub min_t: i64,
    /// Last millisecond, exclusive.
    pub max_t: i64,
    /// Samples of all kinds.
    pub samples: u64,
    /// Float samples.
    pub float_samples: u64,
    /// Histogram samples.
    pub histogram_samples: u64,
    /// Series.
    pub series: u64,
    /// Chunks.
    pub chunks: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// How many merges lie behind it; 1 for a block written from the head.
    pub level: u32,
    /// Level-1 ancestors.
    pub sources: Vec<String>,
    /// The blocks it was merged from: ULID, first and last millisecond.
    pub parents: Vec<(String, i64, i64)>,
    /// Notes such as `from-out-of-order`.
    pub hints: Vec<String>,
    /// Whether a merge left nothing of it to keep.
    pub deletable: bool,
    /// Whether merging it failed.
    pub failed: bool,
    /// Version of its layout.
    pub version: u32,
    /// Bytes of its files.
    pub bytes: u64,
}

impl MetricsBlock {
    /// What an administrator sees of it.
    pub fn info(&self) -> BlockInfo {
        let meta = self.meta();
        let parents = &meta.compaction.parents;
        BlockInfo {
            ulid: meta.id.to_string(),
            min_t: meta.min_time,
            max_t: meta.max_time,
            samples: meta.stats.num_samples,
            float_samples: meta.stats.num_float_samples,
            histogram_samples: meta.stats.num_histogram_samples,
            series: meta.stats.num_series,
            chunks: meta.stats.num_chunks,
            tombstones: meta.stats.num_tombstones,
            level: meta.compaction.level,
            sources: meta.compaction.sources.iter().map(ToString::to_string).collect(),
            parents: parents
                .iter()
                .map(|parent| (parent.id.to_string(), parent.min_time, parent.max_time))
                .collect(),
            hints: meta.compaction.hints.clone(),
            deletable: meta.compaction.deletable,
            failed: meta.compaction.failed,
            version: meta.version,
            bytes: self.len(),
        }
    }
}
