//! What scraping says of itself. Names, labels and buckets are Prometheus's (`scrape/metrics.go`).

use std::sync::Arc;

use parking_lot::Mutex;
use telemetry::{Counter, Figure, Gather, Gauge, Histogram, Labeled, Summary, figures};

use super::metadata::MetadataCache;

const QUANTILES: &[f64] = &[0.01, 0.05, 0.5, 0.9, 0.99];
const SECONDS: &[f64] = &[0.01, 0.1, 1.0, 10.0];
const SCRAPE_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Jobs with the same interval count together.
const INTERVAL: &[&str] = &["interval"];
const JOB: &[&str] = &["scrape_job"];

figures! {
    /// Figures of all jobs.
    pub struct ScrapeMetrics {
        pub interval_length: Labeled<Summary> { summaries(INTERVAL) } =
            "prometheus_target_interval_length_seconds", "Actual intervals between scrapes.";
        pub interval_length_histogram: Labeled<Histogram> { histograms(INTERVAL) } =
            "prometheus_target_interval_length_histogram_seconds", "Actual intervals between scrapes.";
        pub reload_length: Labeled<Summary> { summaries(INTERVAL) } =
            "prometheus_target_reload_length_seconds",
            "Actual interval to reload the scrape pool with a given configuration.";
        pub sync_length: Labeled<Summary> { summaries(JOB) } =
            "prometheus_target_sync_length_seconds", "Actual interval to sync the scrape pool.";
        pub sync_length_histogram: Labeled<Histogram> { histograms(JOB) } =
            "prometheus_target_sync_length_histogram_seconds", "Actual interval to sync the scrape pool.";
        pub scrape_duration: Histogram { Histogram::new(SCRAPE_SECONDS) } =
            "prometheus_target_scrape_duration_seconds",
            "Total duration of the scrape from start to commit completion in seconds.";
        pub sync_failed: Labeled<Counter> { Labeled::of(JOB) } =
            "prometheus_target_sync_failed_total", "Total number of target sync failures.";
        pub pool_syncs: Labeled<Counter> { Labeled::of(JOB) } =
            "prometheus_target_scrape_pool_sync_total",
            "Total number of syncs that were executed on a scrape pool.";
        pub pool_target_limit: Labeled<Gauge> { Labeled::of(JOB) } =
            "prometheus_target_scrape_pool_target_limit",
            "Maximum number of targets allowed in this scrape pool.";
        pub pool_targets: Labeled<Gauge> { Labeled::of(JOB) } =
            "prometheus_target_scrape_pool_targets", "Current number of targets in this scrape pool.";
        pub pools: Counter =
            "prometheus_target_scrape_pools_total", "Total number of scrape pool creation attempts.";
        pub pools_failed: Counter =
            "prometheus_target_scrape_pools_failed_total",
            "Total number of scrape pool creations that failed.";
        pub pool_reloads: Counter =
            "prometheus_target_scrape_pool_reloads_total", "Total number of scrape pool reloads.";
        pub pool_reloads_failed: Counter =
            "prometheus_target_scrape_pool_reloads_failed_total",
            "Total number of failed scrape pool reloads.";
        pub exceeded_target_limit: Counter =
            "prometheus_target_scrape_pool_exceeded_target_limit_total",
            "Total number of times scrape pools hit the target limit, during sync or config reload.";
        pub exceeded_label_limits: Counter =
            "prometheus_target_scrape_pool_exceeded_label_limits_total",
            "Total number of times scrape pools hit the label limits, during sync or config reload.";
        pub exceeded_sample_limit: Counter =
            "prometheus_target_scrapes_exceeded_sample_limit_total",
            "Total number of scrapes that hit the sample limit and were rejected.";
        pub exceeded_body_size_limit: Counter =
            "prometheus_target_scrapes_exceeded_body_size_limit_total",
            "Total number of scrapes that hit the body size limit";
        pub exceeded_bucket_limit: Counter =
            "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
            "Total number of scrapes that hit the native histogram bucket limit and were rejected.";
        pub cache_flush_forced: Counter =
            "prometheus_target_scrapes_cache_flush_forced_total",
            "How many times a scrape cache was flushed due to getting big while scrapes are failing.";
        pub sample_duplicate: Counter =
            "prometheus_target_scrapes_sample_duplicate_timestamp_total",
            "Total number of samples rejected due to duplicate timestamps but different values.";
        pub sample_out_of_order: Counter =
            "prometheus_target_scrapes_sample_out_of_order_total",
            "Total number of samples rejected due to not being out of the expected order.";
        pub sample_out_of_bounds: Counter =
            "prometheus_target_scrapes_sample_out_of_bounds_total",
            "Total number of samples rejected due to timestamp falling outside of the time bounds.";
        pub exemplar_out_of_order: Counter =
            "prometheus_target_scrapes_exemplar_out_of_order_total",
            "Total number of exemplar rejected due to not being out of the expected order.";
        caches: MetadataCaches =
            "prometheus_target_metadata_cache_entries",
            "Total number of metric metadata entries in the cache";
    }
}

fn summaries(labels: &'static [&'static str]) -> Labeled<Summary> {
    Labeled::new(labels, || Summary::new(QUANTILES))
}

fn histograms(labels: &'static [&'static str]) -> Labeled<Histogram> {
    Labeled::new(labels, || Histogram::new(SECONDS))
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
        let mut all = self.caches.0.lock();
        all.retain(|(name, _)| name != job);
        all.extend(caches.into_iter().map(|cache| (job.to_owned(), cache)));
        all.sort_by(|a, b| a.0.cmp(&b.0));
    }
}

/// The metadata caches of all targets, by job.
#[derive(Default)]
struct MetadataCaches(Mutex<Vec<(String, Arc<MetadataCache>)>>);

/// The number of entries in the family that is named, and in families of their own what else is known of the entries.
impl Figure for MetadataCaches {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        let caches = self.0.lock();
        for of_job in caches.chunk_by(|a, b| a.0 == b.0) {
            let Some((job, _)) = of_job.first() else { continue };
            let labels = [("scrape_job", job.as_str())];
            let entries: usize = of_job.iter().map(|(_, cache)| cache.count()).sum();
            let bytes: usize = of_job.iter().map(|(_, cache)| cache.bytes()).sum();
            out.gauge(name, help, &labels, entries as f64);
            out.gauge(
                "prometheus_target_metadata_cache_bytes",
                "The number of bytes that are currently used for storing metric metadata in the cache",
                &labels,
                bytes as f64,
            );
            // Texts are not interned per job here: of the symbol table that Prometheus counts, the families remain.
            out.gauge(
                "prometheus_target_scrape_pool_symboltable_items",
                "Current number of symbols in table for this scrape pool.",
                &labels,
                entries as f64,
            );
        }
    }
}
