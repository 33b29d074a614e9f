//! Figures of a query: time spent and samples touched. Source: Prometheus `util/stats/query_stats.go`.

use std::time::Duration;

/// Time spent, by Prometheus's categories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Preparation, evaluation and sorting.
    pub eval_total: Duration,
    /// Sorting the result.
    pub result_sort: Duration,
    /// Planning and selecting series.
    pub query_preparation: Duration,
    /// Evaluation alone.
    pub inner_eval: Duration,
    /// Waiting to be admitted.
    pub exec_queue: Duration,
    /// All of it.
    pub exec_total: Duration,
}

/// A figure of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepCount {
    /// The step's time in milliseconds.
    pub t: i64,
    /// Samples.
    pub samples: i64,
}

/// Samples touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleStats {
    /// Samples that the steps looked at, overlapping windows counted again.
    pub total: i64,
    /// Samples read from the store.
    pub read: i64,
    /// Most samples held at a time.
    pub peak: usize,
    /// `total` by step, where asked for.
    pub total_per_step: Option<Vec<StepCount>>,
    /// `read` by step, where asked for.
    pub read_per_step: Option<Vec<StepCount>>,
}

/// Figures of one query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Time.
    pub timings: Timings,
    /// Samples.
    pub samples: SampleStats,
}
