//! What scraping says of itself. Names, labels and buckets are Prometheus's (`scrape/metrics.go`).

use std::sync::Arc;

use parking_lot::Mutex;
use telemetry::{Collect, Counter, Gather, Gauge, Histogram, Labeled, Summary};

use super::metadata::MetadataCache;

const QUANTILES: &[f64] = &[0.01, 0.05, 0.5, 0.9, 0.99];
const SECONDS: &[f64] = &[0.01, 0.1, 1.0, 10.0];

/// Numbers of all jobs.
pub struct ScrapeMetrics {
    /// Observed seconds between scrapes of a target, by configured interval.
    pub interval_length: Labeled<Summary>,
    /// The same as histogram.
    pub interval_length_histogram: Labeled<Histogram>,
    /// Seconds that reloading a job took, by its interval.
    pub reload_length: Labeled<Summary>,
    /// Seconds that making targets took, by job.
    pub sync_length: Labeled<Summary>,
    /// The same as histogram.
    pub sync_length_histogram: Labeled<Histogram>,
    /// Seconds from the start of a scrape to its commit.
    pub scrape_duration: Histogram,
    /// Discovered targets that cannot be, by job.
    pub sync_failed: Labeled<Counter>,
    /// Times that a job's targets were made, by job.
    pub pool_syncs: Labeled<Counter>,
    /// `target_limit`, by job.
    pub pool_target_limit: Labeled<Gauge>,
    /// Targets, by job.
    pub pool_targets: Labeled<Gauge>,
    /// Jobs that were set up.
    pub pools: Counter,
    /// Of which failed.
    pub pools_failed: Counter,
    /// Jobs that were set up anew.
    pub pool_reloads: Counter,
    /// Of which failed.
    pub pool_reloads_failed: Counter,
    /// Times that a job had too many targets.
    pub exceeded_target_limit: Counter,
    /// Scrapes that hit a label limit.
    pub exceeded_label_limits: Counter,
    /// Scrapes that hit the sample limit.
    pub exceeded_sample_limit: Counter,
    /// Scrapes that hit the body size limit.
    pub exceeded_body_size_limit: Counter,
    /// Scrapes that hit the bucket limit of native histograms.
    pub exceeded_bucket_limit: Counter,
    /// Caches that grew too large while scrapes failed.
    pub cache_flush_forced: Counter,
    /// Samples refused.
    pub sample_duplicate: Counter,
    /// Samples refused.
    pub sample_out_of_order: Counter,
    /// Samples refused.
    pub sample_out_of_bounds: Counter,
    /// Exemplars refused.
    pub exemplar_out_of_order: Counter,
    caches: Mutex<Vec<(String, Arc<MetadataCache>)>>,
}

