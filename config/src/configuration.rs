//! What the configuration means: the whole, with every default applied and every rule checked.

use std::sync::Arc;

use crate::context::Context;
use crate::sections::alerting::Alerting;
use crate::sections::discovery::is_file_pattern;
use crate::sections::global::{Global, NameValidation, Runtime};
use crate::sections::otlp::{Otlp, Tracing};
use crate::sections::remote::{RemoteRead, RemoteWrite};
use crate::sections::scrape::ScrapeJob;
use crate::sections::storage::Storage;
use crate::yaml::fields::Fields;
use crate::yaml::{Fault, Node, Pos};

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
    /// `tracing`.
    pub tracing: Option<Tracing>,
    /// `remote_write`.
    pub remote_write: Vec<RemoteWrite>,
    /// `remote_read`.
    pub remote_read: Vec<RemoteRead>,
    /// `otlp`.
    pub otlp: Otlp,
}

impl Config {
    /// Reads the main file's tree.
    pub fn read(
        root: &Node,
        cx: &Context<'_>,
        expand: &mut dyn FnMut(&str) -> String,
    ) -> Result<Self, Fault> {
        let mut f = Fields::new(root, "")?;
        let global = f
            .section("global", |f| Global::read(f, cx, expand))?
            .unwrap_or_else(|| Global::default_for(cx.defaults));
        let names = global.name_validation;
        let runtime = f.section("runtime", |f| Runtime::read(f, cx))?.unwrap_or_default();
        let alerting = f.section("alerting", |f| Alerting::read(f, cx, names))?.unwrap_or_default();
        let rule_files = read_patterns(&mut f, "rule_files", "rule file", cx)?;
        let scrape_config_files = read_patterns(&mut f, "scrape_config_files", "scrape config file", cx)?;
        let scrape_configs = read_jobs(&mut f, &global, cx, &[])?;
        let storage = match f.node("storage").filter(|node| !node.is_null()) {
            Some(node) => Storage::read(Some(Fields::new(node, "storage")?), cx)?,
            None => Storage::read(None, cx)?,
        };
        let tracing = f.section("tracing", |f| Tracing::read(f, cx))?;
        let remote_write = RemoteWrite::read_list(&mut f, cx, names)?;
        let remote_read = RemoteRead::read_list(&mut f, cx)?;
        let otlp = match f.section("otlp", |f| Otlp::read(f, cx, names == NameValidation::Utf8))? {
            Some(otlp) => otlp,
            None if f.has("otlp") => Otlp::null(),
            None => Otlp::default(),
        };
        f.finish()?;
        Ok(Self {
            global,
            runtime,
            alerting,
            rule_files,
            scrape_config_files,
            scrape_configs,
            storage,
            tracing,
            remote_write,
            remote_read,
            otlp,
        })
    }
}

fn read_patterns(
    f: &mut Fields<'_>,
    name: &'static str,
    what: &str,
    cx: &Context<'_>,
) -> Result<Vec<String>, Fault> {
    let patterns = f.texts(name)?;
    match patterns.iter().find(|pattern| !is_file_pattern(pattern)) {
        Some(pattern) => Err(f.fault(
            name,
            format!("invalid {what} path {pattern:?} (expected * in the last part of the path only)"),
        )),
        None => Ok(patterns.iter().map(|pattern| cx.path(pattern)).collect()),
    }
}

/// Reads `scrape_configs` of the main file or of a file of jobs; `earlier` are jobs of other files.
pub(super) fn read_jobs(
    f: &mut Fields<'_>,
    global: &Global,
    cx: &Context<'_>,
    earlier: &[Arc<ScrapeJob>],
) -> Result<Vec<Arc<ScrapeJob>>, Fault> {
    let mut places: Vec<(String, Pos)> = Vec::new();
    f.list("scrape_configs", |node, path| {
        let job = ScrapeJob::read(node, path, global, cx)?;
        let first = match places.iter().find(|(name, _)| *name == job.job_name) {
            Some((_, pos)) => Some(format!("at line {}", pos.line)),
            None => earlier.iter().any(|j| j.job_name == job.job_name).then(|| "in another file".to_owned()),
        };
        if let Some(first) = first {
            let message = format!(
                "found multiple scrape configs with job name {:?}; the first is {first}",
                job.job_name
            );
            return Err(Fault::new(node.pos, message));
        }
        places.push((job.job_name.clone(), node.pos));
        Ok(Arc::new(job))
    })
}
