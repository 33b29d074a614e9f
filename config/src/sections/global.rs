//! The `global` and `runtime` sections.

use model::Labels;

use crate::context::{Context, Defaults};
use crate::yaml::Fault;
use crate::yaml::fields::{Fields, choice};

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
    /// Bytes of an uncompressed body; a negative size is no limit either, and is not replaced by the global one.
    pub body_size: i64,
    /// Whether a `body_size` of 0 was written, and is not what is left out: bodies of any size are taken then.
    pub any_body_size: bool,
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

/// Interval between scrapes unless written.
pub const DEFAULT_INTERVAL_MS: i64 = 60_000;
const DEFAULT_TIMEOUT_MS: i64 = 10_000;
const DEFAULT_GOGC: i64 = 75;

impl NameValidation {
    /// Reads `metric_name_validation_scheme`; `None` when it is not written.
    pub fn read(f: &mut Fields<'_>) -> Result<Option<Self>, Fault> {
        f.choice(
            "metric_name_validation_scheme",
            None,
            &[("utf8", Some(Self::Utf8)), ("legacy", Some(Self::Legacy)), ("", None)],
        )
    }
}

impl NameEscaping {
    /// Reads `metric_name_escaping_scheme`; `None` when it is not written.
    pub fn read(f: &mut Fields<'_>) -> Result<Option<Self>, Fault> {
        let choices = Self::ALL.map(|(name, escaping)| (name, Some(escaping)));
        f.choice("metric_name_escaping_scheme", None, &[choices.as_slice(), &[("", None)]].concat())
    }

    /// What a validation scheme implies.
    pub fn implied_by(names: NameValidation) -> Self {
        match names {
            NameValidation::Utf8 => Self::AllowUtf8,
            NameValidation::Legacy => Self::Underscores,
        }
    }
}

impl ScrapeProtocol {
    /// Reads `scrape_protocols`; `None` when it is not written. Not empty, nothing twice.
    pub fn read_list(f: &mut Fields<'_>, of: &str) -> Result<Option<Vec<Self>>, Fault> {
        let written = f.has("scrape_protocols");
        let protocols = f.list("scrape_protocols", |node, path| {
            choice(node, &Self::ALL).map_err(|e| Fault::new(node.pos, format!("{path}: {e}")))
        })?;
        if protocols.is_empty() {
            // An empty list is a mistake, null is as good as nothing.
            let empty_list = written && f.node("scrape_protocols").is_some_and(|node| !node.is_null());
            let message = format!("scrape_protocols cannot be empty for {of}");
            return if empty_list { Err(f.fault("scrape_protocols", message)) } else { Ok(None) };
        }
        for (i, protocol) in protocols.iter().enumerate() {
            if protocols[..i].contains(protocol) {
                let message =
                    format!("duplicated protocol {} in scrape_protocols for {of}", protocol.as_str());
                return Err(f.fault("scrape_protocols", message));
            }
        }
        Ok(Some(protocols))
    }
}

impl ScrapeLimits {
    /// Reads the limits; what is not written, or 0, comes from `outer`.
    pub fn read(f: &mut Fields<'_>, outer: &Self) -> Result<Self, Fault> {
        let mut or = |name, outer| f.uint(name, 0).map(|limit| if limit == 0 { outer } else { limit });
        let mut limits = Self {
            body_size: 0,
            any_body_size: false,
            samples: or("sample_limit", outer.samples)?,
            targets: or("target_limit", outer.targets)?,
            labels: or("label_limit", outer.labels)?,
            label_name_length: or("label_name_length_limit", outer.label_name_length)?,
            label_value_length: or("label_value_length_limit", outer.label_value_length)?,
            keep_dropped_targets: or("keep_dropped_targets", outer.keep_dropped_targets)?,
        };
        (limits.body_size, limits.any_body_size) = match f.size_opt("body_size_limit")? {
            None => (outer.body_size, outer.any_body_size),
            Some(0) => (outer.body_size, true),
            Some(size) => (size, false),
        };
        Ok(limits)
    }
}

