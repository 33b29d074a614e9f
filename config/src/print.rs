//! The checked configuration as Prometheus prints it at `/api/v1/status/config`: defaults filled in, its order of
//! fields, secrets as `<secret>`.

use model::Labels;
use model::float::FloatE;
use model::relabel::{Rule, Spec};
use model::time::DurationText;

use super::alerting::{Alerting, AlertmanagerConfig};
use super::configuration::Config;
use super::discovery::{SdConfig, StaticGroup};
use super::global::{Global, ScrapeLimits, ScrapeProtocol};
use super::http_client::{Auth, HttpClientConfig, OAuth2, ProxyConfig, Secret, SecretSource, TlsConfig};
use super::otlp::{Otlp, Tracing};
use super::remote::{RemoteRead, RemoteWrite};
use super::schema::{FieldValue, Section};
use super::scrape::ScrapeJob;
use super::size::SizeText;
use super::storage::Storage;
use super::yaml_writer::{Tree, write};

impl Config {
    /// The configuration as YAML.
    pub fn to_yaml(&self) -> String {
        let mut m = Map::default();
        m.put("global", global(&self.global));
        m.put("runtime", Map::default().unless_zero("gogc", self.runtime.gogc).done());
        m.unless_empty("alerting", alerting(&self.alerting));
        m.texts("rule_files", &self.rule_files);
        m.texts("scrape_config_files", &self.scrape_config_files);
        m.list("scrape_configs", &self.scrape_configs, |job| scrape_job(job));
        m.put("storage", storage(&self.storage));
        if let Some(tracing) = &self.tracing {
            m.put("tracing", trace(tracing));
        }
        m.list("remote_write", &self.remote_write, remote_write);
        m.list("remote_read", &self.remote_read, remote_read);
        m.unless_empty("otlp", otlp(&self.otlp));
        write(&m.done())
    }
}

/// A mapping under construction. As in Go's `omitempty`, most ways to add a field leave out a zero value.
#[derive(Default)]
struct Map(Vec<(String, Tree)>);

impl Map {
    fn put(&mut self, name: &str, value: Tree) -> &mut Self {
        self.0.push((name.to_owned(), value));
        self
    }

    /// Unless it is an empty mapping.
    fn unless_empty(&mut self, name: &str, value: Tree) -> &mut Self {
        if value == Tree::Map(Vec::new()) { self } else { self.put(name, value) }
    }

    fn text(&mut self, name: &str, text: &str) -> &mut Self {
        if text.is_empty() { self } else { self.put(name, Tree::text(text)) }
    }

    /// A number or boolean, unless it is zero or false.
    fn unless_zero<T: ToString + Default + PartialEq>(&mut self, name: &str, value: T) -> &mut Self {
        if value == T::default() { self } else { self.put(name, Tree::raw(value)) }
    }

    /// A number or boolean.
    fn always(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.put(name, Tree::raw(value))
    }

    fn duration(&mut self, name: &str, ms: i64) -> &mut Self {
        if ms == 0 { self } else { self.put(name, Tree::text(DurationText(ms))) }
    }

    fn float(&mut self, name: &str, value: f64) -> &mut Self {
        if value == 0.0 { self } else { self.put(name, float(value)) }
    }

    fn size(&mut self, name: &str, bytes: i64) -> &mut Self {
        if bytes == 0 { self } else { self.put(name, Tree::text(SizeText(bytes))) }
    }

    fn texts(&mut self, name: &str, texts: &[String]) -> &mut Self {
        self.list(name, texts, |text| Tree::text(text))
    }

    fn text_map(&mut self, name: &str, map: &[(String, String)]) -> &mut Self {
        if map.is_empty() { self } else { self.put(name, text_map(map)) }
    }

    fn list<T>(&mut self, name: &str, items: &[T], print: impl Fn(&T) -> Tree) -> &mut Self {
        if items.is_empty() { self } else { self.put(name, Tree::List(items.iter().map(print).collect())) }
    }

