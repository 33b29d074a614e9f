//! The table of flags: name, kind, default, mode, help. Everything else about flags derives from it.

/// What kind of value a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// No value; `--no-` switches it off.
    Bool,
    /// Prometheus duration (`1h30m`).
    Duration,
    /// Go duration (`1.5s`, `2ms`).
    GoDuration,
    /// Number; a fraction is cut off.
    Int,
    /// Number.
    Float,
    /// Size (`512MB`).
    Size,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts, in any case.
    OneOfAnyCase(&'static [&'static str]),
    /// May be repeated; values add up.
    Texts,
}

/// Which mode a flag belongs to; used in the other mode the process ends with exit code 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Both.
    Any,
    /// Not with `--agent`.
    Server,
    /// Only with `--agent`.
    Agent,
}

/// One flag.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Without the dashes.
    pub name: &'static str,
    /// Its values.
    pub kind: Kind,
    /// Value when not given; several for a repeatable flag, separated by commas.
    pub default: &'static str,
    /// Where it may be used.
    pub mode: Mode,
    /// Left out of the help text.
    pub hidden: bool,
    /// What it does.
    pub help: &'static str,
}

impl Flag {
    const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }
}

const fn any(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag { name, kind, default, mode: Mode::Any, hidden: false, help }
}

const fn server(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag { name, kind, default, mode: Mode::Server, hidden: false, help }
}

const fn agent(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag { name, kind, default, mode: Mode::Agent, hidden: false, help }
}

const COMPRESSIONS: Kind = Kind::OneOf(&["snappy", "zstd"]);

