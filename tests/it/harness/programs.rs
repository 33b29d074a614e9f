//! Programs from outside that tests use when they are installed. A test without its program says that it is skipped;
//! with `TRIVIUM_REQUIRE_PROGRAMS=1`, as in continuous integration, it fails instead.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::http::try_get;
use super::process::Process;
use super::{eventually, free_port};

/// Where a program is, under any of its names; `None` after saying that the test is skipped.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|dir| names.iter().map(move |name| dir.join(name)))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        let required = std::env::var_os("TRIVIUM_REQUIRE_PROGRAMS").is_some_and(|v| v == "1");
        assert!(!required, "{} is not installed", names[0]);
        skipped(&format!("{} is not installed", names[0]));
    }
    found
}

/// Says on standard error that this test does not run, and why. `eprintln!` would not do: the test harness keeps what
/// it prints to itself unless the test fails.
pub fn skipped(reason: &str) {
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    // Nothing is left to do when standard error is gone.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {reason}");
}

/// The Prometheus 3 that `TRIVIUM_PROMETHEUS_3` names; `None` after saying that the test is skipped. Debian has none,
/// so continuous integration does not require it.
pub fn prometheus_3() -> Option<PathBuf> {
    let named = std::env::var_os("TRIVIUM_PROMETHEUS_3").map(PathBuf::from);
    if named.is_none() {
        skipped("optional: TRIVIUM_PROMETHEUS_3 names no Prometheus 3");
    }
    named
}

/// moto's server, which behaves like AWS; `None` after saying that the test is skipped. It comes from PyPI
/// (`moto[ec2,server]`), so continuous integration does not require it.
pub fn moto_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("moto_server")).find(|file| file.is_file());
    if found.is_none() {
        skipped("optional: moto_server is not installed");
    }
    found
}

/// promtool.
pub fn promtool() -> Option<PathBuf> {
    find(&["promtool"])
}

/// Runs a program to its end; its standard output. Panics when it fails.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// A program that serves HTTP on a port of its own.
pub struct Service {
    /// The running program.
    pub process: Process,
    /// Its port on loopback.
    pub port: u16,
}

impl Service {
    fn start(command: &mut Command, port: u16, log: &Path, ready: &str) -> Self {
        let mut process = Process::start(command, log);
        let url = format!("http://127.0.0.1:{port}{ready}");
        eventually(&format!("{url} to answer"), Duration::from_secs(30), || {
            assert!(process.ended().is_none(), "{command:?} ended: {}", process.log());
            try_get(&url).ok().filter(|a| a.status == 200).map(drop)
        });
        Self { process, port }
    }

    /// `http://127.0.0.1:PORT` and a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// node_exporter with its metrics at `/metrics`.
pub fn node_exporter(dir: &Path) -> Option<Service> {
    let program = find(&["prometheus-node-exporter", "node_exporter"])?;
    let port = free_port();
    let mut command = Command::new(program);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    Some(Service::start(&mut command, port, &dir.join("node_exporter.log"), "/metrics"))
}

/// Alertmanager with a receiver that does nothing, its data below `dir`.
pub fn alertmanager(dir: &Path) -> Option<Service> {
    let program = find(&["prometheus-alertmanager", "alertmanager"])?;
    let config = dir.join("alertmanager.yml");
    std::fs::write(&config, "route: {receiver: none, group_wait: 1s}\nreceivers: [{name: none}]\n").unwrap();
    let port = free_port();
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", dir.join("alertmanager").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    Some(Service::start(&mut command, port, &dir.join("alertmanager.log"), "/-/ready"))
}

/// The real Prometheus over a data directory.
pub fn prometheus(dir: &Path, config: &str, data: &Path) -> Option<Service> {
    Some(prometheus_at(&find(&["prometheus"])?, dir, config, data, &[]))
}

/// A Prometheus of the caller's choice over a data directory, with more flags.
pub fn prometheus_at(program: &Path, dir: &Path, config: &str, data: &Path, flags: &[&str]) -> Service {
    let file = dir.join("real-prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let port = free_port();
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--storage.tsdb.retention.time=100y")
        .args(flags);
    Service::start(&mut command, port, &dir.join("prometheus.log"), "/-/ready")
}