impl Default for ScrapeMetrics {
    fn default() -> Self {
        let summary = |labels| Labeled::new(labels, || Summary::new(QUANTILES));
        let histogram = |labels| Labeled::new(labels, || Histogram::new(SECONDS));
        Self {
            interval_length: summary(&["interval"]),
            interval_length_histogram: histogram(&["interval"]),
            reload_length: summary(&["interval"]),
            sync_length: summary(&["scrape_job"]),
            sync_length_histogram: histogram(&["scrape_job"]),
            scrape_duration: Histogram::new(&[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
            sync_failed: Labeled::of(&["scrape_job"]),
            pool_syncs: Labeled::of(&["scrape_job"]),
            pool_target_limit: Labeled::of(&["scrape_job"]),
            pool_targets: Labeled::of(&["scrape_job"]),
            pools: Counter::default(),
            pools_failed: Counter::default(),
            pool_reloads: Counter::default(),
            pool_reloads_failed: Counter::default(),
            exceeded_target_limit: Counter::default(),
            exceeded_label_limits: Counter::default(),
            exceeded_sample_limit: Counter::default(),
            exceeded_body_size_limit: Counter::default(),
            exceeded_bucket_limit: Counter::default(),
            cache_flush_forced: Counter::default(),
            sample_duplicate: Counter::default(),
            sample_out_of_order: Counter::default(),
            sample_out_of_bounds: Counter::default(),
            exemplar_out_of_order: Counter::default(),
            caches: Mutex::default(),
        }
    }
}

impl ScrapeMetrics {
    /// Forgets a job that is no longer there.
    pub fn forget_job(&self, job: &str) {
        self.sync_length.remove(&[job]);
        self.sync_length_histogram.remove(&[job]);
        self.sync_failed.remove(&[job]);
        self.pool_syncs.remove(&[job]);
        self.pool_target_limit.remove(&[job]);
        self.pool_targets.remove(&[job]);
        self.set_caches(job, []);
    }

    /// The metadata of a job's targets, for their number and size.
    pub fn set_caches(&self, job: &str, caches: impl IntoIterator<Item = Arc<MetadataCache>>) {
        let mut all = self.caches.lock();
        all.retain(|(name, _)| name != job);
        all.extend(caches.into_iter().map(|cache| (job.to_owned(), cache)));
        all.sort_by(|a, b| a.0.cmp(&b.0));
    }
}

impl Collect for ScrapeMetrics {
    fn collect(&self, out: &mut Gather) {
        self.collect_lengths(out);
        for (name, help, counter) in [
            (
                "prometheus_target_scrape_pools_total",
                "Total number of scrape pool creation attempts.",
                &self.pools,
            ),
            (
                "prometheus_target_scrape_pools_failed_total",
                "Total number of scrape pool creations that failed.",
                &self.pools_failed,
            ),
            (
                "prometheus_target_scrape_pool_reloads_total",
                "Total number of scrape pool reloads.",
                &self.pool_reloads,
            ),
            (
                "prometheus_target_scrape_pool_reloads_failed_total",
                "Total number of failed scrape pool reloads.",
                &self.pool_reloads_failed,
            ),
            (
                "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Total number of times scrape pools hit the target limit, during sync or config reload.",
                &self.exceeded_target_limit,
            ),
            (
                "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Total number of times scrape pools hit the label limits, during sync or config reload.",
                &self.exceeded_label_limits,
            ),
            (
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Total number of scrapes that hit the sample limit and were rejected.",
                &self.exceeded_sample_limit,
            ),
            (
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Total number of scrapes that hit the body size limit",
                &self.exceeded_body_size_limit,
            ),
            (
                "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
                "Total number of scrapes that hit the native histogram bucket limit and were rejected.",
                &self.exceeded_bucket_limit,
            ),
            (
                "prometheus_target_scrapes_cache_flush_forced_total",
                "How many times a scrape cache was flushed due to getting big while scrapes are failing.",
                &self.cache_flush_forced,
            ),
            (
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Total number of samples rejected due to duplicate timestamps but different values.",
                &self.sample_duplicate,
            ),
            (
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Total number of samples rejected due to not being out of the expected order.",
                &self.sample_out_of_order,
            ),
            (
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Total number of samples rejected due to timestamp falling outside of the time bounds.",
                &self.sample_out_of_bounds,
            ),
            (
                "prometheus_target_scrapes_exemplar_out_of_order_total",
                "Total number of exemplar rejected due to not being out of the expected order.",
                &self.exemplar_out_of_order,
            ),
        ] {
            out.counter(name, help, &[], counter.get() as f64);
        }
        out.counters(
            "prometheus_target_sync_failed_total",
            "Total number of target sync failures.",
            &self.sync_failed,
        );
        out.counters(
            "prometheus_target_scrape_pool_sync_total",
            "Total number of syncs that were executed on a scrape pool.",
            &self.pool_syncs,
        );
        out.gauges(
            "prometheus_target_scrape_pool_target_limit",
            "Maximum number of targets allowed in this scrape pool.",
            &self.pool_target_limit,
        );
        out.gauges(
            "prometheus_target_scrape_pool_targets",
            "Current number of targets in this scrape pool.",
            &self.pool_targets,
        );
        self.collect_caches(out);
    }
}

impl ScrapeMetrics {
    fn collect_lengths(&self, out: &mut Gather) {
        out.summaries(
            "prometheus_target_interval_length_seconds",
            "Actual intervals between scrapes.",
            &self.interval_length,
        );
        out.histograms(
            "prometheus_target_interval_length_histogram_seconds",
            "Actual intervals between scrapes.",
            &self.interval_length_histogram,
        );
        out.summaries(
            "prometheus_target_reload_length_seconds",
            "Actual interval to reload the scrape pool with a given configuration.",
            &self.reload_length,
        );
        out.summaries(
            "prometheus_target_sync_length_seconds",
            "Actual interval to sync the scrape pool.",
            &self.sync_length,
        );
        out.histograms(
            "prometheus_target_sync_length_histogram_seconds",
            "Actual interval to sync the scrape pool.",
            &self.sync_length_histogram,
        );
        out.histogram(
            "prometheus_target_scrape_duration_seconds",
            "Total duration of the scrape from start to commit completion in seconds.",
            &[],
            &self.scrape_duration,
        );
    }

    /// Texts are not interned per job here, so the symbol table that Prometheus counts has the families as items.
    fn collect_caches(&self, out: &mut Gather) {
        let caches = self.caches.lock();
        for of_job in caches.chunk_by(|a, b| a.0 == b.0) {
            let Some((job, _)) = of_job.first() else { continue };
            let labels = [("scrape_job", job.as_str())];
            let entries: usize = of_job.iter().map(|(_, cache)| cache.count()).sum();
            let bytes: usize = of_job.iter().map(|(_, cache)| cache.bytes()).sum();
            out.gauge(
                "prometheus_target_metadata_cache_entries",
                "Total number of metric metadata entries in the cache",
                &labels,
                entries as f64,
            );
            out.gauge(
                "prometheus_target_metadata_cache_bytes",
                "The number of bytes that are currently used for storing metric metadata in the cache",
                &labels,
                bytes as f64,
            );
            out.gauge(
                "prometheus_target_scrape_pool_symboltable_items",
                "Current number of symbols in table for this scrape pool.",
                &labels,
                entries as f64,
            );
        }
    }
}
