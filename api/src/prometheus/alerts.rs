//! `/api/v1/alerts` and `/api/v1/alertmanagers`.

use std::collections::BTreeMap;
use std::sync::Arc;

use alerting::rules::view::AlertView;
use axum::extract::State;
use model::go_float::FloatE;
use net::json::LabelsJson;
use serde::Serialize;

use super::reply::{ApiResult, Reply};
use crate::Api;
use crate::rfc3339::rfc3339;

/// An alert as `/alerts` and `/rules` show it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertJson<'a> {
    labels: LabelsJson<'a>,
    annotations: BTreeMap<&'a str, &'a str>,
    state: &'static str,
    active_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_since: Option<String>,
    value: String,
}

impl<'a> From<&'a AlertView> for AlertJson<'a> {
    fn from(alert: &'a AlertView) -> Self {
        Self {
            labels: LabelsJson(&alert.labels),
            annotations: as_map(&alert.annotations),
            state: alert.state.as_str(),
            active_at: rfc3339(alert.active_at),
            keep_firing_since: alert.keep_firing_since.map(rfc3339),
            value: FloatE(alert.value).to_string(),
        }
    }
}

/// Pairs as an object.
pub fn as_map(pairs: &[(String, String)]) -> BTreeMap<&str, &str> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// `/api/v1/alerts`
pub async fn alerts(State(api): State<Arc<Api>>) -> ApiResult {
    let groups = api.parts()?.rules.groups();
    let alerts: Vec<AlertJson<'_>> = groups
        .iter()
        .flat_map(|group| &group.rules)
        .filter_map(|rule| rule.alerting.as_ref())
        .flat_map(|alerting| &alerting.alerts)
        .map(AlertJson::from)
        .collect();
    Reply::json(&BTreeMap::from([("alerts", alerts)]))
}

/// `/api/v1/alertmanagers`
pub async fn alertmanagers(State(api): State<Arc<Api>>) -> ApiResult {
    let (active, dropped) = api.parts()?.notify.alertmanagers();
    let urls =
        |list: &[String]| -> Vec<_> { list.iter().map(|url| serde_json::json!({ "url": url })).collect() };
    Reply::json(&serde_json::json!({
        "activeAlertmanagers": urls(&active),
        "droppedAlertmanagers": urls(&dropped),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (v, want) in [
            (1.0, "1e+00"),
            (0.0, "0e+00"),
            (-12.5, "-1.25e+01"),
            (1e-7, "1e-07"),
            (1e100, "1e+100"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(FloatE(v).to_string(), want);
        }
    }
}
