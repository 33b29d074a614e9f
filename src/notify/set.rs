//! The Alertmanagers of one section of the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::relabel::{Rule, process};
use model::{Labels, LabelsBuilder};

use super::alertmanager::{Endpoint, SendLoop, Sending, discovered_labels};
use super::{Alert, Client, Metrics, Options};
use crate::config::alerting::AlertmanagerConfig;

/// One section with what discovery found for it.
pub(super) struct Set {
    pub(super) config: Arc<AlertmanagerConfig>,
    client: Arc<dyn Client>,
    relabel: Vec<Rule>,
    alert_relabel: Vec<Rule>,
    loops: BTreeMap<Endpoint, SendLoop>,
    dropped: Vec<Endpoint>,
}

impl Set {
    pub(super) fn new(
        config: Arc<AlertmanagerConfig>,
        client: Arc<dyn Client>,
        relabel: Vec<Rule>,
        alert_relabel: Vec<Rule>,
    ) -> Self {
        Self { config, client, relabel, alert_relabel, loops: BTreeMap::new(), dropped: Vec::new() }
    }

    /// Makes the given targets the Alertmanagers of the set; those that stay keep their queues. Returns the sending
    /// tasks of the others, told to end.
    pub(super) fn sync(
        &mut self,
        targets: &[Labels],
        options: &Options,
        metrics: &Arc<Metrics>,
    ) -> Vec<SendLoop> {
        let mut old = std::mem::take(&mut self.loops);
        self.dropped.clear();
        for target in targets {
            let mut labels = discovered_labels(target, &self.config);
            let before = Endpoint::new(&labels);
            if !process(&mut labels, &self.relabel) {
                self.dropped.push(before);
                continue;
            }
            if let Err(error) = check_address(&labels) {
                tracing::error!(error, "Creating discovered Alertmanagers failed");
                continue;
            }
            let endpoint = Endpoint::new(&labels);
            if self.loops.contains_key(&endpoint) {
                continue;
            }
            let send_loop = old.remove(&endpoint).unwrap_or_else(|| {
                let sending = Sending {
                    client: self.client.clone(),
                    timeout: Duration::from_millis(self.config.timeout_ms.max(0).unsigned_abs()),
                    batch: options.batch_size.max(1),
                    capacity: options.queue_capacity,
                    drain: options.drain_on_shutdown,
                    metrics: metrics.clone(),
                };
                SendLoop::start(endpoint.url.clone(), sending)
            });
            self.loops.insert(endpoint, send_loop);
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
        if self.alert_relabel.is_empty() {
            self.loops.values().for_each(|send_loop| send_loop.push(alerts));
            return;
        }
        let alerts = relabelled(alerts, &Labels::empty(), &self.alert_relabel);
        if !alerts.is_empty() {
            self.loops.values().for_each(|send_loop| send_loop.push(&alerts));
        }
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &Endpoint> {
        self.loops.keys()
    }

    pub(super) fn dropped(&self) -> impl Iterator<Item = &Endpoint> {
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
    let address = labels.get("__address__");
    if address.is_empty() || address.contains('/') {
        return Err(format!("{address:?} is not a valid hostname"));
    }
    Ok(())
}