    fn rules(&mut self, name: &str, rules: &[Rule]) -> &mut Self {
        self.list(name, rules, |rule| relabel(rule.spec()))
    }

    fn protocols(&mut self, name: &str, protocols: &[ScrapeProtocol]) -> &mut Self {
        self.list(name, protocols, |p| Tree::text(p.as_str()))
    }

    /// One of `name`, `name_file`, `name_ref`. An inline value is shown only if it is not `secret`.
    fn source(
        &mut self,
        [inline, file, reference]: [&str; 3],
        secret: bool,
        source: Option<&SecretSource>,
    ) -> &mut Self {
        match source {
            None => self,
            Some(SecretSource::Inline(text)) if secret => self.secret(inline, text),
            Some(SecretSource::Inline(text)) => self.text(inline, text.reveal()),
            Some(SecretSource::File(path)) => self.text(file, &path.to_string_lossy()),
            Some(SecretSource::Reference(name)) => self.text(reference, name),
        }
    }

    fn secret(&mut self, name: &str, secret: &Secret) -> &mut Self {
        if secret.is_empty() { self } else { self.put(name, hidden(secret)) }
    }

    fn done(&mut self) -> Tree {
        Tree::Map(std::mem::take(&mut self.0))
    }
}

fn hidden(secret: &Secret) -> Tree {
    if secret.is_empty() { Tree::Null } else { Tree::text("<secret>") }
}

/// As Go's `%g` with the fewest digits.
fn float(value: f64) -> Tree {
    let exponent = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    if (-4..21).contains(&exponent) {
        return Tree::raw(value);
    }
    Tree::Raw(FloatE(value).to_string())
}

fn text_map(map: &[(String, String)]) -> Tree {
    Tree::Map(map.iter().map(|(name, value)| (name.clone(), Tree::text(value))).collect())
}

fn labels(labels: &Labels) -> Tree {
    Tree::Map(labels.iter().map(|(name, value)| (name.to_owned(), Tree::text(value))).collect())
}

fn limits(m: &mut Map, l: &ScrapeLimits) {
    m.size("body_size_limit", l.body_size)
        .unless_zero("sample_limit", l.samples)
        .unless_zero("target_limit", l.targets)
        .unless_zero("label_limit", l.labels)
        .unless_zero("label_name_length_limit", l.label_name_length)
        .unless_zero("label_value_length_limit", l.label_value_length);
}

fn global(g: &Global) -> Tree {
    let mut m = Map::default();
    m.duration("scrape_interval", g.scrape_interval_ms)
        .duration("scrape_timeout", g.scrape_timeout_ms)
        .protocols("scrape_protocols", g.scrape_protocols.as_deref().unwrap_or_default())
        .duration("evaluation_interval", g.evaluation_interval_ms)
        .duration("rule_query_offset", g.rule_query_offset_ms)
        .text("query_log_file", &g.query_log_file)
        .text("scrape_failure_log_file", &g.scrape_failure_log_file)
        .unless_empty("external_labels", labels(&g.external_labels));
    limits(&mut m, &g.limits);
    m.unless_zero("keep_dropped_targets", g.limits.keep_dropped_targets)
        .text("metric_name_validation_scheme", g.name_validation.as_str())
        .text("metric_name_escaping_scheme", g.name_escaping.map_or("", |e| e.as_str()))
        .always("scrape_native_histograms", g.scrape_native_histograms)
        .unless_zero("convert_classic_histograms_to_nhcb", g.convert_classic_histograms_to_nhcb)
        .unless_zero("always_scrape_classic_histograms", g.always_scrape_classic_histograms)
        .always("extra_scrape_metrics", g.extra_scrape_metrics)
        .done()
}

