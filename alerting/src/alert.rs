//! An alert between the rules that raise it and the notification that sends it.

use std::sync::Arc;

use model::Labels;

/// An alert as Alertmanagers see it. Cloning shares.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Identifies it.
    pub labels: Labels,
    /// Sorted by name.
    pub annotations: Arc<[(String, String)]>,
    /// Since when it fires, in milliseconds.
    pub starts_at: Option<i64>,
    /// When it ended, or until when Alertmanagers take it for active.
    pub ends_at: Option<i64>,
    /// Link to its expression.
    pub generator_url: Arc<str>,
}

/// Takes alerts on their way to Alertmanagers. Must not block.
pub trait AlertSink: Send + Sync {
    /// Queues alerts.
    fn send(&self, alerts: Vec<Alert>);
}
