//! One Alertmanager: its address, the body of requests, and the task that empties its queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use config::alerting::AlertmanagerConfig;
use config::url::{GoUrl, escape_host};
use discovery::ADDRESS_LABEL;
use jiff::Timestamp;
use model::{Labels, LabelsBuilder};
use net::client::{HttpClient, Request};
use parking_lot::Mutex;
use serde::ser::{Serialize, SerializeMap, Serializer};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Metrics;
use super::queue::Queue;
use crate::Alert;

/// Label of a discovered Alertmanager that holds its path.
const PATH_LABEL: &str = "__alerts_path__";

/// The URL where an Alertmanager takes alerts, from its labels.
pub(super) fn url_of(labels: &LabelsBuilder) -> String {
    let (scheme, address, path) =
        (labels.get("__scheme__"), labels.get(ADDRESS_LABEL), labels.get(PATH_LABEL));
    let slash = if path.starts_with('/') || path.is_empty() { "" } else { "/" };
    format!("{scheme}://{}{slash}{path}", escape_host(address))
}

/// Bytes of an answer that are read.
const ANSWER_LIMIT: u64 = 1 << 20;

/// The labels of a discovered Alertmanager before relabelling.
pub(super) fn discovered_labels(
    group: &Labels,
    target: &Labels,
    config: &AlertmanagerConfig,
) -> LabelsBuilder {
    let mut labels = target.to_builder();
    labels.set("__scheme__", &config.scheme);
    labels.set(PATH_LABEL, &format!("{}/api/v2/alerts", clean_path(&config.path_prefix)));
    // A target's own labels are older than the section's settings, those of its group are newer. Source: Prometheus
    // `notifier.AlertmanagerFromGroup`.
    for (name, value) in group.iter().filter(|(name, _)| target.get(name).is_none()) {
        labels.set(name, value);
    }
    labels
}

/// Go's `path.Join("/", prefix)`, without the slash when that is all.
fn clean_path(prefix: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in prefix.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.iter().map(|part| format!("/{part}")).collect()
}

/// The body of a request of Alertmanager's API v2.
pub(super) fn body(alerts: &[Alert]) -> Result<Bytes, serde_json::Error> {
    let posted: Vec<AlertJson<'_>> = alerts.iter().map(AlertJson).collect();
    serde_json::to_vec(&posted).map(Bytes::from)
}

struct AlertJson<'a>(&'a Alert);

impl Serialize for AlertJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let alert = self.0;
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry(
            "annotations",
            &Pairs(alert.annotations.iter().map(|(n, v)| (n.as_str(), v.as_str()))),
        )?;
        map.serialize_entry("endsAt", &date_time(alert.ends_at))?;
        map.serialize_entry("startsAt", &date_time(alert.starts_at))?;
        map.serialize_entry("generatorURL", &*alert.generator_url)?;
        map.serialize_entry("labels", &Pairs(alert.labels.iter()))?;
        map.end()
    }
}

struct Pairs<I>(I);

impl<'a, I: Iterator<Item = (&'a str, &'a str)> + Clone> Serialize for Pairs<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone())
    }
}

/// RFC 3339 with milliseconds, in UTC; the year 1 for none, as Go has it.
fn date_time(ms: Option<i64>) -> String {
    match ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
        Some(t) => format!("{t:.3}"),
        None => "0001-01-01T00:00:00.000Z".to_owned(),
    }
}

/// What a sending task needs beside its Alertmanager.
pub(super) struct SendOptions {
    /// The set's client.
    pub(super) client: Arc<HttpClient>,
    /// Of each request.
    pub(super) timeout: Duration,
    /// Alerts in a request.
    pub(super) batch: usize,
    /// Alerts that may wait.
    pub(super) capacity: usize,
    /// Send what waits before ending.
    pub(super) drain: bool,
    /// Figures.
    pub(super) metrics: Arc<Metrics>,
}

/// A queue and the task that empties it.
pub(super) struct SendLoop {
    sender: Arc<Sender>,
    task: JoinHandle<()>,
}

struct Sender {
    url: String,
    options: SendOptions,
    queue: Mutex<Queue>,
    has_work: Notify,
    stopped: CancellationToken,
}

impl SendLoop {
    /// Starts sending to an Alertmanager.
    pub(super) fn start(url: String, options: SendOptions) -> Self {
        options.metrics.add(&url);
        let sender = Arc::new(Sender {
            queue: Mutex::new(Queue::new(options.capacity)),
            url,
            options,
            has_work: Notify::new(),
            stopped: CancellationToken::new(),
        });
        let task = tokio::spawn(send_loop(sender.clone()));
        Self { sender, task }
    }

    /// Queues alerts. What was dropped for them is counted and logged.
    pub(super) fn push(&self, alerts: &[Alert]) {
        let sender = &self.sender;
        let dropped = {
            let mut queue = sender.queue.lock();
            let dropped = queue.push(alerts);
            sender.options.metrics.queue_length.with(&[&sender.url]).set(queue.len() as f64);
            dropped
        };
        if dropped > 0 {
            tracing::warn!(
                alertmanager = sender.url,
                count = dropped,
                "Alert notification queue full, dropping alerts"
            );
            sender.options.metrics.dropped.with(&[&sender.url]).add(dropped as u64);
        }
        sender.has_work.notify_one();
    }

