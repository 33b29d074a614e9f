//! The Alertmanagers of one section of the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use config::alerting::AlertmanagerConfig;
use discovery::{ADDRESS_LABEL, TargetGroup};
use model::relabel::{Rule, process};
use model::{Labels, LabelsBuilder};
use net::client::HttpClient;

use super::alertmanager::{SendLoop, SendOptions, discovered_labels, url_of};
use super::{Metrics, Options};
use crate::Alert;

/// One section with what discovery found for it.
pub(super) struct AlertmanagerSet {
    pub(super) config: Arc<AlertmanagerConfig>,
    client: Arc<HttpClient>,
    /// By URL.
    loops: BTreeMap<String, SendLoop>,
    /// URLs that relabelling dropped.
    dropped: Vec<String>,
}

impl AlertmanagerSet {
    pub(super) fn new(config: Arc<AlertmanagerConfig>, client: HttpClient) -> Self {
        Self { config, client: Arc::new(client), loops: BTreeMap::new(), dropped: Vec::new() }
    }

    /// Makes the targets of these groups the Alertmanagers of the set; those that stay keep their queues. Returns the
    /// sending tasks of the others, which are ending.
    pub(super) fn sync(
        &mut self,
        groups: &[Arc<TargetGroup>],
        options: &Options,
        metrics: &Arc<Metrics>,
    ) -> Vec<SendLoop> {
        let mut old = std::mem::take(&mut self.loops);
        self.dropped.clear();
        let targets =
            groups.iter().flat_map(|group| group.targets.iter().map(|target| (&group.labels, target)));
        for (group, target) in targets {
            let mut labels = discovered_labels(group, target, &self.config);
            let before = url_of(&labels);
            if !process(&mut labels, &self.config.relabel_configs) {
                self.dropped.push(before);
                continue;
            }
            if let Err(error) = check_address(&labels) {
                tracing::error!(error, "Creating discovered Alertmanagers failed");
                continue;
            }
            let url = url_of(&labels);
            if self.loops.contains_key(&url) {
                continue;
            }
            let send_loop = old.remove(&url).unwrap_or_else(|| {
                let options = SendOptions {
                    client: self.client.clone(),
                    timeout: Duration::from_millis(self.config.timeout_ms.max(0).unsigned_abs()),
                    batch: options.batch_size.max(1),
                    capacity: options.queue_capacity,
                    drain: options.drain_on_shutdown,
                    metrics: metrics.clone(),
                };
                SendLoop::start(url.clone(), options)
            });
            self.loops.insert(url, send_loop);
        }
        let ending: Vec<SendLoop> = old.into_values().collect();
        ending.iter().for_each(SendLoop::stop);
        ending
    }

    /// Ends all sending tasks.
    pub(super) fn stop(&mut self) -> Vec<SendLoop> {
        let ending: Vec<SendLoop> = std::mem::take(&mut self.loops).into_values().collect();
        ending.iter().for_each(SendLoop::stop);
        ending
    }

    /// Takes over queues and targets of a set with the same configuration.
    pub(super) fn adopt(&mut self, old: Self) {
        self.loops = old.loops;
        self.dropped = old.dropped;
    }

    /// Gives alerts to every Alertmanager of the set.
    pub(super) fn push(&self, alerts: &[Alert]) {
        if self.config.alert_relabel_configs.is_empty() {
            self.loops.values().for_each(|send_loop| send_loop.push(alerts));
            return;
        }
        let alerts = relabelled(alerts, &Labels::empty(), &self.config.alert_relabel_configs);
        if !alerts.is_empty() {
            self.loops.values().for_each(|send_loop| send_loop.push(&alerts));
        }
    }

    /// URLs of the Alertmanagers that get alerts.
    pub(super) fn active(&self) -> impl Iterator<Item = &String> {
        self.loops.keys()
    }

    /// URLs of those that relabelling dropped.
    pub(super) fn dropped(&self) -> impl Iterator<Item = &String> {
        self.dropped.iter()
    }
}

/// Adds the external labels that an alert lacks, then applies rules; leaves out alerts that a rule drops or that have no
/// labels left.
pub(super) fn relabelled(alerts: &[Alert], external_labels: &Labels, rules: &[Rule]) -> Vec<Alert> {
    alerts
        .iter()
        .filter_map(|alert| {
            let mut labels = alert.labels.to_builder();
            for (name, value) in external_labels.iter() {
                if labels.get(name).is_empty() {
                    labels.set(name, value);
                }
            }
            let kept = process(&mut labels, rules) && labels.iter().next().is_some();
            kept.then(|| Alert { labels: labels.finish(), ..alert.clone() })
        })
        .collect()
}

fn check_address(labels: &LabelsBuilder) -> Result<(), String> {
    let address = labels.get(ADDRESS_LABEL);
    if address.is_empty() || address.contains('/') {
        return Err(format!("{address:?} is not a valid hostname"));
    }
    Ok(())
}
