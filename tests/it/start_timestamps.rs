//! Start timestamps from a target's text through log and head to PromQL, over a crash; and what is refused.

use crate::fakes;
use crate::harness::http;
use crate::harness::server::{BINARY, Server};

const FLAGS: &[&str] = &[
    "--enable-feature=st-storage,histograms-st-encoding,use-start-timestamps,promql-experimental-functions",
    "--web.enable-lifecycle",
];

fn config(port: u16, encoding: &str) -> String {
    format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
storage: {{tsdb: {{chunk_encoding: {{floats: {encoding}}}}}}}
scrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]"
    )
}

#[test]
fn start_timestamps_survive_a_crash_and_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let target = fakes::created_counter(1234.5);
    let server = Server::start(dir.path(), &config(target, "xor2"), FLAGS);
    server.wait_for("count_over_time(scrapes_total[1m]) >= 3");
    assert_eq!(server.value("start_timestamp(scrapes_total)"), Some(1234.5));
    assert_eq!(server.value("start_timestamp(up)"), Some(0.0), "unknown");
    assert_eq!(server.value("scrapes_created"), None, "not a series of its own");

    // The running store refuses what would lose them, and goes on.
    std::fs::write(dir.path().join("trivium.yml"), config(target, "xor")).unwrap();
    let refused = http::post(&server.url("/-/reload"));
    assert_eq!(refused.status, 500);
    assert!(refused.body.contains("incompatible with start-timestamp storage"), "{}", refused.body);
    server.kill();

    // So does a start.
    let mut command = Server::command(dir.path(), 0, FLAGS);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{BINARY}: {text}");
    assert!(text.contains("float chunk encoding \"xor\" is incompatible"), "{text}");

    std::fs::write(dir.path().join("trivium.yml"), "global: {scrape_interval: 1h}\n").unwrap();
    let with_flag = [FLAGS, &["--enable-feature=xor2-encoding"]].concat();
    let server = Server::restart(dir.path(), &with_flag);
    let seen = server.value("last_over_time(start_timestamp(scrapes_total)[1m:100ms])");
    assert_eq!(seen, Some(1234.5));
}

#[test]
fn a_zero_is_stored_where_a_counter_began() {
    let dir = tempfile::tempdir().unwrap();
    let began = crate::harness::now_ms() - 5_000;
    let target = fakes::created_counter(began as f64 / 1000.0);
    let flags = ["--enable-feature=created-timestamp-zero-ingestion"];
    let server = Server::start(dir.path(), &config(target, "xor"), &flags);
    server.wait_for("count_over_time(scrapes_total[1m]) >= 3");
    let samples = server.query("scrapes_total[1m]");
    let values = &samples[0]["values"];
    assert_eq!(values[0], serde_json::json!([began as f64 / 1000.0, "0"]));
    assert_eq!(values[1][1], "1");
}
