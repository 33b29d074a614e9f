//! Our own server as a process.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::{self, Answer};
use super::process::Process;
use super::{eventually, free_port};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_trivium");

/// A running server with its configuration and data in a folder.
pub struct Server {
    /// The process.
    pub process: Process,
    /// Its port on loopback.
    pub port: u16,
    dir: PathBuf,
}

impl Server {
    /// Writes `trivium.yml` into `dir`, starts the server on it with data in `dir/data`, waits until it is ready.
    pub fn start(dir: &Path, config: &str, flags: &[&str]) -> Self {
        Self::start_at(dir, config, flags, "/-/ready")
    }

    /// The same with another path of readiness.
    pub fn start_at(dir: &Path, config: &str, flags: &[&str], ready: &str) -> Self {
        std::fs::write(dir.join("trivium.yml"), config).unwrap();
        let port = free_port();
        Self::run(dir, port, Self::command(dir, port, flags), ready)
    }

    /// Starts the server as [`Server::start`] does, with variables of the environment.
    pub fn start_with(dir: &Path, config: &str, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        std::fs::write(dir.join("trivium.yml"), config).unwrap();
        let port = free_port();
        let mut command = Self::command(dir, port, flags);
        command.envs(environment.iter().copied());
        Self::run(dir, port, command, "/-/ready")
    }

    /// Starts on the configuration that is there.
    pub fn restart(dir: &Path, flags: &[&str]) -> Self {
        let port = free_port();
        Self::run(dir, port, Self::command(dir, port, flags), "/-/ready")
    }

    fn run(dir: &Path, port: u16, mut command: Command, ready: &str) -> Self {
        let process = Process::start(&mut command, &dir.join("trivium.log"));
        let mut server = Self { process, port, dir: dir.to_owned() };
        eventually("the server to be ready", Duration::from_secs(30), || {
            assert!(server.process.ended().is_none(), "the server ended:\n{}", server.process.log());
            http::try_get(&server.url(ready)).ok().filter(|a| a.status == 200).map(drop)
        });
        server
    }

    /// The command that starts it.
    pub fn command(dir: &Path, port: u16, flags: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .arg(format!("--config.file={}", dir.join("trivium.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(flags);
        command
    }

    /// `http://127.0.0.1:PORT` and a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// GET of a path.
    pub fn get(&self, path: &str) -> Answer {
        http::get(&self.url(path))
    }

    /// The `result` of an instant query now.
    pub fn query(&self, expr: &str) -> Vec<Value> {
        self.query_with(expr, &[])
    }

    /// The `result` of an instant query with more parameters.
    pub fn query_with(&self, expr: &str, more: &[(&str, &str)]) -> Vec<Value> {
        let form: Vec<(&str, &str)> = [("query", expr)].iter().chain(more).copied().collect();
        match http::data(&self.url("/api/v1/query"), &form)["result"].take() {
            Value::Array(list) => list,
            other => panic!("{expr}: {other}"),
        }
    }

    /// The value of a query that gives one series; `None` when it gives none.
    pub fn value(&self, expr: &str) -> Option<f64> {
        let result = self.query(expr);
        assert!(result.len() <= 1, "{expr} gives several series: {result:?}");
        result.first().map(|sample| sample["value"][1].as_str().unwrap().parse().unwrap())
    }

    /// Waits until a query gives exactly this value.
    pub fn wait_for_value(&self, expr: &str, want: f64) {
        eventually(&format!("{expr} to be {want}"), Duration::from_secs(30), || {
            (self.value(expr) == Some(want)).then_some(())
        });
    }

    /// Waits until a query gives anything.
    pub fn wait_for(&self, expr: &str) -> Vec<Value> {
        eventually(&format!("{expr} to give something"), Duration::from_secs(30), || {
            Some(self.query(expr)).filter(|result| !result.is_empty())
        })
    }

    /// Ends it as an operator does; its status and how long that took.
    pub fn terminate(mut self) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        self.process.signal("TERM");
        let status = self.process.wait(Duration::from_secs(20));
        (status, begin.elapsed())
    }

    /// Ends it as a crash does.
    pub fn kill(mut self) {
        self.process.signal("KILL");
        self.process.wait(Duration::from_secs(5));
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
}
