//! Queries on their way to the engine: admission, deadline, cancellation when the client goes away, and figures.
//!
//! A query runs over one snapshot of the store, and its answer is written where it ran. One of little work
//! ([`LITTLE_WORK`]) runs where it is asked, because handing it to another thread and back takes longer than the query.
//! One of some work ([`SOME_WORK`]), or one that may have to wait for a disk, runs there too, while another thread serves
//! the other connections. Async ends here for all others: they run on a blocking thread.

pub mod active;
pub mod metrics;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use model::read::SeriesSource;
use promql::ast::Expr;
use promql::engine::{
    Engine, EngineOptions, Prepared, QueryContext, QueryError, QueryResult, Times, Workers,
};
use promql::parse::Features;
use promql::value::{Point, Series, Value, VectorSample};
use storage::Storage;
use tokio::runtime::RuntimeFlavor;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use active::ActiveQueries;
use metrics::QueryMetrics;

/// About how many nanoseconds of work a query may be to run on a thread that serves connections. What is more gains by
/// several threads at once.
const LITTLE_WORK: u64 = 400_000;
/// A query that was thought little and is not, as one over unusually dense samples, begins again on a blocking thread
/// after so long. It cannot be cancelled until then. Much longer than little queries take, for machines that are busy.
const LITTLE_TIME: Duration = Duration::from_millis(20);
/// About how many bytes of text a result may be to be written on a thread that serves connections.
const LITTLE_TEXT: usize = 64 << 10;
/// As [`LITTLE_WORK`], [`LITTLE_TIME`] and [`LITTLE_TEXT`], for a query whose thread gives way to another.
const SOME_WORK: u64 = 10_000_000;
const SOME_TIME: Duration = Duration::from_millis(100);
const SOME_TEXT: usize = 1 << 20;

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

/// Where an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// On a thread that serves connections: it must not wait for anybody.
    Serving,
    /// On a thread that may wait for the client.
    Blocking,
}

/// Answers queries. Shared by the API and the rules.
pub struct Queries {
    engine: ArcSwap<Engine>,
    features: Features,
    timeout: Duration,
    permits: Arc<Semaphore>,
    storage: Arc<Storage>,
    metrics: Arc<QueryMetrics>,
    active: Option<Arc<ActiveQueries>>,
}

impl Queries {
    /// Queries over a store. Those that are handed to a thread of their own are noted in `active`.
    pub fn new(
        storage: Arc<Storage>,
        options: Options,
        metrics: Arc<QueryMetrics>,
        active: Option<ActiveQueries>,
    ) -> Self {
        metrics.max_concurrent.set(options.max_concurrent as f64);
        Self {
            engine: ArcSwap::from_pointee(Engine::new(options.engine)),
            features: options.features,
            timeout: options.timeout,
            permits: Arc::new(Semaphore::new(options.max_concurrent.max(1))),
            storage,
            metrics,
            active: active.map(Arc::new),
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

    /// Answers a client's query once it is admitted: `answer` gets the result, on the thread that it is told of, and
    /// sends what is to be known of it. Dropping the future cancels the query. `text` is what the client wrote.
    pub async fn run<T: Send + 'static>(
        &self,
        expr: &Expr,
        text: &str,
        times: Times,
        request: Request,
        answer: impl FnOnce(Result<QueryResult, QueryError>, oneshot::Sender<T>, Thread) + Send + 'static,
    ) -> Result<T, QueryError> {
        let arrived = Instant::now();
        let timeout = request.timeout.map_or(self.timeout, |t| t.min(self.timeout));
        let permit = self.admit(timeout).await?;
        let cancel = Arc::new(AtomicBool::new(false));
        let _cancel_on_drop = CancelOnDrop(cancel.clone());
        let query = Query {
            storage: self.storage.clone(),
            metrics: self.metrics.clone(),
            arrived,
            queue_time: arrived.elapsed(),
            timeout,
            request,
            cancel,
        };
        let (send, receive) = oneshot::channel();
        let prepared = match query.prepare(&self.engine.load(), expr, times) {
            Ok(prepared) => prepared,
            Err(e) => {
                answer(Err(e), send, Thread::Serving);
                return receive.await.map_err(|_| internal("no answer"));
            }
        };
        let note = || self.active.as_ref().and_then(|active| active.enter(text));
        let handle = match query.run_here(&prepared, note) {
            Some(result) => {
                drop(permit);
                let len = result.as_ref().map_or(0, |result| text_len(&result.value));
                if len <= LITTLE_TEXT {
                    answer(result, send, Thread::Serving);
                    return receive.await.map_err(|_| internal("no answer"));
                }
                if len <= SOME_TEXT && can_give_way() {
                    tokio::task::block_in_place(|| answer(result, send, Thread::Serving));
                    return receive.await.map_err(|_| internal("no answer"));
                }
                tokio::task::spawn_blocking(move || answer(result, send, Thread::Blocking))
            }
            None => {
                let (active, text) = (self.active.clone(), text.to_owned());
                tokio::task::spawn_blocking(move || {
                    let entry = active.as_ref().and_then(|active| active.enter(&text));
                    let result = query.run(&prepared, &*query.storage.snapshot());
                    drop((entry, permit));
                    answer(result, send, Thread::Blocking);
                })
            }
        };
        match receive.await {
            Ok(answered) => Ok(answered),
            Err(_) => Err(internal(handle.await.err().map_or("no answer".to_owned(), |e| e.to_string()))),
        }
    }

    async fn admit(&self, timeout: Duration) -> Result<OwnedSemaphorePermit, QueryError> {
        const QUEUE: &str = "query queue";
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        match tokio::time::timeout(timeout, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(QueryError::Cancelled(QUEUE)),
            Err(_) => Err(QueryError::Timeout(QUEUE)),
        }
    }

    /// Answers a rule's query on this thread, without waiting behind clients.
    pub fn run_for_rule(&self, expr: &Expr, t: i64) -> Result<QueryResult, QueryError> {
        let query = Query {
            storage: self.storage.clone(),
            metrics: self.metrics.clone(),
            arrived: Instant::now(),
            queue_time: Duration::ZERO,
            timeout: self.timeout,
            request: Request::default(),
            cancel: Arc::default(),
        };
        let prepared = query.prepare(&self.engine.load(), expr, Times::Instant(t))?;
        let _entry = self.active.as_ref().and_then(|active| active.enter(&expr.to_string()));
        let snapshot = self.storage.snapshot();
        let is_little = prepared.work(&*snapshot, LITTLE_WORK).is_some_and(|work| work <= LITTLE_WORK);
        let here = || query.run_until(&prepared, &*snapshot, Workers::Caller, LITTLE_TIME);
        let little = if is_little { caught(here) } else { None };
        little.unwrap_or_else(|| query.run(&prepared, &*snapshot))
    }
}

/// One query with all that it needs.
struct Query {
    storage: Arc<Storage>,
    metrics: Arc<QueryMetrics>,
    arrived: Instant,
    queue_time: Duration,
    timeout: Duration,
    request: Request,
    cancel: Arc<AtomicBool>,
}

impl Query {
    fn prepare(&self, engine: &Engine, expr: &Expr, times: Times) -> Result<Prepared, QueryError> {
        self.with_context(self.timeout, |context| engine.prepare(expr, times, context))
    }