    /// Tells the task to end.
    pub(super) fn stop(&self) {
        self.sender.stopped.cancel();
    }

    /// Whether the task has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the task to end.
    pub(super) async fn ended(self) {
        self.stop();
        if let Err(error) = self.task.await {
            tracing::error!(alertmanager = self.sender.url, %error, "Sending alerts ended abnormally");
        }
    }
}

async fn send_loop(sender: Arc<Sender>) {
    while !sender.stopped.is_cancelled() {
        tokio::select! {
            biased;
            () = sender.stopped.cancelled() => break,
            () = sender.has_work.notified() => {}
        }
        while !sender.stopped.is_cancelled() && sender.send_batch().await {}
    }
    if sender.options.drain {
        while sender.send_batch().await {}
    } else {
        let left = sender.queue.lock().take(usize::MAX).len();
        if left > 0 {
            tracing::warn!(
                alertmanager = sender.url,
                count = left,
                "Alert notification queue not drained on shutdown, dropping alerts"
            );
        }
    }
    sender.options.metrics.remove(&sender.url);
}

impl Sender {
    /// Anything but a 2xx answer is an error.
    async fn post(&self, alerts: &[Alert]) -> Result<(), String> {
        let body = body(alerts).map_err(|e| e.to_string())?;
        let url = GoUrl::parse(&self.url).map_err(|e| format!("parse {:?}: {e}", self.url))?;
        let request = Request::post(url.without_empty_port(), "application/json", body);
        let answer =
            self.options.client.send(&request, self.options.timeout).await.map_err(|e| e.to_string())?;
        let is_success = answer.status.is_success();
        let status = if is_success { String::new() } else { answer.status_text() };
        // Reading to its end keeps the connection; what it says is not used.
        answer.discard(ANSWER_LIMIT).await;
        if is_success { Ok(()) } else { Err(format!("bad response status {status}")) }
    }

    /// Sends the oldest alerts, once; rules repeat what got lost. Returns whether there were any.
    async fn send_batch(&self) -> bool {
        let alerts = {
            let mut queue = self.queue.lock();
            let alerts = queue.take(self.options.batch);
            self.options.metrics.queue_length.with(&[&self.url]).set(queue.len() as f64);
            alerts
        };
        if alerts.is_empty() {
            return false;
        }
        let metrics = &self.options.metrics;
        let count = alerts.len() as u64;
        let begin = Instant::now();
        match self.post(&alerts).await {
            Ok(()) => {
                let seconds = begin.elapsed().as_secs_f64();
                metrics.latency.with(&[&self.url]).observe(seconds);
                metrics.latency_histogram.with(&[&self.url]).observe(seconds);
                metrics.sent.with(&[&self.url]).add(count);
            }
            Err(error) => {
                tracing::error!(alertmanager = self.url, count, err = error, "Error sending alerts");
                metrics.errors.with(&[&self.url]).add(count);
                metrics.dropped.with(&[&self.url]).add(count);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use config::http_client::HttpClientConfig;

    use super::*;

    #[test]
    fn request_bodies() {
        let alert = Alert {
            labels: Labels::from_pairs([("alertname", "A"), ("x", "\"é\"")]),
            annotations: Arc::from([("s".to_owned(), String::new())]),
            starts_at: Some(1_700_000_000_123),
            ends_at: None,
            generator_url: "http://p/graph".into(),
        };
        assert_eq!(
            std::str::from_utf8(&body(&[alert]).unwrap()).unwrap(),
            r#"[{"annotations":{"s":""},"endsAt":"0001-01-01T00:00:00.000Z","startsAt":"2023-11-14T22:13:20.123Z","generatorURL":"http://p/graph","labels":{"alertname":"A","x":"\"é\""}}]"#
        );
        assert_eq!(date_time(Some(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(date_time(Some(1_700_000_000_000)), "2023-11-14T22:13:20.000Z");
    }

    #[test]
    fn labels_of_a_group_go_before_the_sections_settings() {
        let config = AlertmanagerConfig {
            discovery: Vec::new(),
            http: HttpClientConfig::default(),
            sigv4: None,
            scheme: "http".to_owned(),
            path_prefix: "/am".to_owned(),
            timeout_ms: 1000,
            relabel_configs: Arc::from([]),
            alert_relabel_configs: Arc::from([]),
        };
        let special = [("__alerts_path__", "/x"), ("__scheme__", "https")];
        let target =
            |more: &[(&str, &str)]| Labels::from_pairs(more.iter().copied().chain([(ADDRESS_LABEL, "h:1")]));
        for (group, target, want) in [
            (Labels::empty(), target(&[]), "http://h:1/am/api/v2/alerts"),
            (Labels::from_pairs(special), target(&[]), "https://h:1/x"),
            (Labels::empty(), target(&special), "http://h:1/am/api/v2/alerts"),
            (Labels::from_pairs(special), target(&[("__scheme__", "ftp")]), "http://h:1/x"),
        ] {
            assert_eq!(url_of(&discovered_labels(&group, &target, &config)), want);
        }
    }

    #[test]
    fn paths() {
        for (prefix, want) in
            [("", ""), ("/", ""), ("am", "/am"), ("/a/b/", "/a/b"), ("//a/../b", "/b"), ("../x", "/x")]
        {
            assert_eq!(clean_path(prefix), want);
        }
    }
}
