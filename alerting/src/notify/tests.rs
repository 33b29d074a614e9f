//! A fake Alertmanager on loopback, and what it receives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use config::alerting::{Alerting, AlertmanagerConfig};
use config::aws::Sigv4;
use config::http_client::{HttpClientConfig, Secret};
use discovery::{ADDRESS_LABEL, TargetGroup};
use model::Labels;
use model::relabel::{Action, Rule, Spec};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::{Alert, AlertSink};

pub(super) fn alert(name: &str) -> Alert {
    Alert {
        labels: Labels::from_pairs([("alertname", name)]),
        annotations: Arc::from([]),
        starts_at: Some(0),
        ends_at: Some(1),
        generator_url: "".into(),
    }
}

/// Answers every request with `status`, and remembers path, head and body.
struct Fake {
    address: String,
    requests: Arc<Mutex<Vec<(String, serde_json::Value)>>>,
    heads: Arc<Mutex<Vec<String>>>,
    received: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Fake {
    async fn start(status: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<_>>> = Arc::default();
        let received: Arc<AtomicUsize> = Arc::default();
        let heads: Arc<Mutex<Vec<_>>> = Arc::default();
        let (requests_in, heads_in, received_in) = (requests.clone(), heads.clone(), received.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = Vec::new();
                let body = loop {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let len = head.split("Content-Length: ").nth(1).unwrap();
                        let len: usize = len.split("\r\n").next().unwrap().parse().unwrap();
                        if body.len() >= len {
                            heads_in.lock().push(head.to_owned());
                            let path = head.split(' ').nth(1).unwrap().to_owned();
                            break (path, serde_json::from_str::<serde_json::Value>(body).unwrap());
                        }
                    }
                    if stream.read_buf(&mut bytes).await.unwrap() == 0 {
                        return;
                    }
                };
                tokio::time::sleep(delay).await;
                let alerts = body.1.as_array().map_or(0, Vec::len);
                requests_in.lock().push(body);
                let _ = stream
                    .write_all(format!("HTTP/1.1 {status} X\r\nconnection: close\r\n\r\n").as_bytes())
                    .await;
                received_in.fetch_add(alerts, Ordering::SeqCst);
            }
        });
        Self { address, requests, heads, received, task }
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

fn rule(action: Action, source: &str, regex: &str, target: &str, replacement: &str) -> Rule {
    let spec = Spec {
        source_labels: if source.is_empty() { vec![] } else { vec![source.to_owned()] },
        regex: regex.to_owned(),
        target_label: target.to_owned(),
        replacement: replacement.to_owned(),
        action,
        ..Spec::default()
    };
    Rule::new(spec, false).unwrap()
}

fn section(timeout_ms: i64) -> AlertmanagerConfig {
    AlertmanagerConfig {
        discovery: Vec::new(),
        http: HttpClientConfig::default(),
        sigv4: None,
        scheme: "http".to_owned(),
        path_prefix: "/am/".to_owned(),
        timeout_ms,
        relabel_configs: Arc::from([]),
        alert_relabel_configs: Arc::from([]),
    }
}

/// Applies sections with the addresses that discovery finds for each.
fn apply(manager: &Manager, sections: Vec<(AlertmanagerConfig, &[&str])>) {
    let (configs, addresses): (Vec<_>, Vec<_>) = sections.into_iter().unzip();
    let alerting = Alerting {
        alert_relabel_configs: Arc::from([
            rule(Action::Drop, "alertname", "Dropped", "", "$1"),
            rule(Action::Replace, "replica", ".*", "replica", ""),
        ]),
        alertmanagers: configs.into_iter().map(Arc::new).collect(),
    };
    let external = Labels::from_pairs([("alertname", "never"), ("cluster", "c"), ("replica", "1")]);
    manager.apply(manager.prepare(&alerting).unwrap(), external);
    let jobs = Manager::discovery_jobs(&alerting);
    let groups = addresses.iter().map(|addresses| TargetGroup {
        source: String::new(),
        labels: Labels::from_pairs([("zone", "a")]),
        targets: addresses.iter().map(|a| Labels::from_pairs([(ADDRESS_LABEL, a)])).collect(),
    });
    let sets = jobs.into_iter().zip(groups).map(|((job, _), group)| (job, vec![Arc::new(group)]));
    manager.update(&Arc::new(sets.collect::<BTreeMap<_, _>>()));
}

fn manager(options: Options) -> (Manager, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    (Manager::new(Options { user_agent: "Test/1".into(), ..options }, metrics.clone()), metrics)
}

