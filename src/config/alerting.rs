//! The `alerting` section.

use std::sync::Arc;

use super::discovery::SdConfig;
use super::http_client::HttpClientConfig;
use super::relabel::RelabelConfig;
use super::sections::Section;

/// The `alerting` section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerting {
    /// Applied to every alert after external labels are added.
    pub alert_relabel_configs: Arc<[RelabelConfig]>,
    /// Groups of Alertmanagers.
    pub alertmanagers: Vec<Arc<AlertmanagerConfig>>,
}

/// An entry of `alertmanagers`. The API version is always v2.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertmanagerConfig {
    /// Where Alertmanagers come from.
    pub discovery: Vec<SdConfig>,
    /// How to reach them.
    pub http: HttpClientConfig,
    /// Signing of requests for AWS, which this version does not do.
    pub sigv4: Option<Section>,
    /// `http` unless given.
    pub scheme: String,
    /// Before `/api/v2/alerts`; "" for none.
    pub path_prefix: String,
    /// Default 10s.
    pub timeout_ms: i64,
    /// Applied to discovered Alertmanagers.
    pub relabel_configs: Arc<[RelabelConfig]>,
    /// Applied to alerts on their way to these Alertmanagers.
    pub alert_relabel_configs: Arc<[RelabelConfig]>,
}
