//! Command lines and what becomes of them.

use super::*;

fn parse(args: &[&str]) -> Result<Command, FlagsError> {
    let read_file = |name: &str| match name {
        "args" => Ok("--log.level=debug\n# comment\n--query.timeout\n3m\n".to_owned()),
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    };
    Command::parse(args.iter().map(|a| (*a).to_owned()), &|| "host".to_owned(), &read_file)
}

fn flags(args: &[&str]) -> Flags {
    match parse(args) {
        Ok(Command::Run(flags)) => *flags,
        other => panic!("{args:?}: {other:?}"),
    }
}

#[test]
fn defaults() {
    let flags = flags(&[]);
    assert_eq!(flags.config_file, "prometheus.yml");
    assert_eq!(flags.storage.path, "data/");
    assert_eq!(flags.storage.retention.time_ms, 15 * 86_400_000);
    assert_eq!(flags.web.listen_addresses, ["0.0.0.0:9090"]);
    assert_eq!(flags.web.external_url.to_string(), "http://host:9090");
    assert_eq!(flags.web.route_prefix, "/");
    assert_eq!(flags.remote.read_sample_limit, 50_000_000);
    assert_eq!(flags.scrape.timestamp_tolerance_ns, 2_000_000);
    assert_eq!(flags.storage.wal_compression, WalCompression::Snappy);
    assert!(flags.notices.is_empty() && flags.unsupported.is_empty());
}

#[test]
fn every_default_is_well_formed() {
    for flag in FLAGS {
        if !flag.default.is_empty() {
            assert_eq!(value::check(flag, flag.default), Ok(()), "{}", flag.name);
        }
        assert_eq!(FLAGS.iter().filter(|f| f.name == flag.name).count(), 1, "{} twice", flag.name);
        assert!(flag.help.ends_with('.'), "{}", flag.name);
    }
}

#[test]
fn forms() {
    let f = flags(&[
        "--config.file=a=b",
        "--query.timeout",
        "1m30s",
        "--no-storage.tsdb.wal-compression",
        "--web.enable-lifecycle",
        "--web.listen-address=[::1]:1",
        "--web.listen-address",
        ":2",
        "--enable-feature=exemplar-storage,promql-per-step-stats",
        "--enable-feature",
        "concurrent-rule-eval",
        "--storage.tsdb.retention.size=1GB",
        "--query.max-samples=1e3",
        "--web.external-url=http://x/prom/",
        "--log.level=DEBUG",
        "--config.auto-reload",
        "--config.auto-reload-interval=1ms",
    ]);
    assert_eq!(f.config_file, "a=b");
    assert_eq!(f.query.timeout_ms, 90_000);
    assert_eq!(f.storage.wal_compression, WalCompression::None);
    assert!(f.web.enable_lifecycle);
    assert_eq!(f.web.listen_addresses, ["[::1]:1", ":2"]);
    assert!(
        f.features.exemplar_storage && f.features.promql_per_step_stats && f.features.concurrent_rule_eval
    );
    assert_eq!((f.storage.retention.time_ms, f.storage.retention.size_bytes), (0, 1 << 30));
    assert_eq!(f.query.max_samples, 1000);
    assert_eq!(
        (f.web.external_url.to_string().as_str(), f.web.route_prefix.as_str()),
        ("http://x/prom", "/prom")
    );
    assert_eq!(f.log_level, LogLevel::Debug);
    assert_eq!(f.auto_reload_interval_ms, Some(1_000));
    assert_eq!(flags(&["@args"]).query.timeout_ms, 180_000);
    assert_eq!(flags(&["--web.route-prefix=a/b/"]).web.route_prefix, "/a/b");
}

#[test]
fn other_commands() {
    assert!(matches!(parse(&["--help"]), Ok(Command::Help)));
    assert!(matches!(parse(&["-h", "--log.level=x"]), Ok(Command::Help)));
    assert!(matches!(parse(&["--version", "stray"]), Ok(Command::Version)));
    assert!(matches!(parse(&["--write-documentation"]), Ok(Command::Documentation)));
    match parse(&["tool", "check", "--x"]) {
        Ok(Command::Tool(args)) => assert_eq!(args, ["check", "--x"]),
        other => panic!("{other:?}"),
    }
}

