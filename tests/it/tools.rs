//! `trivium tool tsdb` as an operator runs it, beside promtool where that is installed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::fakes;
use crate::harness::programs::{output, promtool};
use crate::harness::server::{BINARY, Server};

/// 2020-09-13T12:00:00Z, the start of a block's time, in seconds.
const START: i64 = 1_599_998_400;

fn tsdb(args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["tool", "tsdb"]).args(args);
    command
}

fn failing(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert_eq!(status.code(), Some(1), "{command:?}");
    String::from_utf8(stderr).unwrap()
}

/// Text as dump-openmetrics writes it: series in order, a sample each minute for a number of minutes.
fn openmetrics(minutes: i64) -> String {
    let mut text = String::new();
    for series in [r#"a{job="x",path="C:\\dir \"q\""}"#, "a{}", r#"b{job="x"}"#, r#"b{job="y"}"#] {
        for minute in 0..minutes {
            let value = ["0.25", "NaN", "+Inf", "1e+06", "42"][minute as usize % 5];
            text.push_str(&format!("{series} {value} {}.000\n", START + 60 * minute));
        }
    }
    text + "# EOF\n"
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// All files below a directory with their bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// A data directory of five hours in three blocks.
fn directory(dir: &Path) -> PathBuf {
    let input = write(dir, "in.om", &openmetrics(300));
    let data = dir.join("data");
    let table = output(&mut tsdb(&["create-blocks-from", "openmetrics", text(&input), text(&data)]));
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(lines[0].starts_with("BLOCK ULID") && lines[1].contains("1h59m0.001s"), "{table}");
    data
}

#[test]
fn openmetrics_becomes_blocks_and_openmetrics_again() {
    let dir = tempfile::tempdir().unwrap();
    let data = directory(dir.path());
    let before = files(&data);
    // Series in order of labels: `a{}` before the others.
    let dumped = output(&mut tsdb(&["dump-openmetrics", text(&data)]));
    assert_eq!(sorted(&dumped), sorted(&openmetrics(300)));
    assert!(dumped.starts_with("a{} 0.25 ") && dumped.ends_with("# EOF\n"));

    let again = write(dir.path(), "again.om", &dumped);
    let copy = dir.path().join("copy");
    let quiet = output(&mut tsdb(&["create-blocks-from", "-q", "openmetrics", text(&again), text(&copy)]));
    assert_eq!(quiet, "");
    assert_eq!(output(&mut tsdb(&["dump-openmetrics", text(&copy)])), dumped);

    let selected = output(&mut tsdb(&[
        "dump",
        "--match=b{job=\"x\"}",
        "--match={job=\"y\"}",
        &format!("--min-time={}", (START + 60) * 1000),
        &format!("--max-time={}", (START + 60) * 1000),
        text(&data),
    ]));
    let line = |job: &str| format!("{{__name__=\"b\", job=\"{job}\"}} NaN {}\n", (START + 60) * 1000);
    assert_eq!(selected, line("x") + &line("y"));
    let series = output(&mut tsdb(&["dump", "--format=seriesjson", "--match=b", text(&data)]));
    assert_eq!(series, "{\"__name__\":\"b\",\"job\":\"x\"}\n{\"__name__\":\"b\",\"job\":\"y\"}\n");
    assert_eq!(files(&data), before, "the directory was changed");
}

#[test]
fn labels_and_longer_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let input = write(dir.path(), "in.om", &openmetrics(300));
    let data = dir.path().join("data");
    let table = output(&mut tsdb(&[
        "create-blocks-from",
        "openmetrics",
        "--max-block-duration=24h",
        "--human-readable",
        "--label=from=backfill",
        text(&input),
        text(&data),
    ]));
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(table.contains("2020-09-13 12:00:00 +0000 UTC"), "{table}");
    let series = output(&mut tsdb(&["dump", "--format=seriesjson", "--match=b", text(&data)]));
    let line = |job: &str| format!("{{\"__name__\":\"b\",\"from\":\"backfill\",\"job\":\"{job}\"}}\n");
    assert_eq!(series, line("x") + &line("y"));
}

