//! PromQL on its way to the engine.
//!
//! A query runs over one snapshot of the store, and its answer is written where it ran ([`super::place`]).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use model::read::SeriesSource;
use promql::ast::Expr;
use promql::parse::Features;
use promql::{Engine, EngineOptions, Prepared, QueryContext, QueryResult};
use query::{Hold, MemoryBudget, QueryError, Threads, Times};
use storage::Storage;
use tokio::sync::oneshot;

use super::active_queries::ActiveQueries;
use super::admission::{Bounds, Refused};
use super::metrics::QueryMetrics;
use super::place::{Place, SMALL, WorkClass, contain_panic, run_on_this_thread, write_on_this_thread};
use super::query_log::{Origin, QueryLog};
use super::{Door, Tenant};

/// Settings of all queries.
#[derive(Clone, Debug)]
pub struct Options {
    /// The engine's. The memory that they name is replaced by that of the [limits](super::limits::Limits).
    pub engine: EngineOptions,
    /// What the language allows.
    pub features: Features,
}

/// What a client asks beside the expression and its times.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryOptions {
    /// Shorter than the tenant's timeout, if given.
    pub timeout: Option<Duration>,
    /// In milliseconds, instead of the server's.
    pub lookback_delta: Option<i64>,
    /// Whether figures for each step are wanted.
    pub per_step_stats: bool,
}

/// What a client wrote, and who it is.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The expression as written.
    pub text: &'a str,
    /// For the query log.
    pub origin: Origin,
}

/// Writes the answer to a query, in the form of some API.
pub trait WriteAnswer: Send + 'static {
    /// What is known of an answer once it is written, or once writing it has begun.
    type Written: Send + 'static;

    /// About how many bytes of text a result takes.
    fn text_len(&self, result: &QueryResult) -> usize;

    /// Writes the answer, in the place that it is given, and sends what is known of it.
    fn write(
        self,
        result: Result<QueryResult, QueryError>,
        written: oneshot::Sender<Self::Written>,
        place: Place,
    );
}

/// The language's part of the door.
pub(super) struct PromQl {
    engine: ArcSwap<Engine>,
    features: Features,
    metrics: Arc<QueryMetrics>,
    active: Option<Arc<ActiveQueries>>,
    memory: Arc<MemoryBudget>,
    log: Arc<QueryLog>,
}

impl PromQl {
    pub(super) fn new(
        options: Options,
        memory: Arc<MemoryBudget>,
        metrics: Arc<QueryMetrics>,
        active: Option<ActiveQueries>,
    ) -> Self {
        let engine = EngineOptions { memory: memory.clone(), ..options.engine };
        Self {
            engine: ArcSwap::from_pointee(Engine::new(engine)),
            features: options.features,
            metrics,
            active: active.map(Arc::new),
            memory,
            log: Arc::default(),
        }
    }
}

impl Door {
    /// What PromQL allows.
    pub fn promql_features(&self) -> &Features {
        &self.promql.features
    }

    /// Changes the step of subqueries that name none, in milliseconds; at a configuration reload.
    pub fn set_default_interval(&self, default_interval: i64) {
        let engine = &self.promql.engine;
        let options = engine.load().options().clone();
        engine.store(Arc::new(Engine::new(EngineOptions { default_interval, ..options })));
    }

    /// Logs queries to a file from now on, or with `None` no longer; at a configuration reload. On error all stays as it
    /// was.
    pub fn set_query_log(&self, path: Option<&Path>) -> std::io::Result<()> {
        self.promql.log.set_file(path)?;
        self.promql.metrics.set_log_enabled(path.is_some());
        Ok(())
    }

