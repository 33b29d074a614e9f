//! Whole scrapes: fake targets on loopback, a store in memory, loops on real time.

mod fake;
mod store;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use config::load::{Host, load};
use config::scrape::ScrapeJob;
use discovery::TargetGroup;
use model::labels::Labels;
use model::time::Clock;
use telemetry::{Collect, Gather};
use tokio::net::TcpListener;

use super::*;
use fake::{Answer, Fake, text};
use store::MemoryStore;

struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |d| d.as_millis() as i64)
    }
}

struct Yaml(String);

impl Host for Yaml {
    fn read(&self, _: &Path) -> std::io::Result<String> {
        Ok(self.0.clone())
    }

    fn glob(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }
}

/// A job named `j` with more settings as YAML lines.
pub(super) fn job(settings: &str) -> Arc<ScrapeJob> {
    let settings = settings.replace('\n', "\n  ");
    let yaml = format!("scrape_configs:\n- job_name: j\n  {settings}\n");
    let loaded = load(Path::new("test.yml"), &Default::default(), &Yaml(yaml)).unwrap();
    loaded.jobs[0].clone()
}

/// A manager that scrapes every 100 ms.
struct Bench {
    store: Arc<MemoryStore>,
    metrics: Arc<ScrapeMetrics>,
    manager: Manager,
}

const FAST: &str = "scrape_interval: 100ms\nscrape_timeout: 80ms\n";

impl Bench {
    fn new(settings: &str) -> Self {
        Self::with(settings, AppendOptions::default())
    }

    fn with(settings: &str, append: AppendOptions) -> Self {
        let store = Arc::<MemoryStore>::default();
        let metrics = Arc::<ScrapeMetrics>::default();
        let options = Options {
            user_agent: "Prometheus/0".to_owned(),
            host_name: "here".to_owned(),
            adjust_timestamps: true,
            timestamp_tolerance: Duration::from_millis(2),
            append,
        };
        let manager = Manager::new(store.clone(), Arc::new(SystemClock), metrics.clone(), options);
        let bench = Self { store, metrics, manager };
        bench.apply(settings);
        bench
    }

    fn apply(&self, settings: &str) {
        let prepared = self.manager.prepare(&[job(&format!("{FAST}{settings}"))]).unwrap();
        self.manager.apply(prepared, &Labels::empty());
    }

    fn target(&self, addresses: &[&str]) {
        let targets = addresses.iter().map(|a| Labels::from_pairs([("__address__", *a)])).collect();
        let group = TargetGroup { source: "test".to_owned(), labels: Labels::empty(), targets };
        self.manager.update_targets(&Arc::new([("j".to_owned(), vec![Arc::new(group)])].into()));
    }

