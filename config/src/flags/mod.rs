//! The command line: Prometheus 3.14's flags with their names, defaults and exit codes. [`Command::parse`] turns
//! arguments into [`Flags`], typed and checked. [`table`] lists the flags, [`parse`] holds the grammar.

mod feature;
mod help;
mod parse;
mod storage;
pub mod table;
mod value;
mod web;

use model::go_duration::parse_go_duration;

pub use feature::Features;
pub use help::{documentation, help, manual};
pub use storage::{StorageFlags, WalCompression};
pub use web::WebFlags;

use crate::sections::storage::Retention;
use crate::{Defaults, Unsupported};
use parse::{GivenFlags, Parsed};
use storage::storage_flags;
use table::{FLAGS, Flag, Mode};
use value::Values;
use web::web_flags;

/// What the process is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Run the server.
    Run(Box<Flags>),
    /// Print the help text and end with 0.
    Help,
    /// Print the manual page and end with 0.
    Manual,
    /// Print name and version and end with 0.
    Version,
    /// Print the table of flags as Markdown and end with 0.
    Documentation,
    /// `trivium tool ...`; the arguments after `tool`.
    Tool(Vec<String>),
}

/// A command line that cannot be honoured: one line for stderr and the exit code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FlagsError {
    /// One line, which names the flag.
    pub message: String,
    /// 1 for an unknown flag, a stray argument or a value out of bounds, 2 for a malformed or repeated value,
    /// 3 for a flag of the other mode; as Prometheus ends.
    pub exit_code: u8,
}

impl FlagsError {
    fn usage(message: String) -> Self {
        Self { message: format!("Error parsing command line arguments: {message}"), exit_code: 1 }
    }

    fn value(message: String) -> Self {
        Self { message: format!("Error parsing command line arguments: {message}"), exit_code: 2 }
    }
}

/// How loudly a [`Notice`] is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// `level=INFO`
    Info,
    /// `level=WARN`
    Warning,
}

/// Something to log once at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How loudly.
    pub severity: Severity,
    /// `msg`
    pub text: String,
    /// `option`: the feature or flag.
    pub option: String,
}

