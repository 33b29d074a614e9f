//! The checked configuration as Prometheus prints it at `/api/v1/status/config`: defaults filled in, its order of
//! fields, secrets as `<secret>`.

mod discovery;
mod http_client;
mod map;
mod remote;

use model::relabel::Spec;

use crate::configuration::Config;
use crate::sections::alerting::{Alerting, AlertmanagerConfig};
use crate::sections::global::{Global, ScrapeLimits, ScrapeProtocol};
use crate::sections::scrape::ScrapeJob;
use crate::sections::storage::Storage;
use crate::sections::table::Section as _;
use crate::yaml::writer::{Tree, write};
use discovery::{discovery, section};
use http_client::http_client;
use map::{Map, labels};
use remote::{otlp, remote_read, remote_write, trace};

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

impl ScrapeJob {
    /// The job as YAML, as an entry of `scrape_configs` without its dash.
    pub fn to_yaml(&self) -> String {
        write(&scrape_job(self))
    }
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

fn alerting(a: &Alerting) -> Tree {
    let mut m = Map::default();
    m.rules("alert_relabel_configs", &a.alert_relabel_configs);
    m.list("alertmanagers", &a.alertmanagers, |am| alertmanager(am)).done()
}

fn alertmanager(a: &AlertmanagerConfig) -> Tree {
    let mut m = Map::default();
    http_client(&mut m, &a.http);
    if let Some(sigv4) = &a.sigv4 {
        m.put("sigv4", section(&sigv4.fields()));
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
