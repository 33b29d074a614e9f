//! `/api/v1/rules`: groups and rules with their state, filtered and paged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alerting::rules::view::{GroupView, RuleView};
use axum::extract::State;
use model::Matcher;
use openssl::sha::sha256;
use serde::Serialize;

use super::alerts::{AlertJson, as_map};
use super::params::Params;
use super::reply::{ApiError, ApiResult, Reply};
use crate::Api;
use crate::rfc3339::rfc3339;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupJson<'a> {
    name: &'a str,
    file: &'a str,
    rules: Vec<RuleJson<'a>>,
    interval: f64,
    limit: usize,
    evaluation_time: f64,
    last_evaluation: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RuleJson<'a> {
    Alerting(AlertingJson<'a>),
    Recording(RecordingJson<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertingJson<'a> {
    state: &'static str,
    name: &'a str,
    query: &'a str,
    duration: f64,
    keep_firing_for: f64,
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, &'a str>,
    alerts: Vec<AlertJson<'a>>,
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a str>,
    evaluation_time: f64,
    last_evaluation: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordingJson<'a> {
    name: &'a str,
    query: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a str>,
    evaluation_time: f64,
    last_evaluation: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RulesJson<'a> {
    groups: Vec<GroupJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_next_token: Option<String>,
}

/// What of the rules a client asks for.
struct RuleFilter<'a> {
    alerting: bool,
    recording: bool,
    alerts: bool,
    names: BTreeSet<&'a str>,
    groups: BTreeSet<&'a str>,
    files: BTreeSet<&'a str>,
    /// A rule's labels must match all of one selector.
    selectors: Vec<Vec<Matcher>>,
    /// 0 for all.
    group_limit: usize,
    token: &'a str,
}

impl<'a> RuleFilter<'a> {
    fn parse(params: &'a Params) -> Result<Self, ApiError> {
        let kind = params.get("type").to_lowercase();
        if !matches!(kind.as_str(), "" | "alert" | "record") {
            return Err(ApiError::parameter("type", format!("not supported value {kind:?}")));
        }
        let exclude = params.get("exclude_alerts").to_lowercase();
        let alerts = match exclude.as_str() {
            "" | "false" | "0" => true,
            "true" | "1" => false,
            _ => {
                let reason = format!("error converting exclude_alerts: invalid boolean {exclude:?}");
                return Err(ApiError::parameter("exclude_alerts", reason));
            }
        };
        let token = params.get("group_next_token");
        let group_limit = match params.get("group_limit") {
            "" if token.is_empty() => 0,
            "" => {
                let reason = "group_limit needs to be present in order to paginate over the groups";
                return Err(ApiError::parameter("group_next_token", reason));
            }
            text => match text.parse::<usize>() {
                Ok(n) if n > 0 => n,
                _ => {
                    let reason = format!("group_limit needs to be a positive number, got {text:?}");
                    return Err(ApiError::parameter("group_limit", reason));
                }
            },
        };
        Ok(Self {
            alerting: kind != "record",
            recording: kind != "alert",
            alerts,
            names: params.all("rule_name[]").collect(),
            groups: params.all("rule_group[]").collect(),
            files: params.all("file[]").collect(),
            selectors: params.selectors()?,
            group_limit,
            token,
        })
    }

    fn group(&self, group: &GroupView) -> bool {
        let among = |set: &BTreeSet<&str>, name: &str| set.is_empty() || set.contains(name);
        among(&self.groups, &group.name) && among(&self.files, &group.file)
    }

    fn rule(&self, rule: &RuleView) -> bool {
        let kind = if rule.alerting.is_some() { self.alerting } else { self.recording };
        let label =
            |name: &str| rule.labels.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str());
        let matches = |matchers: &Vec<Matcher>| matchers.iter().all(|m| m.matches(label(m.name())));
        kind && (self.names.is_empty() || self.names.contains(rule.name.as_str()))
            && (self.selectors.is_empty() || self.selectors.iter().any(matches))
    }
}

/// `/api/v1/rules`
pub async fn rules(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let filter = RuleFilter::parse(&params)?;
    let groups = api.parts()?.rules.groups();
    let mut shown = Vec::new();
    let mut next = None;
    let mut skipping = !filter.token.is_empty();
    for group in &groups {
        if skipping && filter.token != token(group) {
            continue;
        }
        skipping = false;
        if !filter.group(group) {
            continue;
        }
        let rules: Vec<RuleJson<'_>> =
            group.rules.iter().filter(|r| filter.rule(r)).map(|r| rule_json(r, filter.alerts)).collect();
        if rules.is_empty() {
            continue;
        }
        if filter.group_limit > 0 && shown.len() == filter.group_limit {
            next = Some(token(group));
            break;
        }
        shown.push(GroupJson {
            name: &group.name,
            file: &group.file,
            rules,
            interval: group.interval_ms as f64 / 1000.0,
            limit: group.limit,
            evaluation_time: group.evaluation_seconds,
            last_evaluation: rfc3339(group.last_evaluation.unwrap_or(i64::MIN)),
        });
    }
    if skipping {
        let reason = format!("invalid group_next_token '{}'. were rule groups changed?", filter.token);
        return Err(ApiError::parameter("group_next_token", reason));
    }
    Reply::json(&RulesJson { groups: shown, group_next_token: next })
}

/// Names a group in a page's end: the hex SHA-256 of file and name.
fn token(group: &GroupView) -> String {
    let hash = sha256(format!("{};{}", group.file, group.name).as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn rule_json(rule: &RuleView, with_alerts: bool) -> RuleJson<'_> {
    let labels = as_map(&rule.labels);
    let last_error = rule.last_error.as_deref();
    let last_evaluation = rfc3339(rule.last_evaluation.unwrap_or(i64::MIN));
    let Some(alerting) = &rule.alerting else {
        return RuleJson::Recording(RecordingJson {
            name: &rule.name,
            query: &rule.query,
            labels,
            health: rule.health.as_str(),
            last_error,
            evaluation_time: rule.evaluation_seconds,
            last_evaluation,
            kind: "recording",
        });
    };
    // Before its first evaluation nothing is known of an alert.
    let state = if rule.last_evaluation.is_some() { alerting.state.as_str() } else { "unknown" };
    RuleJson::Alerting(AlertingJson {
        state,
        name: &rule.name,
        query: &rule.query,
        duration: alerting.hold_ms as f64 / 1000.0,
        keep_firing_for: alerting.keep_firing_ms as f64 / 1000.0,
        labels,
        annotations: as_map(&alerting.annotations),
        alerts: if with_alerts { alerting.alerts.iter().map(AlertJson::from).collect() } else { Vec::new() },
        health: rule.health.as_str(),
        last_error,
        evaluation_time: rule.evaluation_seconds,
        last_evaluation,
        kind: "alerting",
    })
}