    /// Runs the query here and on rayon's threads.
    fn run(&self, prepared: &Prepared, source: &dyn SeriesSource) -> Result<QueryResult, QueryError> {
        let running = self.metrics.running();
        let evaluate = |context: &QueryContext<'_>| prepared.evaluate(source, Workers::All, context);
        let result = self.with_context(self.timeout, evaluate);
        running.finished(&result);
        result
    }

    /// Runs the query where it is asked, if it is little or some work; else `None`. `enter` notes it before this thread
    /// gives way to another.
    fn run_here<E>(
        &self,
        prepared: &Prepared,
        enter: impl FnOnce() -> E,
    ) -> Option<Result<QueryResult, QueryError>> {
        caught(|| {
            let snapshot = self.storage.snapshot();
            let source: &dyn SeriesSource = &*snapshot;
            let estimate = || prepared.work(source, LITTLE_WORK);
            let known = if prepared.may_wait(source) { None } else { Some(estimate()?) };
            match known {
                Some(..=LITTLE_WORK) => self.run_until(prepared, source, Workers::Caller, LITTLE_TIME),
                Some(work) if work > SOME_WORK => None,
                _ if !can_give_way() => None,
                _ => tokio::task::block_in_place(|| {
                    let _entry = enter();
                    let work = known.or_else(estimate)?;
                    let workers = if work <= LITTLE_WORK { Workers::Caller } else { Workers::All };
                    if work > SOME_WORK { None } else { self.run_until(prepared, source, workers, SOME_TIME) }
                }),
            }
        })
    }

    /// Runs the query; `None` when it takes longer than so long, which is less than it may.
    fn run_until(
        &self,
        prepared: &Prepared,
        source: &dyn SeriesSource,
        workers: Workers,
        time: Duration,
    ) -> Option<Result<QueryResult, QueryError>> {
        let running = self.metrics.running();
        let deadline = self.timeout.min(self.arrived.elapsed() + time);
        let result = self.with_context(deadline, |context| prepared.evaluate(source, workers, context));
        if matches!(result, Err(QueryError::Timeout(_))) && deadline < self.timeout {
            return None;
        }
        running.finished(&result);
        Some(result)
    }

    fn with_context<T>(&self, deadline: Duration, f: impl FnOnce(&QueryContext<'_>) -> T) -> T {
        let elapsed = || self.arrived.elapsed();
        f(&QueryContext {
            cancel: &self.cancel,
            elapsed: &elapsed,
            deadline: Some(deadline),
            lookback_delta: self.request.lookback_delta,
            per_step_stats: self.request.per_step_stats,
            queue_time: self.queue_time,
        })
    }
}

/// Runs a query so that a panic ends this one only, as it does on a blocking thread.
fn caught(
    run: impl FnOnce() -> Option<Result<QueryResult, QueryError>>,
) -> Option<Result<QueryResult, QueryError>> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Some(Err(internal("it panicked"))))
}

/// Whether another thread can serve what this one does while it is busy.
fn can_give_way() -> bool {
    tokio::runtime::Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
}

fn internal(what: impl std::fmt::Display) -> QueryError {
    QueryError::Execution(format!(
        "internal error in the query engine, please report it with the query: {what}"
    ))
}

/// About how many bytes a value takes as text.
pub fn text_len(value: &Value) -> usize {
    match value {
        Value::Scalar(_) => 256,
        Value::String(text) => 256 + text.v.len(),
        Value::Vector(samples) => 256 + samples.iter().map(sample_text_len).sum::<usize>(),
        Value::Matrix(series) => 256 + series.iter().map(series_text_len).sum::<usize>(),
    }
}

/// About how many bytes a sample of an instant query takes as text.
pub fn sample_text_len(sample: &VectorSample) -> usize {
    let histogram = if matches!(sample.point, Point::Histogram(_)) { 512 } else { 0 };
    64 + 2 * sample.labels.packed().len() + histogram
}

/// About how many bytes a series takes as text.
pub fn series_text_len(series: &Series) -> usize {
    let points = 32 * series.floats.places() + 512 * series.histograms.len();
    64 + 2 * series.labels.packed().len() + points
}

/// Tells the query's thread that nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
