//! Where the configuration comes from, and what it and the flags mean to each part.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alerting::rules::{RuleFile, read_file};
use api::door;
use config::flags::{Flags, WalCompression};
use config::load::{Host, Loaded};
use config::reload::{fingerprint, load_all};
use config::storage::FloatChunkEncoding;
use config::{Config, ConfigError};
use promql::EngineOptions;
use promql::parse::Features;
use query::MemoryBudget;
use storage::{
    Compression, FloatEncoding, Limits, Options as StorageOptions, SizeLimit, WriterOptions, metrics,
};

use super::memory_limit::{MemoryLimit, of_readers};
use super::millis;
use crate::allocator::release_memory;
use crate::builtin;
use crate::host::Machine;

/// Where the configuration is read from.
pub enum Source {
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// What it and the files it names were like when they were last looked at.
        seen: Option<u64>,
    },
    /// No file was named and the default one is not there.
    Builtin {
        /// What it says now.
        yaml: String,
        /// Whether node_exporter is a target already.
        node_exporter: bool,
        /// Where this server listens, and its metrics path.
        own: (SocketAddr, String),
    },
}

impl Source {
    /// The file that the flags name; the built-in configuration when they name none and there is none. Called
    /// `prometheus`, the server stands in for Prometheus, where a missing file must not go unnoticed.
    pub fn choose(flags: &Flags, is_called_prometheus: bool) -> Self {
        let path = PathBuf::from(&flags.config_file);
        if is_called_prometheus || flags.is_given("config.file") || path.exists() {
            return Self::File { path, seen: None };
        }
        let metrics = format!("{}/metrics", flags.web.route_prefix.trim_end_matches('/'));
        let mut source = Self::Builtin {
            yaml: String::new(),
            node_exporter: false,
            own: (SocketAddr::from(([127, 0, 0, 1], 9090)), metrics),
        };
        source.write();
        source
    }

    /// Whether there is no file.
    pub fn is_builtin(&self) -> bool {
        matches!(self, Self::Builtin { .. })
    }

    /// For the log.
    pub fn name(&self) -> String {
        match self {
            Self::File { path, .. } => path.display().to_string(),
            Self::Builtin { .. } => builtin::NAME.to_owned(),
        }
    }

    /// Tells the built-in configuration where to scrape this server.
    pub fn listening_at(&mut self, address: Option<SocketAddr>) {
        if let (Self::Builtin { own, node_exporter, .. }, Some(address)) = (&mut *self, address) {
            own.0 = address;
            *node_exporter = builtin::node_exporter_answers();
        }
        self.write();
    }

    /// Looks for node_exporter; true when it has just appeared.
    pub fn look_for_node_exporter(&mut self) -> bool {
        let appeared = match self {
            Self::Builtin { node_exporter, .. } if !*node_exporter => {
                *node_exporter = builtin::node_exporter_answers();
                *node_exporter
            }
            _ => false,
        };
        if appeared {
            self.write();
        }
        appeared
    }

    fn write(&mut self) {
        if let Self::Builtin { yaml, node_exporter, own: (address, path) } = self {
            *yaml = builtin::yaml(*address, path, *node_exporter);
        }
    }

    /// Whether a file has changed since the last call; for `--config.auto-reload`. The first call only remembers.
    pub fn changed(&mut self) -> bool {
        let Self::File { path, seen } = self else { return false };
        match fingerprint(path, &Machine) {
            Ok(now) => seen.replace(now).is_some_and(|before| before != now),
            Err(e) => {
                tracing::error!(err = %e, "Looking for a changed configuration failed");
                false
            }
        }
    }
}

/// A configuration with its rules, read and checked whole.
pub struct Configuration {
    /// Everything but the rules.
    pub loaded: Loaded,
    /// The rules.
    pub rules: Vec<RuleFile>,
    /// Settings of the store that a reload may change.
    pub limits: Limits,
}

impl Configuration {
    /// Reads and checks everything. Nothing is applied.
    pub fn load(source: &Source, flags: &Flags) -> Result<Self, ConfigError> {
        let defaults = flags.config_defaults();
        let features = language(flags);
        let read_rules = |host: &dyn Host, loaded: &Loaded| {
            let names = loaded.config.global.name_validation;
            let read = |path: &PathBuf| {
                let text = host.read(path).map_err(|e| ConfigError::read(path, &e))?;
                read_file(path, &text, names, &features)
            };
            loaded.rule_files.iter().map(read).collect::<Result<Vec<RuleFile>, ConfigError>>()
        };
        let snapshot = match source {
            Source::File { path, .. } => {
                load_all(path, &defaults, &Machine, |loaded| read_rules(&Machine, loaded))?
            }
            Source::Builtin { yaml, .. } => {
                let host = OneFile(yaml);
                load_all(Path::new(builtin::NAME), &defaults, &host, |loaded| read_rules(&host, loaded))?
            }
        };
        let limits = storage_limits(flags, &snapshot.loaded.config);
        Ok(Self { loaded: snapshot.loaded, rules: snapshot.rules, limits })
    }