impl Global {
    /// What holds when there is no `global` section.
    pub fn default_for(defaults: &Defaults) -> Self {
        Self {
            scrape_interval_ms: DEFAULT_INTERVAL_MS,
            scrape_timeout_ms: DEFAULT_TIMEOUT_MS,
            scrape_protocols: defaults.prefer_protobuf.then(|| ScrapeProtocol::PROTO_FIRST.to_vec()),
            evaluation_interval_ms: DEFAULT_INTERVAL_MS,
            rule_query_offset_ms: 0,
            query_log_file: String::new(),
            scrape_failure_log_file: String::new(),
            external_labels: Labels::empty(),
            limits: ScrapeLimits::default(),
            name_validation: NameValidation::Utf8,
            name_escaping: Some(NameEscaping::AllowUtf8),
            scrape_native_histograms: false,
            convert_classic_histograms_to_nhcb: false,
            always_scrape_classic_histograms: false,
            extra_scrape_metrics: defaults.extra_scrape_metrics,
        }
    }

    /// Reads the section. `expand` turns an external label's value as written into the one in force.
    pub fn read(
        mut f: Fields<'_>,
        cx: &Context<'_>,
        expand: &mut dyn FnMut(&str) -> String,
    ) -> Result<Self, Fault> {
        let or_default = |ms, default| if ms == 0 { default } else { ms };
        let default = Self::default_for(cx.defaults);
        let scrape_interval_ms = or_default(f.duration("scrape_interval", 0)?, DEFAULT_INTERVAL_MS);
        let scrape_timeout_ms = f.duration("scrape_timeout", 0)?;
        let labels = f.text_map("external_labels")?;
        let global = Self {
            scrape_interval_ms,
            scrape_timeout_ms: or_default(scrape_timeout_ms, DEFAULT_TIMEOUT_MS.min(scrape_interval_ms)),
            scrape_protocols: ScrapeProtocol::read_list(&mut f, "global config")?
                .or(default.scrape_protocols),
            evaluation_interval_ms: or_default(f.duration("evaluation_interval", 0)?, DEFAULT_INTERVAL_MS),
            rule_query_offset_ms: f.duration("rule_query_offset", 0)?,
            query_log_file: cx.path(&f.text("query_log_file", "")?),
            scrape_failure_log_file: cx.path(&f.text("scrape_failure_log_file", "")?),
            limits: ScrapeLimits::read(&mut f, &ScrapeLimits::default())?,
            name_validation: NameValidation::read(&mut f)?.unwrap_or_default(),
            name_escaping: NameEscaping::read(&mut f)?,
            scrape_native_histograms: f.optional_bool("scrape_native_histograms")?.unwrap_or(false),
            convert_classic_histograms_to_nhcb: f.bool("convert_classic_histograms_to_nhcb", false)?,
            always_scrape_classic_histograms: f.bool("always_scrape_classic_histograms", false)?,
            extra_scrape_metrics: f
                .optional_bool("extra_scrape_metrics")?
                .unwrap_or(default.extra_scrape_metrics),
            external_labels: Labels::from_pairs(labels.iter().map(|(name, value)| (name, expand(value)))),
        };
        f.finish()?;
        if let Some((name, _)) = labels.iter().find(|(name, _)| !global.name_validation.is_label_name(name)) {
            return Err(f.fault("external_labels", format!("{name:?} is not a valid label name")));
        }
        if scrape_timeout_ms > scrape_interval_ms {
            return Err(f.fault("scrape_timeout", "global scrape timeout greater than scrape interval"));
        }
        Ok(global)
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self { gogc: DEFAULT_GOGC }
    }
}

impl Runtime {
    /// Reads the section; 0 means the default.
    pub fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
        let gogc = f.int("gogc", 0)?;
        f.finish()?;
        if gogc != 0 {
            cx.note(f.pos(), "runtime.gogc", "there is no garbage collector");
        }
        Ok(if gogc == 0 { Self::default() } else { Self { gogc } })
    }
}