async fn until(mut done: impl FnMut() -> bool) {
    tokio::time::timeout(Duration::from_secs(10), async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn alerts_reach_every_alertmanager() {
    let (one, two) = (Fake::start(200, Duration::ZERO).await, Fake::start(202, Duration::ZERO).await);
    let second = AlertmanagerConfig {
        alert_relabel_configs: Arc::from([rule(Action::Replace, "", "(.*)", "only", "two")]),
        ..section(10_000)
    };
    let (manager, metrics) = manager(Options::default());
    apply(&manager, vec![(section(10_000), &[&one.address, &one.address]), (second, &[&two.address])]);
    let (active, _) = manager.alertmanagers();
    assert_eq!(active.len(), 2);
    assert_eq!(active[0], format!("http://{}/am/api/v2/alerts", one.address));
    assert_eq!(metrics.discovered.get(), 2.0);
    manager.send(vec![alert("A"), alert("Dropped")]);
    one.wait_for(1).await;
    two.wait_for(1).await;
    assert_eq!(one.requests.lock()[0].0, "/am/api/v2/alerts");
    assert_eq!(one.labels(), [r#"{"alertname":"A","cluster":"c"}"#]);
    assert_eq!(two.labels(), [r#"{"alertname":"A","cluster":"c","only":"two"}"#]);
    manager.stop().await;
}

#[tokio::test]
async fn requests_are_signed_for_aws() {
    let sigv4 = Some(Sigv4 {
        region: "eu-west-1".to_owned(),
        access_key: "AK".to_owned(),
        secret_key: Secret::new("hidden"),
        profile: String::new(),
        role_arn: String::new(),
        external_id: String::new(),
        use_fips_sts_endpoint: false,
        service_name: String::new(),
    });
    let server = Fake::start(200, Duration::ZERO).await;
    let (manager, _) = manager(Options::default());
    apply(&manager, vec![(AlertmanagerConfig { sigv4, ..section(10_000) }, &[&server.address])]);
    manager.send(vec![alert("A")]);
    server.wait_for(1).await;
    let head = server.heads.lock()[0].clone();
    assert!(head.contains("Credential=AK/") && head.contains("/eu-west-1/aps/aws4_request"), "{head}");
    assert!(!head.contains("hidden"), "{head}");
    manager.stop().await;
}

#[tokio::test]
async fn batches_drops_and_drains() {
    let slow = Fake::start(200, Duration::from_millis(30)).await;
    let (manager, metrics) = manager(Options { queue_capacity: 6, batch_size: 2, ..Options::default() });
    apply(&manager, vec![(section(10_000), &[&slow.address])]);
    let url = manager.alertmanagers().0[0].clone();
    let dropped = metrics.dropped.with(&[&url]);
    let waiting = metrics.queue_length.with(&[&url]);
    let names = |from: char, to: char| (from..=to).map(|name| alert(&name.to_string())).collect::<Vec<_>>();
    manager.send(names('a', 'b'));
    until(|| waiting.get() == 0.0).await;
    // The first batch is on its way; of the other eight six fit.
    manager.send(names('c', 'j'));
    assert_eq!(dropped.get(), 2);
    manager.stop().await;
    let sent: String = slow.labels().iter().filter_map(|l| l.chars().nth(14)).collect();
    assert_eq!(sent, "abefghij");
    assert!(slow.requests.lock().iter().all(|(_, body)| body.as_array().unwrap().len() <= 2));
    manager.send(names('x', 'x'));
    assert_eq!(slow.received.load(Ordering::SeqCst), 8, "nothing is taken after the end");
}

#[tokio::test]
async fn a_failed_request_is_not_repeated_and_disturbs_no_other() {
    let (broken, healthy) = (Fake::start(500, Duration::ZERO).await, Fake::start(200, Duration::ZERO).await);
    let silent = Fake::start(200, Duration::from_secs(60)).await;
    let (manager, metrics) = manager(Options::default());
    apply(
        &manager,
        vec![(section(100), &[&broken.address, &healthy.address, &silent.address, "127.0.0.1:1"])],
    );
    manager.send(vec![alert("A")]);
    broken.wait_for(1).await;
    healthy.wait_for(1).await;
    manager.send(vec![alert("B")]);
    broken.wait_for(2).await;
    healthy.wait_for(2).await;
    let url = |address: &str| format!("http://{address}/am/api/v2/alerts");
    for address in [&broken.address, &silent.address, "127.0.0.1:1"] {
        let errors = metrics.errors.with(&[&url(address)]);
        until(|| errors.get() == 2).await;
        assert_eq!(metrics.dropped.with(&[&url(address)]).get(), 2);
    }
    assert_eq!(broken.requests.lock().len(), 2);
    assert_eq!(metrics.sent.with(&[&url(&healthy.address)]).get(), 2);
    manager.stop().await;
}

#[tokio::test]
async fn reloads_keep_queues_of_unchanged_sections() {
    let kept = Fake::start(200, Duration::from_millis(50)).await;
    let gone = Fake::start(200, Duration::ZERO).await;
    let (manager, _) = manager(Options { batch_size: 1, ..Options::default() });
    let filtered = AlertmanagerConfig {
        relabel_configs: Arc::from([rule(Action::Drop, "zone", "a", "", "$1")]),
        ..section(10_000)
    };
    let kept_address: &[&str] = &[&kept.address];
    apply(
        &manager,
        vec![
            (section(10_000), kept_address),
            (section(9_000), &[&gone.address]),
            (filtered.clone(), &["h:1"]),
        ],
    );
    let (active, dropped) = manager.alertmanagers();
    assert_eq!((active.len(), dropped), (2, vec!["http://h:1/am/api/v2/alerts".to_owned()]));
    manager.send(vec![alert("A"), alert("B"), alert("C")]);
    gone.wait_for(3).await;
    apply(&manager, vec![(filtered, &["h:1"]), (section(10_000), kept_address)]);
    assert_eq!(manager.alertmanagers().0.len(), 1);
    manager.send(vec![alert("D")]);
    manager.stop().await;
    assert_eq!(kept.labels().len(), 4);
    assert_eq!(gone.labels().len(), 3);
}

#[tokio::test]
async fn addresses_must_be_addresses() {
    let (manager, _) = manager(Options::default());
    apply(&manager, vec![(section(10_000), &["h/9", "h:9", ""])]);
    assert_eq!(manager.alertmanagers().0, ["http://h:9/am/api/v2/alerts"]);
    apply(&manager, vec![(section(10_000), &[])]);
    assert!(manager.alertmanagers().0.is_empty());
    manager.stop().await;
}
