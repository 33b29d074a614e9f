//! What notification says of itself, under Prometheus's names.

use telemetry::{Collect, Counter, Gather, Gauge, Histogram, Labeled, Summary};

const ENDPOINT: &[&str] = &["alertmanager"];

/// Figures of all Alertmanagers, by their URLs.
pub struct Metrics {
    /// Seconds of successful requests.
    pub latency: Labeled<Summary>,
    /// The same in buckets.
    pub latency_histogram: Labeled<Histogram>,
    /// Alerts in requests that failed.
    pub errors: Labeled<Counter>,
    /// Alerts delivered.
    pub sent: Labeled<Counter>,
    /// Alerts that were given up.
    pub dropped: Labeled<Counter>,
    /// Alerts that wait.
    pub queue_length: Labeled<Gauge>,
    /// Alerts that may wait for each Alertmanager.
    pub queue_capacity: Gauge,
    /// Alertmanagers that discovery found.
    pub discovered: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            latency: Labeled::new(ENDPOINT, || Summary::new(&[0.5, 0.9, 0.99])),
            latency_histogram: Labeled::new(ENDPOINT, || Histogram::new(&[0.01, 0.1, 1.0, 10.0])),
            errors: Labeled::of(ENDPOINT),
            sent: Labeled::of(ENDPOINT),
            dropped: Labeled::of(ENDPOINT),
            queue_length: Labeled::of(ENDPOINT),
            queue_capacity: Gauge::default(),
            discovered: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Shows an Alertmanager's figures from the start.
    pub fn add(&self, url: &str) {
        for counter in [&self.errors, &self.sent, &self.dropped] {
            counter.with(&[url]);
        }
        self.queue_length.with(&[url]);
    }

    /// Forgets an Alertmanager's figures.
    pub fn remove(&self, url: &str) {
        self.latency.remove(&[url]);
        self.latency_histogram.remove(&[url]);
        for counter in [&self.errors, &self.sent, &self.dropped] {
            counter.remove(&[url]);
        }
        self.queue_length.remove(&[url]);
    }
}

impl Collect for Metrics {
    fn collect(&self, out: &mut Gather) {
        out.summaries(
            "prometheus_notifications_latency_seconds",
            "Latency quantiles for sending alert notifications.",
            &self.latency,
        );
        out.histograms(
            "prometheus_notifications_latency_histogram_seconds",
            "Latency histogram for sending alert notifications.",
            &self.latency_histogram,
        );
        out.counters(
            "prometheus_notifications_errors_total",
            "Total number of sent alerts affected by errors.",
            &self.errors,
        );
        out.counters("prometheus_notifications_sent_total", "Total number of alerts sent.", &self.sent);
        out.counters(
            "prometheus_notifications_dropped_total",
            "Total number of alerts dropped due to errors when sending to Alertmanager.",
            &self.dropped,
        );
        out.gauges(
            "prometheus_notifications_queue_length",
            "The number of alert notifications in the queue.",
            &self.queue_length,
        );
        out.gauge(
            "prometheus_notifications_queue_capacity",
            "The capacity of the alert notifications queue.",
            &[],
            self.queue_capacity.get(),
        );
        out.gauge(
            "prometheus_notifications_alertmanagers_discovered",
            "The number of alertmanagers discovered and active.",
            &[],
            self.discovered.get(),
        );
    }
}
