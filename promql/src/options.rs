//! What is the same for all queries of an engine.

use std::sync::Arc;

use query::MemoryBudget;

/// Default distance into the past that an instant selector looks for a sample: 5 minutes.
pub const DEFAULT_LOOKBACK_DELTA_MS: i64 = 300_000;

/// What is the same for all queries.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// `--query.max-samples`: how many samples a query may hold at a time.
    pub max_samples: usize,
    /// How many bytes the intermediate and final results of one query may take.
    pub max_bytes: usize,
    /// What they and those of all other queries may take together.
    pub memory: Arc<MemoryBudget>,
    /// `--query.lookback-delta`, in milliseconds.
    pub lookback_delta: i64,
    /// Step of subqueries that name none, in milliseconds: the global evaluation interval.
    pub default_interval: i64,
    /// Whether `@` is allowed.
    pub at_modifier: bool,
    /// Whether negative offsets are allowed.
    pub negative_offset: bool,
    /// Whether figures for each step may be asked for (`promql-per-step-stats`).
    pub per_step_stats: bool,
    /// Drop metric names at the very end only (`promql-delayed-name-removal`).
    pub delayed_name_removal: bool,
    /// Let `rate` and its kin use start timestamps (`use-start-timestamps`).
    pub use_start_timestamps: bool,
    /// Judge by the `__type__` label whether a metric is a counter (`type-and-unit-labels`).
    pub type_and_unit_labels: bool,
}

/// Prometheus's defaults: 50 million samples, 5 minutes of lookback, an interval of 1 minute; 4 GiB.
impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            max_samples: 50_000_000,
            max_bytes: 4 << 30,
            memory: Arc::new(MemoryBudget::new(usize::MAX)),
            lookback_delta: DEFAULT_LOOKBACK_DELTA_MS,
            default_interval: 60_000,
            at_modifier: true,
            negative_offset: true,
            per_step_stats: false,
            delayed_name_removal: false,
            use_start_timestamps: false,
            type_and_unit_labels: false,
        }
    }
}
