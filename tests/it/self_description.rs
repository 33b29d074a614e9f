//! What the server tells of itself and its state: features, notifications, its own figures in every format, the query log,
//! jobs as configured, an operator's own files.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fakes;
use crate::harness::server::Server;
use crate::harness::{eventually, http};

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn queries_of_clients_and_rules_are_logged_until_the_configuration_says_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let rules = "groups: [{name: g, interval: 1s, rules: [{record: a, expr: vector(1)}]}]\n";
    std::fs::write(dir.path().join("rules.yml"), rules).unwrap();
    let with_log = "global: {query_log_file: queries.json}\nrule_files: [rules.yml]\n";
    let flags = ["--web.enable-lifecycle", "--web.route-prefix=/p"];
    let server = Server::start_at(dir.path(), with_log, &flags, "/p/-/ready");
    let path = dir.path().join("queries.json");
    let query = server.url("/p/api/v1/query_range?query=up&start=0&end=60&step=15");
    assert_eq!(http::get(&query).status, 200);
    eventually("a rule's query in the log", Duration::from_secs(20), || {
        let logged = lines(&path);
        logged.iter().find(|line| line["ruleGroup"]["name"] == "g").map(|line| {
            let file = line["ruleGroup"]["file"].as_str().unwrap();
            assert!(file.ends_with("rules.yml"), "{file}");
            assert_eq!(line["params"]["query"], "vector(1)");
        })
    });
    let asked = lines(&path).into_iter().find(|line| line["params"]["query"] == "up").unwrap();
    assert_eq!(asked["msg"], "promql query logged");
    assert_eq!(
        asked["httpRequest"],
        json!({"clientIP": "127.0.0.1", "method": "GET", "path": "/p/api/v1/query_range"})
    );
    assert_eq!(
        asked["params"],
        json!({"start": "1970-01-01T00:00:00.000Z", "end": "1970-01-01T00:01:00.000Z", "query": "up", "step": 15})
    );
    assert!(asked["stats"]["timings"]["execTotalTime"].as_f64().unwrap() > 0.0);
    let metrics = |name: &str| {
        let body = server.get("/p/metrics").body;
        body.lines().find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned)).unwrap()
    };
    assert_eq!(metrics("prometheus_engine_query_log_enabled"), "1");

    // Rotated: the next reload opens the file again.
    std::fs::rename(&path, dir.path().join("old.json")).unwrap();
    let reload = server.url("/p/-/reload");
    assert_eq!(http::post(&reload).status, 200);
    http::get(&query);
    assert!(lines(&path).iter().any(|line| line["params"]["query"] == "up"));

    // A file that cannot be opened: the reload says so, and the log goes on.
    std::fs::create_dir(dir.path().join("directory")).unwrap();
    let config = dir.path().join("trivium.yml");
    std::fs::write(&config, with_log.replace("queries.json", "directory")).unwrap();
    let refused = http::post(&reload);
    assert_eq!(refused.status, 500);
    assert!(refused.body.contains("query_log_file"), "{}", refused.body);

    std::fs::write(&config, "").unwrap();
    assert_eq!(http::post(&reload).status, 200);
    assert_eq!(metrics("prometheus_engine_query_log_enabled"), "0");
    let before = lines(&path).len();
    http::get(&query);
    assert_eq!(lines(&path).len(), before);
}