    /// Answers a client's query once it is admitted: `answer` gets the result and writes it, where it is told to.
    /// Dropping the future cancels the query.
    pub async fn query<A: WriteAnswer>(
        &self,
        tenant: Tenant,
        expr: &Expr,
        asked: Asked<'_>,
        times: Times,
        options: QueryOptions,
        answer: A,
    ) -> Result<A::Written, QueryError> {
        const QUEUE: &str = "query queue";
        let Asked { text, origin } = asked;
        let admitted = self.core.admit_query(tenant, options.timeout).await;
        let (permit, bounds) = admitted.map_err(|refused| match refused {
            Refused::TimedOut => QueryError::Timeout(QUEUE),
            Refused::Closed => QueryError::Cancelled(QUEUE),
        })?;
        let _cancel_on_drop = bounds.cancel_on_drop();
        let PromQl { engine, metrics, active, memory, log, .. } = &self.promql;
        let query = Query { storage: self.core.storage.clone(), metrics: metrics.clone(), bounds, options };
        let (log, log_metrics, logged) = (log.clone(), metrics.clone(), text.to_owned());
        let note_end = move |result: &Result<QueryResult, QueryError>| {
            note_end(&log, &log_metrics, &logged, times, &origin, result);
        };
        let (send, receive) = oneshot::channel();
        let prepared = match query.prepare(&engine.load(), expr, times) {
            Ok(prepared) => prepared,
            Err(e) => {
                let failed = Err(e);
                note_end(&failed);
                answer.write(failed, send, Place::Serving);
                return receive.await.map_err(|_| internal("no answer"));
            }
        };
        let note = || active.as_ref().and_then(|active| active.enter(text));
        let handle = match query.run_on_this_thread(&prepared, note) {
            Some(result) => {
                drop(permit);
                note_end(&result);
                let len = result.as_ref().map_or(0, |result| answer.text_len(result));
                let held = held(memory, &result, len);
                let write = move |place| {
                    answer.write(result, send, place);
                    drop(held);
                };
                match write_on_this_thread(len, write) {
                    Ok(()) => return receive.await.map_err(|_| internal("no answer")),
                    Err(write) => tokio::task::spawn_blocking(move || write(Place::Blocking)),
                }
            }
            None => {
                let (active, text, memory) = (active.clone(), text.to_owned(), memory.clone());
                tokio::task::spawn_blocking(move || {
                    let entry = active.as_ref().and_then(|active| active.enter(&text));
                    let result = query.run(&prepared, &*query.storage.snapshot());
                    let len = result.as_ref().map_or(0, |result| answer.text_len(result));
                    let held = held(&memory, &result, len);
                    drop((entry, permit));
                    note_end(&result);
                    answer.write(result, send, Place::Blocking);
                    drop(held);
                })
            }
        };
        match receive.await {
            Ok(written) => Ok(written),
            Err(_) => Err(internal(handle.await.err().map_or("no answer".to_owned(), |e| e.to_string()))),
        }
    }

    /// Answers a rule's query on this thread, without waiting behind clients.
    pub(super) fn query_for_rule(
        &self,
        tenant: Tenant,
        expr: &Expr,
        t: i64,
        origin: &Origin,
    ) -> Result<QueryResult, QueryError> {
        let result = self.run_for_rule(tenant, expr, t);
        let PromQl { metrics, log, .. } = &self.promql;
        if log.is_open() {
            note_end(log, metrics, &expr.to_string(), Times::Instant(t), origin, &result);
        }
        result
    }

    fn run_for_rule(&self, tenant: Tenant, expr: &Expr, t: i64) -> Result<QueryResult, QueryError> {
        let PromQl { engine, metrics, active, .. } = &self.promql;
        let query = Query {
            storage: self.core.storage.clone(),
            metrics: metrics.clone(),
            bounds: self.core.admit_own_query(tenant),
            options: QueryOptions::default(),
        };
        let prepared = query.prepare(&engine.load(), expr, Times::Instant(t))?;
        let _entry = active.as_ref().and_then(|active| active.enter(&expr.to_string()));
        let snapshot = self.core.storage.snapshot();
        let is_small = prepared.work(&*snapshot, SMALL.work).is_some_and(|work| work <= SMALL.work);
        let run = || query.run_within(&prepared, &*snapshot, Threads::Calling, SMALL.time);
        let small = if is_small { contain_panic(run, panicked) } else { None };
        small.unwrap_or_else(|| query.run(&prepared, &*snapshot))
    }
}

