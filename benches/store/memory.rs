//! Memory and CPU time of whole servers that scrape an hour of samples at 15 s. Targets give explicit timestamps, each
//! scrape those of the next step, so that the hour passes quickly.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;

use crate::load::INTERVAL_S;
use crate::recording::Scrapes;
use crate::servers;
use crate::{Table, setting};

const STEPS: usize = 240;

/// All hosts, as one server shows them. Texts are made once: showing them must cost little beside scraping them.
struct Targets {
    /// Each host's series without their values.
    lines: Vec<Vec<String>>,
    /// What stands between a series and its time, for each step.
    values: Vec<Vec<Option<String>>>,
    /// How often each host was scraped.
    scraped: Vec<AtomicUsize>,
    start_ms: i64,
}

impl Targets {
    fn new(scrapes: &Scrapes, series: usize) -> Self {
        let hosts = series.div_ceil(scrapes.series());
        let line = |series: usize, host| {
            let mut labels = scrapes.ten_labels(series, host);
            // These the server adds.
            labels.retain(|(name, _)| name != "instance" && name != "job");
            let of = |(name, value): &(String, String)| format!("{name}={value:?}");
            let (name, rest) = labels.split_first().expect("a name comes first");
            format!("{}{{{}}}", name.1, rest.iter().map(of).collect::<Vec<_>>().join(","))
        };
        let lines = |host: usize| {
            let of_host = scrapes.series().min(series - host * scrapes.series());
            (0..of_host).map(|series| line(series, host)).collect()
        };
        // The head takes what is at most an hour older than its newest, which is the scrapes' own `up`; and no server
        // takes what is much newer than now.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        Self {
            lines: (0..hosts).map(lines).collect(),
            values: (0..STEPS)
                .map(|step| scrapes.at(0, step).iter().map(|v| v.map(|v| format!(" {v:?} "))).collect())
                .collect(),
            scraped: (0..hosts).map(|_| AtomicUsize::new(0)).collect(),
            start_ms: now.as_millis() as i64 - 56 * 60_000,
        }
    }

    fn body(&self, host: usize) -> String {
        let step = self.scraped[host].fetch_add(1, Ordering::Relaxed).min(STEPS - 1);
        let t = self.start_ms + step as i64 * INTERVAL_S * 1000;
        let values = &self.values[(37 * host + step) % STEPS];
        let time = format!("{t}\n");
        let mut body = String::with_capacity(240 * self.lines[host].len());
        for (line, value) in self.lines[host].iter().zip(values) {
            if let Some(value) = value {
                body.push_str(line);
                body.push_str(value);
                body.push_str(&time);
            }
        }
        body
    }

    fn done(&self) -> bool {
        self.scraped.iter().all(|scraped| scraped.load(Ordering::Relaxed) > STEPS)
    }
}

async fn scrape(State(targets): State<Arc<Targets>>, Path(host): Path<usize>) -> String {
    targets.body(host)
}

/// The table.
pub fn run(scrapes: &Scrapes, series: usize) {
    let interval = setting("STORE_SCRAPE_MS", 200 * series.div_ceil(100_000));
    let dir = tempfile::tempdir().expect("a temporary directory");
    println!("{series} series of ten labels, {STEPS} samples each, a scrape every {interval} ms\n");
    let mut table = Table::new("scraping an hour");
    let only = std::env::var("STORE_SERVERS").unwrap_or_default();
    for kind in servers::installed().into_iter().filter(|kind| only.is_empty() || only.contains(kind.name()))
    {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let targets = Arc::new(Targets::new(scrapes, series));
        let app = Router::new().route("/{host}", get(scrape)).with_state(targets.clone());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("its address");
        runtime.spawn(async move { axum::serve(listener, app).await });
        let mut config = format!(
            "global: {{scrape_interval: {interval}ms, scrape_timeout: {interval}ms}}\nscrape_configs:\n\
             - job_name: node\n  honor_timestamps: true\n  static_configs:\n"
        );
        for host in 0..targets.lines.len() {
            let labels = format!("{{instance: 'host-{host:05}:9100', __metrics_path__: /{host}}}");
            // Writing to a String cannot fail.
            let _ = writeln!(config, "  - {{targets: ['{address}'], labels: {labels}}}");
        }
        let path = dir.path().join("scrape.yml");
        std::fs::write(&path, config).expect("a configuration file");
        let own = kind.own_data(dir.path());
        let server = kind.launch(&own, &path);
        while !targets.done() {
            std::thread::sleep(Duration::from_millis(200));
        }
        let (resident, peak) = (server.resident_bytes() as f64, server.peak_bytes() as f64);
        let query = "/api/v1/query?query=sum(count_over_time(node_load1[2h]))&time=";
        let now = targets.start_ms / 1000 + STEPS as i64 * INTERVAL_S;
        let cpu = server.cpu_seconds();
        println!("{}: {}", kind.name(), server.get(&format!("{query}{now}"), Duration::from_secs(300)));
        table.add(
            kind,
            vec![
                resident / series as f64,
                peak / series as f64,
                resident / 1e6,
                cpu * 1e9 / (series * STEPS) as f64,
            ],
        );
        drop(server);
        let _ = std::fs::remove_dir_all(own);
    }
    println!();
    table.print(&["bytes resident a series", "at most", "MB resident", "ns CPU a sample"]);
}
