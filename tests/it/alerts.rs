//! Recording and alerting rules, to a real Alertmanager and back to inactive.

use std::time::Duration;

use serde_json::Value;

use crate::harness::programs::alertmanager;
use crate::harness::server::Server;
use crate::harness::{eventually, free_port, http};

const RULES: &str = r#"groups:
- name: demo
  interval: 1s
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
    labels: {team: core}
  - alert: TargetDown
    expr: up == 0
    for: 3s
    labels: {severity: page}
    annotations:
      summary: 'Instance {{ $labels.instance }} of {{ $labels.job }} is down, value {{ $value | humanize }}'
"#;

fn config(target: u16, alertmanager: u16) -> String {
    format!(
        "global:
  scrape_interval: 1s
  evaluation_interval: 1s
  external_labels: {{region: eu}}
rule_files: [rules.yml]
alerting:
  alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]
scrape_configs:
- {{job_name: app, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}
"
    )
}

fn alerts_at(alertmanager: &str) -> Vec<Value> {
    match http::get(alertmanager).json() {
        Value::Array(alerts) => alerts,
        other => panic!("{other}"),
    }
}

fn states(server: &Server) -> Vec<String> {
    let data = server.get("/api/v1/alerts").json()["data"]["alerts"].take();
    data.as_array().unwrap().iter().map(|alert| alert["state"].as_str().unwrap().to_owned()).collect()
}

/// A target that can be switched on: until then its port refuses connections.
fn serve_metrics(port: u16) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            crate::fakes::answer_metrics(stream, "app_answers 1\n");
        }
    });
}

#[test]
fn alert_goes_pending_fires_at_alertmanager_and_resolves() {
    let dir = tempfile::tempdir().unwrap();
    let Some(alertmanager) = alertmanager(dir.path()) else { return };
    std::fs::write(dir.path().join("rules.yml"), RULES).unwrap();
    let target = free_port();
    let flags = ["--web.external-url=http://trivium.example/prom", "--web.route-prefix=/"];
    let server = Server::start(dir.path(), &config(target, alertmanager.port), &flags);

    let recorded = server.wait_for("job:up:sum");
    assert_eq!(recorded[0]["metric"]["team"], "core");
    eventually("the alert to be pending", Duration::from_secs(20), || {
        (states(&server) == ["pending"]).then_some(())
    });
    assert_eq!(server.wait_for("ALERTS")[0]["metric"]["alertstate"], "pending");
    assert!(alerts_at(&alertmanager.url("/api/v2/alerts")).is_empty(), "pending alerts are not sent");
    eventually("the alert to fire", Duration::from_secs(20), || {
        (states(&server) == ["firing"]).then_some(())
    });

    let arrived = eventually("the alert at Alertmanager", Duration::from_secs(20), || {
        alerts_at(&alertmanager.url("/api/v2/alerts")).into_iter().next()
    });
    let instance = format!("127.0.0.1:{target}");
    assert_eq!(arrived["labels"]["alertname"], "TargetDown");
    assert_eq!(arrived["labels"]["severity"], "page");
    assert_eq!(arrived["labels"]["region"], "eu");
    assert_eq!(arrived["labels"]["instance"], instance.as_str());
    assert_eq!(arrived["annotations"]["summary"], format!("Instance {instance} of app is down, value 0"));
    let generator = arrived["generatorURL"].as_str().unwrap();
    assert!(generator.starts_with("http://trivium.example/prom/graph?g0.expr=up+%3D%3D+0"), "{generator}");
    let active_at = server.get("/api/v1/alerts").json()["data"]["alerts"][0]["activeAt"].clone();
    let fired_after: f64 = server.value("time() - ALERTS_FOR_STATE").unwrap();
    assert!((3.0..30.0).contains(&fired_after), "{fired_after} s since it became active at {active_at}");
    assert!(arrived["startsAt"].as_str().unwrap() > active_at.as_str().unwrap(), "it starts when it fires");

    serve_metrics(target);
    eventually("the alert to end", Duration::from_secs(20), || states(&server).is_empty().then_some(()));
    eventually("Alertmanager to hear of the end", Duration::from_secs(20), || {
        alerts_at(&alertmanager.url("/api/v2/alerts?active=true")).is_empty().then_some(())
    });
    assert!(server.query("ALERTS").is_empty(), "the series has ended too");
}

fn active_at(server: &Server) -> f64 {
    let samples = server.wait_for("ALERTS_FOR_STATE");
    samples[0]["value"][1].as_str().unwrap().parse().unwrap()
}

#[test]
fn for_state_survives_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rules.yml"), RULES.replace("for: 3s", "for: 1h")).unwrap();
    // Nobody listens on either port.
    let (target, nobody) = (free_port(), free_port());
    let server = Server::start(dir.path(), &config(target, nobody), &[]);
    let before = active_at(&server);
    server.kill();
    let server = Server::restart(dir.path(), &[]);
    // The restored rule writes the old time again; a new one would be larger.
    let newest = "timestamp(ALERTS_FOR_STATE) - (time() - 2) > 0";
    server.wait_for(newest);
    eventually("the alert to be pending again", Duration::from_secs(20), || {
        (states(&server) == ["pending"]).then_some(())
    });
    eventually("the restored time", Duration::from_secs(20), || {
        ((active_at(&server) - before).abs() < 2.0).then_some(())
    });
}
