//! Starting the three servers on the loaded data, each alone.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::{self, Data, Scale};
use crate::recording::Scrapes;

/// A server that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The release build of this repository.
    Trivium,
    /// Another build of Trivium, to tell what a change costs: only where `PEERS_BASELINE` names it.
    Baseline,
    /// `prometheus` on the PATH.
    Prometheus,
    /// `victoria-metrics` on the PATH.
    VictoriaMetrics,
}

/// Trivium and the peers that are installed.
pub fn installed() -> Vec<Kind> {
    let all = [Kind::Trivium, Kind::Baseline, Kind::Prometheus, Kind::VictoriaMetrics];
    all.into_iter().filter(|kind| kind.program().is_some()).collect()
}

/// A running server; ends when dropped.
pub struct Server {
    child: Child,
    port: u16,
    /// How long it took from its start until it was ready.
    pub ready_after: Duration,
    /// Keeps its connection, as a dashboard's data source does.
    agent: ureq::Agent,
}

impl Kind {
    /// As the table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trivium => "trivium",
            Self::Baseline => "baseline",
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }

    fn program(self) -> Option<PathBuf> {
        let variable = match self {
            Self::Trivium => "PEERS_TRIVIUM",
            Self::Baseline => "PEERS_BASELINE",
            Self::Prometheus => "PEERS_PROMETHEUS",
            Self::VictoriaMetrics => "PEERS_VICTORIA_METRICS",
        };
        if let Ok(path) = std::env::var(variable) {
            return Some(path.into());
        }
        match self {
            Self::Trivium => return Some(PathBuf::from(env!("CARGO_BIN_EXE_trivium"))),
            Self::Baseline => return None,
            Self::Prometheus | Self::VictoriaMetrics => {}
        }
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join(self.name())).find(|program| program.is_file())
    }

    /// Starts it on a copy of `data`, or imports the samples where it has a format of its own; waits until it answers
    /// with all of them.
    pub fn start(self, dir: &Path, data: &Data, scrapes: &Scrapes, scale: Scale) -> Server {
        let own = match self {
            Self::VictoriaMetrics => data.victoria.clone(),
            Self::Trivium | Self::Baseline | Self::Prometheus => self.own_data(dir),
        };
        let config = dir.join("idle.yml");
        std::fs::write(&config, "global: {scrape_interval: 1h}\n").expect("a configuration file");
        if self != Self::VictoriaMetrics {
            copy(&data.store, &own);
        }
        let server = self.launch(&own, &config);
        if self == Self::VictoriaMetrics && !data.is_imported() {
            for host in 0..scale.hosts {
                let lines = load::import_lines(scrapes, scale, data.end_s, host);
                let url = format!("http://127.0.0.1:{}/api/v1/import", server.port);
                ureq::post(url).send(lines).expect("an import");
            }
            server.get("/internal/force_flush", Duration::from_secs(60));
            server.get("/internal/force_merge", Duration::from_secs(600));
            data.imported();
        }
        server
    }

    /// The directory that it gets below another.
    pub fn own_data(self, dir: &Path) -> PathBuf {
        dir.join(format!("{}-own", self.name()))
    }

    /// Starts it on a data directory; waits until it is ready.
    pub fn launch(self, data: &Path, config: &Path) -> Server {
        let program = self.program().expect("only installed servers are started");
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let mut command = Command::new(program);
        match self {
            Self::Trivium | Self::Baseline | Self::Prometheus => {
                command
                    .arg(format!("--config.file={}", config.display()))
                    .arg(format!("--storage.tsdb.path={}", data.display()))
                    .arg(format!("--web.listen-address=127.0.0.1:{port}"));
            }
            Self::VictoriaMetrics => {
                command
                    .arg(format!("-promscrape.config={}", config.display()))
                    .arg(format!("-storageDataPath={}", data.display()))
                    .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
                    .args([
                        "-retentionPeriod=10y",
                        "-search.maxUniqueTimeseries=10000000",
                        "-search.latencyOffset=0s",
                    ])
                    // Answers from a cache would be compared with answers from data.
                    .args(["-search.disableCache", "-loggerLevel=ERROR"]);
            }
        }
        let begin = Instant::now();
        let child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a server that starts");
        let agent = ureq::Agent::new_with_defaults();
        let mut server = Server { child, port, ready_after: Duration::ZERO, agent };
        server.wait_for(if self == Self::VictoriaMetrics { "/health" } else { "/-/ready" });
        server.ready_after = begin.elapsed();
        server
    }
}

/// Copies a directory.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("the loaded data").flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => {
                std::fs::copy(entry.path(), &target).expect("a copy");
                // Nobody's start waits until the copy is on the disk.
                std::fs::File::open(target).and_then(|file| file.sync_all()).expect("a synced copy");
            }
        }
    }
}

impl Server {
    fn wait_for(&self, path: &str) {
        let give_up = Instant::now() + Duration::from_secs(300);
        while ureq::get(format!("http://127.0.0.1:{}{path}", self.port)).call().is_err() {
            assert!(Instant::now() < give_up, "{path} does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The body of an answer with status 200.
    pub fn get(&self, path: &str, patience: Duration) -> String {
        let mut response = self
            .agent
            .get(format!("http://127.0.0.1:{}{path}", self.port))
            .config()
            .timeout_global(Some(patience))
            .build()
            .call()
            .unwrap_or_else(|e| panic!("{path}: {e}"));
        response
            .body_mut()
            .with_config()
            .limit(1 << 32)
            .read_to_string()
            .unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Resident memory now.
    pub fn resident_bytes(&self) -> u64 {
        resident_bytes(self.child.id())
    }

    /// The most memory that was resident so far.
    pub fn peak_bytes(&self) -> u64 {
        status_bytes(self.child.id(), "VmHWM:")
    }

    /// CPU time so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // Fields 14 and 15 of proc(5), counted behind the name in parentheses; Linux counts in hundredths.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
        fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() as f64 / 100.0
    }
}

/// Ends as it would on any machine, so that it writes out what it holds.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let give_up = Instant::now() + Duration::from_secs(60);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > give_up {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Resident memory of a process.
pub fn resident_bytes(pid: u32) -> u64 {
    status_bytes(pid, "VmRSS:")
}

/// A number of a process's status.
fn status_bytes(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1024
}
