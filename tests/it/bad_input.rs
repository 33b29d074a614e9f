//! What is wrong on the command line or in a file is said in one message that names the place, and the process ends
//! with Prometheus's exit code.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::server::{BINARY, Server};

fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(args).current_dir(dir);
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Starts on a configuration that must be refused; gives what was said.
fn refused(config: &str, rules: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("trivium.yml"), config).unwrap();
    std::fs::write(dir.path().join("rules.yml"), rules).unwrap();
    let output = run(dir.path(), &["--config.file=trivium.yml", "--web.listen-address=127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2), "{config}\n{}", stderr(&output));
    stderr(&output)
}

#[test]
fn wrong_flags() {
    let dir = tempfile::tempdir().unwrap();
    for (args, code, says) in [
        (&["--no-such-flag"][..], 1, "no-such-flag"),
        (&["stray"], 1, "stray"),
        (&["--query.timeout=soon"], 2, "query.timeout"),
        (&["--config.file=missing.yml"], 2, "missing.yml"),
        (&["--storage.agent.path=x"], 3, "storage.agent.path"),
    ] {
        let output = run(dir.path(), args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(says), "{args:?}: {text}");
    }
    assert!(run(dir.path(), &["--version"]).status.success());
    let help = run(dir.path(), &["--help"]);
    assert!(help.status.success());
    assert!(String::from_utf8_lossy(&help.stdout).contains("--storage.tsdb.path"));
}

#[test]
fn wrong_configuration() {
    const RULES: &str = "groups: []\n";
    for (config, says) in [
        (
            "global: {scrape_intervall: 1s}\n",
            &["trivium.yml:1:10", "scrape_intervall", "scrape_interval"][..],
        ),
        ("global:\n  scrape_interval: 5 minutes\n", &["trivium.yml:2:20", "5 minutes", "1h30m"]),
        ("scrape_configs:\n- job_name: a\n- job_name: a\n", &["trivium.yml:3", "job_name"]),
        (
            "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - {regex: '(', action: keep, source_labels: [a]}\n",
            &["trivium.yml:4", "regex"],
        ),
        ("global: {\n", &["trivium.yml:"]),
    ] {
        let text = refused(config, RULES);
        for part in says {
            assert!(text.contains(part), "{config}: no {part:?} in:\n{text}");
        }
    }
}

#[test]
fn wrong_rule() {
    let rules = "groups:\n- name: g\n  rules:\n  - record: r\n    expr: sum(rate(x[5m])\n";
    let text = refused("rule_files: [rules.yml]\n", rules);
    for part in ["rules.yml:5", "expr: sum(rate(x[5m])", "parse error"] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn port_in_use_and_bad_directories() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("trivium.yml"), "global: {}\n").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--web.listen-address={}", taken.local_addr().unwrap());
    let output = run(dir.path(), &["--config.file=trivium.yml", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&taken.local_addr().unwrap().to_string()), "{}", stderr(&output));
    assert!(stderr(&output).contains("in use"), "{}", stderr(&output));

    std::fs::write(dir.path().join("file"), "").unwrap();
    let args =
        ["--config.file=trivium.yml", "--web.listen-address=127.0.0.1:0", "--storage.tsdb.path=file/data"];
    let output = run(dir.path(), &args);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("file/data"), "{}", stderr(&output));

    let server = Server::start(dir.path(), "global: {}\n", &[]);
    let data = format!("--storage.tsdb.path={}", server.data().display());
    let output = run(dir.path(), &["--config.file=trivium.yml", "--web.listen-address=127.0.0.1:0", &data]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("locked"), "{}", stderr(&output));
}
