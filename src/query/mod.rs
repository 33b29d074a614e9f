//! Queries on their way to the engine: admission, deadline, cancellation when the client goes away, and figures.
//!
//! Async ends here: an admitted query runs on a blocking thread over one snapshot of the store.

pub mod active;
pub mod metrics;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use promql::ast::Expr;
use promql::engine::{Engine, EngineOptions, QueryContext, QueryError, QueryResult, RangeTimes};
use promql::parse::Features;
use storage::Storage;
use tokio::sync::Semaphore;

use metrics::QueryMetrics;

/// Settings of all queries.
#[derive(Clone, Debug)]
pub struct Options {
    /// The engine's.
    pub engine: EngineOptions,
    /// What the language allows.
    pub features: Features,
    /// `--query.timeout`.
    pub timeout: Duration,
    /// `--query.max-concurrency`.
    pub max_concurrent: usize,
}

/// When a query is evaluated, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub enum Times {
    /// At one time.
    Instant(i64),
    /// At every step of a range.
    Range(RangeTimes),
}

/// What a client asks beside the expression and its times.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Shorter than the server's timeout, if given.
    pub timeout: Option<Duration>,
    /// In milliseconds, instead of the server's.
    pub lookback_delta: Option<i64>,
    /// Whether figures for each step are wanted.
    pub per_step_stats: bool,
}

/// Answers queries. Shared by the API and the rules.
pub struct Queries {
    engine: ArcSwap<Engine>,
    features: Features,
    timeout: Duration,
    permits: Arc<Semaphore>,
    storage: Arc<Storage>,
    metrics: Arc<QueryMetrics>,
}

impl Queries {
    /// Queries over a store.
    pub fn new(storage: Arc<Storage>, options: Options, metrics: Arc<QueryMetrics>) -> Self {
        metrics.max_concurrent.set(options.max_concurrent as f64);
        Self {
            engine: ArcSwap::from_pointee(Engine::new(options.engine)),
            features: options.features,
            timeout: options.timeout,
            permits: Arc::new(Semaphore::new(options.max_concurrent.max(1))),
            storage,
            metrics,
        }
    }

    /// What the language allows.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Changes the step of subqueries that name none, in milliseconds; at a configuration reload.
    pub fn set_default_interval(&self, default_interval: i64) {
        let options = self.engine.load().options().clone();
        self.engine.store(Arc::new(Engine::new(EngineOptions { default_interval, ..options })));
    }

    /// Answers a client's query once it is admitted. Dropping the future cancels the query.
    pub async fn run(&self, expr: Expr, times: Times, request: Request) -> Result<QueryResult, QueryError> {
        const QUEUE: &str = "query queue";
        let arrived = Instant::now();
        let timeout = request.timeout.map_or(self.timeout, |t| t.min(self.timeout));
        let permit = match tokio::time::timeout(timeout, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(QueryError::Cancelled(QUEUE)),
            Err(_) => return Err(QueryError::Timeout(QUEUE)),
        };
        let queue_time = arrived.elapsed();
        let cancel = Arc::new(AtomicBool::new(false));
        let _cancel_on_drop = CancelOnDrop(cancel.clone());
        let (engine, storage, metrics) =
            (self.engine.load_full(), self.storage.clone(), self.metrics.clone());
        let run = move || {
            let _permit = permit;
            let running = metrics.running();
            let elapsed = || arrived.elapsed();
            let context = QueryContext {
                cancel: &cancel,
                elapsed: &elapsed,
                deadline: Some(timeout),
                lookback_delta: request.lookback_delta,
                per_step_stats: request.per_step_stats,
                queue_time,
            };
            let result = evaluate(&engine, &expr, &storage, times, &context);
            running.finished(&result);
            result
        };
        match tokio::task::spawn_blocking(run).await {
            Ok(result) => result,
            Err(e) => Err(QueryError::Execution(format!(
                "internal error in the query engine, please report it with the query: {e}"
            ))),
        }
    }

    /// Answers a rule's query on this thread, without waiting behind clients.
    pub fn run_for_rule(&self, expr: &Expr, t: i64) -> Result<QueryResult, QueryError> {
        let started = Instant::now();
        let never = AtomicBool::new(false);
        let elapsed = || started.elapsed();
        let context = QueryContext {
            cancel: &never,
            elapsed: &elapsed,
            deadline: Some(self.timeout),
            lookback_delta: None,
            per_step_stats: false,
            queue_time: Duration::ZERO,
        };
        let running = self.metrics.running();
        let result = evaluate(&self.engine.load(), expr, &self.storage, Times::Instant(t), &context);
        running.finished(&result);
        result
    }
}

fn evaluate(
    engine: &Engine,
    expr: &Expr,
    storage: &Storage,
    times: Times,
    context: &QueryContext<'_>,
) -> Result<QueryResult, QueryError> {
    let snapshot = storage.snapshot();
    match times {
        Times::Instant(t) => engine.instant(expr, &*snapshot, t, context),
        Times::Range(times) => engine.range(expr, &*snapshot, times, context),
    }
}

/// Tells the query's thread that nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