fn scrape_job(j: &ScrapeJob) -> Tree {
    let mut m = Map::default();
    let params = |values: &[String]| Tree::List(values.iter().map(Tree::text).collect());
    m.put("job_name", Tree::text(&j.job_name))
        .unless_zero("honor_labels", j.honor_labels)
        .always("honor_timestamps", j.honor_timestamps)
        .always("track_timestamps_staleness", j.track_timestamps_staleness)
        .unless_empty(
            "params",
            Tree::Map(j.params.iter().map(|(name, v)| (name.clone(), params(v))).collect()),
        )
        .duration("scrape_interval", j.scrape_interval_ms)
        .duration("scrape_timeout", j.scrape_timeout_ms)
        .protocols("scrape_protocols", &j.scrape_protocols)
        .text("fallback_scrape_protocol", j.fallback_scrape_protocol.map_or("", ScrapeProtocol::as_str))
        .always("scrape_native_histograms", j.scrape_native_histograms)
        .always("always_scrape_classic_histograms", j.always_scrape_classic_histograms)
        .always("convert_classic_histograms_to_nhcb", j.convert_classic_histograms_to_nhcb)
        .text("scrape_failure_log_file", &j.scrape_failure_log_file)
        .text("metrics_path", &j.metrics_path)
        .text("scheme", &j.scheme)
        .always("enable_compression", j.enable_compression);
    limits(&mut m, &j.limits);
    m.unless_zero("native_histogram_bucket_limit", j.native_histogram_bucket_limit)
        .float("native_histogram_min_bucket_factor", j.native_histogram_min_bucket_factor)
        .unless_zero("keep_dropped_targets", j.limits.keep_dropped_targets)
        .text("metric_name_validation_scheme", j.name_validation.as_str())
        .text("metric_name_escaping_scheme", j.name_escaping.as_str())
        .always("extra_scrape_metrics", j.extra_scrape_metrics);
    http_client(&mut m, &j.http);
    m.rules("relabel_configs", &j.relabel_configs).rules("metric_relabel_configs", &j.metric_relabel_configs);
    discovery(&mut m, &j.discovery);
    m.done()
}

fn http_client(m: &mut Map, http: &HttpClientConfig) {
    match &http.auth {
        Auth::None => {}
        Auth::Basic(basic) => {
            let mut b = Map::default();
            b.source(["username", "username_file", "username_ref"], false, basic.username.as_ref()).source(
                ["password", "password_file", "password_ref"],
                true,
                basic.password.as_ref(),
            );
            m.put("basic_auth", b.done());
        }
        Auth::Authorization(authorization) => {
            let mut a = Map::default();
            a.text("type", &authorization.scheme).source(
                ["credentials", "credentials_file", "credentials_ref"],
                true,
                authorization.credentials.as_ref(),
            );
            m.put("authorization", a.done());
        }
        Auth::OAuth2(oauth2_config) => {
            m.put("oauth2", oauth2(oauth2_config));
        }
    }
    tls(m, &http.tls);
    m.always("follow_redirects", http.follow_redirects).always("enable_http2", http.enable_http2);
    proxy(m, &http.proxy);
    if !http.headers.is_empty() {
        let headers = http.headers.iter().map(|header| {
            let mut h = Map::default();
            h.texts("values", &header.values).list("secrets", &header.secrets, hidden).list(
                "files",
                &header.files,
                |file| Tree::text(file.display()),
            );
            (header.name.clone(), h.done())
        });
        m.put("http_headers", Tree::Map(headers.collect()));
    }
}

fn oauth2(o: &OAuth2) -> Tree {
    let mut m = Map::default();
    m.text("client_id", &o.client_id)
        .source(["client_secret", "client_secret_file", "client_secret_ref"], true, o.client_secret.as_ref())
        .text("client_certificate_key_id", &o.client_certificate_key_id)
        .source(
            ["client_certificate_key", "client_certificate_key_file", "client_certificate_key_ref"],
            true,
            o.client_certificate_key.as_ref(),
        )
        .text("grant_type", &o.grant_type)
        .text("signature_algorithm", &o.signature_algorithm)
        .text("iss", &o.iss)
        .text("audience", &o.audience)
        .unless_empty(
            "claims",
            Tree::Map(o.claims.iter().map(|(name, value)| (name.clone(), json(value))).collect()),
        )
        .texts("scopes", &o.scopes)
        .text("token_url", &o.token_url)
        .text_map("endpoint_params", &o.endpoint_params);
    tls(&mut m, &o.tls);
    proxy(&mut m, &o.proxy);
    m.done()
}