/// Logs that a query has ended.
fn note_end(
    log: &QueryLog,
    metrics: &QueryMetrics,
    text: &str,
    times: Times,
    origin: &Origin,
    result: &Result<QueryResult, QueryError>,
) {
    if let Err(e) = log.write(text, times, origin, result) {
        metrics.log_failed();
        tracing::error!(err = %e, "Writing the query log failed");
    }
}

/// One query with all that it needs.
struct Query {
    storage: Arc<Storage>,
    metrics: Arc<QueryMetrics>,
    bounds: Bounds,
    options: QueryOptions,
}

impl Query {
    fn prepare(&self, engine: &Engine, expr: &Expr, times: Times) -> Result<Prepared, QueryError> {
        self.with_context(self.bounds.timeout, |context| engine.prepare(expr, times, context))
    }

    /// Runs the query here and on rayon's threads.
    fn run(&self, prepared: &Prepared, source: &dyn SeriesSource) -> Result<QueryResult, QueryError> {
        let running = self.metrics.running();
        let evaluate = |context: &QueryContext<'_>| prepared.evaluate(source, Threads::All, context);
        let result = self.with_context(self.bounds.timeout, evaluate);
        running.finished(&result);
        result
    }

    /// Runs the query where it is asked, if it is small or medium work; else `None`. `note` notes it before this thread
    /// gives way to another.
    fn run_on_this_thread<N>(
        &self,
        prepared: &Prepared,
        note: impl FnOnce() -> N,
    ) -> Option<Result<QueryResult, QueryError>> {
        let run = || {
            let snapshot = self.storage.snapshot();
            let source: &dyn SeriesSource = &*snapshot;
            let estimate = || prepared.work(source, SMALL.work);
            run_on_this_thread(prepared.may_wait(source), estimate, note, |class, time| {
                let threads = if class == WorkClass::Small { Threads::Calling } else { Threads::All };
                self.run_within(prepared, source, threads, time)
            })
        };
        contain_panic(run, panicked)
    }

    /// Runs the query; `None` when it takes longer than `time` and may.
    fn run_within(
        &self,
        prepared: &Prepared,
        source: &dyn SeriesSource,
        threads: Threads,
        time: Duration,
    ) -> Option<Result<QueryResult, QueryError>> {
        let running = self.metrics.running();
        let timeout = self.bounds.timeout;
        let deadline = timeout.min(self.bounds.elapsed() + time);
        let result = self.with_context(deadline, |context| prepared.evaluate(source, threads, context));
        if matches!(result, Err(QueryError::Timeout(_))) && deadline < timeout {
            return None;
        }
        running.finished(&result);
        Some(result)
    }

    fn with_context<T>(&self, deadline: Duration, f: impl FnOnce(&QueryContext<'_>) -> T) -> T {
        let elapsed = || self.bounds.elapsed();
        f(&QueryContext {
            cancel: &self.bounds.cancel,
            elapsed: &elapsed,
            deadline: Some(deadline),
            lookback_delta: self.options.lookback_delta,
            per_step_stats: self.options.per_step_stats,
            queue_time: self.bounds.queue_time,
        })
    }
}

/// Holds what a result takes, and the part of its text that is in memory, until it is written.
fn held(memory: &Arc<MemoryBudget>, result: &Result<QueryResult, QueryError>, text: usize) -> Option<Hold> {
    const TEXT_MAX: usize = 1 << 20;
    result.as_ref().ok().map(|result| memory.hold(result.value.bytes() + text.min(TEXT_MAX)))
}

fn panicked() -> Option<Result<QueryResult, QueryError>> {
    Some(Err(internal("it panicked")))
}

fn internal(what: impl std::fmt::Display) -> QueryError {
    QueryError::Execution(format!(
        "internal error in the query engine, please report it with the query: {what}"
    ))
}