#[test]
fn wrong_input_is_named_by_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    for (input, want) in [
        ("a 1 1\na 2\n# EOF\n", ":2: expected timestamp"),
        ("a 1 1\nb{ 1\n# EOF\n", ":2: expected label name"),
        ("a 1 1\n", ":2: data does not end with # EOF"),
        ("a 1 5\na 1 4\n# EOF\n", ":2: add sample: out of order sample: {__name__=\"a\"}"),
        ("a 1 5\na 2 5\n# EOF\n", ":2: add sample: duplicate sample for timestamp: {__name__=\"a\"}"),
        ("a 1 1e300\n# EOF\n", ":1: timestamp out of range"),
        ("a{b=\"1\",b=\"2\"} 1 1\n# EOF\n", ":1: label name \"b\" is not unique"),
    ] {
        let path = write(dir.path(), "wrong.om", input);
        let out = dir.path().join("out");
        let said = failing(&mut tsdb(&["create-blocks-from", "openmetrics", text(&path), text(&out)]));
        assert!(said.starts_with(&format!("{}{want}", path.display())), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    for (args, want) in [
        (vec!["list", "/nonexistent"], "opening the db dir: /nonexistent"),
        (vec!["list", "--nonsense"], "--nonsense"),
        (vec!["analyze", text(dir.path())], "no blocks found"),
        (vec!["dump", "--match=a{", text(dir.path())], "a{: 1:3: parse error"),
    ] {
        let said = failing(&mut tsdb(&args));
        assert!(said.contains(want) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn the_log_of_a_killed_server_is_read_and_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]",
        fakes::counter()
    );
    let server = Server::start(dir.path(), &config, &[]);
    server.wait_for("count_over_time(scrapes_total[10m]) >= 5");
    let data = server.data();
    let lines = || output(&mut tsdb(&["dump", "--match=scrapes_total", text(&data)])).lines().count();
    assert!(lines() >= 5, "while the server runs");
    server.kill();
    let before = files(&data);
    assert!(lines() >= 5);
    if let Some(promtool) = promtool() {
        // Series of a log alone are in the order in which they came; up to Prometheus 2 by labels.
        let ours = output(&mut tsdb(&["dump", text(&data)]));
        let theirs = output(Command::new(promtool).args(["tsdb", "dump", text(&data)]));
        assert_eq!(sorted(&ours), sorted(&theirs));
    }
    assert_eq!(files(&data), before, "the directory was changed");
}

#[test]
fn promtool_prints_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let data = directory(dir.path());
    // promtool wants one.
    fs::create_dir(data.join("wal")).unwrap();
    let Some(promtool) = promtool() else { return };
    let both = |args: &[&str]| {
        let theirs = output(Command::new(&promtool).arg("tsdb").args(args).arg(&data));
        let ours = output(tsdb(args).arg(&data));
        (ours, theirs)
    };
    for args in [
        vec!["list"],
        vec!["list", "-r"],
        vec!["dump"],
        vec!["dump", "--match={job=\"x\"}", "--min-time=1600000000000", "--max-time=1600010000000"],
    ] {
        let (ours, theirs) = both(&args);
        assert!(ours.lines().count() > 1);
        assert_eq!(ours, theirs, "{args:?}");
    }
    let (ours, theirs) = both(&["analyze", "--limit=1000"]);
    // Equal numbers are in no order, and a line was renamed since.
    let normal = |text: &str| {
        let mut sections: Vec<Vec<String>> = vec![Vec::new()];
        for line in text.lines() {
            if line.is_empty() {
                sections.push(Vec::new());
            } else if let Some(section) = sections.last_mut() {
                section.push(line.strip_prefix("Total ").unwrap_or(line).to_owned());
            }
        }
        sections.iter_mut().for_each(|section| section.sort());
        sections
    };
    assert_eq!(normal(&ours), normal(&theirs));

    let input = dir.path().join("in.om");
    let copy = dir.path().join("copy");
    let created = output(
        Command::new(&promtool).args(["tsdb", "create-blocks-from", "openmetrics"]).args([&input, &copy]),
    );
    // All but names and bytes: what is in meta.json changed since.
    let counts = |table: &str| -> Vec<Vec<String>> {
        let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        table.lines().skip(1).map(|line| cells(line)[1..7].to_vec()).collect()
    };
    assert_eq!(counts(&created), counts(&output(tsdb(&["list"]).arg(&data))));
}