fn json(value: &serde_json::Value) -> Tree {
    use serde_json::Value as Json;
    match value {
        Json::Null => Tree::Null,
        Json::Bool(b) => Tree::raw(b),
        Json::Number(n) => Tree::raw(n),
        Json::String(text) => Tree::text(text),
        Json::Array(items) => Tree::List(items.iter().map(json).collect()),
        Json::Object(map) => Tree::Map(map.iter().map(|(name, value)| (name.clone(), json(value))).collect()),
    }
}

fn tls(m: &mut Map, t: &TlsConfig) {
    if *t == TlsConfig::default() {
        return;
    }
    // Go's order is values, files, references, not one secret after the other.
    let mut section = Map::default();
    let is_inline = |s: &Option<SecretSource>| matches!(s, Some(SecretSource::Inline(_)));
    let is_file = |s: &Option<SecretSource>| matches!(s, Some(SecretSource::File(_)));
    let is_reference = |s: &Option<SecretSource>| matches!(s, Some(SecretSource::Reference(_)));
    let sources = [
        (["ca", "ca_file", "ca_ref"], false, &t.ca),
        (["cert", "cert_file", "cert_ref"], false, &t.cert),
        (["key", "key_file", "key_ref"], true, &t.key),
    ];
    for kind in [is_inline as fn(&Option<SecretSource>) -> bool, is_file, is_reference] {
        for (names, secret, source) in sources.iter().filter(|(_, _, source)| kind(source)) {
            section.source(*names, *secret, source.as_ref());
        }
    }
    section
        .text("server_name", &t.server_name)
        .always("insecure_skip_verify", t.insecure_skip_verify)
        .text("min_version", t.min_version.map_or("", |v| v.as_str()))
        .text("max_version", t.max_version.map_or("", |v| v.as_str()));
    m.put("tls_config", section.done());
}

fn proxy(m: &mut Map, p: &ProxyConfig) {
    if let Some(url) = &p.url {
        m.put("proxy_url", Tree::text(url));
    }
    m.text("no_proxy", &p.no_proxy).unless_zero("proxy_from_environment", p.from_environment);
    let secrets = |secrets: &[Secret]| Tree::List(secrets.iter().map(hidden).collect());
    let headers = p.connect_header.iter().map(|(name, values)| (name.clone(), secrets(values)));
    m.unless_empty("proxy_connect_header", Tree::Map(headers.collect()));
}

fn relabel(r: &Spec) -> Tree {
    let mut m = Map::default();
    if !r.source_labels.is_empty() {
        m.put("source_labels", Tree::Flow(r.source_labels.clone()));
    }
    m.put("separator", Tree::text(&r.separator));
    if r.regex != Spec::default().regex {
        m.put("regex", Tree::text(&r.regex));
    }
    m.unless_zero("modulus", r.modulus)
        .text("target_label", &r.target_label)
        .put("replacement", Tree::text(&r.replacement))
        .put("action", Tree::text(r.action))
        .done()
}

/// Discovery sections come last, sorted by name.
fn discovery(m: &mut Map, configs: &[SdConfig]) {
    let mut sections: Vec<(&str, Vec<Tree>)> = Vec::new();
    for config in configs {
        let (name, entries) = match config {
            SdConfig::Static(groups) => ("static_configs", groups.iter().map(static_group).collect()),
            SdConfig::File(sd) => {
                let mut m = Map::default();
                m.texts("files", &sd.files).duration("refresh_interval", sd.refresh_interval_ms);
                ("file_sd_configs", vec![m.done()])
            }
            SdConfig::Http(sd) => {
                let mut m = Map::default();
                http_client(&mut m, &sd.http);
                m.duration("refresh_interval", sd.refresh_interval_ms).put("url", Tree::text(&sd.url));
                ("http_sd_configs", vec![m.done()])
            }
            SdConfig::Dns(sd) => {
                let mut m = Map::default();
                m.texts("names", &sd.names)
                    .duration("refresh_interval", sd.refresh_interval_ms)
                    .put("type", Tree::text(sd.record.as_str()))
                    .always("port", sd.port);
                ("dns_sd_configs", vec![m.done()])
            }
            SdConfig::Other(section) => (section.name, vec![schema_section(section)]),
        };
        match sections.iter_mut().find(|(other, _)| *other == name) {
            Some((_, all)) => all.extend(entries),
            None => sections.push((name, entries)),
        }
    }
    sections.sort_by_key(|(name, _)| *name);
    for (name, entries) in sections {
        m.put(name, Tree::List(entries));
    }
}

