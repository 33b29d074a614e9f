//! Which mechanism does what an entry of the configuration asks for.

use std::sync::Arc;

use config::discovery::SdConfig;
use tokio::task::JoinHandle;

use super::error::StartError;
use super::file;
use super::groups::groups;
use super::http::Http;
use super::manager::Updates;
use super::poll::{self, Mechanism};

/// Starts the mechanism of an entry. `None`: it has reported all that it ever will.
pub fn start(config: &SdConfig, updates: Updates) -> Result<Option<JoinHandle<()>>, StartError> {
    let metrics = updates.metrics().clone();
    Ok(Some(match config {
        SdConfig::Static(entries) => {
            updates.report_all(groups("", entries, None).into_iter().map(Arc::new).collect());
            return Ok(None);
        }
        SdConfig::File(sd) => tokio::spawn(file::run(sd.as_ref().clone(), updates)),
        SdConfig::Http(sd) => poll("http", sd.refresh_interval_ms, Http::new(sd, metrics)?, updates),
        other => return Err(StartError::NotYet(other.section_name())),
    }))
}

fn poll(
    name: &'static str,
    interval_ms: i64,
    mechanism: impl Mechanism + 'static,
    updates: Updates,
) -> JoinHandle<()> {
    tokio::spawn(poll::run(name, poll::interval(interval_ms), mechanism, updates))
}
