//! The engine: takes a checked expression, a store and the query's times; gives a value, annotations and figures.
//!
//! It knows no queue and no clock, and works on rayon's threads: the caller admits queries, hands in the time that passes
//! and the flag that cancels.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use model::read::{ReadError, SeriesSource};

use crate::annotations::Annotations;
use crate::ast::{Expr, ValueType};
use crate::eval;
use crate::memory::Memory;
use crate::value::QueryValue;

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
    pub memory: Arc<Memory>,
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
            memory: Arc::new(Memory::new(usize::MAX)),
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

/// What belongs to one query beside its text and times.
#[derive(Clone, Copy)]
pub struct QueryContext<'a> {
    /// Set to true by anyone to end the query soon.
    pub cancel: &'a AtomicBool,
    /// Time passed since some fixed moment.
    pub elapsed: &'a (dyn Fn() -> Duration + Sync),
    /// The query ends with [`QueryError::Timeout`] when `elapsed` has reached this; `None` for no bound.
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

/// Start, end and step of a range query, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeTimes {
    /// First step.
    pub start: i64,
    /// No step after this one.
    pub end: i64,
    /// Distance of steps, positive.
    pub step: i64,
}

/// When a query is evaluated, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub enum Times {
    /// At one time.
    Instant(i64),
    /// At every step of a range.
    Range(RangeTimes),
}

/// Who works on a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// The thread that asks for it, and rayon's.
    All,
    /// The thread that asks for it, alone: for queries of little work.
    Caller,
}

/// Why a query gave no result. The texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The expression cannot be evaluated with these parameters; the client's fault.
    #[error("{0}")]
    Invalid(String),
    /// The deadline passed, in the stage named.
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// The query was cancelled, in the stage named.
    #[error("query was canceled in {0}")]
    Cancelled(&'static str),
    /// The query would have held more samples or bytes than allowed.
    #[error("query processing would load too many samples into memory in {0}")]
    TooManySamples(&'static str),
    /// The store failed.
    #[error("expanding series: {0}")]
    Storage(ReadError),
    /// The evaluation came to something that has no answer, such as a many-to-many match.
    #[error("{0}")]
    Execution(String),
}

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

/// The answer to a query.
#[derive(Clone, Debug)]
pub struct QueryResult {
    /// The value.
    pub value: QueryValue,
    /// Warnings and infos, the store's warnings included.
    pub annotations: Annotations,
    /// Figures.
    pub stats: QueryStats,
}

/// Evaluates queries. Cheap to share; queries run in parallel.
#[derive(Clone, Debug)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// The options it was made with.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Evaluates an expression at one time, in milliseconds.
    pub fn instant(
        &self,
        expr: &Expr,
        source: &dyn SeriesSource,
        t: i64,
        context: &QueryContext<'_>,
    ) -> Result<QueryResult, QueryError> {
        self.prepare(expr, Times::Instant(t), context)?.evaluate(source, Workers::All, context)
    }

    /// Evaluates an expression at every step of a range. The result is a [`QueryValue::Matrix`].
    pub fn range(
        &self,
        expr: &Expr,
        source: &dyn SeriesSource,
        times: RangeTimes,
        context: &QueryContext<'_>,
    ) -> Result<QueryResult, QueryError> {
        self.prepare(expr, Times::Range(times), context)?.evaluate(source, Workers::All, context)
    }

    /// Plans a query.
    pub fn prepare(
        &self,
        expr: &Expr,
        times: Times,
        context: &QueryContext<'_>,
    ) -> Result<Prepared, QueryError> {
        if let Times::Range(range) = times {
            check_range(expr, range)?;
        }
        eval::Planned::new(&self.options, expr, times, context).map(Prepared)
    }
}

/// A query that is planned and may be evaluated.
#[derive(Debug)]
pub struct Prepared(eval::Planned);

impl Prepared {
    /// Whether an evaluation, or telling its work, may wait for a disk.
    pub fn may_wait(&self, source: &dyn SeriesSource) -> bool {
        self.0.plan().may_wait(source)
    }

    /// About how many nanoseconds an evaluation takes at most, where samples are not much denser than usual; `None` where
    /// that is not known. Estimated roughly, and closely if that is more than `enough`.
    pub fn work(&self, source: &dyn SeriesSource, enough: u64) -> Option<u64> {
        self.0.plan().work(source, enough)
    }

    /// Evaluates the query. `context` is the one it was prepared with; deadline and flag may differ.
    pub fn evaluate(
        &self,
        source: &dyn SeriesSource,
        workers: Workers,
        context: &QueryContext<'_>,
    ) -> Result<QueryResult, QueryError> {
        self.0.evaluate(source, workers, context)
    }
}

/// Refuses what cannot be evaluated over a range.
fn check_range(expr: &Expr, times: RangeTimes) -> Result<(), QueryError> {
    let value_type = expr.value_type();
    if !matches!(value_type, ValueType::Vector | ValueType::Scalar) {
        return Err(QueryError::Invalid(format!(
            "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
            value_type.as_str()
        )));
    }
    if times.step <= 0 {
        return Err(QueryError::Invalid(
            "zero or negative query resolution step widths are not accepted. Try a positive integer"
                .to_owned(),
        ));
    }
    Ok(())
}
