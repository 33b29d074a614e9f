//! Alerts on their way to Alertmanagers.
//!
//! The [`Manager`] adds external labels, applies the configuration's relabel rules and gives each alert to every
//! [`set`] of Alertmanagers; a set has one [`queue`] with a sending task for each Alertmanager that discovery found
//! ([`alertmanager`]). Requests go through a [`Client`], made by [`Connect`] from a set's HTTP settings.

pub mod alertmanager;
pub mod manager;
pub mod metrics;
pub mod queue;
mod set;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::Labels;

use crate::config::http_client::HttpClientConfig;

pub use alertmanager::Endpoint;
pub use manager::{Manager, Options};
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

/// The answer to a request; the error says why there is none, or what the server answered instead of 2xx.
pub type Posted<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Sends requests with one set's credentials and certificates.
pub trait Client: Send + Sync {
    /// Posts JSON. Anything but a 2xx answer within the timeout is an error.
    fn post<'a>(&'a self, url: &'a str, body: Bytes, timeout: Duration) -> Posted<'a>;
}

/// Makes clients.
pub trait Connect: Send + Sync {
    /// A client with these settings; the error says what is wrong with them.
    fn connect(&self, settings: &HttpClientConfig) -> Result<Arc<dyn Client>, String>;
}

#[cfg(test)]
mod tests;