/// Every flag of Prometheus 3.14, in its order.
pub const FLAGS: &[Flag] = &[
    any("config.file", Kind::Text, "prometheus.yml", "Configuration file."),
    any(
        "config.auto-reload",
        Kind::Bool,
        "false",
        "Watch the configuration file and the files it names, and reload when one changes.",
    ),
    any(
        "config.auto-reload-interval",
        Kind::Duration,
        "30s",
        "How often --config.auto-reload looks; at least 1s.",
    ),
    any("web.listen-address", Kind::Texts, "0.0.0.0:9090", "host:port to serve HTTP on. May be repeated."),
    any("auto-gomaxprocs", Kind::Bool, "true", "Use as many threads as the container's CPU quota allows."),
    any("auto-gomemlimit", Kind::Bool, "true", "Respect the memory limit of the container or machine."),
    any(
        "auto-gomemlimit.ratio",
        Kind::Float,
        "0.9",
        "Share of the memory limit to use, above 0 and at most 1.",
    ),
    any(
        "auto-gomemlimit.refresh-interval",
        Kind::Duration,
        "0s",
        "How often to look for a new limit; 0 is never.",
    ),
    any("web.config.file", Kind::Text, "", "File with TLS settings and users of the web server."),
    any(
        "web.read-timeout",
        Kind::Duration,
        "5m",
        "Longest time for a request's head, then for its body, and to keep an idle connection.",
    ),
    any("web.max-connections", Kind::Int, "512", "Most simultaneous connections, over all listeners."),
    any(
        "web.max-notifications-subscribers",
        Kind::Int,
        "16",
        "Most simultaneous readers of live notifications.",
    ),
    any(
        "web.external-url",
        Kind::Text,
        "",
        "URL under which others reach this server; used in links. Its path prefixes all HTTP endpoints. \
         Default: this host's name and port.",
    ),
    any(
        "web.route-prefix",
        Kind::Text,
        "",
        "Prefix of all HTTP endpoints. Default: path of --web.external-url.",
    ),
    any("web.user-assets", Kind::Text, "", "Directory served under /user."),
    any("web.enable-lifecycle", Kind::Bool, "false", "Allow reload and shutdown by HTTP request."),
    any("web.enable-admin-api", Kind::Bool, "false", "Allow deletion and snapshots by HTTP request."),
    any("web.enable-remote-write-receiver", Kind::Bool, "false", "Accept samples by remote write."),
    any(
        "web.remote-write-receiver.accepted-protobuf-messages",
        Kind::Texts,
        "prometheus.WriteRequest,io.prometheus.write.v2.Request",
        "Remote write message to accept: prometheus.WriteRequest or io.prometheus.write.v2.Request. May be repeated.",
    ),
    any("web.enable-otlp-receiver", Kind::Bool, "false", "Accept metrics by OTLP."),
    any(
        "web.console.templates",
        Kind::Text,
        "consoles",
        "Directory of console templates, served under /consoles.",
    ),
    any(
        "web.console.libraries",
        Kind::Text,
        "console_libraries",
        "Directory of templates that consoles share.",
    ),
    any(
        "web.page-title",
        Kind::Text,
        "Prometheus Time Series Collection and Processing Server",
        "Title of the web pages.",
    ),
    any(
        "web.cors.origin",
        Kind::Text,
        ".*",
        "Regular expression, anchored, of origins allowed to call the API.",
    ),
    server("storage.tsdb.path", Kind::Text, "data/", "Data directory."),
    server("storage.tsdb.min-block-duration", Kind::Duration, "2h", "Shortest time range of a block.")
        .hidden(),
    server(
        "storage.tsdb.max-block-duration",
        Kind::Duration,
        "",
        "Longest time range of a block. Default: a tenth of the retention time, at most 31d.",
    )
    .hidden(),
    server("storage.tsdb.max-block-chunk-segment-size", Kind::Size, "", "Size of a chunk file in a block.")
        .hidden(),
    server("storage.tsdb.wal-segment-size", Kind::Size, "", "Size of a write-ahead log segment.").hidden(),
    server(
        "storage.tsdb.retention.time",
        Kind::Duration,
        "",
        "How long to keep samples; 15d when no bound is set anywhere. Better set storage.tsdb.retention.time in the \
         configuration file.",
    ),
    server(
        "storage.tsdb.retention.size",
        Kind::Size,
        "",
        "Most bytes to keep, such as 512MB. Better set storage.tsdb.retention.size in the configuration file.",
    ),
    server("storage.tsdb.no-lockfile", Kind::Bool, "false", "Create no lock file in the data directory."),
    server("storage.tsdb.allow-overlapping-compaction", Kind::Bool, "true", "Merge overlapping blocks.")
        .hidden(),
    server("storage.tsdb.wal-compression", Kind::Bool, "true", "Compress the write-ahead log.").hidden(),
    server("storage.tsdb.wal-compression-type", COMPRESSIONS, "snappy", "How: snappy or zstd.").hidden(),
    server(
        "storage.tsdb.head-chunks-write-queue-size",
        Kind::Int,
        "0",
        "Size of the queue through which head chunks are written; 0 writes at once.",
    ),
    server("storage.tsdb.samples-per-chunk", Kind::Int, "120", "Samples per chunk to aim at.").hidden(),
    server(
        "storage.tsdb.delayed-compaction.max-percent",
        Kind::Int,
        "10",
        "Longest random delay of compaction, in percent of the block range.",
    )
    .hidden(),
    server(
        "storage.tsdb.delay-compact-file.path",
        Kind::Text,
        "",
        "JSON file of uploaded blocks; a level 1 block that it does not list is not compacted.",
    ),
    server("storage.tsdb.block-reload-interval", Kind::Duration, "1m", "How often to look for new blocks.")
        .hidden(),
    agent("storage.agent.path", Kind::Text, "data-agent/", "Data directory."),
    agent("storage.agent.wal-segment-size", Kind::Size, "", "Size of a write-ahead log segment.").hidden(),
    agent("storage.agent.wal-compression", Kind::Bool, "true", "Compress the write-ahead log."),
    agent("storage.agent.wal-compression-type", COMPRESSIONS, "snappy", "How: snappy or zstd.").hidden(),
    agent("storage.agent.wal-truncate-frequency", Kind::Duration, "", "How often to truncate the log.")
        .hidden(),
    agent(
        "storage.agent.retention.min-time",
        Kind::Duration,
        "5m",
        "Age before which samples are never dropped.",
    ),
    agent(
        "storage.agent.retention.max-time",
        Kind::Duration,
        "4h",
        "Age after which samples are always dropped.",
    ),
    agent(
        "storage.agent.checkpoint-from-in-memory-series",
        Kind::Bool,
        "false",
        "Make checkpoints from the series in memory.",
    ),
    agent(
        "storage.agent.checkpoint-batch-size",
        Kind::Int,
        "1000",
        "Series per record of such a checkpoint.",
    ),
    agent("storage.agent.no-lockfile", Kind::Bool, "false", "Create no lock file in the data directory."),
    any(
        "storage.remote.flush-deadline",
        Kind::Duration,
        "1m",
        "How long to flush remote writes at shutdown or reload.",
    ),
    server(
        "storage.remote.read-sample-limit",
        Kind::Int,
        "5e7",
        "Most samples of one remote read; 0 is no limit.",
    ),
    server(
        "storage.remote.read-concurrent-limit",
        Kind::Int,
        "10",
        "Most simultaneous remote reads; 0 is no limit.",
    ),
    server(
        "storage.remote.read-max-bytes-in-frame",
        Kind::Int,
        "1048576",
        "Most bytes of a streamed remote read frame.",
    ),
    server("web.search.max-limit", Kind::Int, "10000", "Largest limit of the search API; 0 is no limit."),
    server(
        "rules.alert.for-outage-tolerance",
        Kind::Duration,
        "1h",
        "Longest downtime over which the \"for\" state of alerts is restored.",
    ),
    server(
        "rules.alert.for-grace-period",
        Kind::Duration,
        "10m",
        "Shortest time between restart and firing of a restored alert.",
    ),
    server(
        "rules.alert.resend-delay",
        Kind::Duration,
        "1m",
        "Shortest time before an unchanged alert is sent again.",
    ),
    server("rules.max-concurrent-evals", Kind::Int, "4", "Most independent rules evaluated at once."),
    any("scrape.adjust-timestamps", Kind::Bool, "true", "Align scrape timestamps to the schedule.").hidden(),
    any("scrape.timestamp-tolerance", Kind::GoDuration, "2ms", "By how much at most.").hidden(),
    server("alertmanager.notification-queue-capacity", Kind::Int, "10000", "Most alerts waiting to be sent."),
    server("alertmanager.notification-batch-size", Kind::Int, "256", "Most alerts in one request."),
    server(
        "alertmanager.drain-notification-queue-on-shutdown",
        Kind::Bool,
        "true",
        "Send waiting alerts before ending.",
    ),
    server("query.lookback-delta", Kind::Duration, "5m", "How far back an instant query looks for a sample."),
    server("query.timeout", Kind::Duration, "2m", "Longest time of a query."),
    server("query.max-concurrency", Kind::Int, "20", "Most queries executed at once."),
    server("query.max-samples", Kind::Int, "50000000", "Most samples that one query holds in memory."),
    any(
        "scrape.discovery-reload-interval",
        Kind::Duration,
        "5s",
        "Shortest time between updates of targets.",
    )
    .hidden(),
    any(
        "enable-feature",
        Kind::Texts,
        "",
        "Experimental features to enable, comma separated. May be repeated.",
    ),
    any("agent", Kind::Bool, "false", "Agent mode: scrape and forward only."),
    any(
        "log.level",
        Kind::OneOfAnyCase(&["debug", "info", "warn", "error"]),
        "info",
        "Log messages of this severity and above: debug, info, warn or error.",
    ),
    any("log.format", Kind::OneOf(&["logfmt", "json"]), "logfmt", "Form of log messages: logfmt or json."),
    any("write-documentation", Kind::Bool, "false", "Print the table of flags as Markdown and end.").hidden(),
];
