//! Answers of every size are whole and right: little ones are written where they are asked, others on a thread of their
//! own, long ones by all cores.

use std::fmt::Write;
use std::process::Command;

use crate::fakes;
use crate::harness::programs::output;
use crate::harness::server::{BINARY, Server};
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

const BLOCK_SERIES: usize = 1000;
const BLOCK_STEPS: usize = 150;
const BLOCK_START: usize = 1_700_000_000;
const STEP: usize = 15;

fn last_step() -> usize {
    BLOCK_START + (BLOCK_STEPS - 1) * STEP
}

/// Value of a series at a step.
fn stored(series: usize, step: usize) -> f64 {
    // Constant series, steady ones, and some that change.
    match series % 3 {
        0 => series as f64,
        1 => (series + step) as f64,
        _ => ((series * 7919 + step * 104_729) % 1000) as f64 / 8.0,
    }
}

/// Asks for some series of a block in a range and all of its last values, and compares each point.
fn ask_blocks(server: &Server, some: usize) {
    let pattern = format!("stored{{n=~\"[0-9]{{1,{some}}}\"}}");
    let count = BLOCK_SERIES.min(10usize.pow(some as u32));
    let (start, end, step) = (BLOCK_START.to_string(), last_step().to_string(), STEP.to_string());
    let form = [
        ("query", pattern.as_str()),
        ("start", start.as_str()),
        ("end", end.as_str()),
        ("step", step.as_str()),
    ];
    let data = http::data(&server.url("/api/v1/query_range"), &form);
    let result = data["result"].as_array().unwrap();
    assert_eq!(result.len(), count);
    let number = |of: &serde_json::Value| of["metric"]["n"].as_str().unwrap().parse::<usize>().unwrap();
    let value = |of: &serde_json::Value| of.as_str().unwrap().parse::<f64>().unwrap();
    assert!(result.is_sorted_by(|a, b| a["metric"]["n"].as_str() < b["metric"]["n"].as_str()));
    for series in result {
        let points = series["values"].as_array().unwrap();
        assert_eq!(points.len(), BLOCK_STEPS);
        for (at, point) in points.iter().enumerate() {
            assert_eq!(point[0].as_i64(), Some((BLOCK_START + at * STEP) as i64));
            assert_eq!(value(&point[1]), stored(number(series), at));
        }
    }
    let last =
        http::data(&server.url("/api/v1/query"), &[("query", pattern.as_str()), ("time", end.as_str())]);
    let last = last["result"].as_array().unwrap();
    assert_eq!(last.len(), count);
    for series in last {
        assert_eq!(value(&series["value"][1]), stored(number(series), BLOCK_STEPS - 1));
    }
}

/// From a few points, which one thread reads and writes, to megabytes, for which all do; several clients at a time.
#[test]
fn answers_from_blocks_are_right() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = "# TYPE stored gauge\n".to_owned();
    for series in 0..BLOCK_SERIES {
        for step in 0..BLOCK_STEPS {
            let (t, v) = (BLOCK_START + step * STEP, stored(series, step));
            writeln!(text, "stored{{n=\"{series}\"}} {v} {t}").unwrap();
        }
    }
    text += "# EOF\n";
    let input = dir.path().join("in.om");
    std::fs::write(&input, text).unwrap();
    let create = ["tool", "tsdb", "create-blocks-from", "-q", "openmetrics"];
    output(Command::new(BINARY).args(create).arg(&input).arg(dir.path().join("data")));
    // So that the blocks are not too old.
    let server = Server::start(dir.path(), "", &["--storage.tsdb.retention.time=100y"]);
    std::thread::scope(|scope| {
        for client in 0..4 {
            let server = &server;
            scope.spawn(move || (0..3).for_each(|turn| ask_blocks(server, 1 + (client + turn) % 3)));
        }
    });
}
