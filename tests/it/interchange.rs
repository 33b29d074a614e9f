//! The same data directory under Trivium and under the real Prometheus gives the same answers, both ways.

use std::time::Duration;

use crate::crash::all_samples;
use crate::fakes;
use crate::harness::programs::{node_exporter, prometheus};
use crate::harness::server::Server;
use crate::harness::{eventually, http, now_ms};

const IDLE: &str = "global: {scrape_interval: 1h}\n";

fn scraping(ports: &[u16]) -> String {
    let targets: Vec<String> = ports.iter().map(|port| format!("'127.0.0.1:{port}'")).collect();
    format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs: [{{job_name: app, static_configs: [{{targets: [{}]}}]}}]",
        targets.join(", ")
    )
}

/// There are eight scrapes of the counter up to [`settled`].
const ENOUGH: &str = "count_over_time(scrapes_total[10m] offset 2s) >= 8";

/// A time, in seconds, up to which no scrape is under way any more: a scrape's samples have the time of its beginning.
fn settled() -> String {
    format!("{:.3}", (now_ms() - 2000) as f64 / 1e3)
}

/// Queries whose answers are compared as JSON. The rate's window lies within the data and begins between two scrapes:
/// Prometheus 2 extrapolates differently towards a counter's beginning, and takes a sample where the window begins.
fn answers(url: &str, at: &str) -> Vec<serde_json::Value> {
    [
        "count({__name__=~\".+\"})",
        "sum by (job) (rate(scrapes_total[2250ms]))",
        "sort_desc(sum by (mode) (node_cpu_seconds_total))",
        "up",
        "topk(3, node_filesystem_size_bytes)",
    ]
    .iter()
    .map(|expr| http::data(&format!("{url}/api/v1/query"), &[("query", expr), ("time", at)])["result"].take())
    .collect()
}

#[test]
fn prometheus_opens_our_directory_and_shows_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let Some(exporter) = node_exporter(dir.path()) else { return };
    let server = Server::start(dir.path(), &scraping(&[fakes::counter(), exporter.port]), &[]);
    server.wait_for(ENOUGH);
    let end = settled();
    let (ours, our_answers) = (all_samples(&server.url(""), &end), answers(&server.url(""), &end));
    let data = server.data();
    let (status, took) = server.terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "stopping took {took:?}");

    let Some(real) = prometheus(dir.path(), IDLE, &data) else { return };
    assert_eq!(all_samples(&real.url(""), &end), ours);
    assert_eq!(answers(&real.url(""), &end), our_answers);
    assert!(!real.process.log().contains("level=error"), "{}", real.process.log());
}

#[test]
fn we_open_a_directory_that_prometheus_left_unfinished() {
    let dir = tempfile::tempdir().unwrap();
    let Some(exporter) = node_exporter(dir.path()) else { return };
    let data = dir.path().join("data");
    let config = scraping(&[fakes::counter(), exporter.port]);
    let Some(mut real) = prometheus(dir.path(), &config, &data) else { return };
    let url = real.url("");
    eventually("Prometheus to have scraped", Duration::from_secs(30), || {
        let form = [("query", ENOUGH)];
        let data = http::data(&format!("{url}/api/v1/query"), &form);
        data["result"].as_array().filter(|r| !r.is_empty()).map(drop)
    });
    let end = settled();
    let (theirs, their_answers) = (all_samples(&url, &end), answers(&url, &end));
    real.process.signal("KILL");
    real.process.wait(Duration::from_secs(5));

    let server = Server::start(dir.path(), IDLE, &[]);
    assert_eq!(all_samples(&server.url(""), &end), theirs);
    assert_eq!(answers(&server.url(""), &end), their_answers);
}
