//! The `global` and `runtime` sections.

use model::Labels;

/// How names of metrics and labels are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameValidation {
    /// Any non-empty UTF-8.
    #[default]
    Utf8,
    /// `[a-zA-Z_][a-zA-Z0-9_]*`, metric names also `:`.
    Legacy,
}

impl NameValidation {
    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf8",
            Self::Legacy => "legacy",
        }
    }

    /// Whether a label may be called so.
    pub fn is_label_name(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => model::labels::is_classic_label_name(name),
        }
    }

    /// Whether a metric may be called so.
    pub fn is_metric_name(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => model::labels::is_classic_metric_name(name),
        }
    }
}

/// How a target is asked to escape names that are not classic (`escaping=` of the Accept header).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameEscaping {
    /// `allow-utf-8`: not at all.
    #[default]
    AllowUtf8,
    /// `underscores`
    Underscores,
    /// `dots`
    Dots,
    /// `values`
    Values,
}

impl NameEscaping {
    /// All schemes with their names, in the order in which messages list them.
    pub const ALL: [(&str, Self); 4] = [
        ("allow-utf-8", Self::AllowUtf8),
        ("underscores", Self::Underscores),
        ("dots", Self::Dots),
        ("values", Self::Values),
    ];

    /// The name in the configuration and in the Accept header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

/// A format that a target may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScrapeProtocol {
    /// Delimited protobuf.
    PrometheusProto,
    /// OpenMetrics text 0.0.1.
    OpenMetricsText0_0_1,
    /// OpenMetrics text 1.0.0.
    OpenMetricsText1_0_0,
    /// Prometheus text 0.0.4.
    PrometheusText0_0_4,
    /// Prometheus text 1.0.0.
    PrometheusText1_0_0,
}

impl ScrapeProtocol {
    /// All protocols with their names, sorted by name as messages list them.
    pub const ALL: [(&str, Self); 5] = [
        ("OpenMetricsText0.0.1", Self::OpenMetricsText0_0_1),
        ("OpenMetricsText1.0.0", Self::OpenMetricsText1_0_0),
        ("PrometheusProto", Self::PrometheusProto),
        ("PrometheusText0.0.4", Self::PrometheusText0_0_4),
        ("PrometheusText1.0.0", Self::PrometheusText1_0_0),
    ];

    /// What is offered, best first, when neither the configuration nor a feature says otherwise.
    pub const DEFAULT: [Self; 4] = [
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// What is offered when native histograms or start timestamps are wanted.
    pub const PROTO_FIRST: [Self; 5] = [
        Self::PrometheusProto,
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, p)| *p == self).map_or("", |(name, _)| name)
    }

    /// The media type with its parameters, as in the Accept header without weights and escaping.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4",
            Self::PrometheusText1_0_0 => "text/plain;version=1.0.0",
        }
    }
}

/// Limits on what one scrape or one job may bring; 0 is no limit. A job's value of 0 means the global one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeLimits {
    /// Bytes of an uncompressed body.
    pub body_size: u64,
    /// Samples after metric relabelling.
    pub samples: u64,
    /// Targets of a job after relabelling.
    pub targets: u64,
    /// Labels of a sample.
    pub labels: u64,
    /// Bytes of a label name.
    pub label_name_length: u64,
    /// Bytes of a label value.
    pub label_value_length: u64,
    /// Dropped targets of a job that are remembered.
    pub keep_dropped_targets: u64,
}

/// The `global` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// Between two scrapes of a target. Never 0.
    pub scrape_interval_ms: i64,
    /// At most the interval. Never 0.
    pub scrape_timeout_ms: i64,
    /// `None` when neither configuration nor feature sets it: each job then chooses its default.
    pub scrape_protocols: Option<Vec<ScrapeProtocol>>,
    /// Between two evaluations of a rule group. Never 0.
    pub evaluation_interval_ms: i64,
    /// How far back rules look by default.
    pub rule_query_offset_ms: i64,
    /// JSON lines of queries; "" for none. Absolute, or relative to the working directory.
    pub query_log_file: String,
    /// JSON lines of failed scrapes; "" for none.
    pub scrape_failure_log_file: String,
    /// After expansion of environment variables.
    pub external_labels: Labels,
    /// Defaults of every job.
    pub limits: ScrapeLimits,
    /// How names are checked.
    pub name_validation: NameValidation,
    /// `None` when not written and not defaulted: derived from the validation.
    pub name_escaping: Option<NameEscaping>,
    /// Ask for native histograms.
    pub scrape_native_histograms: bool,
    /// Turn classic histograms into native ones with custom buckets.
    pub convert_classic_histograms_to_nhcb: bool,
    /// Keep classic histograms beside native ones.
    pub always_scrape_classic_histograms: bool,
    /// Add `scrape_timeout_seconds`, `scrape_sample_limit`, `scrape_body_size_bytes`.
    pub extra_scrape_metrics: bool,
}

/// The `runtime` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Target of Go's garbage collector in percent; kept for printing, without effect here.
    pub gogc: i64,
}