#[test]
fn notifications_tell_of_a_failed_reload_and_end_with_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--web.enable-lifecycle", "--web.max-notifications-subscribers=1"];
    let server = Server::start(dir.path(), "", &flags);
    let active = || server.get("/api/v1/notifications").json()["data"].take();
    assert_eq!(active(), json!([]));

    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET /api/v1/notifications/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = BufReader::new(stream).lines().map(Result::unwrap);
    let head: Vec<String> = answer.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(head[0].contains(" 200 "), "{head:?}");
    assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
    assert_eq!(server.get("/api/v1/notifications/live").status, 204, "one reader is allowed");
    let mut event = || {
        let line = answer.find(|line| line.starts_with("data: ")).expect("an event");
        let event: Value = serde_json::from_str(&line["data: ".len()..]).unwrap();
        (event["text"].as_str().unwrap().to_owned(), event["active"].as_bool().unwrap())
    };

    let config = dir.path().join("trivium.yml");
    std::fs::write(&config, "nonsense: 1\n").unwrap();
    assert_eq!(http::post(&server.url("/-/reload")).status, 500);
    let failed = "Configuration reload has failed.".to_owned();
    assert_eq!(event(), (failed.clone(), true));
    assert_eq!(active()[0]["text"], failed);
    std::fs::write(&config, "").unwrap();
    assert_eq!(http::post(&server.url("/-/reload")).status, 200);
    assert_eq!(event(), (failed, false));
    assert_eq!(active(), json!([]));

    let (status, took) = server.terminate();
    assert!(status.success() && took < Duration::from_secs(10), "{status} after {took:?}");
    let (text, active) = event();
    assert!(text.starts_with("Prometheus is shutting down") && active, "{text}");
}

#[test]
fn own_figures_can_be_scraped_as_protobuf_and_read_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let port = crate::harness::free_port();
    let config = format!(
        "scrape_configs:\n- {{job_name: self, scrape_interval: 1s, scrape_timeout: 1s, \
         scrape_protocols: [PrometheusProto], static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
    );
    let also = format!("--web.listen-address=127.0.0.1:{port}");
    let server = Server::start(dir.path(), &config, &[&also]);
    server.wait_for_value("up{job=\"self\"}", 1.0);
    server.wait_for("prometheus_http_request_duration_seconds_bucket{le=\"0.1\",handler=\"/metrics\"}");
    server.wait_for("prometheus_engine_query_duration_seconds{quantile=\"0.9\",slice=\"inner_eval\"}");
    let kind = http::data(&server.url("/api/v1/query"), &[("query", "prometheus_http_requests_total")]);
    assert!(!kind["result"].as_array().unwrap().is_empty());
    let metadata = server.get("/api/v1/metadata?metric=prometheus_http_requests_total").json();
    assert_eq!(metadata["data"]["prometheus_http_requests_total"][0]["type"], "counter");

    let families = server.get("/api/v1/status/self_metrics").json()["data"].take();
    let ready = families.as_array().unwrap().iter().find(|f| f["name"] == "prometheus_ready").unwrap();
    assert_eq!(ready["type"], "GAUGE");
    assert_eq!(ready["metric"], json!([{"gauge": {"value": 1}}]));
}

#[test]
fn jobs_show_their_configuration_and_the_steps_of_relabelling() {
    let dir = tempfile::tempdir().unwrap();
    let target = fakes::counter();
    let config = format!(
        "scrape_configs:
- job_name: j
  basic_auth: {{username: u, password: hidden}}
  static_configs: [{{targets: ['127.0.0.1:{target}']}}]
  relabel_configs:
  - {{source_labels: [a], target_label: b}}
  - {{source_labels: [b], regex: x, action: drop}}
"
    );
    let server = Server::start(dir.path(), &config, &[]);
    let yaml = server.get("/api/v1/scrape_pools/config?scrapePool=j").json()["data"]["yaml"].take();
    let yaml = yaml.as_str().unwrap();
    assert!(yaml.starts_with("job_name: j\n") && yaml.contains("password: <secret>"), "{yaml}");
    let step = |labels: &str| {
        let labels = form(labels);
        server.get(&format!("/api/v1/targets/relabel_steps?scrapePool=j&labels={labels}"))
    };
    let steps = step("{\"a\":\"x\"}").json()["data"]["steps"].take();
    assert_eq!((&steps[0]["output"], &steps[0]["keep"]), (&json!({"a": "x", "b": "x"}), &json!(true)));
    assert_eq!((&steps[1]["output"], &steps[1]["keep"]), (&json!({}), &json!(false)));
    assert_eq!(steps[1]["rule"]["action"], "drop");
    for (url, message) in [
        ("/api/v1/scrape_pools/config", "no scrapePool parameter provided"),
        (
            "/api/v1/scrape_pools/config?scrapePool=x",
            "error retrieving scrape config: scrape pool \"x\" not found",
        ),
        ("/api/v1/targets/relabel_steps?scrapePool=j", "no labels parameter provided"),
    ] {
        let refused = server.get(url);
        assert_eq!(refused.status, 400, "{url}");
        assert_eq!(refused.json()["error"], message, "{url}");
    }
    assert_eq!(step("x").status, 400);
}

