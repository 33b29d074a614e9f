//! Whole configurations: what is accepted, what is refused and with which message, how files come together.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::load::{Host, Loaded, load};
use crate::reload::{fingerprint, load_all};

/// Files and environment in memory. A pattern matches the files that start with what is before its `*`.
#[derive(Default)]
struct Fake {
    files: BTreeMap<&'static str, String>,
}

impl Fake {
    fn with(files: &[(&'static str, &str)]) -> Self {
        Self { files: files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect() }
    }
}

impl Host for Fake {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        let text = self.files.get(path.to_str().unwrap_or_default());
        text.cloned().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let (start, end) = pattern.split_once('*').unwrap_or((pattern, pattern));
        let matched = self.files.keys().filter(|name| name.starts_with(start) && name.ends_with(end));
        Ok(matched.map(|name| (*name).to_owned()).collect())
    }

    fn env(&self, name: &str) -> Option<String> {
        (name == "REPLICA").then(|| "r1".to_owned())
    }
}

fn load_text(text: &str) -> Result<Loaded, ConfigError> {
    load(Path::new("/etc/p/p.yml"), &Defaults::default(), &Fake::with(&[("/etc/p/p.yml", text)]))
}

fn config(text: &str) -> Config {
    load_text(text).unwrap_or_else(|e| panic!("{text}\n{e}")).config
}

/// The configuration with one job that holds these lines.
fn job(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!("scrape_configs:\n- job_name: j\n{lines}")
}

#[test]
fn nothing_is_a_configuration() {
    for text in ["", "# comment\n", "global:\nscrape_configs:\nalerting:\nstorage:\nruntime:\n", "{}"] {
        assert_eq!(config(text), config(""), "{text:?}");
    }
    let global = config("").global;
    assert_eq!((global.scrape_interval_ms, global.scrape_timeout_ms), (60_000, 10_000));
}

#[test]
fn jobs_inherit() {
    let text = "global:\n  scrape_interval: 5s\n  sample_limit: 7\n  body_size_limit: 1KB\n  scrape_native_histograms: true\n";
    let config = config(&format!("{text}{}", job("label_limit: 3\nsample_limit: 9")));
    let job = &config.scrape_configs[0];
    assert_eq!(config.global.scrape_timeout_ms, 5_000);
    assert_eq!((job.scrape_interval_ms, job.scrape_timeout_ms), (5_000, 5_000));
    assert_eq!((job.limits.samples, job.limits.labels, job.limits.body_size), (9, 3, 1024));
    assert!(job.scrape_native_histograms && !job.limits.any_body_size);
    for (global, job_text, want) in [
        ("", "", (0, false)),
        ("", "body_size_limit: 0", (0, true)),
        ("body_size_limit: 0B", "", (0, true)),
        ("body_size_limit: 0", "body_size_limit: 1KB", (1024, false)),
        ("body_size_limit: 1KB", "body_size_limit: 0", (1024, true)),
    ] {
        let limits =
            self::config(&format!("global: {{{global}}}\n{}", self::job(job_text))).scrape_configs[0].limits;
        assert_eq!((limits.body_size, limits.any_body_size), want, "{global:?} {job_text:?}");
    }
    assert_eq!(job.scrape_protocols[0], global::ScrapeProtocol::PrometheusProto);
    assert_eq!((job.metrics_path.as_str(), job.scheme.as_str()), ("/metrics", "http"));
    assert!(
        job.honor_timestamps && job.enable_compression && job.http.follow_redirects && job.http.enable_http2
    );
}

#[test]
fn names_and_their_escaping_fit() {
    use global::{NameEscaping, NameValidation};
    let names = |text: &str| {
        let job = config(text).scrape_configs[0].clone();
        (job.name_validation, job.name_escaping)
    };
    let legacy = "global:\n  metric_name_validation_scheme: legacy\n";
    let utf8 = "metric_name_validation_scheme: utf8";
    assert_eq!(names(&job("")), (NameValidation::Utf8, NameEscaping::AllowUtf8));
    assert_eq!(names(&format!("{legacy}{}", job(""))), (NameValidation::Legacy, NameEscaping::Underscores));
    assert_eq!(names(&format!("{legacy}{}", job(utf8))), (NameValidation::Utf8, NameEscaping::AllowUtf8));
    assert_eq!(names(&job("metric_name_escaping_scheme: dots")), (NameValidation::Utf8, NameEscaping::Dots));
}

#[test]
fn external_labels_take_the_environment() {
    let loaded =
        load_text("global:\n  external_labels: {replica: $REPLICA, cost: '$$5', none: 'x${NOPE}'}\n")
            .unwrap();
    assert_eq!(loaded.config.global.external_labels.to_string(), "{cost=\"$5\", none=\"x\", replica=\"r1\"}");
    assert_eq!(loaded.empty_variables, ["NOPE"]);
}

#[test]
fn bearer_tokens_are_authorization() {
    use http_client::{Auth, Authorization, Secret, SecretSource};
    let auth = |text: &str| config(&job(text)).scrape_configs[0].http.auth.clone();
    let bearer = |credentials| {
        Auth::Authorization(Authorization { scheme: "Bearer".into(), credentials: Some(credentials) })
    };
    assert_eq!(auth("bearer_token: t"), bearer(SecretSource::Inline(Secret::new("t"))));
    assert_eq!(auth("bearer_token_file: f"), bearer(SecretSource::File("/etc/p/f".into())));
    assert_eq!(auth("authorization: {credentials_file: /f}"), bearer(SecretSource::File("/f".into())));
}

#[test]
fn refusals_name_place_and_reason() {
    let sd = "relabel_configs: []\n";
    for (text, message) in [
        ("globl: {}", "1:1: unknown field \"globl\"; did you mean \"global\"?"),
        ("a", "1:1: expected the configuration to be a mapping of fields, found a text"),
        (
            "global: {scrape_interval: 30s1m}",
            "1:27: global.scrape_interval: not a valid duration string: \"30s1m\" (expected numbers with units y, w, d, h, m, s, ms, largest first, such as 1h30m)",
        ),
        (
            "global: {scrape_interval: 5s, scrape_timeout: 10s}",
            "1:47: global scrape timeout greater than scrape interval",
        ),
        ("global: {external_labels: {'': x}}", "1:27: \"\" is not a valid label name"),
        (
            "global: {metric_name_validation_scheme: ascii}",
            "1:41: global.metric_name_validation_scheme: expected one of utf8, legacy, found \"ascii\"",
        ),
        ("global: {scrape_protocols: []}", "1:28: scrape_protocols cannot be empty for global config"),
        (
            "global: {sample_limit: many}",
            "1:24: global.sample_limit: expected a whole number of at least 0, found \"many\"",
        ),
        (
            "global: {body_size_limit: 10}",
            "1:27: global.body_size_limit: unknown unit \"\" in size \"10\" (expected B, KB, MB, GB, TB, PB or EB)",
        ),
        (
            "rule_files: ['*/x.yml']",
            "1:13: invalid rule file path \"*/x.yml\" (expected * in the last part of the path only)",
        ),
        (
            "rule_files: x.yml",
            "1:13: rule_files: expected a list (items that start with \"- \"), found a text",
        ),
        ("scrape_configs: [null]", "1:18: empty or null scrape config section"),
        ("scrape_configs: [{}]", "1:18: job_name is empty"),
        (
            "scrape_configs:\n- job_name: a\n- job_name: a\n",
            "3:3: found multiple scrape configs with job name \"a\"; the first is at line 2",
        ),
        (
            "storage: {tsdb: {retention: {percentage: 101}}}",
            "1:42: 'storage.tsdb.retention.percentage' must be in the range [0, 100], got 101",
        ),
        (
            "storage: {tsdb: {chunk_encoding: {floats: xor3}}}",
            "1:43: storage.tsdb.chunk_encoding.floats: expected one of xor, xor2, found \"xor3\"",
        ),
        ("tracing: {client_type: http}", "1:10: tracing endpoint must be set"),
        (
            "alerting: {alertmanagers: [{api_version: v1}]}",
            "1:42: alerting.alertmanagers[0].api_version: expected one of v2, found \"v1\"",
        ),
        ("remote_write: [{name: a}]", "1:16: url for remote_write is empty"),
        (
            "remote_write: [{url: 'http://h', queue_config: {min_shards: 3, max_shards: 2}}]",
            "1:61: remote write queue min_shards must not be greater than max_shards",
        ),
        (
            "remote_write: [{url: 'http://h', headers: {Host: x}}]",
            "1:43: Host is a reserved header. It must not be changed",
        ),
        ("remote_read: [{url: '::'}]", "1:21: remote_read[0].url: not a valid URL: missing protocol scheme"),
        (
            "otlp: {translation_strategy: NoTranslation}\nglobal: {metric_name_validation_scheme: legacy}",
            "1:30: OTLP translation strategy \"NoTranslation\" is not allowed when UTF8 is disabled",
        ),
        ("global: {a: 1, a: 2}", "1:16: duplicate field \"a\"; it is already set at line 1"),
        ("global:\n\tx: 1", "2:2: not valid YAML: tabs disallowed within this context (block indentation)"),
    ] {
        assert_eq!(load_text(text).unwrap_err().summary(), format!("/etc/p/p.yml:{message}"), "{text}");
    }
    for (lines, message) in [
        (
            "scrape_intervall: 5s",
            "3:3: unknown field \"scrape_intervall\" in scrape_configs[0]; did you mean \"scrape_interval\"?",
        ),
        (
            "scrape_timeout: 2m",
            "3:19: scrape timeout greater than scrape interval for scrape config with job name \"j\"",
        ),
        ("honor_labels: 1", "3:17: scrape_configs[0].honor_labels: expected true or false, found \"1\""),
        ("params: {m: a}", "3:15: scrape_configs[0].params.m: expected a list of texts, such as [\"a\"]"),
        (
            "scrape_protocols: [PrometheusText]",
            "3:22: scrape_configs[0].scrape_protocols[0]: expected one of OpenMetricsText0.0.1, OpenMetricsText1.0.0, PrometheusProto, PrometheusText0.0.4, PrometheusText1.0.0, found \"PrometheusText\"",
        ),
        (
            "metric_name_validation_scheme: legacy\nmetric_name_escaping_scheme: allow-utf-8",
            "4:32: utf8 metric names requested but validation scheme is not set to UTF8",
        ),
        ("static_configs: [{targets: ['http://a/b']}]", "3:31: \"http://a/b\" is not a valid hostname"),
        (&format!("static_configs: [null]\n{sd}"), "3:20: empty or null section in static_configs"),
        (
            "file_sd_configs: [{files: [a.txt]}]",
            "3:29: path name \"a.txt\" is not valid for file discovery (expected .json, .yml or .yaml, and * in the last part only)",
        ),
        ("http_sd_configs: [{url: 'ftp://a'}]", "3:27: URL scheme must be 'http' or 'https'"),
        (
            "http_sd_configs: [{refresh_interval: 0s, url: 'http://a'}]",
            "3:40: refresh_interval must be greater than 0; leave it out for the default",
        ),
        (
            "dns_sd_configs: [{names: [a], type: A}]",
            "3:20: a port is required in DNS-SD configs for all record types except SRV",
        ),
        (
            "kubernetes_sd_configs: [{}]",
            "3:27: role missing (one of: pod, service, endpoints, endpointslice, node, ingress)",
        ),
        (
            "kubernetes_sd_configs: [{role: pods}]",
            "3:34: scrape_configs[0].kubernetes_sd_configs[0].role: expected one of pod, service, endpoints, endpointslice, node, ingress, found \"pods\"",
        ),
        (
            "basic_auth: {password: p, password_file: f}",
            "3:44: at most one of basic_auth password, password_file & password_ref must be configured",
        ),
        (
            "basic_auth: {username: u}\nbearer_token: t",
            "4:17: at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
        ),
        (
            "authorization: {type: Basic}",
            "3:25: authorization type cannot be set to \"basic\", use \"basic_auth\" instead",
        ),
        ("oauth2: {client_id: a}", "3:11: oauth2 token_url must be configured"),
        (
            "tls_config: {cert_file: c}",
            "3:15: exactly one of key or key_file must be configured when a client certificate is configured",
        ),
        (
            "tls_config: {min_version: TLS14}",
            "3:29: scrape_configs[0].tls_config.min_version: expected one of TLS10, TLS11, TLS12, TLS13, found \"TLS14\"",
        ),
        ("no_proxy: a", "3:13: if no_proxy is configured, proxy_url must also be configured"),
        (
            "http_headers: {Authorization: {values: [a]}}",
            "3:33: setting header \"Authorization\" is not allowed",
        ),
        (
            "proxy_connect_header: {X: secret}",
            "3:29: scrape_configs[0].proxy_connect_header.X: expected a list of texts",
        ),
        (
            "metric_relabel_configs: [{action: drop, regex: '('}]",
            "3:50: error parsing regexp: missing closing ): `^(?s:()$`",
        ),
    ] {
        let error = load_text(&job(lines)).unwrap_err();
        assert_eq!(error.summary(), format!("/etc/p/p.yml:{message}"), "{lines}");
    }
}

#[test]
fn the_message_shows_the_line() {
    let error = load_text(&job("scrape_intervall: 5s")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/p/p.yml:3:3: unknown field \"scrape_intervall\" in scrape_configs[0]; did you mean \"scrape_interval\"?\n \
         3 |   scrape_intervall:\n   |   ^"
    );
    let error = load_text(&job("basic_auth:\n  password: [hunter2]")).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

/// Settings of a job that are wrong in some way and hold a secret in the place of `SECRET`, in YAML's styles.
const WRONG_BESIDE_SECRETS: &[&str] = &[
    "basic_auth: {username: u, password: SECRET, nope: 1}",
    "basic_auth: {username: u, nope: 1, password: 'SECRET'}",
    "basic_auth:\n  username: u\n  password: |\n    SECRET\n  nope: 1",
    "basic_auth:\n  username: u\n  password: >-\n    SECRET\n    SECRET\n  nope: 1",
    "basic_auth:\n  pasword: SECRET",
    "basic_auth:\n  \"pasword\": \"SECRET\"",
    "basic_auth:\n  pasword:\n    SECRET",
    "basic_auth: SECRET",
    "basic_auth: [SECRET]",
    "basic_auth: {password: [SECRET]}",
    "basic_auth: {password: {a: SECRET}}",
    "basic_auth: {password: SECRET, password: SECRET}",
    "basic_auth: {password: SECRET, password_file: f}",
    "basic_auth: {password: SECRET\nfoo: [",
    "basic_auth: {password: \"SECRET}",
    "basic_auth: &a {password: SECRET, nope: 1}\nproxy_connect_header: *a",
    "authorization: SECRET",
    "authorization:\n  credentials: &a SECRET\n  nope: *a",
    "authorization: {credentials: SECRET, type: basic}",
    "bearer_token: SECRET\nbearer_token_file: f",
    "bearer_token: SECRET\n  x: y",
    "oauth2: {client_id: c, client_secret: SECRET}",
    "oauth2: {client_id: c, client_secret: SECRET, token_url: 'http://u:SECRET/@h:x/', nope: 1}",
    "oauth2: {client_id: c, client_secret: SECRET, token_url: t, scopes: SECRET}",
    "proxy_url: 'http://u:SECRET/@h'",
    "proxy_url: 'http://u:SECRET%zz@h'",
    "proxy_url: 'http://u:SECRET@h'\nnope: 1",
    "nope: 'http://u:SECRET@h'",
    "proxy_connect_header: {X: SECRET}",
    "proxy_connect_header: SECRET",
    "http_headers: {X: {secrets: SECRET}}",
    "http_headers: {X: {secrets: [SECRET], nope: 1}}",
    "http_headers: {X: SECRET}",
    "http_sd_configs: [{url: 'http://u:SECRET/@h'}]",
    "http_sd_configs: [{url: 'http://h', basic_auth: {username: u, password: SECRET, nope: 1}}]",
    "tls_config: {key: SECRET, nope: 1}",
    "consul_sd_configs: [{token: SECRET, nope: 1}]",
    "ec2_sd_configs: [{region: r, secret_key: SECRET, access_key: [SECRET]}]",
];

proptest::proptest! {
    #[test]
    fn errors_never_show_secrets(secret in "zq[a-z0-9]{6,20}") {
        for text in WRONG_BESIDE_SECRETS {
            let settings = text.replace("SECRET", &secret);
            let error = load_text(&job(&settings)).expect_err(text).to_string();
            proptest::prop_assert!(!error.contains(&secret), "{}: {}", settings, error);
            // Of half of it there may be no trace either.
            proptest::prop_assert!(!error.contains(&secret[..6]), "{}: {}", settings, error);
        }
    }
}

#[test]
fn what_has_no_effect_is_noted() {
    let text = format!(
        "{}remote_write:\n- url: http://h/w\ntracing:\n  endpoint: h:1\n",
        job("kubernetes_sd_configs:\n- role: pod\nbasic_auth:\n  password_ref: p")
    );
    let notes: Vec<String> = load_text(&text).unwrap().unsupported.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "/etc/p/p.yml:6: scrape_configs[0].basic_auth.password_ref has no effect in this version: there is no secret \
             manager; requests that need it will fail",
            "/etc/p/p.yml:4: scrape_configs[0].kubernetes_sd_configs[0] has no effect in this version: this discovery finds \
             no targets",
            "/etc/p/p.yml:10: tracing has no effect in this version: the server's own traces are not sent",
            "/etc/p/p.yml:8: remote_write[0] has no effect in this version: samples are not sent to remote storage",
        ]
    );
}

