//! `--enable-feature`: which names there are, what each does, and what is said about it at start.

use super::{Notice, Severity};

macro_rules! features {
    ($($field:ident = $name:literal, $support:expr, $doc:literal;)*) => {
        /// The features that are on.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Features {
            $(#[doc = $doc] pub $field: bool,)*
        }

        impl Features {
            /// All names, in alphabetical order.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            fn set(&mut self, name: &str) -> Option<Support> {
                match name {
                    $($name => { self.$field = true; Some($support) })*
                    _ => None,
                }
            }
        }
    };
}

/// How far a feature goes in this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Support {
    /// It does what it says.
    Works,
    /// Known to Prometheus, without effect here yet.
    NotYet,
    /// What it switched on is always on, here as in Prometheus.
    AlwaysOn,
    /// Works, and says what to write instead.
    Instead(&'static str),
    /// Nothing to switch: the reason.
    NoEffect(&'static str),
}

use Support::{AlwaysOn, Instead, NoEffect, NotYet, Works};

features! {
    auto_reload_config = "auto-reload-config", Instead("--config.auto-reload"), "Reload when a file changes.";
    concurrent_rule_eval = "concurrent-rule-eval", Works, "Evaluate independent rules at once.";
    created_timestamp_zero_ingestion = "created-timestamp-zero-ingestion", Works, "A zero sample at a counter's start.";
    delayed_compaction = "delayed-compaction", NotYet, "Random delay of compaction.";
    exemplar_storage = "exemplar-storage", Works, "Keep exemplars.";
    extra_scrape_metrics = "extra-scrape-metrics", Instead("extra_scrape_metrics in the configuration file"), "More metrics about each scrape.";
    fast_startup = "fast-startup", NoEffect("start-up does not depend on it here"), "State file for a faster start.";
    histograms_st_encoding = "histograms-st-encoding", Works, "Histogram chunks with start timestamps.";
    memory_snapshot_on_shutdown = "memory-snapshot-on-shutdown", NotYet, "Snapshot of the head at shutdown.";
    metadata_wal_records = "metadata-wal-records", Works, "Metadata in the write-ahead log.";
    native_histograms = "native-histograms", Instead("scrape_native_histograms in the configuration file"), "Without effect, as in Prometheus.";
    old_ui = "old-ui", NoEffect("there is one web interface only"), "The former web interface.";
    ooo_native_histograms = "ooo-native-histograms", AlwaysOn, "Always on.";
    otlp_deltatocumulative = "otlp-deltatocumulative", NotYet, "OTLP deltas to cumulative values.";
    otlp_native_delta_ingestion = "otlp-native-delta-ingestion", NotYet, "OTLP deltas as they are.";
    promql_binop_fill_modifiers = "promql-binop-fill-modifiers", Works, "`fill`, `fill_left`, `fill_right`.";
    promql_delayed_name_removal = "promql-delayed-name-removal", Works, "Metric names dropped at the end of evaluation.";
    promql_duration_expr = "promql-duration-expr", AlwaysOn, "Always on.";
    promql_experimental_functions = "promql-experimental-functions", Works, "Experimental functions and aggregations.";
    promql_extended_range_selectors = "promql-extended-range-selectors", Works, "`anchored` and `smoothed`.";
    promql_per_step_stats = "promql-per-step-stats", Works, "Sample counts of each step.";
    search_api = "search-api", Works, "The search API.";
    st_storage = "st-storage", Works, "Start timestamps in the store.";
    st_synthesis = "st-synthesis", Works, "Start timestamps where a target sends none.";
    type_and_unit_labels = "type-and-unit-labels", Works, "`__type__` and `__unit__` labels.";
    use_start_timestamps = "use-start-timestamps", Works, "Start timestamps in PromQL.";
    use_uncached_io = "use-uncached-io", NoEffect("the page cache is used as before"), "Chunks past the page cache.";
    xor2_encoding = "xor2-encoding", Instead("storage.tsdb.chunk_encoding.floats in the configuration file"), "XOR2 float chunks.";
}

impl Features {
    /// Reads the values of `--enable-feature`, each a comma separated list. An unknown name is only remarked upon.
    pub(super) fn read(values: &[&str], notices: &mut Vec<Notice>) -> Self {
        let mut features = Self::default();
        for name in values.iter().flat_map(|v| v.split(',')) {
            let (severity, text) = match features.set(name) {
                None => {
                    let hint = match crate::suggestion::closest(name, Self::NAMES.iter().copied()) {
                        Some(near) => format!("; did you mean {near:?}?"),
                        None => String::new(),
                    };
                    (Severity::Warning, format!("unknown option for --enable-feature{hint}"))
                }
                Some(Works) => (Severity::Info, "experimental feature enabled".to_owned()),
                Some(AlwaysOn) => {
                    (Severity::Warning, "this feature is always on; the option has no effect".to_owned())
                }
                Some(Instead(what)) => {
                    (Severity::Warning, format!("this option is deprecated; use {what} instead"))
                }
                Some(NotYet) => (Severity::Warning, "this feature has no effect in this version".to_owned()),
                Some(NoEffect(why)) => (Severity::Warning, format!("this option has no effect: {why}")),
            };
            notices.push(Notice { severity, text, option: name.to_owned() });
        }
        features
    }

    /// Whether protobuf is the first choice of scrape protocols.
    pub fn prefers_protobuf(&self) -> bool {
        self.created_timestamp_zero_ingestion || self.st_storage
    }
}