fn form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[test]
fn names_are_searched_and_streamed() {
    let dir = tempfile::tempdir().unwrap();
    let target = fakes::counter();
    let config = format!(
        "scrape_configs:\n- {{job_name: app, scrape_interval: 1s, scrape_timeout: 1s, \
         static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}\n"
    );
    let flags = ["--enable-feature=search-api", "--web.search.max-limit=5"];
    let server = Server::start(dir.path(), &config, &flags);
    server.wait_for("up");
    let search = |path: &str| {
        let answer = server.get(&format!("/api/v1/search/{path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/x-ndjson; charset=utf-8");
        answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let end = |has_more| json!({"status": "success", "has_more": has_more});
    assert_eq!(
        search("metric_names?search[]=up&include_score=true&limit=1"),
        [json!({"results": [{"name": "up", "score": 1}]}), end(false)]
    );
    assert_eq!(
        search("label_names?limit=2&batch_size=1"),
        [json!({"results": [{"name": "__name__"}]}), json!({"results": [{"name": "instance"}]}), end(true)]
    );
    assert_eq!(
        search("label_values?label=job&search[]=APP&case_sensitive=false"),
        [json!({"results": [{"value": "app"}]}), end(false)]
    );
    assert_eq!(search("metric_names?search[]=nothing_like_it"), [json!({"results": []}), end(false)]);
    for (path, message) in [
        ("label_values", "missing required parameter \"label\""),
        ("label_names?limit=6", "limit 6 exceeds the configured maximum (5, see --web.search.max-limit)"),
        ("label_names?fuzz_threshold=101", "invalid fuzz_threshold \"101\": must be 0-100"),
        ("label_names?sort_by=score", "sort_by=score requires search[] to be set"),
        ("label_names?start=2&end=1", "end timestamp must not be before start timestamp"),
    ] {
        let refused = server.get(&format!("/api/v1/search/{path}"));
        assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some(message)), "{path}");
    }
}

#[test]
fn features_and_user_assets_follow_the_flags() {
    let dir = tempfile::tempdir().unwrap();
    let assets = dir.path().join("assets");
    std::fs::create_dir(&assets).unwrap();
    std::fs::write(assets.join("a.css"), "b{}").unwrap();
    let flags = [
        format!("--web.user-assets={}", assets.display()),
        "--enable-feature=concurrent-rule-eval".to_owned(),
    ];
    let server = Server::start(dir.path(), "", &flags.each_ref().map(String::as_str));
    let features = server.get("/api/v1/features").json()["data"].take();
    assert_eq!(features["promql_functions"]["rate"], true);
    assert_eq!(features["rules"]["concurrent_rule_eval"], true);
    assert_eq!(features["service_discovery_providers"]["file"], true);
    let asset = server.get("/user/a.css");
    assert_eq!((asset.status, asset.header("content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(asset.body, "b{}");
    // To the clean path, which is no asset's.
    assert_eq!(server.get("/user/../trivium.yml").status, 307);
    assert_eq!(server.get("/user/%2e%2e/trivium.yml").status, 404);
    let log = server.process.log();
    assert!(!log.contains("not in this version") && !log.contains("no effect"), "{log}");
}