/// Exit codes as Prometheus 3.14 gives them for the same command lines.
#[test]
fn refusals() {
    for (args, exit_code, message) in [
        (&["--nope"][..], 1, "unknown flag '--nope'"),
        (
            &["--web.listen-adress=:1"],
            1,
            "unknown flag '--web.listen-adress'; did you mean '--web.listen-address'?",
        ),
        (&["stray"], 1, "unexpected argument \"stray\""),
        (&["--", "stray"], 1, "unexpected argument \"stray\""),
        (&[""], 1, "unexpected argument \"\""),
        (&["-x"], 1, "unknown flag \"-x\""),
        (&["--help", "stray"], 1, "unexpected argument \"stray\""),
        (&["--config.file"], 1, "expected a value for flag '--config.file'"),
        (&["--query.timeout", "-1m"], 1, "expected a value for flag '--query.timeout'"),
        (&["--no-config.file"], 1, "unknown flag '--no-config.file'; did you mean '--config.file'?"),
        (
            &["--web.enable-lifecycle=true"],
            1,
            "unexpected value \"true\": flag '--web.enable-lifecycle' takes none; write --web.enable-lifecycle or \
             --no-web.enable-lifecycle",
        ),
        (&["@nope"], 1, "cannot read the arguments file \"nope\": entity not found"),
        (&["--query.timeout=1m", "--query.timeout=2m"], 2, "flag '--query.timeout' cannot be repeated"),
        (
            &["--no-web.enable-lifecycle", "--web.enable-lifecycle"],
            2,
            "flag '--web.enable-lifecycle' cannot be repeated",
        ),
        (&["--web.max-connections=x"], 2, "--web.max-connections: \"x\" is not a number"),
        (
            &["--query.timeout=5"],
            2,
            "--query.timeout: not a valid duration string: \"5\" (expected numbers with units y, w, d, h, m, s, ms, \
             largest first, such as 1h30m)",
        ),
        (
            &["--storage.tsdb.retention.time=300y"],
            2,
            "--storage.tsdb.retention.time: duration out of range: \"300y\"",
        ),
        (
            &["--storage.tsdb.retention.size=10"],
            2,
            "--storage.tsdb.retention.size: unknown unit \"\" in size \"10\" (expected B, KB, MB, GB, TB, PB or EB)",
        ),
        (&["--log.level=loud"], 2, "--log.level: \"loud\" is not one of debug, info, warn, error"),
        (&["--log.format=JSON"], 2, "--log.format: \"JSON\" is not one of logfmt, json"),
        (
            &["--web.remote-write-receiver.accepted-protobuf-messages=x"],
            2,
            "--web.remote-write-receiver.accepted-protobuf-messages: \"x\" is not one of prometheus.WriteRequest, \
             io.prometheus.write.v2.Request",
        ),
    ] {
        let error = parse(args).map(drop).unwrap_err();
        assert_eq!(error.message, format!("Error parsing command line arguments: {message}"), "{args:?}");
        assert_eq!(error.exit_code, exit_code, "{args:?}");
    }
    for (args, exit_code, message) in [
        (
            &["--agent", "--storage.tsdb.path=x", "--query.timeout=1m"][..],
            3,
            "The following flag(s) can not be used in agent mode: [\"--storage.tsdb.path\" \"--query.timeout\"]",
        ),
        (
            &["--storage.agent.path=x"],
            3,
            "The following flag(s) can only be used in agent mode: [\"--storage.agent.path\"]",
        ),
        (&["--agent"], 1, "--agent: agent mode is not in this version"),
        (
            &["--auto-gomemlimit.ratio=2"],
            1,
            "--auto-gomemlimit.ratio must be greater than 0 and less than or equal to 1",
        ),
        (
            &["--web.search.max-limit=-1"],
            1,
            "--web.search.max-limit must be non-negative; got -1 (use 0 to disable the cap)",
        ),
        (
            &["--web.external-url=\"x\""],
            2,
            "--web.external-url \"\\\"x\\\"\": URL must not begin or end with quotes",
        ),
        (&["--web.external-url=:80"], 2, "--web.external-url \":80\": missing protocol scheme"),
        (&["--web.listen-address=foo"], 2, "--web.listen-address \"foo\": expected host:port"),
        (
            &["--web.cors.origin=("],
            2,
            "--web.cors.origin \"(\": error parsing regexp: missing closing ): `^(?s:()$`",
        ),
        (
            &["--enable-feature=otlp-deltatocumulative,otlp-native-delta-ingestion"],
            1,
            "Error parsing feature list: cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion at the \
             same time",
        ),
    ] {
        let error = parse(args).map(drop).unwrap_err();
        assert_eq!((error.message.as_str(), error.exit_code), (message, exit_code), "{args:?}");
    }
}