    /// Waits until `done` says so.
    async fn until(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..1000 {
            if done(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}; {:?}; {:?}", self.store.values(""), self.last());
    }

    fn last(&self) -> Vec<LastScrape> {
        self.manager.active_targets().into_iter().map(|t| t.last).collect()
    }

    fn error(&self) -> String {
        self.last()[0].error.clone()
    }

    fn ups(&self, at_least: usize) -> bool {
        self.store.values("\"up\"").values().map(Vec::len).sum::<usize>() >= at_least
    }

    fn metric(&self, name: &str) -> f64 {
        let mut gather = Gather::default();
        self.metrics.collect(&mut gather);
        let family = gather.families().find(|(n, _)| *n == name).map(|(_, f)| f);
        family.unwrap().lines().map(|line| line.value).sum()
    }
}

#[tokio::test]
async fn a_scrape_and_its_report() {
    let fake = Fake::start(text("# HELP a Text.\n# TYPE a counter\na{x=\"1\"} 5\nb 2 123\n")).await;
    let bench = Bench::new("params: {p: [v w]}\nextra_scrape_metrics: true");
    bench.target(&[&fake.address]);
    bench.until("three scrapes", |b| b.ups(3)).await;
    let instance = &fake.address;
    assert_eq!(
        bench.store.of(&format!("{{__name__=\"a\", instance=\"{instance}\", job=\"j\", x=\"1\"}}"))[..2],
        ["5", "5"]
    );
    assert_eq!(bench.store.times("\"b\"")[..1], [123]);
    assert_eq!(bench.store.of("\"up\"")[..2], ["1", "1"]);
    assert_eq!(bench.store.of("scrape_samples_scraped")[..2], ["2", "2"]);
    assert_eq!(bench.store.of("scrape_samples_post_metric_relabeling")[0], "2");
    assert_eq!(bench.store.of("scrape_series_added")[..2], ["2", "0"]);
    assert_eq!(bench.store.of("scrape_timeout_seconds")[0], "0.08");
    assert_eq!(bench.store.of("scrape_sample_limit")[0], "0");
    assert_eq!(bench.store.of("scrape_body_size_bytes")[0], "51");
    let times = bench.store.times("\"up\"");
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    // One connection serves all scrapes.
    assert_eq!(fake.connections.load(Ordering::Relaxed), 1);
    let request = fake.requests.lock()[0].clone();
    assert!(request.starts_with("GET /metrics?p=v+w HTTP/1.1\r\n"), "{request}");
    for header in [
        "User-Agent: Prometheus/0",
        "X-Prometheus-Scrape-Timeout-Seconds: 0.08",
        "Accept-Encoding: gzip",
        "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,",
    ] {
        assert!(request.contains(header), "{header} in {request}");
    }
    let active = &bench.manager.active_targets()[0];
    assert_eq!(active.last.health, Health::Up);
    assert_eq!(active.target.url, format!("http://{instance}/metrics?p=v+w"));
    let mut families = Vec::new();
    active.metadata.for_each(|family, metadata| families.push((family.to_owned(), metadata.help.clone())));
    assert_eq!(families, [("a".to_owned(), "Text.".to_owned())]);
    assert_eq!(bench.metric("prometheus_target_metadata_cache_entries"), 1.0);
    assert!(bench.metric("prometheus_target_interval_length_histogram_seconds") > 0.0);
    bench.manager.stop().await;
    let before = bench.store.of("\"up\"").len();
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(bench.store.of("\"up\"").len(), before);
    assert!(!bench.store.of("\"a\"").contains(&"stale".to_owned()));
}

#[tokio::test]
async fn vanished_series_and_failed_scrapes_are_marked_stale() {
    let fake = Fake::start(text("a 1\nb 1\n")).await;
    let bench = Bench::new("");
    bench.target(&[&fake.address]);
    bench.until("two scrapes", |b| b.ups(2)).await;
    fake.set(text("a 1\n"));
    bench.until("b is gone", |b| b.store.of("\"b\"").last().is_some_and(|v| v == "stale")).await;
    assert!(!bench.store.of("\"a\"").contains(&"stale".to_owned()));
    for (answer, error) in [
        (Answer::Status(500), "server returned HTTP status 500 Internal Server Error"),
        (
            text("a 1\nb 1\nbroken\n"),
            "expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"broken\\n\" (line 3)",
        ),
        (text("a{b=\"1\",b=\"2\"} 1"), "label name \"b\" is not unique: invalid sample"),
        (
            Answer::Body("", b"a 1".to_vec()),
            "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target",
        ),
    ] {
        fake.set(text("a 1\n"));
        bench.until("a is there", |b| b.store.of("\"a\"").last().is_some_and(|v| v == "1")).await;
        fake.set(answer);
        bench.until("a is stale", |b| b.store.of("\"a\"").last().is_some_and(|v| v == "stale")).await;
        bench.until("the error is told", |b| b.error() == error).await;
        assert_eq!(bench.store.of("\"up\"").last().unwrap(), "0");
    }
    // A series that only failed scrapes had was never stored.
    assert_eq!(bench.store.values("b=\"1\"").len(), 0);
    bench.manager.stop().await;
}

#[tokio::test]
async fn one_bad_target_does_not_slow_others() {
    let good = Fake::start(text("a 1\n")).await;
    let hanging = Fake::start(Answer::Hang).await;
    let half = Fake::start(Answer::HalfBody).await;
    let endless = Fake::start(Answer::Endless).await;
    let refused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let bench = Bench::new("body_size_limit: 100KB");
    let fakes = [&good.address, &hanging.address, &half.address, &endless.address, &refused];
    bench.target(&fakes.map(String::as_str));
    let up = |b: &Bench, address: &str| b.store.of(&format!("\"up\", instance=\"{address}\""));
    bench.until("each scraped five times", |b| fakes.iter().all(|f| up(b, f).len() >= 5)).await;
    bench.manager.stop().await;
    assert!(up(&bench, &good.address).iter().all(|v| v == "1"));
    for bad in &fakes[1..] {
        assert!(up(&bench, bad).iter().all(|v| v == "0"), "{bad}");
    }
    // What is over the limit is not read: a few socket buffers per scrape at most.
    let scrapes = up(&bench, &endless.address).len();
    let sent = endless.sent.load(Ordering::Relaxed);
    assert!(sent / scrapes < 12_000_000, "{sent} bytes in {scrapes} scrapes");
    assert!(bench.metric("prometheus_target_scrapes_exceeded_body_size_limit_total") >= 5.0);
}

#[tokio::test]
async fn errors_of_connections() {
    let fake = Fake::start(Answer::Hang).await;
    let bench = Bench::new("");
    bench.target(&[&fake.address]);
    let url = format!("http://{}/metrics", fake.address);
    let want = format!("Get {url:?}: context deadline exceeded");
    bench.until("out of time", |b| b.error() == want).await;
    fake.set(Answer::HalfBody);
    bench.until("out of time in the body", |b| b.error() == "context deadline exceeded").await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    bench.target(&[&gone]);
    let want = format!("Get \"http://{gone}/metrics\": dial tcp {gone}: connect: connection refused");
    bench.until("refused", |b| b.error() == want).await;
    bench.manager.stop().await;
}

#[tokio::test]
async fn limits_take_everything_back() {
    for (settings, body, error, metric) in [
        (
            "sample_limit: 2",
            "a 1\nb 2\nc 3\n",
            "sample limit exceeded",
            "prometheus_target_scrapes_exceeded_sample_limit_total",
        ),
        (
            "label_limit: 3",
            "a 1\nb{x=\"1\"} 2\n",
            "label_limit exceeded (metric: b, number of labels: 4, limit: 3)",
            "prometheus_target_scrape_pool_exceeded_label_limits_total",
        ),
        (
            "label_name_length_limit: 8",
            "a 1\nb{long_name=\"1\"} 2\n",
            "label_name_length_limit exceeded (metric: b, label name: long_name, length: 9, limit: 8)",
            "prometheus_target_scrape_pool_exceeded_label_limits_total",
        ),
        (
            "label_value_length_limit: 20",
            "a 1\nb{x=\"long \\n value ... ........\"} 2\n",
            "label_value_length_limit exceeded (metric: b, label name: x, value: \"long \\n value ... ........\", length: 25, limit: 20)",
            "prometheus_target_scrape_pool_exceeded_label_limits_total",
        ),
        (
            "body_size_limit: 9B",
            "a 1\nb 2\n#",
            "body size limit exceeded",
            "prometheus_target_scrapes_exceeded_body_size_limit_total",
        ),
    ] {
        let fake = Fake::start(text(body)).await;
        let bench = Bench::new(&format!(
            "{settings}\nrelabel_configs: [{{target_label: instance, replacement: i}}]\nextra_scrape_metrics: true"
        ));
        bench.target(&[&fake.address]);
        bench.until("two scrapes", |b| b.ups(2)).await;
        assert_eq!(bench.error(), error);
        assert!(bench.metric(metric) >= 1.0);
        assert_eq!(bench.store.values("\"a\"").len(), 0, "{settings}");
        assert_eq!(bench.store.of("\"up\"")[0], "0");
        let scraped =
            if settings.starts_with("body") { "0" } else { if body.contains("c 3") { "3" } else { "2" } };
        assert_eq!(bench.store.of("scrape_samples_scraped")[0], scraped, "{settings}");
        let bytes = if settings.starts_with("body") { "-1".to_owned() } else { body.len().to_string() };
        assert_eq!(bench.store.of("scrape_body_size_bytes")[0], bytes, "{settings}");
        bench.manager.stop().await;
    }
}

#[tokio::test]
async fn target_limit_fails_all_targets_of_the_job() {
    let fakes = [Fake::start(text("a 1\n")).await, Fake::start(text("a 1\n")).await];
    let bench = Bench::new("target_limit: 1");
    bench.target(&[&fakes[0].address, &fakes[1].address]);
    bench.until("two scrapes", |b| b.ups(4)).await;
    assert_eq!(bench.error(), "target_limit exceeded (number of targets: 2, limit: 1)");
    assert!(fakes.iter().all(|fake| fake.requests.lock().is_empty()));
    assert_eq!(bench.metric("prometheus_target_scrape_pool_exceeded_target_limit_total"), 1.0);
    bench.target(&[&fakes[0].address]);
    bench.until("scraped again", |b| b.last().iter().all(|last| last.health == Health::Up)).await;
    bench.manager.stop().await;
}

#[tokio::test]
async fn refused_samples_are_counted_and_dropped() {
    let far = SystemClock.now_ms() + 3_600_000;
    let fake = Fake::start(text(&format!("a 1\na 2\nok 1\nahead 1 {far}\n"))).await;
    let bench = Bench::new("");
    bench.target(&[&fake.address]);
    bench.until("two scrapes", |b| b.ups(2)).await;
    bench.manager.stop().await;
    assert!(bench.store.of("\"up\"").iter().all(|v| v == "1"));
    assert_eq!(bench.store.of("\"a\"")[0], "1");
    assert_eq!(bench.store.values("ahead").len(), 0);
    assert_eq!(bench.store.of("scrape_samples_post_metric_relabeling")[0], "4");
    assert!(bench.metric("prometheus_target_scrapes_sample_duplicate_timestamp_total") >= 2.0);
    assert!(bench.metric("prometheus_target_scrapes_sample_out_of_bounds_total") >= 2.0);
}

#[tokio::test]
async fn labels_honored_renamed_and_relabelled() {
    let body = "a{job=\"own\",instance=\"\",exported_job=\"e\"} 1\ndropped 1\n";
    let fake = Fake::start(text(body)).await;
    let drop = "metric_relabel_configs: [{source_labels: [__name__], regex: dropped, action: drop}]";
    for (honor, want) in [
        (
            false,
            format!(
                "{{__name__=\"a\", exported_exported_job=\"own\", exported_job=\"e\", instance=\"{}\", job=\"j\"}}",
                fake.address
            ),
        ),
        (true, "{__name__=\"a\", exported_job=\"e\", job=\"own\"}".to_owned()),
    ] {
        let bench = Bench::new(&format!("honor_labels: {honor}\n{drop}"));
        bench.target(&[&fake.address]);
        bench.until("two scrapes", |b| b.ups(2)).await;
        bench.manager.stop().await;
        assert_eq!(bench.store.values("\"a\"").keys().next(), Some(&want));
        assert_eq!(bench.store.values("\"dropped\"").len(), 0);
        assert_eq!(bench.store.of("scrape_samples_scraped")[0], "2");
        assert_eq!(bench.store.of("scrape_samples_post_metric_relabeling")[0], "1");
    }
}

#[tokio::test]
async fn reload_keeps_series_going() {
    let fake = Fake::start(text("a 1\nb 1\n")).await;
    let bench = Bench::new("");
    bench.target(&[&fake.address]);
    bench.until("two scrapes", |b| b.ups(2)).await;
    let requests = fake.requests.lock().len();
    // The same settings: nothing happens. Another limit: the loop goes on with the same series.
    bench.apply("");
    bench.apply("sample_limit: 1000");
    bench.until("scraped on", |b| b.ups(requests + 3)).await;
    assert_eq!(bench.store.of("scrape_series_added").iter().filter(|v| *v != "0").count(), 1);
    assert!(bench.store.values("").values().flatten().all(|v| v != "stale"));
    assert_eq!(bench.metric("prometheus_target_scrape_pool_reloads_total"), 1.0);
    // Rules that make other series: what is no longer there is marked after two intervals.
    bench.apply("metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]");
    bench.until("b is gone", |b| b.store.of("\"b\"").last().is_some_and(|v| v == "stale")).await;
    bench.until("a goes on", |b| b.store.of("\"a\"").last().is_some_and(|v| v == "1")).await;
    assert_eq!(fake.connections.load(Ordering::Relaxed), 3);
    let bad = job(&format!("{FAST}scrape_failure_log_file: /dev/null/x"));
    assert!(matches!(bench.manager.prepare(&[bad]), Err(ApplyError::FailureLog { .. })));
    bench.manager.apply(bench.manager.prepare(&[]).unwrap(), &Labels::empty());
    assert!(bench.manager.pools().is_empty());
    bench.manager.stop().await;
}

#[tokio::test]
async fn removed_targets_are_marked_stale_later() {
    let fake = Fake::start(text("a 1\n")).await;
    let bench = Bench::new("");
    bench.target(&[&fake.address]);
    bench.until("two scrapes", |b| b.ups(2)).await;
    bench.target(&[]);
    assert!(bench.manager.active_targets().is_empty());
    bench.until("marked", |b| b.store.of("\"up\"").last().is_some_and(|v| v == "stale")).await;
    assert_eq!(bench.store.of("\"a\"").last().unwrap(), "stale");
    // It comes back, goes, and comes back at once: the marks of the loop that ended come too late.
    bench.target(&[&fake.address]);
    bench.until("back", |b| b.store.of("\"up\"").last().is_some_and(|v| v == "1")).await;
    let scrapes = bench.store.of("\"up\"").len();
    bench.target(&[]);
    bench.target(&[&fake.address]);
    bench.until("scraped on", |b| b.ups(scrapes + 6)).await;
    assert_eq!(bench.store.of("\"up\"").iter().filter(|v| *v == "stale").count(), 1);
    bench.manager.stop().await;
}

#[tokio::test]
async fn dropped_duplicate_and_failed_targets() {
    let fake = Fake::start(text("a 1\n")).await;
    let bench = Bench::new(
        "keep_dropped_targets: 1\nrelabel_configs: [{source_labels: [__address__], regex: 'drop.*', action: drop}]",
    );
    bench.target(&[&fake.address, &fake.address, "drop:1", "drop:2", "a/b", ""]);
    assert_eq!(bench.manager.active_targets().len(), 1);
    let dropped = bench.manager.dropped_targets().remove("j").unwrap();
    assert_eq!((dropped.discovered_labels.len(), dropped.count), (1, 2));
    assert_eq!(dropped.discovered_labels[0].get("__address__"), Some("drop:1"));
    assert_eq!(dropped.discovered_labels[0].get("__scrape_interval__"), Some("100ms"));
    assert_eq!(bench.metric("prometheus_target_sync_failed_total"), 2.0);
    bench.manager.stop().await;
}

#[tokio::test]
async fn exemplars_and_metadata_reach_the_store() {
    let body = "# TYPE c counter\n# HELP c Count.\nc_total 1 # {trace_id=\"t\"} 0.5 1.5\nother 2\n# EOF\n";
    let fake = Fake::start(Answer::Body("application/openmetrics-text; version=1.0.0", body.into())).await;
    let options = AppendOptions { metadata: true, exemplars: true, ..AppendOptions::default() };
    let bench = Bench::with("", options);
    bench.target(&[&fake.address]);
    bench.until("two scrapes", |b| b.ups(2)).await;
    bench.manager.stop().await;
    let series = bench.store.series.lock();
    let counter = series.iter().find(|s| s.labels.contains("c_total")).unwrap();
    assert_eq!(counter.metadata.as_ref().unwrap().help, "Count.");
    assert_eq!(counter.exemplars[0].t, Some(1500));
    assert_eq!(counter.exemplars[0].labels.get("trace_id"), Some("t"));
    assert!(series.iter().find(|s| s.labels.contains("other")).unwrap().metadata.is_none());
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

#[tokio::test]
async fn start_timestamps_reach_the_store_when_asked_for() {
    let body = "# TYPE c counter\nc_total 5\nc_created 1.5\n# TYPE g gauge\ng 1\n# EOF\n";
    let fake = Fake::start(Answer::Body(OPENMETRICS, body.into())).await;
    for (start_timestamps, counter, created) in [(true, "5 from 1500", None), (false, "5", Some("1.5"))] {
        let bench = Bench::with("", AppendOptions { start_timestamps, ..AppendOptions::default() });
        bench.target(&[&fake.address]);
        bench.until("two scrapes", |b| b.ups(2)).await;
        bench.manager.stop().await;
        assert_eq!(bench.store.of("\"c_total\"")[0], counter);
        assert_eq!(bench.store.of("\"g\"")[0], "1");
        let values = bench.store.values("\"c_created\"");
        assert_eq!(values.values().next().map(|values| values[0].as_str()), created);
    }
}

#[tokio::test]
async fn start_timestamps_are_made_up_when_asked_for() {
    let body = |n: u32| {
        Answer::Body(
            OPENMETRICS,
            format!(
                "# TYPE told counter\ntold_total 7\ntold_created 1.5\n# TYPE c counter\nc_total {n}\n\
                 # TYPE s summary\ns{{quantile=\"0.5\"}} 1\ns_count {n}\n# TYPE g gauge\ng {n}\n# EOF\n"
            )
            .into(),
        )
    };
    let fake = Fake::start(body(100)).await;
    let options =
        AppendOptions { start_timestamps: true, synthesize_start: true, ..AppendOptions::default() };
    let bench = Bench::with("", options);
    bench.target(&[&fake.address]);
    bench.until("two scrapes", |b| b.ups(2)).await;
    fake.set(body(103));
    bench.until("grown", |b| b.store.of("\"c_total\"").iter().any(|v| v.starts_with("3 from"))).await;
    fake.set(body(2));
    bench.until("reset", |b| b.store.of("\"c_total\"").iter().any(|v| v.starts_with("2 from"))).await;
    bench.manager.stop().await;
    assert_eq!(bench.store.of("\"g\"")[0], "100");
    assert_eq!(bench.store.of("quantile")[0], "1");
    assert_eq!(bench.store.of("\"told_total\"")[0], "7 from 1500");
    let ups = bench.store.times("\"up\"");
    for counted in ["\"c_total\"", "\"s_count\""] {
        // The first sample is where counting begins, and not stored.
        let (values, times) = (bench.store.of(counted), bench.store.times(counted));
        assert_eq!(values[0], format!("0 from {}", ups[0]));
        assert_eq!(times[0], ups[1]);
        let at = values.iter().position(|v| v.starts_with("2 from")).unwrap();
        assert_eq!(values[at], format!("2 from {}", times[at] - 1));
    }
    assert_eq!(bench.store.of("scrape_series_added")[..2], ["5", "0"]);
    assert_eq!(bench.store.of("scrape_samples_post_metric_relabeling")[..2], ["5", "5"]);
}

#[tokio::test]
async fn type_and_unit_become_labels() {
    let body = "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds{__type__=\"own\",__unit__=\"own\"} 1\n\
                # TYPE b unknown\nb{__type__=\"own\"} 2\n# EOF\n";
    let fake = Fake::start(Answer::Body("application/openmetrics-text; version=1.0.0", body.into())).await;
    for (type_and_unit_labels, a, b) in [
        (true, "__type__=\"gauge\", __unit__=\"seconds\"", "__type__=\"own\""),
        (false, "__type__=\"own\", __unit__=\"own\"", "__type__=\"own\""),
    ] {
        let options = AppendOptions { type_and_unit_labels, ..AppendOptions::default() };
        let bench = Bench::with("", options);
        bench.target(&[&fake.address]);
        bench.until("two scrapes", |b| b.ups(2)).await;
        bench.manager.stop().await;
        assert_eq!(bench.store.values(&format!("\"a_seconds\", {a}, instance")).len(), 1, "{a}");
        assert_eq!(bench.store.values(&format!("\"b\", {b}")).len(), 1, "{b}");
        // Reports have neither.
        assert_eq!(bench.store.values("\"up\", instance").len(), 1);
    }
}

#[tokio::test]
async fn a_full_disk_does_not_end_scraping() {
    let fake = Fake::start(text("a 1\n")).await;
    let bench = Bench::new("");
    bench.store.fails.store(true, Ordering::Relaxed);
    bench.target(&[&fake.address]);
    bench.until("three tries", |_| fake.requests.lock().len() >= 3).await;
    assert!(bench.store.values("").is_empty());
    bench.store.fails.store(false, Ordering::Relaxed);
    bench.until("stored again", |b| b.ups(2)).await;
    bench.manager.stop().await;
}

#[tokio::test]
async fn native_histograms_by_protobuf() {
    use wire::protobuf::Message;
    let span = Message::new().zigzag(1, 0).varint(2, 3);
    let bucket = Message::new().varint(1, 2).double(2, 1.0);
    let histogram = Message::new()
        .varint(1, 6)
        .double(2, 9.0)
        .bytes(3, bucket)
        .zigzag(5, 8)
        .bytes(12, span)
        .zigzags(13, &[1, 1, 1]);
    let metric = Message::new().bytes(7, histogram);
    let body = Message::new().bytes(1, "h").varint(3, 4).bytes(4, metric).delimited();
    let content_type =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let fake = Fake::start(Answer::Body(content_type, body)).await;
    for (settings, want) in [
        // The factor asks for coarser buckets, the limit for fewer of them.
        (
            "scrape_native_histograms: true\nnative_histogram_min_bucket_factor: 1.5",
            vec![("{__name__=\"h\"", "schema 0")],
        ),
        (
            "scrape_native_histograms: true\nnative_histogram_bucket_limit: 2",
            vec![("{__name__=\"h\"", "schema 7")],
        ),
        (
            "scrape_native_histograms: false",
            vec![("\"h_count\"", "6"), ("le=\"1.0\"", "2"), ("le=\"+Inf\"", "6")],
        ),
        ("convert_classic_histograms_to_nhcb: true", vec![("{__name__=\"h\"", "schema -53 [2, 2] [1.0]")]),
        (
            "scrape_native_histograms: true\nalways_scrape_classic_histograms: true",
            vec![("{__name__=\"h\"", "schema 8"), ("\"h_sum\"", "9")],
        ),
    ] {
        let bench = Bench::new(settings);
        bench.target(&[&fake.address]);
        bench.until("two scrapes", |b| b.ups(2)).await;
        bench.manager.stop().await;
        for (series, value) in want {
            let values = bench.store.of(series);
            assert!(values.first().is_some_and(|v| v.starts_with(value)), "{settings}: {series} {values:?}");
        }
    }
}