const MAIN: &str = "global: {scrape_interval: 7s}\nrule_files: [r/*.yml]\nscrape_config_files: [jobs/*.yml]\n\
                    scrape_configs:\n- job_name: main\n";

#[test]
fn files_of_jobs_and_rules_belong_to_it() {
    let jobs = "scrape_configs:\n- job_name: more\n  basic_auth: {password_file: pw}\n";
    let host = Fake::with(&[
        ("/c/p.yml", MAIN),
        ("/c/jobs/a.yml", jobs),
        ("/c/r/1.yml", "rules"),
        ("/c/r/2.yml", "rules"),
    ]);
    let read_rules = |loaded: &Loaded| Ok(loaded.rule_files.len());
    let snapshot = load_all(Path::new("/c/p.yml"), &Defaults::default(), &host, read_rules).unwrap();
    assert_eq!(snapshot.rules, 2);
    let names: Vec<_> = snapshot.loaded.jobs.iter().map(|job| job.job_name.as_str()).collect();
    assert_eq!(names, ["main", "more"]);
    let more = &snapshot.loaded.jobs[1];
    assert_eq!(more.scrape_interval_ms, 7_000);
    assert!(format!("{:?}", more.http.auth).contains("/c/jobs/pw"));
}

#[test]
fn one_bad_file_refuses_all() {
    let read = |host: &Fake| {
        let rules =
            |_: &Loaded| Err::<(), _>(ConfigError::Read { path: "r".into(), reason: "bad rule".into() });
        load_all(Path::new("/c/p.yml"), &Defaults::default(), host, rules).unwrap_err().summary()
    };
    assert_eq!(read(&Fake::default()), "/c/p.yml: cannot read: entity not found");
    assert_eq!(read(&Fake::with(&[("/c/p.yml", MAIN)])), "r: cannot read: bad rule");
    let twice = Fake::with(&[("/c/p.yml", MAIN), ("/c/jobs/a.yml", "scrape_configs: [{job_name: main}]")]);
    assert_eq!(
        read(&twice),
        "/c/jobs/a.yml:1:18: found multiple scrape configs with job name \"main\"; the first is in another file"
    );
    let unknown = Fake::with(&[("/c/p.yml", MAIN), ("/c/jobs/a.yml", "global: {}")]);
    assert!(read(&unknown).starts_with("/c/jobs/a.yml:1:1: unknown field \"global\""));
}

