//! Starting: quickly, with a built-in configuration, saying where to look; the log in both forms.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::process::Process;
use crate::harness::server::{BINARY, Server};
use crate::harness::{eventually, free_port, http};

#[test]
fn without_a_configuration_it_scrapes_itself_and_says_where_to_look() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = Command::new(BINARY);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).current_dir(dir.path());
    let process = Process::start(&mut command, &dir.path().join("log"));
    let url = format!("http://127.0.0.1:{port}");
    eventually("up", Duration::from_secs(40), || {
        let answer = http::try_get(&format!("{url}/api/v1/query?query=up%7Bjob%3D%22trivium%22%7D")).ok()?;
        (answer.status == 200)
            .then(|| answer.json()["data"]["result"][0]["value"][1].as_str() == Some("1"))?
            .then_some(())
    });
    assert!(process.log().contains(&format!("http://127.0.0.1:{port}")), "{}", process.log());
    assert!(dir.path().join("data/wal").is_dir(), "data lies below ./data");
}

#[test]
fn called_prometheus_it_needs_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("prometheus");
    std::os::unix::fs::symlink(BINARY, &program).unwrap();
    let output = Command::new(&program).current_dir(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("prometheus.yml") && said.contains("No such file"), "{said}");
    assert!(!dir.path().join("data").exists());
}

#[test]
fn logs_in_both_forms() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "global: {}\n", &["--log.format=json"]);
    for line in server.process.log().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for key in ["time", "level", "source", "msg"] {
            assert!(event[key].is_string(), "{key} in {line}");
        }
    }
    drop(server);
    std::fs::remove_file(dir.path().join("trivium.log")).unwrap();
    let server = Server::restart(dir.path(), &["--log.level=debug"]);
    let log = server.process.log();
    assert!(
        log.lines()
            .all(|line| line.starts_with("time=") && line.contains(" level=") && line.contains(" msg=")),
        "{log}"
    );
}

#[test]
fn not_ready_until_open_and_api_edges() {
    let dir = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let flags = ["--web.route-prefix=/t", "--web.external-url=http://x/t"];
    let server = Server::start_at(dir.path(), "global: {}\n", &flags, "/t/-/ready");
    // The bound of 100 ms is for the release build and is measured by a bench; this catches a hang.
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(server.get("/").status, 302);
    assert_eq!(server.get("/t/-/ready").status, 200);
    assert_eq!(server.get("/t/api/v1/no_such").status, 404);
    assert_eq!(server.get("/t/graph?g0.expr=up").header("location"), "/t/query?g0.expr=up");
    let bad = server.get("/t/api/v1/query?query=sum(");
    assert_eq!(bad.status, 400);
    let error = bad.json();
    assert_eq!(error["errorType"], "bad_data");
    assert!(
        error["error"].as_str().unwrap().starts_with("invalid parameter \"query\": 1:5: parse error"),
        "{error}"
    );
    let empty = server.get("/t/api/v1/query?query=nothing").json();
    assert_eq!(empty["data"], serde_json::json!({"resultType": "vector", "result": []}));
    let scalar = server.get("/t/api/v1/query?query=1.5&time=10").json();
    assert_eq!(scalar["data"], serde_json::json!({"resultType": "scalar", "result": [10, "1.5"]}));

    // A selector as people type it, quotes and all.
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let line =
        "GET /t/api/v1/query?query=absent(up{job=\"a<b>\"}) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    std::io::Write::write_all(&mut stream, line.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"job\":\"a<b>\""), "{answer}");
}
