//! Which mechanism does what an entry of the configuration asks for.

use std::sync::Arc;

use config::discovery::{AwsRole, AwsTargets, SdConfig};
use tokio::task::JoinHandle;

use super::aws::{Ec2, Lightsail};
use super::error::StartError;
use super::file;
use super::gce::Gce;
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
        SdConfig::Aws(sd) => return aws(sd.targets(), updates).map(Some),
        SdConfig::Ec2(sd) => return aws(sd.targets(), updates).map(Some),
        SdConfig::Lightsail(sd) => return aws(sd.targets(), updates).map(Some),
        SdConfig::Gce(sd) => poll("gce", sd.refresh_interval_ms, Gce::new(sd), updates),
        other => return Err(StartError::NotYet(other.section_name())),
    }))
}

/// Starts a role of AWS.
fn aws(targets: AwsTargets, updates: Updates) -> Result<JoinHandle<()>, StartError> {
    let interval = targets.refresh_interval_ms;
    Ok(match targets.role {
        AwsRole::Ec2 => poll("ec2", interval, Ec2::new(targets)?, updates),
        AwsRole::Lightsail => poll("lightsail", interval, Lightsail::new(targets)?, updates),
        AwsRole::Ecs => return Err(StartError::NotYet("the role ecs of AWS")),
        AwsRole::Elasticache => return Err(StartError::NotYet("the role elasticache of AWS")),
        AwsRole::Msk => return Err(StartError::NotYet("the role msk of AWS")),
        AwsRole::Rds => return Err(StartError::NotYet("the role rds of AWS")),
    })
}

fn poll(
    name: &'static str,
    interval_ms: i64,
    mechanism: impl Mechanism + 'static,
    updates: Updates,
) -> JoinHandle<()> {
    tokio::spawn(poll::run(name, poll::interval(interval_ms), mechanism, updates))
}
