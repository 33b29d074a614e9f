//! The `alerting` section.

use std::sync::Arc;

use model::relabel::Rule;

use crate::context::Context;
use crate::sections::aws::Sigv4;
use crate::sections::discovery::SdConfig;
use crate::sections::global::NameValidation;
use crate::sections::http_client::{Auth, HttpClientConfig};
use crate::sections::relabel::read_rules;
use crate::sections::table::Section as _;
use crate::yaml::fields::Fields;
use crate::yaml::{Fault, Node};

/// The `alerting` section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerting {
    /// Applied to every alert after external labels are added.
    pub alert_relabel_configs: Arc<[Rule]>,
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
    /// Signing of requests for AWS.
    pub sigv4: Option<Sigv4>,
    /// `http` unless given.
    pub scheme: String,
    /// Before `/api/v2/alerts`; "" for none.
    pub path_prefix: String,
    /// Default 10s.
    pub timeout_ms: i64,
    /// Applied to discovered Alertmanagers.
    pub relabel_configs: Arc<[Rule]>,
    /// Applied to alerts on their way to these Alertmanagers.
    pub alert_relabel_configs: Arc<[Rule]>,
}

impl Alerting {
    /// Reads the section.
    pub fn read(mut f: Fields<'_>, cx: &Context<'_>, names: NameValidation) -> Result<Self, Fault> {
        let alerting = Self {
            alert_relabel_configs: read_rules(
                &mut f,
                "alert_relabel_configs",
                names,
                "alert relabeling rule",
            )?,
            alertmanagers: f.list("alertmanagers", |node, path| {
                AlertmanagerConfig::read(node, path, cx, names).map(Arc::new)
            })?,
        };
        f.finish()?;
        Ok(alerting)
    }
}

impl AlertmanagerConfig {
    fn read(node: &Node, path: &str, cx: &Context<'_>, names: NameValidation) -> Result<Self, Fault> {
        if node.is_null() {
            return Err(Fault::new(node.pos, "empty or null Alertmanager config section"));
        }
        let mut f = Fields::new(node, path)?;
        let relabel_configs =
            read_rules(&mut f, "relabel_configs", names, "Alertmanager target relabeling rule")?;
        f.choice("api_version", (), &[("v2", ()), ("", ())])?;
        let alertmanager = Self {
            http: HttpClientConfig::read(&mut f, cx, true)?,
            sigv4: f.section("sigv4", |f| Sigv4::read(f, cx))?,
            scheme: f.text("scheme", "http")?,
            path_prefix: f.text("path_prefix", "")?,
            timeout_ms: f.duration("timeout", 10_000)?,
            alert_relabel_configs: read_rules(
                &mut f,
                "alert_relabel_configs",
                names,
                "Alertmanager alert relabeling rule",
            )?,
            discovery: SdConfig::read_all(&mut f, cx, !relabel_configs.is_empty())?,
            relabel_configs,
        };
        f.finish()?;
        if alertmanager.sigv4.is_some() && alertmanager.http.auth != Auth::None {
            let message = "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured";
            return Err(f.fault("sigv4", message));
        }
        Ok(alertmanager)
    }
}
