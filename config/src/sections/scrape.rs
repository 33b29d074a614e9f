//! One job: an entry of `scrape_configs`, with everything inherited from `global` filled in.

use std::sync::Arc;

use model::relabel::Rule;

use crate::context::Context;
use crate::sections::discovery::SdConfig;
use crate::sections::global::{Global, NameEscaping, NameValidation, ScrapeLimits, ScrapeProtocol};
use crate::sections::http_client::HttpClientConfig;
use crate::sections::relabel::read_rules;
use crate::yaml::fields::{Fields, text};
use crate::yaml::{Fault, Node, Value};

/// Whether a target is reached with or without TLS; text because relabelling may set it.
pub const DEFAULT_SCHEME: &str = "http";

/// A checked entry of `scrape_configs`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeJob {
    /// Unique, not empty.
    pub job_name: String,
    /// The target's own labels win over ours.
    pub honor_labels: bool,
    /// Explicit timestamps are used. Default true.
    pub honor_timestamps: bool,
    /// Samples with explicit timestamps get stale markers too.
    pub track_timestamps_staleness: bool,
    /// Query parameters, sorted by name.
    pub params: Vec<(String, Vec<String>)>,
    /// Never 0.
    pub scrape_interval_ms: i64,
    /// Never 0, at most the interval.
    pub scrape_timeout_ms: i64,
    /// What to offer, best first; never empty.
    pub scrape_protocols: Vec<ScrapeProtocol>,
    /// How to read a body without usable Content-Type; `None`: the scrape fails.
    pub fallback_scrape_protocol: Option<ScrapeProtocol>,
    /// Ask for native histograms.
    pub scrape_native_histograms: bool,
    /// Keep classic histograms beside native ones.
    pub always_scrape_classic_histograms: bool,
    /// Turn classic histograms into native ones with custom buckets.
    pub convert_classic_histograms_to_nhcb: bool,
    /// JSON lines of failed scrapes; "" for none.
    pub scrape_failure_log_file: String,
    /// Default `/metrics`.
    pub metrics_path: String,
    /// Default `http`.
    pub scheme: String,
    /// Ask for gzip. Default true.
    pub enable_compression: bool,
    /// With global values filled in.
    pub limits: ScrapeLimits,
    /// Buckets of a native histogram beyond which its resolution is lowered; 0 is no limit.
    pub native_histogram_bucket_limit: u64,
    /// Growth factor of buckets below which resolution is lowered; 0 is no limit.
    pub native_histogram_min_bucket_factor: f64,
    /// How names are checked.
    pub name_validation: NameValidation,
    /// How the target is asked to escape names.
    pub name_escaping: NameEscaping,
    /// Add `scrape_timeout_seconds`, `scrape_sample_limit`, `scrape_body_size_bytes`.
    pub extra_scrape_metrics: bool,
    /// How to reach the targets.
    pub http: HttpClientConfig,
    /// `relabel_configs`.
    pub relabel_configs: Arc<[Rule]>,
    /// `metric_relabel_configs`.
    pub metric_relabel_configs: Arc<[Rule]>,
    /// Where targets come from.
    pub discovery: Vec<SdConfig>,
}

