//! From files to a checked configuration. Disk and environment are reached through [`Host`] only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::configuration::{Config, read_jobs};
use crate::context::{Context, Defaults};
use crate::error::ConfigError;
use crate::sections::scrape::ScrapeJob;
use crate::unsupported::Unsupported;
use crate::variables::expand;
use crate::yaml;
use crate::yaml::fields::Fields;

/// Where files and environment variables come from.
pub trait Host {
    /// The text of a file.
    fn read(&self, path: &Path) -> std::io::Result<String>;
    /// Existing files that a pattern matches, sorted; the error says what is wrong with the pattern.
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String>;
    /// An environment variable.
    fn env(&self, name: &str) -> Option<String>;
}

/// A configuration with everything that it names, except rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The main file.
    pub config: Config,
    /// Its jobs and those of `scrape_config_files`.
    pub jobs: Vec<Arc<ScrapeJob>>,
    /// Existing files that `rule_files` matches, in order, each once per pattern that matches it.
    pub rule_files: Vec<PathBuf>,
    /// What has no effect, for a warning each.
    pub unsupported: Vec<Unsupported>,
    /// Environment variables that external labels name and that are empty, for a warning each.
    pub empty_variables: Vec<String>,
}

/// Reads and checks the main file and the files of jobs that it names.
pub fn load(file: &Path, defaults: &Defaults, host: &dyn Host) -> Result<Loaded, ConfigError> {
    let text = host.read(file).map_err(|e| ConfigError::read(file, &e))?;
    let mut empty_variables = Vec::new();
    let mut expand = |value: &str| {
        expand(value, |name| match name {
            "$" => "$".to_owned(),
            _ => host.env(name).filter(|value| !value.is_empty()).unwrap_or_else(|| {
                empty_variables.push(name.to_owned());
                String::new()
            }),
        })
    };
    let cx = Context::new(file, defaults);
    let config = yaml::parse(&text)
        .and_then(|root| Config::read(&root, &cx, &mut expand))
        .map_err(|fault| ConfigError::at(file, &text, fault))?;
    let mut unsupported = cx.into_unsupported();
    let mut jobs = config.scrape_configs.clone();
    for path in matched(&config.scrape_config_files, file, host)? {
        let (more, notes) = load_jobs(&path, &config, &jobs, defaults, host)?;
        jobs.extend(more);
        unsupported.extend(notes);
    }
    let rule_files = matched(&config.rule_files, file, host)?;
    Ok(Loaded { config, jobs, rule_files, unsupported, empty_variables })
}

fn matched(patterns: &[String], file: &Path, host: &dyn Host) -> Result<Vec<PathBuf>, ConfigError> {
    let mut paths = Vec::new();
    for pattern in patterns {
        let found =
            host.glob(pattern).map_err(|reason| ConfigError::Read { path: file.to_owned(), reason })?;
        paths.extend(found.into_iter().map(PathBuf::from));
    }
    Ok(paths)
}

/// Reads one of `scrape_config_files`; `earlier` are the jobs whose names are taken.
fn load_jobs(
    file: &Path,
    config: &Config,
    earlier: &[Arc<ScrapeJob>],
    defaults: &Defaults,
    host: &dyn Host,
) -> Result<(Vec<Arc<ScrapeJob>>, Vec<Unsupported>), ConfigError> {
    let text = host.read(file).map_err(|e| ConfigError::read(file, &e))?;
    let cx = Context::new(file, defaults);
    let jobs = yaml::parse(&text).and_then(|root| {
        let mut f = Fields::new(&root, "")?;
        let jobs = read_jobs(&mut f, &config.global, &cx, earlier)?;
        f.finish()?;
        Ok(jobs)
    });
    let jobs = jobs.map_err(|fault| ConfigError::at(file, &text, fault))?;
    Ok((jobs, cx.into_unsupported()))
}
