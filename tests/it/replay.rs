//! A server that starts on a long log: it scrapes and answers before the log is replayed, and says so.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::Labels;
use serde_json::Value;
use storage::fs::RealDisk;
use storage::metrics::record::{self, LogRef, RefSample, RefSeries};
use storage::wal::WriterOptions;
use storage::wal::{Batch, Writer};

use crate::crash::all_samples;
use crate::fakes;
use crate::harness::server::Server;
use crate::harness::{eventually, http, now_ms};

const SERIES: u64 = 2000;
const SCRAPES: i64 = 1000;
const ADMIN: &[&str] = &["--web.enable-admin-api"];

/// A log that takes some seconds to replay: a commit each second, up to a minute ago.
fn write_log(data: &Path) {
    std::fs::create_dir_all(data).unwrap();
    let options = WriterOptions { compression: storage::Compression::None, ..WriterOptions::default() };
    let mut log = Writer::open(Arc::new(RealDisk::new(data)), Path::new("wal"), options).unwrap();
    let mut batch = Batch::new();
    let labels = |n: u64| Labels::from_pairs([("__name__", "old"), ("n", &n.to_string())]);
    let series: Vec<_> = (1..=SERIES).map(|n| RefSeries { series: LogRef(n), labels: labels(n) }).collect();
    batch.push(|out| record::put_series(out, &series));
    let start = now_ms() - 60_000 - SCRAPES * 1000;
    for scrape in 0..SCRAPES {
        let v = |n: u64| ((n * 7 + scrape as u64) as f64).sqrt();
        let sample = |n| RefSample { series: LogRef(n), t: start + scrape * 1000, start_t: 0, v: v(n) };
        let samples: Vec<_> = (1..=SERIES).map(sample).collect();
        batch.push(|out| record::put_samples(out, &samples, false));
        log.log(&batch).unwrap();
        batch.clear();
    }
    log.close().unwrap();
}

fn is_ready(server: &Server) -> bool {
    server.get("/-/ready").status == 200
}

/// The answer to a query, whole.
fn answer(server: &Server, expr: &str) -> Value {
    let answer = http::post_form(&server.url("/api/v1/query"), &[("query", expr)]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

#[test]
fn a_server_scrapes_and_answers_while_its_log_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    write_log(&dir.path().join("data"));
    let config = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}
scrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]",
        fakes::counter()
    );
    let server = Server::start_at(dir.path(), &config, ADMIN, "/-/healthy");
    let found = eventually("a scrape to be answered", Duration::from_secs(30), || {
        let api_is_open = server.get("/api/v1/status/buildinfo").status == 200;
        let found = api_is_open.then(|| answer(&server, "scrapes_total"));
        found.filter(|found| found["data"]["result"].as_array().is_some_and(|found| !found.is_empty()))
    });
    assert!(!is_ready(&server), "the log was too short");
    let warning = found["warnings"][0].as_str().unwrap();
    assert!(warning.contains("is being replayed") && warning.contains("may lack samples"), "{warning}");
    for path in ["/api/v1/labels", "/api/v1/label/n/values", "/api/v1/series?match[]=up"] {
        assert!(server.get(path).body.contains("is being replayed"), "{path}");
    }
    let deleting = http::post(&server.url("/api/v1/admin/tsdb/delete_series?match[]=up"));
    assert!(deleting.status == 500 && deleting.body.contains("is being replayed"), "{}", deleting.body);
    assert_eq!(server.get("/api/v1/status/walreplay").json()["data"]["max"], 1);
    let end = (now_ms() / 1000 + 1).to_string();
    let shown = all_samples(&server.url(""), &end);
    assert!(!is_ready(&server), "the log was too short");

    // Killed in the middle of it, and told to end in the middle of it, it has all the next time.
    server.kill();
    let server = Server::start_at(dir.path(), &config, ADMIN, "/-/healthy");
    let (status, took) = server.terminate();
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
    let server = Server::restart(dir.path(), ADMIN);
    let after = all_samples(&server.url(""), &end);
    for (series, samples) in &shown {
        let kept = after.get(series).unwrap_or_else(|| panic!("{series} is gone"));
        for (t, v) in samples {
            assert_eq!(kept.get(t), Some(v), "{series} at {t}");
        }
    }
    let scrapes = format!("{}", SERIES as i64 * SCRAPES);
    let counted = answer(&server, "sum(count_over_time(old[1h]))");
    assert_eq!(counted["data"]["result"][0]["value"][1], Value::from(scrapes));
    assert!(counted.get("warnings").is_none(), "{counted}");
    server.wait_for("count_over_time(scrapes_total[10m]) >= 5");
    // Scrapes went on through the end of replay.
    let log = server.process.log();
    for trouble in ["Scrape commit failed", "Error on ingesting", "Append failed"] {
        assert!(!log.contains(trouble), "{log}");
    }
    let deleting = http::post(&server.url("/api/v1/admin/tsdb/delete_series?match[]=old"));
    assert_eq!(deleting.status, 204, "{}", deleting.body);
}