impl ScrapeJob {
    /// Reads an entry of `scrape_configs`.
    pub fn read(node: &Node, path: &str, global: &Global, cx: &Context<'_>) -> Result<Self, Fault> {
        if node.is_null() {
            return Err(Fault::new(node.pos, "empty or null scrape config section"));
        }
        let mut f = Fields::new(node, path)?;
        let job_name = f.text("job_name", "")?;
        let of = format!("scrape config with job name {job_name:?}");
        let written_names = NameValidation::read(&mut f)?;
        let name_validation = written_names.unwrap_or(global.name_validation);
        let relabel_configs = read_rules(
            &mut f,
            "relabel_configs",
            name_validation,
            "target relabeling rule in scrape config",
        )?;
        let scrape_interval_ms = match f.duration("scrape_interval", 0)? {
            0 => global.scrape_interval_ms,
            ms => ms,
        };
        let scrape_timeout_ms = f.duration("scrape_timeout", 0)?;
        let scrape_native_histograms =
            f.optional_bool("scrape_native_histograms")?.unwrap_or(global.scrape_native_histograms);
        let default_protocols = || match (&global.scrape_protocols, scrape_native_histograms) {
            (Some(protocols), _) => protocols.clone(),
            (None, true) => ScrapeProtocol::PROTO_FIRST.to_vec(),
            (None, false) => ScrapeProtocol::DEFAULT.to_vec(),
        };
        let job = Self {
            honor_labels: f.bool("honor_labels", false)?,
            honor_timestamps: f.bool("honor_timestamps", true)?,
            track_timestamps_staleness: f.bool("track_timestamps_staleness", false)?,
            params: read_params(&mut f)?,
            scrape_interval_ms,
            scrape_timeout_ms: match scrape_timeout_ms {
                0 => global.scrape_timeout_ms.min(scrape_interval_ms),
                ms => ms,
            },
            scrape_protocols: ScrapeProtocol::read_list(&mut f, &of)?.unwrap_or_else(default_protocols),
            fallback_scrape_protocol: {
                let choices = ScrapeProtocol::ALL.map(|(name, protocol)| (name, Some(protocol)));
                f.choice("fallback_scrape_protocol", None, &[choices.as_slice(), &[("", None)]].concat())?
            },
            scrape_native_histograms,
            always_scrape_classic_histograms: f
                .optional_bool("always_scrape_classic_histograms")?
                .unwrap_or(global.always_scrape_classic_histograms),
            convert_classic_histograms_to_nhcb: f
                .optional_bool("convert_classic_histograms_to_nhcb")?
                .unwrap_or(global.convert_classic_histograms_to_nhcb),
            scrape_failure_log_file: match f.text("scrape_failure_log_file", "")?.as_str() {
                "" => global.scrape_failure_log_file.clone(),
                path => cx.path(path),
            },
            metrics_path: f.text("metrics_path", "/metrics")?,
            scheme: f.text("scheme", DEFAULT_SCHEME)?,
            enable_compression: f.bool("enable_compression", true)?,
            limits: ScrapeLimits::read(&mut f, &global.limits)?,
            native_histogram_bucket_limit: f.uint("native_histogram_bucket_limit", 0)?,
            native_histogram_min_bucket_factor: f.float("native_histogram_min_bucket_factor", 0.0)?,
            name_validation,
            name_escaping: match (NameEscaping::read(&mut f)?, written_names) {
                (Some(escaping), _) => escaping,
                (None, Some(names)) => NameEscaping::implied_by(names),
                (None, None) => {
                    global.name_escaping.unwrap_or_else(|| NameEscaping::implied_by(global.name_validation))
                }
            },
            extra_scrape_metrics: f
                .optional_bool("extra_scrape_metrics")?
                .unwrap_or(global.extra_scrape_metrics),
            http: HttpClientConfig::read(&mut f, cx, true)?,
            metric_relabel_configs: read_rules(
                &mut f,
                "metric_relabel_configs",
                name_validation,
                "metric relabeling rule in scrape config",
            )?,
            discovery: SdConfig::read_all(&mut f, cx, !relabel_configs.is_empty())?,
            relabel_configs,
            job_name,
        };
        f.finish()?;
        if job.job_name.is_empty() {
            return Err(f.fault("job_name", "job_name is empty"));
        }
        if scrape_timeout_ms > scrape_interval_ms {
            let message = format!("scrape timeout greater than scrape interval for {of}");
            return Err(f.fault("scrape_timeout", message));
        }
        if job.name_escaping == NameEscaping::AllowUtf8 && job.name_validation == NameValidation::Legacy {
            let field = ["metric_name_escaping_scheme", "metric_name_validation_scheme"];
            let field = field.into_iter().find(|field| f.has(field)).unwrap_or("");
            return Err(
                f.fault(field, "utf8 metric names requested but validation scheme is not set to UTF8")
            );
        }
        Ok(job)
    }
}

fn read_params(f: &mut Fields<'_>) -> Result<Vec<(String, Vec<String>)>, Fault> {
    f.map("params", |node, path| match &node.value {
        _ if node.is_null() => Ok(Vec::new()),
        Value::Sequence(items) => items
            .iter()
            .map(|item| {
                if item.is_null() {
                    return Ok(String::new());
                }
                text(item).map_err(|e| Fault::new(item.pos, format!("{path}: {e}")))
            })
            .collect(),
        Value::Scalar(_) | Value::Mapping(_) => {
            let message = format!("{path}: expected a list of texts, such as [{}]", node.describe());
            Err(Fault::new(node.pos, message))
        }
    })
}
