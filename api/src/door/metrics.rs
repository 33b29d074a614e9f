//! Figures of all queries under Prometheus's names.

use std::sync::Arc;

use promql::engine::{QueryError, QueryResult};
use telemetry::{Collect, Counter, Gather, Gauge, Histogram, Labeled, Summary};

/// The parts of a query's time.
const SLICES: [&str; 4] = ["queue_time", "prepare_time", "inner_eval", "result_sort"];
const SECONDS: &[f64] = &[0.01, 0.1, 1.0, 10.0];
const QUANTILES: &[f64] = &[0.5, 0.9, 0.99];

/// The numbers.
pub struct QueryMetrics {
    /// `--query.max-concurrency`.
    pub max_concurrent: Gauge,
    current: Gauge,
    seconds: Labeled<Summary>,
    seconds_histogram: Labeled<Histogram>,
    /// The children of both by slice, as in [`SLICES`].
    slices: [(Arc<Summary>, Arc<Histogram>); 4],
    samples: Counter,
    samples_read: Counter,
}

impl Default for QueryMetrics {
    fn default() -> Self {
        let seconds = Labeled::new(&["slice"], || Summary::new(QUANTILES));
        let seconds_histogram = Labeled::new(&["slice"], || Histogram::new(SECONDS));
        Self {
            max_concurrent: Gauge::default(),
            current: Gauge::default(),
            slices: SLICES.map(|slice| (seconds.with(&[slice]), seconds_histogram.with(&[slice]))),
            seconds,
            seconds_histogram,
            samples: Counter::default(),
            samples_read: Counter::default(),
        }
    }
}

impl QueryMetrics {
    /// Counts a query as running until the guard goes.
    pub fn running(&self) -> Running<'_> {
        self.current.add(1.0);
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
        self.0.samples.add(u64::try_from(samples.total).unwrap_or(0));
        self.0.samples_read.add(u64::try_from(samples.read).unwrap_or(0));
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.current.add(-1.0);
    }
}

impl Collect for QueryMetrics {
    fn collect(&self, out: &mut Gather) {
        out.gauge(
            "prometheus_engine_queries",
            "The current number of queries being executed or waiting.",
            &[],
            self.current.get(),
        );
        out.gauge(
            "prometheus_engine_queries_concurrent_max",
            "The max number of concurrent queries.",
            &[],
            self.max_concurrent.get(),
        );
        out.summaries("prometheus_engine_query_duration_seconds", "Query timings", &self.seconds);
        out.histograms(
            "prometheus_engine_query_duration_histogram_seconds",
            "The duration of various parts of PromQL query execution.",
            &self.seconds_histogram,
        );
        out.counter(
            "prometheus_engine_query_samples_total",
            "The total number of samples loaded by all queries.",
            &[],
            self.samples.get() as f64,
        );
        out.counter(
            "prometheus_engine_query_samples_read_total",
            "The total number of samples read from the store by all queries.",
            &[],
            self.samples_read.get() as f64,
        );
        out.gauge("prometheus_engine_query_log_enabled", "State of the query log.", &[], 0.0);
        out.counter(
            "prometheus_engine_query_log_failures_total",
            "The number of query log failures.",
            &[],
            0.0,
        );
    }
}
