//! Answers of every size are whole: little ones are written where they are asked, others on a thread of their own.

use crate::fakes;
use crate::harness::server::Server;
use crate::harness::{http, now_ms};

const SERIES: usize = 600;

#[test]
fn answers_of_every_size_are_whole() {
    // As text, a label is longer than it is.
    let line = |n: usize| format!("sized{{n=\"{n}\",text=\"{}\"}} {n}.5\n", "\\\\".repeat(200));
    let target = fakes::constant((0..SERIES).map(line).collect());
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]"
    );
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &config, &[]);
    server.wait_for("count(sized)");
    let (start, end) = (now_ms() / 1000, now_ms() / 1000 + 240);
    for len in [0, 1, 7, 16, 60, 100, 150, 200, 400, SERIES] {
        let query = format!("bottomk({len}, sized)");
        let sizes = |data: &serde_json::Value| {
            let series = data["result"].as_array().unwrap().iter();
            let texts = series.map(|series| series["metric"]["text"].as_str().unwrap().len());
            texts.collect::<Vec<_>>()
        };
        let data = http::data(&server.url("/api/v1/query"), &[("query", query.as_str())]);
        assert_eq!(sizes(&data), vec![200; len], "{query}");
        let form =
            [("query", query), ("start", start.to_string()), ("end", end.to_string()), ("step", "1".into())];
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let data = http::data(&server.url("/api/v1/query_range"), &form);
        assert_eq!(sizes(&data), vec![200; len]);
    }
}
