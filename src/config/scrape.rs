//! One job: an entry of `scrape_configs`, with everything inherited from `global` filled in.

use std::sync::Arc;

use super::discovery::SdConfig;
use super::global::{NameEscaping, NameValidation, ScrapeLimits, ScrapeProtocol};
use super::http_client::HttpClientConfig;
use super::relabel::RelabelConfig;

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
    pub relabel_configs: Arc<[RelabelConfig]>,
    /// `metric_relabel_configs`.
    pub metric_relabel_configs: Arc<[RelabelConfig]>,
    /// Where targets come from.
    pub discovery: Vec<SdConfig>,
}
