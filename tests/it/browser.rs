//! The web UI in a real Chromium against the running server. The steps are in `ui/e2e`; this starts the server and,
//! where Chromium, Node.js and the built UI are there, runs them.

use std::path::Path;
use std::process::Command;

use crate::fakes;
use crate::harness::free_port;
use crate::harness::programs::{find, output};
use crate::harness::server::Server;

#[test]
fn pages_work_in_chromium() {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    let (Some(chromium), Some(node)) = (find(&["chromium", "chromium-browser"]), find(&["node"])) else {
        return;
    };
    assert!(ui.join("dist/index.html").is_file(), "the UI was not built: run `make ui` first");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("rules.yml"),
        "groups:\n- name: demo\n  interval: 1s\n  rules:\n  - alert: TargetDown\n    expr: up == 0\n    \
         labels: {severity: page}\n    annotations: {summary: 'It is down: {{ $labels.instance }}'}\n",
    )
    .unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
- {{job_name: good, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}
- {{job_name: bad, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}",
        fakes::counter(),
        free_port()
    );
    let flags = ["--web.route-prefix=/t", "--web.external-url=http://localhost/t"];
    let server = Server::start_at(dir.path(), &config, &flags, "/t/-/ready");
    let mut steps = Command::new(node);
    steps
        .arg(ui.join("e2e/pages.mjs"))
        .arg(server.url("/t"))
        .env("CHROMIUM", chromium)
        .env("SCREENSHOTS", std::env::var_os("SCREENSHOTS").unwrap_or_default());
    let said = output(&mut steps);
    assert!(said.contains("all pages work"), "{said}");
}