#[test]
fn extended_analysis_counts_all_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let data = directory(dir.path());
    let printed = output(&mut tsdb(&["analyze", "--extended", "--match=b", text(&data)]));
    assert!(printed.contains("Matched series: 2\n"), "{printed}");
    // The last block has an hour of each series in one chunk.
    assert!(printed.contains("samples per float chunk (min/avg/max): 60/60/60\n"), "{printed}");
    assert!(printed.contains("buckets per histogram chunk: N/A\n"), "{printed}");
}

#[test]
fn recording_rules_are_recorded_for_the_past() {
    let dir = tempfile::tempdir().unwrap();
    let mut input = String::new();
    for minute in 0..300 {
        input.push_str(&format!("a {minute} {}\n", START + 60 * minute));
    }
    let input = write(dir.path(), "a.om", &(input + "# EOF\n"));
    let data = dir.path().join("data");
    output(&mut tsdb(&["create-blocks-from", "openmetrics", text(&input), text(&data)]));
    let server =
        Server::start(dir.path(), "global: {scrape_interval: 1h}\n", &["--storage.tsdb.retention.time=100y"]);
    let rules = write(
        dir.path(),
        "rules.yml",
        "groups:
- name: g
  interval: 2m
  rules:
  - {record: double, expr: a * 2, labels: {by: rule}}
  - {alert: Never, expr: a > 5}
",
    );
    let recorded = dir.path().join("recorded");
    let (url, start, end) = (server.url(""), START.to_string(), "2020-09-13T16:59:00Z");
    output(&mut tsdb(&[
        "create-blocks-from",
        "rules",
        "--url",
        &url,
        "--start",
        &start,
        "--end",
        end,
        "--output-dir",
        text(&recorded),
        text(&rules),
    ]));
    assert_eq!(output(&mut tsdb(&["list", text(&recorded)])).lines().count(), 4);
    let dumped = output(&mut tsdb(&["dump", text(&recorded)]));
    let lines: Vec<&str> = dumped.lines().collect();
    assert!((148..=150).contains(&lines.len()), "{} lines", lines.len());
    let times: Vec<i64> = lines
        .iter()
        .map(|line| {
            let rest = line.strip_prefix("{__name__=\"double\", by=\"rule\"} ").unwrap();
            let (v, t) = rest.split_once(' ').unwrap();
            let t: i64 = t.parse().unwrap();
            let minute = (t / 1000 - START) / 60;
            assert_eq!(v.parse::<f64>().unwrap(), (2 * minute) as f64, "{line}");
            t
        })
        .collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 120_000));

    let wrong = write(dir.path(), "wrong.yml", "groups: [{name: g, rules: [{record: r, expr: 'a ==='}]}]\n");
    let said = failing(&mut tsdb(&["create-blocks-from", "rules", "--start=0", text(&wrong)]));
    assert!(said.starts_with(text(&wrong)), "{said}");
    let told = ["create-blocks-from", "rules", "--start=9", "--end=8", text(&rules)];
    assert_eq!(failing(&mut tsdb(&told)), "start time is not before end time\n");
}

#[test]
fn writing_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let series: String = (0..5).map(|i| format!("{{\"__name__\":\"m\",\"i\":\"{i}\"}}\n")).collect();
    let input = write(dir.path(), "series.json", &series);
    let out = dir.path().join("out");
    let args = ["bench", "write", "--metrics=3", "--scrapes=150", "--out", text(&out), text(&input)];
    let printed = output(&mut tsdb(&args));
    for want in [
        ">> start stage=readData",
        ">> start stage=ingestScrapes",
        "ingestion completed",
        " > total samples: 600\n",
        " > samples/sec: ",
        ">> completed stage=stopStorage duration=",
    ] {
        assert!(printed.contains(want), "{printed}");
    }
    let written = output(&mut tsdb(&["dump", text(&out.join("storage"))]));
    assert_eq!(written.lines().count(), 600);
}