fn static_group(group: &StaticGroup) -> Tree {
    let mut m = Map::default();
    m.put("targets", Tree::List(group.targets.iter().map(Tree::text).collect()));
    m.text_map("labels", &group.labels).done()
}

fn schema_section(section: &Section) -> Tree {
    let mut m = Map::default();
    for (field, value) in &section.fields {
        if let FieldValue::Http(http) = value {
            http_client(&mut m, http);
            continue;
        }
        if value.is_zero() && !field.always {
            continue;
        }
        let out = match value {
            FieldValue::Text(text) => Tree::text(text),
            FieldValue::Secret(secret) => hidden(secret),
            FieldValue::Int(n) => Tree::raw(n),
            FieldValue::Bool(b) => Tree::raw(b),
            FieldValue::Duration(ms) => Tree::text(DurationText(*ms)),
            FieldValue::Texts(texts) => Tree::List(texts.iter().map(Tree::text).collect()),
            FieldValue::TextMap(map) => text_map(map),
            FieldValue::Url(url) => url.as_ref().map_or(Tree::Null, Tree::text),
            FieldValue::Tls(config) => {
                tls(&mut m, config);
                continue;
            }
            FieldValue::Nested(section) => section.as_ref().map_or(Tree::Null, schema_section),
            FieldValue::List(sections) => Tree::List(sections.iter().map(schema_section).collect()),
            FieldValue::Http(_) => continue,
        };
        m.put(field.name, out);
    }
    m.done()
}

fn alerting(a: &Alerting) -> Tree {
    let mut m = Map::default();
    m.rules("alert_relabel_configs", &a.alert_relabel_configs);
    m.list("alertmanagers", &a.alertmanagers, |am| alertmanager(am)).done()
}

fn alertmanager(a: &AlertmanagerConfig) -> Tree {
    let mut m = Map::default();
    http_client(&mut m, &a.http);
    if let Some(sigv4) = &a.sigv4 {
        m.put("sigv4", schema_section(sigv4));
    }
    m.text("scheme", &a.scheme)
        .text("path_prefix", &a.path_prefix)
        .duration("timeout", a.timeout_ms)
        .put("api_version", Tree::text("v2"))
        .rules("relabel_configs", &a.relabel_configs)
        .rules("alert_relabel_configs", &a.alert_relabel_configs);
    discovery(&mut m, &a.discovery);
    m.done()
}

fn storage(s: &Storage) -> Tree {
    let mut retention = Map::default();
    retention
        .duration("time", s.tsdb.retention.time_ms)
        .size("size", s.tsdb.retention.size_bytes)
        .float("percentage", s.tsdb.retention.percentage);
    let mut tsdb = Map::default();
    // Prometheus prints the window twice: once as it keeps it, in milliseconds, and once as written.
    tsdb.always("outofordertimewindow", s.tsdb.out_of_order_time_window_ms)
        .duration("out_of_order_time_window", s.tsdb.out_of_order_time_window_ms)
        .float("stale_series_compaction_threshold", s.tsdb.stale_series_compaction_threshold);
    if let Some(encoding) = s.tsdb.float_chunk_encoding {
        tsdb.put("chunk_encoding", Map::default().text("floats", encoding.as_str()).done());
    }
    tsdb.put("retention", retention.done());
    let mut m = Map::default();
    m.put("tsdb", tsdb.done());
    if let Some(max) = s.max_exemplars {
        m.put("exemplars", Map::default().unless_zero("max_exemplars", max).done());
    }
    m.done()
}

