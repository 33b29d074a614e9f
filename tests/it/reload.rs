//! A changed configuration is applied whole or not at all, by signal and by request.

use std::path::Path;
use std::time::Duration;

use crate::fakes;
use crate::harness::server::Server;
use crate::harness::{eventually, http};

fn config(jobs: &[(&str, u16)]) -> String {
    let mut text =
        "global: {scrape_interval: 500ms, scrape_timeout: 400ms}\nrule_files: [rules.yml]\nscrape_configs:\n"
            .to_owned();
    for (job, port) in jobs {
        text += &format!("- {{job_name: {job}, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n");
    }
    text
}

fn write(dir: &Path, config: &str, rules: &str) {
    std::fs::write(dir.join("trivium.yml"), config).unwrap();
    std::fs::write(dir.join("rules.yml"), rules).unwrap();
}

fn rule(name: &str) -> String {
    format!("groups: [{{name: g, interval: 1s, rules: [{{record: {name}, expr: 'vector(1)'}}]}}]\n")
}

fn reload_succeeded(server: &Server) -> bool {
    server.get("/metrics").body.contains("\nprometheus_config_last_reload_successful 1\n")
}

#[test]
fn reload_is_whole_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (fakes::counter(), fakes::counter());
    write(dir.path(), &config(&[("a", a)]), &rule("rule_one"));
    let server = Server::restart(dir.path(), &["--web.enable-lifecycle"]);
    let reload = server.url("/-/reload");
    server.wait_for("scrapes_total{job=\"a\"} >= 3");
    server.wait_for("rule_one");

    // By request: a job and a rule are added; the target that stays keeps its state.
    write(dir.path(), &config(&[("a", a), ("b", b)]), &rule("rule_two"));
    assert_eq!(http::post(&reload).status, 200);
    server.wait_for("scrapes_total{job=\"b\"}");
    server.wait_for("rule_two");
    let config_shown =
        server.get("/api/v1/status/config").json()["data"]["yaml"].as_str().unwrap().to_owned();
    assert!(config_shown.contains("job_name: b"), "{config_shown}");
    // Reloading started no second loop and lost no scrape: the counter grew by one each time.
    // In one query, because scraping goes on between two.
    let lost = "count_over_time(scrapes_total{job=\"a\"}[1m]) - 1 - changes(scrapes_total{job=\"a\"}[1m])";
    assert_eq!(server.value(lost), Some(0.0));
    assert_eq!(server.query("scrapes_total{job=\"a\"}").len(), 1);

    // A bad main file: refused with file, line and column; everything goes on as before.
    std::fs::write(dir.path().join("trivium.yml"), config(&[("c", b)]).replace("job_name", "job_nam"))
        .unwrap();
    let refused = http::post(&reload);
    assert_eq!(refused.status, 500);
    assert!(refused.body.contains("trivium.yml:4:4"), "{}", refused.body);
    assert!(!reload_succeeded(&server));
    eventually("the log to tell", Duration::from_secs(5), || {
        server.process.log().contains("job_nam").then_some(())
    });

    // A bad rule file with a good main file: nothing of either is applied.
    write(dir.path(), &config(&[("c", b)]), "groups: [{name: g, rules: [{record: r, expr: 'sum('}]}]\n");
    let refused = http::post(&reload);
    assert_eq!(refused.status, 500);
    assert!(refused.body.contains("rules.yml:1"), "{}", refused.body);
    server.wait_for("scrapes_total{job=\"b\"} offset 1s");
    assert!(server.query("up{job=\"c\"}").is_empty());

    // Good files of which a part cannot be set up: nothing of them is applied either.
    let unusable = config(&[("c", b), ("d", b)])
        .replace("job_name: d", "job_name: d, scrape_failure_log_file: /dev/null/x");
    write(dir.path(), &unusable, &rule("rule_unusable"));
    let refused = http::post(&reload);
    assert_eq!(refused.status, 500);
    assert!(refused.body.contains("/dev/null/x"), "{}", refused.body);
    assert!(!reload_succeeded(&server));
    server.wait_for("scrapes_total{job=\"b\"} offset 1s");
    assert!(server.query("up{job=\"c\"}").is_empty());
    assert!(server.query("rule_unusable").is_empty());

    // By signal: back to one job; the other's series end.
    write(dir.path(), &config(&[("b", b)]), &rule("rule_three"));
    server.process.signal("HUP");
    eventually("the reload", Duration::from_secs(10), || reload_succeeded(&server).then_some(()));
    server.wait_for("rule_three");
    eventually("the removed job's series to end", Duration::from_secs(10), || {
        server.query("{job=\"a\"}").is_empty().then_some(())
    });
}

#[test]
fn lifecycle_needs_its_flag() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "global: {}\n", &[]);
    for path in ["/-/reload", "/-/quit"] {
        assert_eq!(http::post(&server.url(path)).status, 403, "{path}");
        assert_eq!(server.get(path).status, 405, "{path}");
    }
    assert_eq!(server.get("/-/healthy").status, 200);
    let snapshot = http::post(&server.url("/api/v1/admin/tsdb/snapshot"));
    assert!(snapshot.body.contains("admin APIs disabled"), "{}", snapshot.body);
}

#[test]
fn quit_ends_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), "global: {}\n", &["--web.enable-lifecycle"]);
    assert_eq!(http::post(&server.url("/-/quit")).status, 200);
    assert!(server.process.wait(Duration::from_secs(5)).success());
}
