//! Gives alerts to all sets of Alertmanagers, and follows configuration and discovery.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::Labels;
use model::relabel::{RelabelError, Rule, Spec};
use parking_lot::RwLock;

use super::alertmanager::SendLoop;
use super::set::{Set, relabelled};
use super::{Alert, Connect, Endpoint, Metrics};
use crate::config::alerting::Alerting;
use crate::config::discovery::SdConfig;
use crate::config::global::NameValidation;
use crate::config::relabel::RelabelConfig;
use crate::rules::AlertSink;

/// What flags decide.
#[derive(Clone, Debug)]
pub struct Options {
    /// `--alertmanager.notification-queue-capacity`
    pub queue_capacity: usize,
    /// `--alertmanager.notification-batch-size`
    pub batch_size: usize,
    /// `--alertmanager.drain-notification-queue-on-shutdown`
    pub drain_on_shutdown: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { queue_capacity: 10_000, batch_size: 256, drain_on_shutdown: true }
    }
}

/// A section that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A relabel rule.
    #[error("alerting: {0}")]
    Relabel(#[from] RelabelError),
    /// HTTP settings.
    #[error("alertmanagers[{index}]: {reason}")]
    Client {
        /// The section, counted from 0.
        index: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Sends alerts to Alertmanagers.
pub struct Manager {
    options: Options,
    connect: Arc<dyn Connect>,
    metrics: Arc<Metrics>,
    state: RwLock<State>,
    stopped: AtomicBool,
    /// Sending tasks that still empty their queues.
    ending: parking_lot::Mutex<Vec<SendLoop>>,
}

#[derive(Default)]
struct State {
    external_labels: Labels,
    relabel: Vec<Rule>,
    sets: Vec<Set>,
}

impl Manager {
    /// A manager without Alertmanagers.
    pub fn new(options: Options, connect: Arc<dyn Connect>, metrics: Arc<Metrics>) -> Self {
        metrics.queue_capacity.set(options.queue_capacity as f64);
        Self {
            options,
            connect,
            metrics,
            state: RwLock::default(),
            stopped: AtomicBool::new(false),
            ending: parking_lot::Mutex::default(),
        }
    }

    /// Applies a configuration. Sections that did not change keep their Alertmanagers with what is queued for them;
    /// Alertmanagers of `static_configs` are there at once, others when discovery tells ([`Self::update_targets`]).
    /// Nothing changes on error. Needs a tokio runtime.
    pub fn apply(
        &self,
        alerting: &Alerting,
        external_labels: Labels,
        names: NameValidation,
    ) -> Result<(), ApplyError> {
        let relabel = compile(&alerting.alert_relabel_configs, names)?;
        let mut sets = Vec::with_capacity(alerting.alertmanagers.len());
        for (index, config) in alerting.alertmanagers.iter().enumerate() {
            let client = self
                .connect
                .connect(&config.http)
                .map_err(|reason| ApplyError::Client { index, reason })?;
            sets.push(Set::new(
                config.clone(),
                client,
                compile(&config.relabel_configs, names)?,
                compile(&config.alert_relabel_configs, names)?,
            ));
        }
        let mut state = self.state.write();
        let mut old = std::mem::take(&mut state.sets);
        for set in &mut sets {
            if let Some(at) = old.iter().position(|old| old.config == set.config) {
                set.adopt(old.swap_remove(at));
            } else {
                let targets = static_targets(&set.config.discovery);
                set.sync(&targets, &self.options, &self.metrics);
            }
        }
        let ending = old.iter_mut().flat_map(Set::stop);
        self.ending.lock().extend(ending);
        *state = State { external_labels, relabel, sets };
        self.count(&state);
        Ok(())
    }

    /// Makes these the discovered targets of a section, `static_configs` included; `index` counts sections from 0.
    pub fn update_targets(&self, index: usize, targets: &[Labels]) {
        let mut state = self.state.write();
        if let Some(set) = state.sets.get_mut(index) {
            let ending = set.sync(targets, &self.options, &self.metrics);
            self.ending.lock().extend(ending);
        }
        self.count(&state);
    }

    fn count(&self, state: &State) {
        self.metrics.discovered.set(state.sets.iter().map(|set| set.active().count()).sum::<usize>() as f64);
        self.ending.lock().retain(|send_loop| !send_loop.is_finished());
    }

    /// The Alertmanagers that get alerts, and those that relabelling dropped.
    pub fn alertmanagers(&self) -> (Vec<Endpoint>, Vec<Endpoint>) {
        let state = self.state.read();
        let active = state.sets.iter().flat_map(Set::active).cloned().collect();
        let dropped = state.sets.iter().flat_map(Set::dropped).cloned().collect();
        (active, dropped)
    }

    /// Takes no more alerts and waits until all queues are empty, or given up.
    pub async fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        let mut ending = std::mem::take(&mut *self.ending.lock());
        ending.extend(self.state.write().sets.iter_mut().flat_map(Set::stop));
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

fn compile(configs: &[RelabelConfig], names: NameValidation) -> Result<Vec<Rule>, RelabelError> {
    configs
        .iter()
        .map(|config| {
            let spec = Spec {
                source_labels: config.source_labels.clone(),
                separator: config.separator.clone(),
                regex: config.regex.clone(),
                modulus: config.modulus,
                target_label: config.target_label.clone(),
                replacement: config.replacement.clone(),
                action: config.action.as_str().parse()?,
            };
            Rule::new(spec, names == NameValidation::Legacy)
        })
        .collect()
}

/// The targets of `static_configs`, each with its group's labels.
fn static_targets(discovery: &[SdConfig]) -> Vec<Labels> {
    let groups = discovery.iter().filter_map(|config| match config {
        SdConfig::Static(groups) => Some(groups),
        _ => None,
    });
    groups
        .flatten()
        .flat_map(|group| {
            group.targets.iter().map(|target| {
                let labels = group.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
                Labels::from_pairs(labels.chain([("__address__", target.as_str())]))
            })
        })
        .collect()
}
