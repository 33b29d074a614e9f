//! Discovery's numbers under Prometheus's names (`prometheus_sd_*`); one set for the process.

use telemetry::{Collect, Counter, Gather, Gauge, Histogram, Labeled, Summary};

const QUANTILES: &[f64] = &[0.5, 0.9, 0.99];
const REFRESH_BOUNDS: &[f64] = &[0.01, 0.1, 1.0, 10.0];

/// Numbers of all managers and mechanisms.
pub struct Metrics {
    /// `config`, `name`
    pub(super) discovered_targets: Labeled<Gauge>,
    /// `config`, `name`
    pub(super) last_update: Labeled<Gauge>,
    /// `name`
    pub(super) failed_configs: Labeled<Gauge>,
    /// `name`
    pub(super) received_updates: Labeled<Counter>,
    /// `name`
    pub(super) updates: Labeled<Counter>,
    /// `name`
    pub(super) updates_delayed: Labeled<Counter>,
    /// `mechanism`, `config`
    pub(super) refresh_failures: Labeled<Counter>,
    /// `mechanism`, `config`
    pub(super) refresh_duration: Labeled<Summary>,
    /// `mechanism`
    pub(super) refresh_histogram: Labeled<Histogram>,
    /// `filename`
    pub(super) file_mtime: Labeled<Gauge>,
    pub(super) file_read_errors: Counter,
    pub(super) file_scan_duration: Summary,
    pub(super) http_failures: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            discovered_targets: Labeled::of(&["config", "name"]),
            last_update: Labeled::of(&["config", "name"]),
            failed_configs: Labeled::of(&["name"]),
            received_updates: Labeled::of(&["name"]),
            updates: Labeled::of(&["name"]),
            updates_delayed: Labeled::of(&["name"]),
            refresh_failures: Labeled::of(&["mechanism", "config"]),
            refresh_duration: Labeled::new(&["mechanism", "config"], || Summary::new(QUANTILES)),
            refresh_histogram: Labeled::new(&["mechanism"], || Histogram::new(REFRESH_BOUNDS)),
            file_mtime: Labeled::of(&["filename"]),
            file_read_errors: Counter::default(),
            file_scan_duration: Summary::new(QUANTILES),
            http_failures: Counter::default(),
        }
    }
}

impl Metrics {
    /// Counts one refresh of a mechanism.
    pub(super) fn refreshed(&self, mechanism: &str, config: &str, seconds: f64, failed: bool) {
        let failures = self.refresh_failures.with(&[mechanism, config]);
        if failed {
            failures.inc();
            return;
        }
        self.refresh_duration.with(&[mechanism, config]).observe(seconds);
        self.refresh_histogram.with(&[mechanism]).observe(seconds);
    }

    /// Forgets what belongs to a job that is gone.
    pub(super) fn forget(&self, manager: &str, job: &str) {
        self.discovered_targets.remove(&[job, manager]);
        self.last_update.remove(&[job, manager]);
        self.refresh_failures.retain(|values| values[1] != job);
        self.refresh_duration.retain(|values| values[1] != job);
    }
}

impl Collect for Metrics {
    fn collect(&self, out: &mut Gather) {
        out.gauges(
            "prometheus_sd_discovered_targets",
            "Current number of discovered targets.",
            &self.discovered_targets,
        );
        out.gauges(
            "prometheus_sd_last_update_timestamp_seconds",
            "Timestamp of the last update sent to the SD consumers.",
            &self.last_update,
        );
        out.gauges(
            "prometheus_sd_failed_configs",
            "Current number of service discovery configurations that failed to load.",
            &self.failed_configs,
        );
        out.counters(
            "prometheus_sd_received_updates_total",
            "Total number of update events received from the SD providers.",
            &self.received_updates,
        );
        out.counters(
            "prometheus_sd_updates_total",
            "Total number of update events sent to the SD consumers.",
            &self.updates,
        );
        out.counters(
            "prometheus_sd_updates_delayed_total",
            "Total number of update events that couldn't be sent immediately.",
            &self.updates_delayed,
        );
        out.counters(
            "prometheus_sd_refresh_failures_total",
            "Number of refresh failures for the given SD mechanism.",
            &self.refresh_failures,
        );
        let help = "The duration of a refresh in seconds for the given SD mechanism.";
        self.refresh_duration.for_each(|labels, summary| {
            out.summary("prometheus_sd_refresh_duration_seconds", help, labels, summary);
        });
        let help = "The duration of a refresh for the given SD mechanism.";
        self.refresh_histogram.for_each(|labels, histogram| {
            out.histogram("prometheus_sd_refresh_duration_histogram_seconds", help, labels, histogram);
        });
        out.gauges(
            "prometheus_sd_file_mtime_seconds",
            "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.",
            &self.file_mtime,
        );
        let counters: [(&str, &str, u64); 3] = [
            (
                "prometheus_sd_file_read_errors_total",
                "The number of File-SD read errors.",
                self.file_read_errors.get(),
            ),
            (
                "prometheus_sd_file_watcher_errors_total",
                "The number of File-SD errors caused by filesystem watch failures.",
                // Files are looked at, not watched.
                0,
            ),
            (
                "prometheus_sd_http_failures_total",
                "Number of HTTP service discovery refresh failures.",
                self.http_failures.get(),
            ),
        ];
        for (name, help, value) in counters {
            out.counter(name, help, &[], value as f64);
        }
        out.summary(
            "prometheus_sd_file_scan_duration_seconds",
            "The duration of the File-SD scan in seconds.",
            &[],
            &self.file_scan_duration,
        );
    }
}
