//! What the configuration means: the whole, with every default applied and every rule checked.

use std::sync::Arc;

use super::alerting::Alerting;
use super::global::{Global, Runtime};
use super::scrape::ScrapeJob;
use super::storage::Storage;

/// A checked configuration. Made by `load`; never changed afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `global`.
    pub global: Global,
    /// `runtime`.
    pub runtime: Runtime,
    /// `alerting`.
    pub alerting: Alerting,
    /// Globs of rule files, relative ones joined to the configuration's directory.
    pub rule_files: Vec<String>,
    /// Globs of files with more jobs.
    pub scrape_config_files: Vec<String>,
    /// The main file's jobs.
    pub scrape_configs: Vec<Arc<ScrapeJob>>,
    /// `storage`.
    pub storage: Storage,
}
