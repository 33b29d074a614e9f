//! Loading everything whole or not at all, and noticing that files have changed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::context::Defaults;
use crate::error::ConfigError;
use crate::load::{Host, Loaded, load};
use crate::yaml;
use crate::yaml::fields::Fields;

/// A configuration with its rules, all checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot<R> {
    /// Everything but the rules.
    pub loaded: Loaded,
    /// What `read_rules` made of the rule files.
    pub rules: R,
}

/// Loads and checks the configuration, the files of jobs and the rule files. Nothing is applied here: an error in any
/// file leaves the running configuration as it is. `read_rules` gets the checked configuration and the rule files.
pub fn load_all<R>(
    file: &Path,
    defaults: &Defaults,
    host: &dyn Host,
    read_rules: impl FnOnce(&Loaded) -> Result<R, ConfigError>,
) -> Result<Snapshot<R>, ConfigError> {
    let loaded = load(file, defaults, host)?;
    let rules = read_rules(&loaded)?;
    Ok(Snapshot { loaded, rules })
}

/// A number that changes when the main file, or a file that it names, changes: for `--config.auto-reload`. A main file
/// that cannot be parsed counts by itself, so that mending it is noticed too.
pub fn fingerprint(file: &Path, host: &dyn Host) -> Result<u64, ConfigError> {
    let mut hasher = DefaultHasher::new();
    let text = host.read(file).map_err(|e| ConfigError::read(file, &e))?;
    text.hash(&mut hasher);
    let patterns = yaml::parse(&text).and_then(|root| {
        let mut f = Fields::new(&root, "")?;
        Ok((f.texts("rule_files")?, f.texts("scrape_config_files")?))
    });
    let Ok((rule_files, job_files)) = patterns else { return Ok(hasher.finish()) };
    let defaults = Defaults::default();
    let cx = crate::context::Context::new(file, &defaults);
    for (kind, patterns) in [("rules", rule_files), ("jobs", job_files)] {
        for pattern in patterns {
            for path in host.glob(&cx.path(&pattern)).unwrap_or_default() {
                (kind, &path).hash(&mut hasher);
                let path = PathBuf::from(path);
                host.read(&path).map_err(|e| ConfigError::read(&path, &e))?.hash(&mut hasher);
            }
        }
    }
    Ok(hasher.finish())
}
