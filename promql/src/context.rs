//! What belongs to one query beside its text and times.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What belongs to one query beside its text and times.
#[derive(Clone, Copy)]
pub struct QueryContext<'a> {
    /// Set to true by anyone to end the query soon.
    pub cancel: &'a AtomicBool,
    /// Time passed since some fixed moment.
    pub elapsed: &'a (dyn Fn() -> Duration + Sync),
    /// The query ends with [`QueryError::Timeout`](query::QueryError::Timeout) when `elapsed` has reached this; `None` for no bound.
    pub deadline: Option<Duration>,
    /// Lookback for this query in milliseconds, instead of the engine's.
    pub lookback_delta: Option<i64>,
    /// Whether figures for each step are wanted; given only if the engine allows them.
    pub per_step_stats: bool,
    /// How long the query waited to be admitted; only copied into the figures.
    pub queue_time: Duration,
}

impl<'a> QueryContext<'a> {
    /// A query without a deadline, at the engine's lookback, that did not wait and wants no figures for each step.
    pub fn unbounded(cancel: &'a AtomicBool, elapsed: &'a (dyn Fn() -> Duration + Sync)) -> Self {
        Self {
            cancel,
            elapsed,
            deadline: None,
            lookback_delta: None,
            per_step_stats: false,
            queue_time: Duration::ZERO,
        }
    }
}
