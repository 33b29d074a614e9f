//! Targets that die, hang or send too much: each is marked, none disturbs the others.

use std::time::Duration;

use crate::fakes;
use crate::harness::eventually;
use crate::harness::programs::node_exporter;
use crate::harness::server::Server;

#[test]
fn bad_targets_are_cut_off_and_good_ones_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (good, hanging, endless) = (fakes::counter(), fakes::hanging(), fakes::endless());
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 500ms}}
scrape_configs:
- {{job_name: good, static_configs: [{{targets: ['127.0.0.1:{good}']}}]}}
- {{job_name: hanging, static_configs: [{{targets: ['127.0.0.1:{hanging}']}}]}}
- job_name: endless
  body_size_limit: 1MB
  scrape_timeout: 1s
  static_configs: [{{targets: ['127.0.0.1:{endless}']}}]
"
    );
    let server = Server::start(dir.path(), &config, &[]);
    server.wait_for("count_over_time(up{job=\"endless\"}[1m]) >= 5");
    for (job, up) in [("good", 1.0), ("hanging", 0.0), ("endless", 0.0)] {
        assert_eq!(server.value(&format!("up{{job=\"{job}\"}}")), Some(up), "{job}");
    }
    // The timeout ends the wait; the limit ends the gigabyte long before its end.
    let took =
        |job: &str| server.value(&format!("max_over_time(scrape_duration_seconds{{job=\"{job}\"}}[1m])"));
    assert!((0.45..1.5).contains(&took("hanging").unwrap()), "{:?}", took("hanging"));
    assert!(took("endless").unwrap() < 0.95, "{:?}", took("endless"));
    assert_eq!(server.value("count(endless_metric)"), None);
    // A scrape a second, one sample each, none skipped.
    let scrapes = server.value("count_over_time(scrapes_total[10s])").unwrap();
    assert!(scrapes >= 4.0, "{scrapes} scrapes in 10 s");
    let unchanged = "count_over_time(scrapes_total[10s]) - 1 - changes(scrapes_total[10s])";
    assert_eq!(server.value(unchanged), Some(0.0));

    let errors = server.get("/api/v1/targets").json()["data"]["activeTargets"].take();
    let error = |job: &str| {
        let target = errors.as_array().unwrap().iter().find(|t| t["labels"]["job"] == job).unwrap().clone();
        target["lastError"].as_str().unwrap().to_owned()
    };
    assert!(error("hanging").contains("deadline exceeded"), "{}", error("hanging"));
    assert!(error("endless").contains("body size limit exceeded"), "{}", error("endless"));
    assert_eq!(error("good"), "");
    let metrics = server.get("/metrics").body;
    let exceeded = metrics
        .lines()
        .find_map(|line| line.strip_prefix("prometheus_target_scrapes_exceeded_body_size_limit_total "))
        .unwrap();
    assert!(exceeded.parse::<f64>().unwrap() >= 1.0);
    let resident =
        metrics.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).unwrap();
    assert!(resident.parse::<f64>().unwrap() < 400e6, "the gigabyte was held in memory: {resident}");
}

#[test]
fn series_end_when_their_target_dies() {
    let dir = tempfile::tempdir().unwrap();
    let Some(exporter) = node_exporter(dir.path()) else { return };
    let config = format!(
        "global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: node, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]",
        exporter.port
    );
    let server = Server::start(dir.path(), &config, &[]);
    server.wait_for("node_load1");
    drop(exporter);
    server.wait_for_value("up", 0.0);
    // Far within the lookback of five minutes: only staleness marks end the series so soon.
    eventually("the series to end", Duration::from_secs(5), || {
        server.query("node_load1").is_empty().then_some(())
    });
    assert_eq!(server.query("{__name__=~\"node_.*\"}").len(), 0);
    assert!(server.value("count_over_time(node_load1[1m])").unwrap() >= 1.0, "the past is still there");
}
