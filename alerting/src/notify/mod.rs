//! Alerts on their way to Alertmanagers.
//!
//! The [`Manager`] adds external labels, applies the configuration's relabel rules and gives each alert to every
//! set of Alertmanagers ([`alertmanager_set`]); a set has one [`queue`] with a sending task for each Alertmanager that
//! discovery found ([`alertmanager`]).

pub mod alertmanager;
mod alertmanager_set;
pub mod manager;
pub mod metrics;
pub mod queue;

pub use manager::{ApplyError, Manager, Options, PreparedAlertmanagers};
pub use metrics::Metrics;

#[cfg(test)]
mod tests;
