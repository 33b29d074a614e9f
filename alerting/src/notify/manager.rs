//! Gives alerts to all sets of Alertmanagers, and follows configuration and discovery.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use config::alerting::{Alerting, AlertmanagerConfig};
use config::discovery::SdConfig;
use discovery::TargetSets;
use model::Labels;
use model::relabel::Rule;
use net::client::aws::AwsSigner;
use net::client::{HttpClient, SetupError};
use parking_lot::{Mutex, RwLock};

use super::Metrics;
use super::alertmanager::SendLoop;
use super::alertmanager_set::{AlertmanagerSet, relabelled};
use crate::Alert;
use crate::AlertSink;

/// What flags decide.
#[derive(Clone, Debug)]
pub struct Options {
    /// `--alertmanager.notification-queue-capacity`
    pub queue_capacity: usize,
    /// `--alertmanager.notification-batch-size`
    pub batch_size: usize,
    /// `--alertmanager.drain-notification-queue-on-shutdown`
    pub drain_on_shutdown: bool,
    /// How requests introduce themselves.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { queue_capacity: 10_000, batch_size: 256, drain_on_shutdown: true, user_agent: String::new() }
    }
}

/// A section that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("alertmanagers[{index}]: {reason}")]
pub struct ApplyError {
    /// The section, counted from 0.
    pub index: usize,
    /// What is wrong with its HTTP settings.
    pub reason: SetupError,
}

/// Sections with their clients, ready to take effect.
pub struct PreparedAlertmanagers {
    relabel: Arc<[Rule]>,
    sets: Vec<AlertmanagerSet>,
}

/// Sends alerts to Alertmanagers.
pub struct Manager {
    options: Options,
    metrics: Arc<Metrics>,
    state: RwLock<Alertmanagers>,
    stopped: AtomicBool,
    /// Sending tasks that still empty their queues.
    ending: Mutex<Vec<SendLoop>>,
}

/// The service for which requests are signed unless the section names another: Amazon Managed Service for Prometheus.
const SIGNED_SERVICE: &str = "aps";

fn client(config: &AlertmanagerConfig, user_agent: &str) -> Result<HttpClient, SetupError> {
    let client = HttpClient::new(&config.http, user_agent)?;
    let Some(sigv4) = &config.sigv4 else { return Ok(client) };
    let service = if sigv4.service_name.is_empty() { SIGNED_SERVICE } else { &sigv4.service_name };
    Ok(client.signed(Arc::new(AwsSigner::new(sigv4.access(), service, user_agent)?)))
}

#[derive(Default)]
struct Alertmanagers {
    external_labels: Labels,
    relabel: Arc<[Rule]>,
    sets: Vec<AlertmanagerSet>,
}

impl Manager {
    /// A manager without Alertmanagers.
    pub fn new(options: Options, metrics: Arc<Metrics>) -> Self {
        metrics.queue_capacity.set(options.queue_capacity as f64);
        Self {
            options,
            metrics,
            state: RwLock::default(),
            stopped: AtomicBool::new(false),
            ending: Mutex::default(),
        }
    }

    /// Makes everything that can fail of what a configuration needs, before any of it takes effect.
    pub fn prepare(&self, alerting: &Alerting) -> Result<PreparedAlertmanagers, ApplyError> {
        let mut sets = Vec::with_capacity(alerting.alertmanagers.len());
        for (index, config) in alerting.alertmanagers.iter().enumerate() {
            let client =
                client(config, &self.options.user_agent).map_err(|reason| ApplyError { index, reason })?;
            sets.push(AlertmanagerSet::new(config.clone(), client));
        }
        Ok(PreparedAlertmanagers { relabel: alerting.alert_relabel_configs.clone(), sets })
    }

    /// Applies a configuration. Sections that did not change keep their Alertmanagers with what is queued for them;
    /// those of new ones come with [`Self::update`].
    pub fn apply(&self, prepared: PreparedAlertmanagers, external_labels: Labels) {
        let PreparedAlertmanagers { relabel, mut sets } = prepared;
        let mut state = self.state.write();
        let mut old = std::mem::take(&mut state.sets);
        for set in &mut sets {
            if let Some(at) = old.iter().position(|old| old.config == set.config) {
                set.adopt(old.swap_remove(at));
            }
        }
        self.ending.lock().extend(old.iter_mut().flat_map(AlertmanagerSet::stop));
        *state = Alertmanagers { external_labels, relabel, sets };
        self.count(&state);
    }

    /// What discovery must look for: one job for each section.
    pub fn discovery_jobs(alerting: &Alerting) -> Vec<(String, Vec<SdConfig>)> {
        let sections = alerting.alertmanagers.iter().enumerate();
        sections.map(|(index, config)| (job_name(index), config.discovery.clone())).collect()
    }

    /// Makes what discovery found the Alertmanagers of their sections. Needs a tokio runtime.
    pub fn update(&self, targets: &TargetSets) {
        let mut state = self.state.write();
        if self.stopped.load(Ordering::Relaxed) {
            return;
        }
        for (index, set) in state.sets.iter_mut().enumerate() {
            if let Some(groups) = targets.get(&job_name(index)) {
                let ending = set.sync(groups, &self.options, &self.metrics);
                self.ending.lock().extend(ending);
            }
        }
        self.count(&state);
    }

    fn count(&self, state: &Alertmanagers) {
        self.metrics.discovered.set(state.sets.iter().map(|set| set.active().count()).sum::<usize>() as f64);
        self.ending.lock().retain(|send_loop| !send_loop.is_finished());
    }

    /// URLs of the Alertmanagers that get alerts, and of those that relabelling dropped.
    pub fn alertmanagers(&self) -> (Vec<String>, Vec<String>) {
        let state = self.state.read();
        let active = state.sets.iter().flat_map(AlertmanagerSet::active).cloned().collect();
        let dropped = state.sets.iter().flat_map(AlertmanagerSet::dropped).cloned().collect();
        (active, dropped)
    }

    /// Takes no more alerts and waits until all queues are empty, or given up.
    pub async fn stop(&self) {
        let mut ending = {
            let mut state = self.state.write();
            self.stopped.store(true, Ordering::Relaxed);
            state.sets.iter_mut().flat_map(AlertmanagerSet::stop).collect::<Vec<_>>()
        };
        ending.append(&mut self.ending.lock());
        for send_loop in ending {
            send_loop.ended().await;
        }
    }
}

impl AlertSink for Manager {
    fn send(&self, alerts: Vec<Alert>) {
        if self.stopped.load(Ordering::Relaxed) {
            return;
        }
        let state = self.state.read();
        let alerts = relabelled(&alerts, &state.external_labels, &state.relabel);
        if !alerts.is_empty() {
            state.sets.iter().for_each(|set| set.push(&alerts));
        }
    }
}

/// Name of a section's job for discovery.
fn job_name(index: usize) -> String {
    format!("config-{index}")
}
