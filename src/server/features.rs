//! What this server can do, as `/api/v1/features` tells clients: Prometheus's names, each true only where it works here
//! under these flags.

use std::collections::BTreeMap;

use config::flags::Flags;
use promql::ast::{AggregateOp, BinaryOp};
use promql::functions::FUNCTIONS;

use super::configuration::language;

type Area = BTreeMap<&'static str, bool>;

/// The features by area and name.
pub fn of(flags: &Flags) -> BTreeMap<&'static str, Area> {
    let on = &flags.features;
    BTreeMap::from([
        ("api", api(flags)),
        ("otlp_receiver", Area::from([("delta_conversion", false), ("native_delta_ingestion", false)])),
        (
            "prometheus",
            Area::from([
                ("agent_mode", false),
                ("auto_reload_config", flags.auto_reload_interval_ms.is_some()),
                ("server_mode", true),
                ("stringlabels", true),
            ]),
        ),
        ("promql", promql(flags)),
        ("promql_functions", functions(flags)),
        ("promql_operators", operators(flags)),
        (
            "rules",
            Area::from([
                ("concurrent_rule_eval", on.concurrent_rule_eval),
                ("keep_firing_for", true),
                ("query_offset", true),
            ]),
        ),
        (
            "scrape",
            Area::from([
                ("extra_scrape_metrics", true),
                ("start_timestamp_zero_ingestion", on.created_timestamp_zero_ingestion),
                ("type_and_unit_labels", on.type_and_unit_labels),
            ]),
        ),
        ("service_discovery_providers", config::discovery::mechanisms().collect()),
        ("templating_functions", alerting::template::function_names().map(|name| (name, true)).collect()),
        (
            "tsdb",
            Area::from([
                ("delayed_compaction", false),
                ("exemplar_storage", on.exemplar_storage),
                ("histograms_st_encoding", on.histograms_st_encoding),
                ("isolation", true),
                ("native_histograms", true),
                ("st_storage", on.st_storage),
                ("use_uncached_io", false),
                ("xor2_encoding", true),
            ]),
        ),
        ("ui", Area::from([("ui_v2", false), ("ui_v3", true)])),
    ])
}

fn api(flags: &Flags) -> Area {
    Area::from([
        ("admin", flags.web.enable_admin_api),
        ("exclude_alerts", true),
        ("label_values_match", true),
        ("lifecycle", flags.web.enable_lifecycle),
        ("openapi_3.1", false),
        ("openapi_3.2", false),
        ("otlp_write_receiver", false),
        ("query_stats", true),
        ("query_warnings", true),
        ("remote_write_receiver", false),
        ("search", flags.features.search_api),
        ("search_fuzz_alg_jarowinkler", flags.features.search_api),
        ("search_fuzz_alg_subsequence", flags.features.search_api),
        ("time_range_labels", true),
        ("time_range_series", true),
    ])
}

fn promql(flags: &Flags) -> Area {
    let (on, language) = (&flags.features, language(flags));
    let always = [
        "at_modifier",
        "bool",
        "by",
        "group_left",
        "group_right",
        "ignoring",
        "negative_offset",
        "offset",
        "on",
        "per_query_lookback_delta",
        "subqueries",
        "without",
    ];
    let mut area: Area = always.into_iter().map(|name| (name, true)).collect();
    area.extend([
        ("anchored", language.extended_range_selectors),
        ("delayed_name_removal", on.promql_delayed_name_removal),
        ("duration_expr", language.duration_expressions),
        ("fill", language.binop_fill_modifiers),
        ("fill_left", language.binop_fill_modifiers),
        ("fill_right", language.binop_fill_modifiers),
        ("per_step_stats", on.promql_per_step_stats),
        ("smoothed", language.extended_range_selectors),
        ("type_and_unit_labels", on.type_and_unit_labels),
    ]);
    area
}

fn functions(flags: &Flags) -> Area {
    let experimental = language(flags).experimental_functions;
    FUNCTIONS.iter().map(|function| (function.name, experimental || !function.experimental)).collect()
}

fn operators(flags: &Flags) -> Area {
    let experimental = language(flags).experimental_functions;
    let mut area: Area = BinaryOp::ALL.into_iter().map(|op| (op.as_str(), true)).collect();
    // Those of matchers and the modifier of a selector's time are listed here too.
    area.extend([("=~", true), ("!~", true), ("@", true)]);
    area.extend(AggregateOp::ALL.into_iter().map(|op| {
        let is_experimental = matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio);
        (op.as_str(), experimental || !is_experimental)
    }));
    area
}

#[cfg(test)]
mod tests {
    use config::flags::Command;

    use super::*;

    fn features(args: &[&str]) -> BTreeMap<&'static str, Area> {
        let args = args.iter().map(|arg| (*arg).to_owned());
        match Command::parse(args, &|| "host".to_owned(), &|_| unreachable!()).unwrap() {
            Command::Run(flags) => of(&flags),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_show() {
        let plain = features(&[]);
        assert!(plain["promql_functions"]["rate"] && !plain["promql_functions"]["info"]);
        assert!(!plain["api"]["admin"] && !plain["rules"]["concurrent_rule_eval"]);
        assert_eq!(plain["promql_operators"].len(), 35);
        let all = features(&[
            "--web.enable-admin-api",
            "--enable-feature=promql-experimental-functions,concurrent-rule-eval",
        ]);
        assert!(all["promql_functions"]["info"] && all["promql_operators"]["limitk"]);
        assert!(all["api"]["admin"] && all["rules"]["concurrent_rule_eval"]);
    }
}
