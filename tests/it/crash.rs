//! kill -9 in the middle of scraping: what a query has shown is still there, bit for bit.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::fakes;
use crate::harness::programs::node_exporter;
use crate::harness::server::Server;
use crate::harness::{eventually, http};

/// Every sample of the last minutes: series as text, to time and value as text.
pub fn all_samples(url: &str, end: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let form = [("query", "{__name__=~\".+\"}[10m]"), ("time", end)];
    let data = http::data(&format!("{url}/api/v1/query"), &form);
    let series = data["result"].as_array().unwrap();
    let samples = |series: &Value| {
        let values = series["values"].as_array().unwrap();
        values.iter().map(|v| (v[0].to_string(), v[1].as_str().unwrap().to_owned())).collect()
    };
    series.iter().map(|series| (series["metric"].to_string(), samples(series))).collect()
}

#[test]
fn nothing_that_was_shown_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let counter = fakes::counter();
    let exporter = node_exporter(dir.path());
    let more = exporter.as_ref().map_or(String::new(), |e| format!(", '127.0.0.1:{}'", e.port));
    let config = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{counter}'{more}]}}]}}]"
    );
    let mut shown: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut server = Server::start(dir.path(), &config, &[]);
    for round in 1..=3 {
        server.wait_for(&format!("count_over_time(scrapes_total[10m]) >= {}", 5 * round));
        let end = (crate::harness::now_ms() / 1000 + 1).to_string();
        for (series, samples) in all_samples(&server.url(""), &end) {
            shown.entry(series).or_default().extend(samples);
        }
        server.kill();
        server = Server::restart(dir.path(), &[]);
        let after = all_samples(&server.url(""), &end);
        for (series, samples) in &shown {
            let kept = after.get(series).unwrap_or_else(|| panic!("round {round}: {series} is gone"));
            for (t, v) in samples {
                assert_eq!(kept.get(t), Some(v), "round {round}: {series} at {t}");
            }
        }
    }
    assert!(shown.len() > 5, "{} series", shown.len());
}

#[test]
fn the_next_start_names_the_queries_that_a_crash_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "{}", &[]);
    let active = server.data().join("queries.active");
    assert_eq!(std::fs::metadata(&active).unwrap().len(), 1 + 20 * 1000);

    let slow = "sum_over_time(sum_over_time(vector(time())[1d:1s])[30d:1m])";
    let url = server.url(&format!("/api/v1/query?query={slow}"));
    let client = std::thread::spawn(move || http::try_get(&url));
    eventually("the query to be noted", Duration::from_secs(20), || {
        let noted = String::from_utf8(std::fs::read(&active).unwrap()).unwrap();
        noted.contains(slow).then_some(())
    });
    server.kill();
    // Its connection broke.
    let _ = client.join();

    let server = Server::restart(dir.path(), &[]);
    let log = server.process.log();
    assert!(log.contains("These queries didn't finish in the last run") && log.contains(slow), "{log}");
}