#[test]
fn fingerprints_change_with_any_file() {
    let print =
        |files: &[(&'static str, &str)]| fingerprint(Path::new("/c/p.yml"), &Fake::with(files)).unwrap();
    let base = print(&[("/c/p.yml", MAIN), ("/c/r/1.yml", "a")]);
    assert_eq!(base, print(&[("/c/p.yml", MAIN), ("/c/r/1.yml", "a"), ("/c/other", "x")]));
    for changed in [
        print(&[("/c/p.yml", MAIN), ("/c/r/1.yml", "b")]),
        print(&[("/c/p.yml", MAIN), ("/c/r/2.yml", "a")]),
        print(&[("/c/p.yml", MAIN), ("/c/r/1.yml", "a"), ("/c/jobs/a.yml", "")]),
        print(&[("/c/p.yml", "a: ["), ("/c/r/1.yml", "a")]),
    ] {
        assert_ne!(base, changed);
    }
    assert!(fingerprint(Path::new("/c/p.yml"), &Fake::default()).is_err());
}

#[test]
fn prints_as_prometheus_does() {
    let text = "global:\n  external_labels: {a: b}\nscrape_configs:\n- job_name: j\n  scheme: https\n  params: {m: [x]}\n  \
                basic_auth: {username: u, password: hunter2}\n  tls_config: {ca_file: ca.pem}\n  proxy_url: http://u:p@proxy\n  \
                static_configs:\n  - targets: ['a:1', '1.2.3.4:5']\n    labels: {env: yes}\n  \
                relabel_configs:\n  - {source_labels: [a, b], target_label: c, regex: 'x: y'}\n";
    let want = "\
global:
  scrape_interval: 1m
  scrape_timeout: 10s
  evaluation_interval: 1m
  external_labels:
    a: b
  metric_name_validation_scheme: utf8
  scrape_native_histograms: false
  extra_scrape_metrics: false
runtime:
  gogc: 75
scrape_configs:
- job_name: j
  honor_timestamps: true
  track_timestamps_staleness: false
  params:
    m:
    - x
  scrape_interval: 1m
  scrape_timeout: 10s
  scrape_protocols:
  - OpenMetricsText1.0.0
  - OpenMetricsText0.0.1
  - PrometheusText1.0.0
  - PrometheusText0.0.4
  scrape_native_histograms: false
  always_scrape_classic_histograms: false
  convert_classic_histograms_to_nhcb: false
  metrics_path: /metrics
  scheme: https
  enable_compression: true
  metric_name_validation_scheme: utf8
  metric_name_escaping_scheme: allow-utf-8
  extra_scrape_metrics: false
  basic_auth:
    username: u
    password: <secret>
  tls_config:
    ca_file: /etc/p/ca.pem
    insecure_skip_verify: false
  follow_redirects: true
  enable_http2: true
  proxy_url: http://u:xxxxx@proxy
  relabel_configs:
  - source_labels: [a, b]
    separator: ;
    regex: 'x: y'
    target_label: c
    replacement: $1
    action: replace
  static_configs:
  - targets:
    - a:1
    - 1.2.3.4:5
    labels:
      env: \"yes\"
storage:
  tsdb:
    outofordertimewindow: 0
    retention: {}
otlp:
  translation_strategy: UnderscoreEscapingWithSuffixes
  label_name_underscore_sanitization: true
  label_name_preserve_multiple_underscores: true
";
    let printed = config(text).to_yaml();
    assert_eq!(printed, want);
    // What is printed is a configuration again.
    assert_eq!(config(&printed).to_yaml(), printed);
}