    /// Reads as [`Self::load`] what a running server is to take over: its store refuses more than the text says.
    pub fn reload(source: &Source, flags: &Flags) -> Result<Self, String> {
        let configuration = Self::load(source, flags).map_err(|e| e.to_string())?;
        if flags.features.st_storage && configuration.limits.metrics.floats == FloatEncoding::Xor {
            return Err(format!("{}: {}", source.name(), storage::XOR_WITHOUT_START_T));
        }
        Ok(configuration)
    }
}

/// A machine on which only the built-in configuration exists.
struct OneFile<'a>(&'a str);

impl Host for OneFile<'_> {
    fn read(&self, _: &Path) -> std::io::Result<String> {
        Ok(self.0.to_owned())
    }

    fn glob(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }
}

/// What PromQL allows under these flags.
pub fn language(flags: &Flags) -> Features {
    Features {
        experimental_functions: flags.features.promql_experimental_functions,
        extended_range_selectors: flags.features.promql_extended_range_selectors,
        binop_fill_modifiers: flags.features.promql_binop_fill_modifiers,
        ..Features::default()
    }
}

/// What clients may ask of the store.
pub fn read_limits(flags: &Flags, memory: Option<MemoryLimit>) -> door::limits::Limits {
    door::limits::Limits {
        timeout: millis(flags.query.timeout_ms),
        max_queries: usize::try_from(flags.query.max_concurrency).unwrap_or(1),
        memory: Arc::new(MemoryBudget::with_release(of_readers(memory), release_memory)),
    }
}

/// Settings of queries.
pub fn promql_options(flags: &Flags, config: &Config, memory: Option<MemoryLimit>) -> door::promql::Options {
    door::promql::Options {
        engine: EngineOptions {
            max_bytes: EngineOptions::default().max_bytes.min(of_readers(memory)),
            max_samples: usize::try_from(flags.query.max_samples).unwrap_or(usize::MAX),
            lookback_delta: flags.query.lookback_delta_ms,
            default_interval: config.global.evaluation_interval_ms,
            per_step_stats: flags.features.promql_per_step_stats,
            delayed_name_removal: flags.features.promql_delayed_name_removal,
            use_start_timestamps: flags.features.use_start_timestamps,
            type_and_unit_labels: flags.features.type_and_unit_labels,
            ..EngineOptions::default()
        },
        features: language(flags),
    }
}

/// The file decides how float chunks are encoded; where it is silent, the flag.
fn float_encoding(flags: &Flags, config: &Config) -> FloatEncoding {
    match config.storage.tsdb.float_chunk_encoding {
        Some(FloatChunkEncoding::Xor) => FloatEncoding::Xor,
        Some(FloatChunkEncoding::Xor2) => FloatEncoding::Xor2,
        None if flags.features.xor2_encoding => FloatEncoding::Xor2,
        None => FloatEncoding::Xor,
    }
}

/// Settings of the store that a reload may change.
fn storage_limits(flags: &Flags, config: &Config) -> Limits {
    let retention = &config.storage.tsdb.retention;
    let positive = |n: i64| u64::try_from(n).unwrap_or(0);
    Limits {
        size: SizeLimit { bytes: positive(retention.size_bytes), percentage: retention.percentage },
        metrics: metrics::Limits {
            retention_time: retention.time_ms,
            out_of_order_window: config.storage.tsdb.out_of_order_time_window_ms,
            floats: float_encoding(flags, config),
            max_exemplars: match config.storage.max_exemplars {
                Some(max) => usize::try_from(max).unwrap_or(0),
                None => metrics::Limits::default().max_exemplars,
            },
        },
    }
}

/// Settings of the store.
pub fn storage_options(flags: &Flags, config: &Config) -> StorageOptions {
    let default = StorageOptions::default();
    let positive = |n: i64, default: u64| u64::try_from(n).ok().filter(|n| *n > 0).unwrap_or(default);
    StorageOptions {
        limits: storage_limits(flags, config),
        wal: WriterOptions {
            compression: match flags.storage.wal_compression {
                WalCompression::None => Compression::None,
                WalCompression::Snappy => Compression::Snappy,
                WalCompression::Zstd => Compression::Zstd,
            },
            segment_len: positive(flags.storage.wal_segment_size, default.wal.segment_len),
        },
        round_every: millis(flags.storage.block_reload_interval_ms),
        no_lock_file: flags.storage.no_lockfile,
        metrics: metrics::Options {
            min_block: flags.storage.min_block_duration_ms,
            max_block: flags.max_block_duration_ms(&config.storage.tsdb.retention),
            samples_per_chunk: u16::try_from(flags.storage.samples_per_chunk)
                .unwrap_or(default.metrics.samples_per_chunk),
            block_segment_bytes: positive(
                flags.storage.max_block_chunk_segment_size,
                default.metrics.block_segment_bytes,
            ),
            log_metadata: flags.features.metadata_wal_records,
            merge_overlapping: flags.storage.allow_overlapping_compaction,
            start_t: flags.features.st_storage,
            histogram_start_t: flags.features.histograms_st_encoding,
            zero_at_start: flags.features.created_timestamp_zero_ingestion,
            exemplars: flags.features.exemplar_storage,
            ..default.metrics
        },
        ..default
    }
}
