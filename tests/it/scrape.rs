//! A real exporter is scraped through a relabelled static target, and promtool reads the result.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::harness::programs::{self, node_exporter, output};
use crate::harness::server::Server;
use crate::harness::{eventually, http, now_ms};

fn config(exporter: u16) -> String {
    format!(
        "global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: node
  static_configs:
  - targets: ['127.0.0.1:{exporter}', 'dropped:1']
    labels: {{env: test, tmp_note: x}}
  relabel_configs:
  - {{source_labels: [__address__], regex: 'dropped:.*', action: drop}}
  - {{source_labels: [env, job], separator: /, target_label: where}}
  - {{regex: tmp_.*, action: labeldrop}}
  metric_relabel_configs:
  - {{source_labels: [__name__], regex: go_.*, action: drop}}
  - {{source_labels: [__name__], regex: node_load1, target_label: load, replacement: one}}
"
    )
}

#[test]
fn node_exporter_is_scraped_and_promtool_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some(exporter) = node_exporter(dir.path()) else { return };
    let server = Server::start(dir.path(), &config(exporter.port), &[]);
    server.wait_for_value("up", 1.0);
    server.wait_for("rate(node_cpu_seconds_total[10s])");

    // What a scrape reports of itself.
    let samples = server.value("scrape_samples_scraped").unwrap();
    let kept = server.value("scrape_samples_post_metric_relabeling").unwrap();
    assert!(samples > 100.0 && kept < samples, "{samples} scraped, {kept} kept");
    assert!(server.value("scrape_duration_seconds").unwrap() > 0.0);
    assert!(server.value("max_over_time(scrape_series_added[1m])").unwrap() >= kept);
    assert_eq!(server.value("count({job=\"node\", __name__!~\"up|scrape_.*\"})"), Some(kept));

    // Relabelling of the target and of its samples.
    let up = server.query("up");
    let instance = format!("127.0.0.1:{}", exporter.port);
    assert_eq!(
        up[0]["metric"],
        json!({"__name__": "up", "env": "test", "instance": instance, "job": "node", "where": "test/node"})
    );
    assert_eq!(server.query("{__name__=~\"go_.*\"}"), [] as [serde_json::Value; 0]);
    assert_eq!(server.query("node_load1")[0]["metric"]["load"], "one");
    let targets = http::get(&server.url("/api/v1/targets")).json()["data"].take();
    assert_eq!(targets["activeTargets"][0]["health"], "up");
    assert_eq!(targets["droppedTargetCounts"]["node"], 1);
    let metadata = http::get(&server.url("/api/v1/metadata?metric=node_load1")).json()["data"].take();
    assert_eq!(metadata["node_load1"][0]["type"], "gauge");

    let Some(promtool) = programs::promtool() else { return };
    let url = server.url("");
    let tool = |args: &[&str]| output(Command::new(&promtool).arg("query").args(args));
    assert!(tool(&["instant", &url, "up"]).contains("up{"));
    let labels = tool(&["labels", &url, "job"]);
    assert_eq!(labels.trim(), "node");
    let series = tool(&["series", &url, "--match=node_load1"]);
    assert!(series.contains("node_load1") && series.contains("load=\"one\""), "{series}");
    // The last whole second may have but one sample before it yet.
    eventually("promtool to show a range", Duration::from_secs(10), || {
        let now = now_ms() / 1000;
        let (start, end) = (format!("--start={}", now - 60), format!("--end={now}"));
        let range =
            tool(&["range", &start, &end, "--step=1s", &url, "sum(rate(node_cpu_seconds_total[5s]))"]);
        range.contains('@').then_some(())
    });
}

#[test]
fn own_metrics_are_clean_and_scrape_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let port = crate::harness::free_port();
    let config = format!(
        "scrape_configs: [{{job_name: self, scrape_interval: 1s, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]"
    );
    let address = format!("--web.listen-address=127.0.0.1:{port}");
    let server = Server::start(dir.path(), &config, &[&address]);
    server.wait_for_value("up", 1.0);
    server.wait_for("rate(prometheus_tsdb_head_samples_appended_total{type=\"float\"}[10s]) > 0");
    for name in [
        "prometheus_build_info",
        "prometheus_ready",
        "prometheus_config_last_reload_successful",
        "prometheus_tsdb_head_series",
        "prometheus_target_interval_length_seconds",
        "prometheus_http_requests_total",
        "prometheus_engine_query_duration_seconds",
        "prometheus_sd_discovered_targets",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ] {
        assert!(!server.query(name).is_empty(), "{name} is missing");
    }
    let Some(promtool) = programs::promtool() else { return };
    let mut check = Command::new(promtool);
    check.args(["check", "metrics"]).stdin(std::process::Stdio::piped());
    check.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = check.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), server.get("/metrics").body.as_bytes())
        .unwrap();
    let result = child.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&result.stderr).into_owned();
    // Prometheus's own names are among those that the linter dislikes; a parse error is what must not be.
    assert!(result.status.code().is_some_and(|code| code == 0 || code == 3), "{complaints}");
    assert!(!complaints.contains("error while linting"), "{complaints}");
}