#[test]
fn features_are_remarked_upon() {
    let f =
        flags(&["--enable-feature=exemplar-storge,exemplar-storage,native-histograms,auto-reload-config"]);
    let notices: Vec<_> =
        f.notices.iter().map(|n| (n.option.as_str(), n.severity, n.text.as_str())).collect();
    assert_eq!(
        notices,
        [
            (
                "exemplar-storge",
                Severity::Warning,
                "unknown option for --enable-feature; did you mean \"exemplar-storage\"?"
            ),
            ("exemplar-storage", Severity::Info, "experimental feature enabled"),
            (
                "native-histograms",
                Severity::Warning,
                "this option is deprecated; use scrape_native_histograms in the configuration file instead"
            ),
            (
                "auto-reload-config",
                Severity::Warning,
                "this option is deprecated; use --config.auto-reload instead"
            ),
        ]
    );
    assert_eq!(f.auto_reload_interval_ms, Some(30_000));
}

#[test]
fn given_flags_without_effect_are_named() {
    let f = flags(&["--web.enable-otlp-receiver"]);
    assert_eq!(
        f.unsupported.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["--web.enable-otlp-receiver has no effect in this version: metrics are not received by OTLP"]
    );
}

#[test]
fn listing_is_prometheus_form() {
    let f = flags(&["--enable-feature=a,b", "--enable-feature=c", "--web.external-url=http://x/p/"]);
    let listing = f.listing(&f.storage.retention);
    let get = |name: &str| listing.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(listing.len(), FLAGS.len());
    assert!(listing.is_sorted());
    for (name, value) in [
        ("agent", "false"),
        ("auto-gomemlimit.ratio", "0.9"),
        ("enable-feature", "a,b,c"),
        ("scrape.timestamp-tolerance", "2ms"),
        ("storage.agent.wal-segment-size", "0B"),
        ("storage.agent.wal-truncate-frequency", "0s"),
        ("storage.remote.read-sample-limit", "50000000"),
        ("storage.tsdb.max-block-duration", "1d12h"),
        ("storage.tsdb.retention.size", "0B"),
        ("storage.tsdb.retention.time", "15d"),
        ("web.external-url", "http://x/p/"),
        (
            "web.remote-write-receiver.accepted-protobuf-messages",
            "prometheus.WriteRequest,io.prometheus.write.v2.Request",
        ),
        ("web.route-prefix", "/p"),
    ] {
        assert_eq!(get(name), Some(value), "{name}");
    }
}

#[test]
fn the_manual_has_every_flag_that_is_not_hidden() {
    assert!(matches!(parse(&["--help-man"]), Ok(Command::Manual)));
    let page = manual("1.2.3");
    assert!(page.starts_with(".TH TRIVIUM 1 \"\" \"trivium 1.2.3\"\n.SH NAME\n"));
    for flag in FLAGS.iter().filter(|flag| !flag.hidden) {
        assert!(page.contains(&flag.name.replace('-', "\\-")), "{}", flag.name);
    }
    // A line that begins with a point is a request to the formatter.
    let requests = [".TH", ".SH", ".B", ".BR", ".TP", ".br"];
    let requested = page.lines().filter(|line| line.starts_with(['.', '\'']));
    for line in requested {
        assert!(requests.contains(&line.split(' ').next().unwrap()), "{line}");
    }
}

#[test]
fn help_shows_what_is_not_hidden() {
    let help = help();
    for flag in FLAGS {
        assert_eq!(
            help.contains(&format!("{}=", flag.name)) || help.contains(&format!("[no-]{}\n", flag.name)),
            !flag.hidden,
            "{}",
            flag.name
        );
        assert!(documentation().contains(&format!("`--{}`", flag.name)));
    }
    assert!(help.lines().all(|line| line.len() <= 160));
}
