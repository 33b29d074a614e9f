//! kill -9 in the middle of scraping: what a query has shown is still there, bit for bit.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fakes;
use crate::harness::http;
use crate::harness::programs::node_exporter;
use crate::harness::server::Server;

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
