//! What notification says of itself, under Prometheus's names.

use telemetry::{Counter, Gauge, Histogram, Labeled, Summary, figures};

const QUANTILES: &[f64] = &[0.5, 0.9, 0.99];
const SECONDS: &[f64] = &[0.01, 0.1, 1.0, 10.0];
const URL: &[&str] = &["alertmanager"];

figures! {
    /// Figures of all Alertmanagers, by their URLs.
    pub struct Metrics {
        /// Of successful requests.
        pub latency: Labeled<Summary> { Labeled::new(URL, || Summary::new(QUANTILES)) } =
            "prometheus_notifications_latency_seconds", "Latency quantiles for sending alert notifications.";
        /// Of successful requests.
        pub latency_histogram: Labeled<Histogram> { Labeled::new(URL, || Histogram::new(SECONDS)) } =
            "prometheus_notifications_latency_histogram_seconds",
            "Latency histogram for sending alert notifications.";
        pub errors: Labeled<Counter> { Labeled::of(URL) } =
            "prometheus_notifications_errors_total", "Total number of sent alerts affected by errors.";
        pub sent: Labeled<Counter> { Labeled::of(URL) } =
            "prometheus_notifications_sent_total", "Total number of alerts sent.";
        pub dropped: Labeled<Counter> { Labeled::of(URL) } =
            "prometheus_notifications_dropped_total",
            "Total number of alerts dropped due to errors when sending to Alertmanager.";
        pub queue_length: Labeled<Gauge> { Labeled::of(URL) } =
            "prometheus_notifications_queue_length", "The number of alert notifications in the queue.";
        /// Of each Alertmanager's queue.
        pub queue_capacity: Gauge =
            "prometheus_notifications_queue_capacity", "The capacity of the alert notifications queue.";
        pub discovered: Gauge =
            "prometheus_notifications_alertmanagers_discovered",
            "The number of alertmanagers discovered and active.";
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
