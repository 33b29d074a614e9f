//! Figures of all queries under Prometheus's names.

use std::sync::Arc;

use promql::QueryResult;
use query::QueryError;
use telemetry::{Collect, Counter, Gather, Gauge, Histogram, Labeled, Summary, figures};

/// The parts of a query's time.
const SLICES: [&str; 4] = ["queue_time", "prepare_time", "inner_eval", "result_sort"];
const SECONDS: &[f64] = &[0.01, 0.1, 1.0, 10.0];
const QUANTILES: &[f64] = &[0.5, 0.9, 0.99];

figures! {
    struct QueryFigures {
        current: Gauge =
            "prometheus_engine_queries", "The current number of queries being executed or waiting.";
        max_concurrent: Gauge =
            "prometheus_engine_queries_concurrent_max", "The max number of concurrent queries.";
        seconds: Labeled<Summary> { Labeled::new(&["slice"], || Summary::new(QUANTILES)) } =
            "prometheus_engine_query_duration_seconds", "Query timings";
        seconds_histogram: Labeled<Histogram> { Labeled::new(&["slice"], || Histogram::new(SECONDS)) } =
            "prometheus_engine_query_duration_histogram_seconds",
            "The duration of various parts of PromQL query execution.";
        samples: Counter =
            "prometheus_engine_query_samples_total", "The total number of samples loaded by all queries.";
        samples_read: Counter =
            "prometheus_engine_query_samples_read_total",
            "The total number of samples read from the store by all queries.";
        /// 1 while there is a query log.
        log_enabled: Gauge = "prometheus_engine_query_log_enabled", "State of the query log.";
        log_failures: Counter =
            "prometheus_engine_query_log_failures_total", "The number of query log failures.";
    }
}

/// Figures of all queries.
pub struct QueryMetrics {
    figures: QueryFigures,
    /// The children of both kinds of seconds by slice, as in [`SLICES`].
    slices: [(Arc<Summary>, Arc<Histogram>); 4],
}

impl Default for QueryMetrics {
    fn default() -> Self {
        let figures = QueryFigures::default();
        let slices =
            SLICES.map(|slice| (figures.seconds.with(&[slice]), figures.seconds_histogram.with(&[slice])));
        Self { figures, slices }
    }
}

impl QueryMetrics {
    /// Says how many queries may run at once.
    pub fn set_max_concurrent(&self, queries: usize) {
        self.figures.max_concurrent.set(queries as f64);
    }

    /// Says whether queries are logged.
    pub fn set_log_enabled(&self, enabled: bool) {
        self.figures.log_enabled.set(f64::from(u8::from(enabled)));
    }

    /// Counts a query that could not be logged.
    pub fn log_failed(&self) {
        self.figures.log_failures.inc();
    }

    /// Counts a query as running until the guard goes.
    pub fn running(&self) -> Running<'_> {
        self.figures.current.add(1.0);
        Running(self)
    }
}

/// A running query.
pub struct Running<'a>(&'a QueryMetrics);

impl Running<'_> {
    /// Notes the figures of a query that has ended.
    pub fn finished(self, result: &Result<QueryResult, QueryError>) {
        let Ok(result) = result else { return };
        let timings = &result.stats.timings;
        let times = [timings.exec_queue, timings.query_preparation, timings.inner_eval, timings.result_sort];
        for ((seconds, histogram), time) in self.0.slices.iter().zip(times) {
            seconds.observe(time.as_secs_f64());
            histogram.observe(time.as_secs_f64());
        }
        let samples = &result.stats.samples;
        self.0.figures.samples.add(u64::try_from(samples.total).unwrap_or(0));
        self.0.figures.samples_read.add(u64::try_from(samples.read).unwrap_or(0));
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.figures.current.add(-1.0);
    }
}

impl Collect for QueryMetrics {
    fn collect(&self, out: &mut Gather) {
        self.figures.collect(out);
    }
}