/// Lowest severity that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// `debug`
    Debug,
    /// `info`
    Info,
    /// `warn`
    Warn,
    /// `error`
    Error,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value`
    Logfmt,
    /// One JSON object.
    Json,
}

/// The checked command line. Durations are milliseconds unless named otherwise.
#[derive(Clone, Debug)]
pub struct Flags {
    /// `--config.file`
    pub config_file: String,
    /// Interval of `--config.auto-reload`, at least 1s; `None` when it is off.
    pub auto_reload_interval_ms: Option<i64>,
    /// `--web.*`
    pub web: WebFlags,
    /// `--storage.tsdb.*`
    pub storage: StorageFlags,
    /// `--storage.remote.*`
    pub remote: RemoteFlags,
    /// `--rules.*`
    pub rules: RuleFlags,
    /// `--scrape.*`
    pub scrape: ScrapeFlags,
    /// `--alertmanager.*`
    pub alertmanager: AlertmanagerFlags,
    /// `--query.*`
    pub query: QueryFlags,
    /// `--auto-gomaxprocs`: respect the CPU quota of the container.
    pub respect_cpu_quota: bool,
    /// `--auto-gomemlimit.ratio` when `--auto-gomemlimit` is on: share of the memory limit to use.
    pub memory_limit_ratio: Option<f64>,
    /// `--enable-feature`
    pub features: Features,
    /// `--log.level`
    pub log_level: LogLevel,
    /// `--log.format`
    pub log_format: LogFormat,
    /// What to log once the logger is there.
    pub notices: Vec<Notice>,
    /// Given flags that have no effect in this version, for a warning each.
    pub unsupported: Vec<Unsupported>,
    given: std::sync::Arc<GivenFlags>,
}

/// `--storage.remote.*`
#[derive(Clone, Debug)]
pub struct RemoteFlags {
    /// At shutdown or reload.
    pub flush_deadline_ms: i64,
    /// 0 is no limit.
    pub read_sample_limit: i64,
    /// 0 is no limit.
    pub read_concurrent_limit: i64,
    /// Of a streamed answer.
    pub read_max_bytes_in_frame: i64,
}

/// `--rules.*`
#[derive(Clone, Debug)]
pub struct RuleFlags {
    /// Longest downtime over which `for` is restored.
    pub for_outage_tolerance_ms: i64,
    /// Shortest time from restart to firing.
    pub for_grace_period_ms: i64,
    /// Before an unchanged alert is sent again.
    pub resend_delay_ms: i64,
    /// With feature `concurrent-rule-eval`.
    pub max_concurrent_evals: i64,
}

/// `--scrape.*`
#[derive(Clone, Debug)]
pub struct ScrapeFlags {
    /// Align timestamps to the schedule.
    pub adjust_timestamps: bool,
    /// By how much at most, in nanoseconds.
    pub timestamp_tolerance_ns: i64,
    /// Shortest time between updates of targets.
    pub discovery_reload_interval_ms: i64,
}

/// `--alertmanager.*`
#[derive(Clone, Debug)]
pub struct AlertmanagerFlags {
    /// Alerts waiting.
    pub notification_queue_capacity: i64,
    /// Alerts in one request.
    pub notification_batch_size: i64,
    /// Send waiting alerts before ending.
    pub drain_on_shutdown: bool,
}

/// `--query.*`
#[derive(Clone, Debug)]
pub struct QueryFlags {
    /// Default 5m.
    pub lookback_delta_ms: i64,
    /// Default 2m.
    pub timeout_ms: i64,
    /// Default 20.
    pub max_concurrency: i64,
    /// Default 50000000.
    pub max_samples: i64,
}
const LONGEST_DEFAULT_BLOCK_MS: i64 = 31 * 86_400_000;

/// Flags of parts that are not in this version: a given one is warned about, never silently ignored.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("web.console.templates", "console templates are not served"),
    ("web.console.libraries", "console templates are not served"),
    ("web.enable-remote-write-receiver", "samples are not received by remote write"),
    ("web.remote-write-receiver.accepted-protobuf-messages", "samples are not received by remote write"),
    ("web.enable-otlp-receiver", "metrics are not received by OTLP"),
    ("storage.tsdb.delay-compact-file.path", "compaction does not wait for uploads"),
    ("storage.tsdb.delayed-compaction.max-percent", "compaction is not delayed"),
    ("storage.tsdb.head-chunks-write-queue-size", "head chunks are written without a queue"),
    ("storage.remote.flush-deadline", "there is no remote write"),
    ("storage.remote.read-sample-limit", "there is no remote read"),
    ("storage.remote.read-concurrent-limit", "there is no remote read"),
    ("storage.remote.read-max-bytes-in-frame", "there is no remote read"),
];

impl Command {
    /// Reads the arguments, the program's name not among them. `hostname` is asked for only when there is no
    /// `--web.external-url`; `read_file` serves `@file` arguments.
    pub fn parse(
        args: impl IntoIterator<Item = String>,
        hostname: &dyn Fn() -> String,
        read_file: &dyn Fn(&str) -> std::io::Result<String>,
    ) -> Result<Self, FlagsError> {
        let given = match parse::parse(args.into_iter().collect(), read_file)? {
            Parsed::Help => return Ok(Self::Help),
            Parsed::Manual => return Ok(Self::Manual),
            Parsed::Version => return Ok(Self::Version),
            Parsed::Tool(args) => return Ok(Self::Tool(args)),
            Parsed::Run(given) => given,
        };
        for (flag, text) in &given.flags {
            value::check(flag, text).map_err(|e| FlagsError::value(format!("--{}: {e}", flag.name)))?;
        }
        let values = Values { given: &given };
        if values.bool("write-documentation") {
            return Ok(Self::Documentation);
        }
        Flags::check(&values, hostname).map(|flags| Self::Run(Box::new(flags)))
    }
}

impl Flags {
    fn check(v: &Values<'_>, hostname: &dyn Fn() -> String) -> Result<Self, FlagsError> {
        let mut notices = Vec::new();
        let feature_lists = v.texts("enable-feature");
        let feature_lists: Vec<&str> = feature_lists.iter().map(String::as_str).collect();
        let features = Features::read(&feature_lists, &mut notices);
        let plain = |message: String, exit_code| FlagsError { message, exit_code };
        if features.otlp_deltatocumulative && features.otlp_native_delta_ingestion {
            return Err(plain(
                "Error parsing feature list: cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion at \
                 the same time"
                    .to_owned(),
                1,
            ));
        }
        let search_max_limit = v.int("web.search.max-limit");
        if search_max_limit < 0 {
            return Err(plain(
                format!(
                    "--web.search.max-limit must be non-negative; got {search_max_limit} (use 0 to disable the cap)"
                ),
                1,
            ));
        }
        check_mode(v.given, v.bool("agent"))?;
        let ratio = value::number(&v.text("auto-gomemlimit.ratio")).unwrap_or(0.0);
        if !(ratio > 0.0 && ratio <= 1.0) {
            return Err(plain(
                "--auto-gomemlimit.ratio must be greater than 0 and less than or equal to 1".to_owned(),
                1,
            ));
        }
        let web = web_flags(v, hostname, search_max_limit)?;
        let auto_reload = v.bool("config.auto-reload") || features.auto_reload_config;
        let given = |name: &str| v.given.flags.iter().any(|(f, _)| f.name == name);
        let unsupported = UNSUPPORTED
            .iter()
            .filter(|(name, _)| given(name))
            .map(|(name, why)| Unsupported::flag(name, why))
            .collect();
        Ok(Self {
            config_file: v.text("config.file"),
            auto_reload_interval_ms: auto_reload.then(|| v.ms("config.auto-reload-interval").max(1_000)),
            web,
            storage: storage_flags(v, &mut notices),
            remote: RemoteFlags {
                flush_deadline_ms: v.ms("storage.remote.flush-deadline"),
                read_sample_limit: v.int("storage.remote.read-sample-limit"),
                read_concurrent_limit: v.int("storage.remote.read-concurrent-limit"),
                read_max_bytes_in_frame: v.int("storage.remote.read-max-bytes-in-frame"),
            },
            rules: RuleFlags {
                for_outage_tolerance_ms: v.ms("rules.alert.for-outage-tolerance"),
                for_grace_period_ms: v.ms("rules.alert.for-grace-period"),
                resend_delay_ms: v.ms("rules.alert.resend-delay"),
                max_concurrent_evals: v.int("rules.max-concurrent-evals"),
            },
            scrape: ScrapeFlags {
                adjust_timestamps: v.bool("scrape.adjust-timestamps"),
                timestamp_tolerance_ns: parse_go_duration(&v.text("scrape.timestamp-tolerance")).unwrap_or(0),
                discovery_reload_interval_ms: v.ms("scrape.discovery-reload-interval"),
            },
            alertmanager: AlertmanagerFlags {
                notification_queue_capacity: v.int("alertmanager.notification-queue-capacity"),
                notification_batch_size: v.int("alertmanager.notification-batch-size"),
                drain_on_shutdown: v.bool("alertmanager.drain-notification-queue-on-shutdown"),
            },
            query: QueryFlags {
                lookback_delta_ms: v.ms("query.lookback-delta"),
                timeout_ms: v.ms("query.timeout"),
                max_concurrency: v.int("query.max-concurrency"),
                max_samples: v.int("query.max-samples"),
            },
            respect_cpu_quota: v.bool("auto-gomaxprocs"),
            memory_limit_ratio: v.bool("auto-gomemlimit").then_some(ratio),
            features,
            log_level: match v.text("log.level").to_lowercase().as_str() {
                "debug" => LogLevel::Debug,
                "warn" => LogLevel::Warn,
                "error" => LogLevel::Error,
                _ => LogLevel::Info,
            },
            log_format: if v.text("log.format") == "json" { LogFormat::Json } else { LogFormat::Logfmt },
            notices,
            unsupported,
            given: std::sync::Arc::new(GivenFlags { flags: v.given.flags.clone() }),
        })
    }

    /// Whether a flag was on the command line, rather than having its default.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.flags.iter().any(|(flag, _)| flag.name == name)
    }

    /// What the flags contribute to the configuration's defaults.
    pub fn config_defaults(&self) -> Defaults {
        Defaults {
            retention: self.storage.retention,
            prefer_protobuf: self.features.prefers_protobuf(),
            extra_scrape_metrics: self.features.extra_scrape_metrics,
        }
    }

    /// Longest range of a block under this retention: the flag, or else a tenth of the retention, at most 31d.
    pub fn max_block_duration_ms(&self, retention: &Retention) -> i64 {
        self.storage.max_block_duration_ms.unwrap_or(match retention.time_ms {
            0 => LONGEST_DEFAULT_BLOCK_MS,
            time => (time / 10).min(LONGEST_DEFAULT_BLOCK_MS),
        })
    }

    /// Names and values of all flags, sorted, as `/api/v1/status/flags` shows them. `retention` is the one in force,
    /// configuration included.
    pub fn listing(&self, retention: &Retention) -> Vec<(String, String)> {
        let mut listing: Vec<(String, String)> = FLAGS
            .iter()
            .map(|flag| {
                let shown = match flag.name {
                    "config.auto-reload" => self.auto_reload_interval_ms.is_some().to_string(),
                    "web.route-prefix" => self.web.route_prefix.clone(),
                    "storage.tsdb.retention.time" => model::time::DurationText(retention.time_ms).to_string(),
                    "storage.tsdb.retention.size" => crate::size::SizeText(retention.size_bytes).to_string(),
                    "storage.tsdb.max-block-duration" => {
                        model::time::DurationText(self.max_block_duration_ms(retention)).to_string()
                    }
                    _ => value::shown(flag.kind, &self.given.values(flag)),
                };
                (flag.name.to_owned(), shown)
            })
            .collect();
        listing.sort();
        listing
    }
}

fn check_mode(given: &GivenFlags, agent: bool) -> Result<(), FlagsError> {
    let (wrong, message) = if agent {
        (Mode::Server, "The following flag(s) can not be used in agent mode")
    } else {
        (Mode::Agent, "The following flag(s) can only be used in agent mode")
    };
    let names: Vec<String> = given
        .flags
        .iter()
        .filter(|(flag, _)| flag.mode == wrong)
        .map(|(Flag { name, .. }, _)| format!("\"--{name}\""))
        .collect();
    if !names.is_empty() {
        return Err(FlagsError { message: format!("{message}: [{}]", names.join(" ")), exit_code: 3 });
    }
    if agent {
        // A server where an agent was asked for would keep data and answer queries: refuse rather than warn.
        return Err(FlagsError {
            message: "--agent: agent mode is not in this version".to_owned(),
            exit_code: 1,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
