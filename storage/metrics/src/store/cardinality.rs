//! How series spread over names and labels.

use std::sync::atomic::Ordering::SeqCst;

use model::labels::METRIC_NAME;

use super::MetricsStore;

/// How series spread over names and labels, for `/api/v1/status/tsdb`. Lists are descending by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Series in the head.
    pub series: u64,
    /// Distinct label pairs in the head.
    pub label_pairs: u64,
    /// Chunks in the head.
    pub chunks: u64,
    /// Oldest time in the head.
    pub min_t: i64,
    /// Newest time in the head.
    pub max_t: i64,
    /// Series of each metric name.
    pub series_by_metric: Vec<(String, u64)>,
    /// Values of each label name.
    pub values_by_label: Vec<(String, u64)>,
    /// Bytes that each label name's values take, counted once per series.
    pub bytes_by_label: Vec<(String, u64)>,
    /// Series of each `name=value`.
    pub series_by_pair: Vec<(String, u64)>,
}

impl MetricsStore {
    /// The most frequent names, values and pairs of the head.
    pub fn cardinality(&self, limit: usize) -> Cardinality {
        let index = self.head.table.index().read();
        let found = index.cardinality(METRIC_NAME, limit);
        Cardinality {
            series: index.len(),
            label_pairs: found.pairs,
            chunks: self.head.figures.chunks.get().max(0) as u64,
            min_t: self.head.times.min_t.load(SeqCst),
            max_t: self.head.times.max_t.load(SeqCst),
            series_by_metric: found.series_by_metric,
            values_by_label: found.values_by_name,
            bytes_by_label: found.value_bytes_by_name,
            series_by_pair: found.series_by_pair,
        }
    }
}
