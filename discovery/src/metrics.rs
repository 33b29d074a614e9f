//! Discovery's figures under Prometheus's names (`prometheus_sd_*`); one set for the process.

use std::time::Duration;

use telemetry::{Counter, Figure, Gather, Gauge, Histogram, Labeled, Summary, figures};

const QUANTILES: &[f64] = &[0.5, 0.9, 0.99];
const REFRESH_SECONDS: &[f64] = &[0.01, 0.1, 1.0, 10.0];
/// The manager: `scrape` or `notify`.
const MANAGER: &[&str] = &["name"];
/// The job and its manager.
const JOB: &[&str] = &["config", "name"];
/// The mechanism and the job that has it.
const MECHANISM_OF_JOB: &[&str] = &["mechanism", "config"];

figures! {
    /// Figures of all managers and mechanisms.
    pub struct Metrics {
        pub(super) discovered_targets: Labeled<Gauge> { Labeled::of(JOB) } =
            "prometheus_sd_discovered_targets", "Current number of discovered targets.";
        pub(super) last_update: Labeled<Gauge> { Labeled::of(JOB) } =
            "prometheus_sd_last_update_timestamp_seconds",
            "Timestamp of the last update sent to the SD consumers.";
        pub(super) failed_configs: Labeled<Gauge> { Labeled::of(MANAGER) } =
            "prometheus_sd_failed_configs",
            "Current number of service discovery configurations that failed to load.";
        pub(super) received_updates: Labeled<Counter> { Labeled::of(MANAGER) } =
            "prometheus_sd_received_updates_total",
            "Total number of update events received from the SD providers.";
        pub(super) updates: Labeled<Counter> { Labeled::of(MANAGER) } =
            "prometheus_sd_updates_total", "Total number of update events sent to the SD consumers.";
        pub(super) updates_delayed: Labeled<Counter> { Labeled::of(MANAGER) } =
            "prometheus_sd_updates_delayed_total",
            "Total number of update events that couldn't be sent immediately.";
        pub(super) refresh_failures: Labeled<Counter> { Labeled::of(MECHANISM_OF_JOB) } =
            "prometheus_sd_refresh_failures_total",
            "Number of refresh failures for the given SD mechanism.";
        refresh_duration: OnceUsed<Summary> {
            OnceUsed(Labeled::new(MECHANISM_OF_JOB, || Summary::new(QUANTILES)))
        } =
            "prometheus_sd_refresh_duration_seconds",
            "The duration of a refresh in seconds for the given SD mechanism.";
        refresh_histogram: OnceUsed<Histogram> {
            OnceUsed(Labeled::new(&["mechanism"], || Histogram::new(REFRESH_SECONDS)))
        } =
            "prometheus_sd_refresh_duration_histogram_seconds",
            "The duration of a refresh for the given SD mechanism.";
        pub(super) file_mtime: Labeled<Gauge> { Labeled::of(&["filename"]) } =
            "prometheus_sd_file_mtime_seconds",
            "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.";
        pub(super) file_read_errors: Counter =
            "prometheus_sd_file_read_errors_total", "The number of File-SD read errors.";
        /// Always 0: files are looked at, not watched.
        file_watcher_errors: Counter =
            "prometheus_sd_file_watcher_errors_total",
            "The number of File-SD errors caused by filesystem watch failures.";
        pub(super) http_failures: Counter =
            "prometheus_sd_http_failures_total",
            "Number of HTTP service discovery refresh failures.";
        pub(super) file_scan_duration: Summary { Summary::new(QUANTILES) } =
            "prometheus_sd_file_scan_duration_seconds", "The duration of the File-SD scan in seconds.";
    }
}

/// A family that is not shown while nobody has it.
struct OnceUsed<T>(Labeled<T>);

impl Figure for OnceUsed<Summary> {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        self.0.for_each(|labels, summary| out.summary(name, help, labels, summary));
    }
}

impl Figure for OnceUsed<Histogram> {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        self.0.for_each(|labels, histogram| out.histogram(name, help, labels, histogram));
    }
}

impl Metrics {
    /// Shows the figures of a mechanism that is asked again and again, before it is asked first.
    pub(super) fn starts(&self, mechanism: &str, config: &str) {
        self.refresh_failures.with(&[mechanism, config]);
        self.refresh_duration.0.with(&[mechanism, config]);
        self.refresh_histogram.0.with(&[mechanism]);
    }

    /// Counts one refresh of a mechanism. A failed one took its time too.
    pub(super) fn refreshed(&self, mechanism: &str, config: &str, took: Duration, failed: bool) {
        self.refresh_duration.0.with(&[mechanism, config]).observe(took.as_secs_f64());
        self.refresh_histogram.0.with(&[mechanism]).observe(took.as_secs_f64());
        let failures = self.refresh_failures.with(&[mechanism, config]);
        if failed {
            failures.inc();
        }
    }

    /// Forgets what belongs to a job that is gone.
    pub(super) fn forget(&self, manager: &str, job: &str) {
        self.discovered_targets.remove(&[job, manager]);
        self.last_update.remove(&[job, manager]);
        self.refresh_failures.retain(|values| values[1] != job);
        self.refresh_duration.0.retain(|values| values[1] != job);
    }
}

#[cfg(test)]
impl Metrics {
    /// How many refreshes the summary, the histogram and the failures have counted.
    pub(super) fn refreshes(&self, mechanism: &str, config: &str) -> (u64, u64, u64) {
        let (buckets, _) = self.refresh_histogram.0.with(&[mechanism]).snapshot();
        (
            self.refresh_duration.0.with(&[mechanism, config]).snapshot().1,
            buckets.last().map_or(0, |(_, count)| *count),
            self.refresh_failures.with(&[mechanism, config]).get(),
        )
    }
}
