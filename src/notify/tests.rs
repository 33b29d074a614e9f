//! A fake Alertmanager on loopback, and what it receives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use model::Labels;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::alerting::{Alerting, AlertmanagerConfig};
use crate::config::discovery::{SdConfig, StaticGroup};
use crate::config::global::NameValidation;
use crate::config::relabel::{Action, RelabelConfig};
use crate::rules::AlertSink;

pub(super) fn alert(name: &str) -> Alert {
    Alert {
        labels: Labels::from_pairs([("alertname", name)]),
        annotations: Arc::from([]),
        starts_at: Some(0),
        ends_at: Some(1),
        generator_url: "".into(),
    }
}

/// One request at a time, over a connection of its own.
struct Plain;

impl Client for Plain {
    fn post<'a>(&'a self, url: &'a str, body: Bytes, timeout: Duration) -> Posted<'a> {
        Box::pin(async move {
            let request = async {
                let (address, path) =
                    url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or("bad URL")?;
                let mut stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
                let head = format!("POST /{path} HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes()).await.map_err(|e| e.to_string())?;
                stream.write_all(&body).await.map_err(|e| e.to_string())?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.map_err(|e| e.to_string())?;
                if answer.starts_with("HTTP/1.1 2") { Ok(()) } else { Err(format!("bad response status {answer}")) }
            };
            tokio::time::timeout(timeout, request).await.unwrap_or_else(|_| Err("timeout".to_owned()))
        })
    }
}

struct ConnectPlain;

impl Connect for ConnectPlain {
    fn connect(&self, _: &HttpClientConfig) -> Result<Arc<dyn Client>, String> {
        Ok(Arc::new(Plain))
    }
}

/// Answers every request with `status`, and remembers path and body.
struct Fake {
    address: String,
    requests: Arc<Mutex<Vec<(String, serde_json::Value)>>>,
    received: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Fake {
    async fn start(status: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<_>>> = Arc::default();
        let received: Arc<AtomicUsize> = Arc::default();
        let (requests_in, received_in) = (requests.clone(), received.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = Vec::new();
                let body = loop {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let len = head.split("Content-Length: ").nth(1).unwrap();
                        let len: usize = len.split("\r\n").next().unwrap().parse().unwrap();
                        if body.len() >= len {
                            let path = head.split(' ').nth(1).unwrap().to_owned();
                            break (path, serde_json::from_str(body).unwrap());
                        }
                    }
                    if stream.read_buf(&mut bytes).await.unwrap() == 0 {
                        return;
                    }
                };
                tokio::time::sleep(delay).await;
                let alerts = body.1.as_array().map_or(0, Vec::len);
                requests_in.lock().push(body);
                let _ = stream.write_all(format!("HTTP/1.1 {status} X\r\n\r\n").as_bytes()).await;
                received_in.fetch_add(alerts, Ordering::SeqCst);
            }
        });
        Self { address, requests, received, task }
    }

    async fn wait_for(&self, alerts: usize) {
        tokio::time::timeout(Duration::from_secs(10), async {
            while self.received.load(Ordering::SeqCst) < alerts {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
        .unwrap();
    }

    fn labels(&self) -> Vec<String> {
        let requests = self.requests.lock();
        let alerts = requests.iter().flat_map(|(_, body)| body.as_array().unwrap().clone());
        alerts.map(|alert| alert["labels"].to_string()).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn rule(action: Action, source: &str, regex: &str, target: &str, replacement: &str) -> RelabelConfig {
    RelabelConfig {
        source_labels: if source.is_empty() { vec![] } else { vec![source.to_owned()] },
        separator: ";".to_owned(),
        regex: regex.to_owned(),
        modulus: 0,
        target_label: target.to_owned(),
        replacement: replacement.to_owned(),
        action,
    }
}

fn section(addresses: &[&str]) -> AlertmanagerConfig {
    AlertmanagerConfig {
        discovery: vec![SdConfig::Static(vec![StaticGroup {
            targets: addresses.iter().map(|a| a.to_string()).collect(),
            labels: vec![("zone".to_owned(), "a".to_owned())],
        }])],
        http: HttpClientConfig::default(),
        sigv4: None,
        scheme: "http".to_owned(),
        path_prefix: "/am/".to_owned(),
        timeout_ms: 10_000,
        relabel_configs: Arc::from([]),
        alert_relabel_configs: Arc::from([]),
    }
}

fn alerting(sections: Vec<AlertmanagerConfig>) -> Alerting {
    Alerting {
        alert_relabel_configs: Arc::from([
            rule(Action::Drop, "alertname", "Dropped", "", "$1"),
            rule(Action::Replace, "replica", ".*", "replica", ""),
        ]),
        alertmanagers: sections.into_iter().map(Arc::new).collect(),
    }
}

fn manager(options: Options) -> Manager {
    Manager::new(options, Arc::new(ConnectPlain), Arc::default())
}

fn apply(manager: &Manager, sections: Vec<AlertmanagerConfig>) {
    let external = Labels::from_pairs([("alertname", "never"), ("cluster", "c"), ("replica", "1")]);
    manager.apply(&alerting(sections), external, NameValidation::Utf8).unwrap();
}

#[tokio::test]
async fn alerts_reach_every_alertmanager() {
    let (one, two) = (Fake::start(200, Duration::ZERO).await, Fake::start(202, Duration::ZERO).await);
    let mut second = section(&[&two.address]);
    second.alert_relabel_configs = Arc::from([rule(Action::Replace, "", "(.*)", "only", "two")]);
    let manager = manager(Options::default());
    apply(&manager, vec![section(&[&one.address, &one.address]), second]);
    let (active, _) = manager.alertmanagers();
    assert_eq!(active.len(), 2);
    assert_eq!(active[0].url, format!("http://{}/am/api/v2/alerts", one.address));
    manager.send(vec![alert("A"), alert("Dropped")]);
    one.wait_for(1).await;
    two.wait_for(1).await;
    assert_eq!(one.requests.lock()[0].0, "/am/api/v2/alerts");
    assert_eq!(one.labels(), [r#"{"alertname":"A","cluster":"c"}"#]);
    assert_eq!(two.labels(), [r#"{"alertname":"A","cluster":"c","only":"two"}"#]);
    manager.stop().await;
    assert_eq!(manager.metrics_for_test().discovered.get(), 2.0);
}

#[tokio::test]
async fn batches_drops_and_drains() {
    let slow = Fake::start(200, Duration::from_millis(30)).await;
    let manager = manager(Options { queue_capacity: 6, batch_size: 2, drain_on_shutdown: true });
    apply(&manager, vec![section(&[&slow.address])]);
    let names = |from: char, to: char| (from..=to).map(|name| alert(&name.to_string())).collect::<Vec<_>>();
    manager.send(names('a', 'b'));
    // The first batch is on its way; of the other eight six fit.
    while !manager.alertmanagers().0.is_empty() && manager.queue_length_for_test() > 0.0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    manager.send(names('c', 'j'));
    let url = manager.alertmanagers().0[0].url.clone();
    assert_eq!(manager.metrics_for_test().dropped.with(&[&url]).get(), 2);
    manager.stop().await;
    let sent: String = slow.labels().iter().map(|l| l.chars().nth(14).unwrap()).collect();
    assert_eq!(sent, "abefghij");
    assert!(slow.requests.lock().iter().all(|(_, body)| body.as_array().unwrap().len() <= 2));
    manager.send(names('x', 'x'));
    assert_eq!(slow.received.load(Ordering::SeqCst), 8, "nothing is taken after the end");
}

#[tokio::test]
async fn a_failed_request_is_not_repeated_and_disturbs_no_other() {
    let (broken, healthy) = (Fake::start(500, Duration::ZERO).await, Fake::start(200, Duration::ZERO).await);
    let manager = manager(Options::default());
    apply(&manager, vec![section(&[&broken.address, &healthy.address, "127.0.0.1:1"])]);
    manager.send(vec![alert("A")]);
    broken.wait_for(1).await;
    healthy.wait_for(1).await;
    manager.send(vec![alert("B")]);
    broken.wait_for(2).await;
    healthy.wait_for(2).await;
    let url = format!("http://{}/am/api/v2/alerts", broken.address);
    let errors = manager.metrics_for_test().errors.with(&[&url]);
    tokio::time::timeout(Duration::from_secs(10), async {
        while errors.get() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(broken.requests.lock().len(), 2);
    assert_eq!(manager.metrics_for_test().dropped.with(&[&url]).get(), 2);
    manager.stop().await;
}

#[tokio::test]
async fn reloads_keep_queues_of_unchanged_sections() {
    let (kept, gone) = (Fake::start(200, Duration::from_millis(50)).await, Fake::start(200, Duration::ZERO).await);
    let manager = manager(Options { batch_size: 1, ..Options::default() });
    let mut filtered = section(&["127.0.0.1:1"]);
    filtered.relabel_configs = Arc::from([rule(Action::Drop, "zone", "a", "", "$1")]);
    apply(&manager, vec![section(&[&kept.address]), section(&[&gone.address]), filtered.clone()]);
    let (active, dropped) = manager.alertmanagers();
    assert_eq!((active.len(), dropped.len()), (2, 1));
    manager.send(vec![alert("A"), alert("B"), alert("C")]);
    gone.wait_for(3).await;
    apply(&manager, vec![filtered, section(&[&kept.address])]);
    assert_eq!(manager.alertmanagers().0.len(), 1);
    manager.send(vec![alert("D")]);
    manager.stop().await;
    assert_eq!(kept.labels().len(), 4);
    assert_eq!(gone.labels().len(), 3);
}

#[tokio::test]
async fn bad_sections_change_nothing() {
    let manager = manager(Options::default());
    apply(&manager, vec![section(&["127.0.0.1:1"])]);
    let mut broken = section(&["127.0.0.1:2"]);
    broken.relabel_configs = Arc::from([rule(Action::Drop, "a", "(", "", "$1")]);
    let error = manager.apply(&alerting(vec![broken]), Labels::empty(), NameValidation::Utf8).unwrap_err();
    assert_eq!(error.to_string(), "alerting: error parsing regexp: missing closing ): `^(?s:()$`");
    assert_eq!(manager.alertmanagers().0[0].url, "http://127.0.0.1:1/am/api/v2/alerts");
    manager.update_targets(0, &[Labels::from_pairs([("__address__", "h:9"), ("__alerts_path__", "/x")])]);
    assert_eq!(manager.alertmanagers().0[0].url, "http://h:9/am/api/v2/alerts");
    manager.update_targets(0, &[Labels::from_pairs([("__address__", "h/9")])]);
    assert!(manager.alertmanagers().0.is_empty());
    manager.stop().await;
}
