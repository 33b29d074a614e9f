//! `/api/v1/scrape_pools`, `/api/v1/scrape_pools/config` and `/api/v1/targets/relabel_steps`: a job as it is configured,
//! and what its rules make of a target, rule by rule.

use std::collections::BTreeMap;
use std::slice::from_ref;
use std::sync::Arc;

use axum::extract::State;
use model::relabel::{Rule, Spec, process};
use model::{Labels, LabelsBuilder};
use scrape::ScrapeJob;
use serde::Serialize;

use super::params::Params;
use super::reply::{ApiError, ApiResult, Reply};
use crate::Api;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pools {
    scrape_pools: Vec<String>,
}

/// `/api/v1/scrape_pools`
pub async fn scrape_pools(State(api): State<Arc<Api>>) -> ApiResult {
    Reply::json(&Pools { scrape_pools: api.parts()?.scrape.pools() })
}

#[derive(Serialize)]
struct Yaml {
    yaml: String,
}

/// `/api/v1/scrape_pools/config`
pub async fn config(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    Reply::json(&Yaml { yaml: job(&api, &params)?.to_yaml() })
}

#[derive(Serialize)]
struct Steps<'a> {
    steps: Vec<Step<'a>>,
}

#[derive(Serialize)]
struct Step<'a> {
    rule: RuleJson<'a>,
    /// The labels after the rule; none when the target is dropped.
    output: BTreeMap<String, String>,
    keep: bool,
}

#[derive(Serialize)]
struct RuleJson<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    source_labels: &'a [String],
    separator: &'a str,
    regex: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    modulus: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    target_label: &'a str,
    replacement: &'a str,
    action: String,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl<'a> From<&'a Spec> for RuleJson<'a> {
    fn from(spec: &'a Spec) -> Self {
        Self {
            source_labels: &spec.source_labels,
            separator: &spec.separator,
            regex: &spec.regex,
            modulus: spec.modulus,
            target_label: &spec.target_label,
            replacement: &spec.replacement,
            action: spec.action.to_string(),
        }
    }
}

/// `/api/v1/targets/relabel_steps`
pub async fn relabel_steps(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let job = job(&api, &params)?;
    let text = match params.get("labels") {
        "" => return Err(ApiError::bad_data("no labels parameter provided")),
        text => text,
    };
    let labels: Option<BTreeMap<String, String>> =
        serde_json::from_str(text).map_err(|e| ApiError::bad_data(format!("error parsing labels: {e}")))?;
    Reply::json(&Steps { steps: steps(&job.relabel_configs, labels.unwrap_or_default()) })
}

/// What each rule gives, those after a rule that drops the target included.
fn steps(rules: &[Rule], labels: BTreeMap<String, String>) -> Vec<Step<'_>> {
    let mut labels = Labels::from_pairs(labels).to_builder();
    let mut keep = true;
    let step = |rule| {
        keep = keep && process(&mut labels, from_ref(rule));
        Step { rule: rule.spec().into(), output: if keep { shown(&labels) } else { BTreeMap::new() }, keep }
    };
    rules.iter().map(step).collect()
}

fn shown(labels: &LabelsBuilder) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The job that `scrapePool` names.
fn job(api: &Api, params: &Params) -> Result<Arc<ScrapeJob>, ApiError> {
    match params.get("scrapePool") {
        "" => Err(ApiError::bad_data("no scrapePool parameter provided")),
        name => api.parts()?.scrape.job(name).ok_or_else(|| {
            ApiError::bad_data(format!("error retrieving scrape config: scrape pool {name:?} not found"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use model::relabel::Action;

    use super::*;

    #[test]
    fn steps_go_on_after_a_drop() {
        let replace = Spec { source_labels: vec!["a".into()], target_label: "b".into(), ..Spec::default() };
        let drop = Spec {
            source_labels: vec!["b".into()],
            regex: "x".into(),
            action: Action::Drop,
            ..Spec::default()
        };
        let rules: Vec<Rule> =
            [&replace, &drop, &replace].map(|spec| Rule::new(spec.clone(), false).unwrap()).into();
        let keeps = |value: &str| {
            let steps = steps(&rules, BTreeMap::from([("a".to_owned(), value.to_owned())]));
            steps.into_iter().map(|step| (step.keep, step.output.len())).collect::<Vec<_>>()
        };
        assert_eq!(keeps("x"), [(true, 2), (false, 0), (false, 0)]);
        assert_eq!(keeps("y"), [(true, 2), (true, 2), (true, 2)]);
        let json = serde_json::to_string(&RuleJson::from(&replace)).unwrap();
        assert_eq!(
            json,
            r#"{"source_labels":["a"],"separator":";","regex":"(.*)","target_label":"b","replacement":"$1","action":"replace"}"#
        );
    }
}
