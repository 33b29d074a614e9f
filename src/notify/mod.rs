//! Alerts on their way to Alertmanagers.
//!
//! The [`Manager`] adds external labels, applies the configuration's relabel rules and gives each alert to every
//! [`set`] of Alertmanagers; a set has one [`queue`] with a sending task for each Alertmanager that discovery found
//! ([`alertmanager`]).

pub mod alertmanager;
pub mod manager;
pub mod metrics;
pub mod queue;
mod set;

use std::sync::Arc;

use model::Labels;

pub use manager::{ApplyError, Manager, Options};
pub use metrics::Metrics;

/// An alert as Alertmanagers are told of it. Cloning shares.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Identifies it.
    pub labels: Labels,
    /// Sorted by name.
    pub annotations: Arc<[(String, String)]>,
    /// Since when it fires, in milliseconds.
    pub starts_at: Option<i64>,
    /// When it ended, or until when it shall be believed.
    pub ends_at: Option<i64>,
    /// Link to its expression.
    pub generator_url: Arc<str>,
}

/// Takes alerts on their way to Alertmanagers. Must not block.
pub trait AlertSink: Send + Sync {
    /// Queues alerts.
    fn send(&self, alerts: Vec<Alert>);
}

#[cfg(test)]
mod tests;