fn trace(t: &Tracing) -> Tree {
    let mut m = Map::default();
    m.text("client_type", t.client_type)
        .text("endpoint", &t.endpoint)
        .float("sampling_fraction", t.sampling_fraction)
        .unless_zero("insecure", t.insecure);
    tls(&mut m, &t.tls);
    m.text_map("headers", &t.headers)
        .text("compression", t.compression)
        .duration("timeout", t.timeout_ms)
        .done()
}

fn remote_write(r: &RemoteWrite) -> Tree {
    let mut m = Map::default();
    m.put("url", Tree::text(&r.url))
        .duration("remote_timeout", r.remote_timeout_ms)
        .text_map("headers", &r.headers)
        .rules("write_relabel_configs", &r.write_relabel_configs)
        .text("name", &r.name)
        .unless_zero("send_exemplars", r.send_exemplars)
        .unless_zero("send_native_histograms", r.send_native_histograms)
        .unless_zero("round_robin_dns", r.round_robin_dns)
        .text("protobuf_message", &r.protobuf_message)
        .unless_zero("failed_request_logging", r.failed_request_logging);
    http_client(&mut m, &r.http);
    let q = &r.queue;
    let mut queue = Map::default();
    queue
        .unless_zero("capacity", q.capacity)
        .unless_zero("max_shards", q.max_shards)
        .unless_zero("min_shards", q.min_shards)
        .unless_zero("max_samples_per_send", q.max_samples_per_send)
        .duration("batch_send_deadline", q.batch_send_deadline_ms)
        .duration("min_backoff", q.min_backoff_ms)
        .duration("max_backoff", q.max_backoff_ms)
        .unless_zero("retry_on_http_429", q.retry_on_http_429)
        .duration("sample_age_limit", q.sample_age_limit_ms);
    let mut metadata = Map::default();
    metadata
        .always("send", r.metadata.send)
        .put("send_interval", Tree::text(DurationText(r.metadata.send_interval_ms)))
        .unless_zero("max_samples_per_send", r.metadata.max_samples_per_send);
    m.put("queue_config", queue.done()).put("metadata_config", metadata.done());
    if let Some(cloud) = &r.cloud_auth {
        m.put(cloud.name, schema_section(cloud));
    }
    m.done()
}

fn remote_read(r: &RemoteRead) -> Tree {
    let mut m = Map::default();
    m.put("url", Tree::text(&r.url))
        .duration("remote_timeout", r.remote_timeout_ms)
        .unless_zero("chunked_read_limit", r.chunked_read_limit)
        .text_map("headers", &r.headers)
        .unless_zero("read_recent", r.read_recent)
        .text("name", &r.name);
    http_client(&mut m, &r.http);
    m.text_map("required_matchers", &r.required_matchers)
        .unless_zero("filter_external_labels", r.filter_external_labels)
        .done()
}

fn otlp(o: &Otlp) -> Tree {
    let mut m = Map::default();
    m.unless_zero("promote_all_resource_attributes", o.promote_all_resource_attributes)
        .texts("promote_resource_attributes", &o.promote_resource_attributes)
        .texts("ignore_resource_attributes", &o.ignore_resource_attributes)
        .text("translation_strategy", o.translation_strategy)
        .unless_zero("keep_identifying_resource_attributes", o.keep_identifying_resource_attributes)
        .unless_zero("convert_histograms_to_nhcb", o.convert_histograms_to_nhcb)
        .unless_zero("promote_scope_metadata", o.promote_scope_metadata)
        .unless_zero("label_name_underscore_sanitization", o.label_name_underscore_sanitization)
        .unless_zero("label_name_preserve_multiple_underscores", o.label_name_preserve_multiple_underscores)
        .done()
}
