//! `/api/v1/targets`, `/api/v1/targets/metadata`, `/api/v1/metadata`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use model::metadata::Metadata;
use net::json::LabelsJson;
use scrape::ActiveTarget;
use serde::Serialize;
use url::Url;

use super::params::Params;
use super::reply::{ApiError, ApiResult, Reply};
use super::{Api, params};
use crate::rfc3339::rfc3339;

/// Hosts that mean the machine itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActiveJson<'a> {
    discovered_labels: LabelsJson<'a>,
    labels: LabelsJson<'a>,
    scrape_pool: &'a str,
    scrape_url: &'a str,
    global_url: String,
    last_error: &'a str,
    last_scrape: String,
    last_scrape_duration: f64,
    health: &'a str,
    scrape_interval: String,
    scrape_timeout: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DroppedJson<'a> {
    discovered_labels: LabelsJson<'a>,
    scrape_pool: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetsJson<'a> {
    active_targets: Vec<ActiveJson<'a>>,
    dropped_targets: Vec<DroppedJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped_target_counts: Option<BTreeMap<&'a str, usize>>,
}

/// `/api/v1/targets`
pub async fn targets(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let scrape = &api.parts()?.scrape;
    let pool = params.get("scrapePool");
    let state = params.get("state").to_lowercase();
    let show = |kind: &str| matches!(state.as_str(), "" | "any") || state == kind;
    let wanted = |name: &str| pool.is_empty() || pool == name;
    let active = if show("active") { scrape.active_targets() } else { Vec::new() };
    let dropped = if show("dropped") { scrape.dropped_targets() } else { BTreeMap::new() };
    Reply::json(&TargetsJson {
        active_targets: active.iter().filter(|t| wanted(&t.pool)).map(|t| active_json(&api, t)).collect(),
        dropped_targets: dropped
            .iter()
            .filter(|(name, _)| wanted(name))
            .flat_map(|(name, targets)| {
                targets
                    .discovered_labels
                    .iter()
                    .map(|labels| DroppedJson { discovered_labels: LabelsJson(labels), scrape_pool: name })
            })
            .collect(),
        dropped_target_counts: show("dropped")
            .then(|| dropped.iter().map(|(name, targets)| (name.as_str(), targets.count)).collect()),
    })
}

fn active_json<'a>(api: &Api, t: &'a ActiveTarget) -> ActiveJson<'a> {
    ActiveJson {
        discovered_labels: LabelsJson(&t.target.discovered_labels),
        labels: LabelsJson(&t.target.public_labels),
        scrape_pool: &t.pool,
        scrape_url: &t.target.url,
        global_url: global_url(&t.target.url, &api.options.external_url),
        last_error: &t.last.error,
        last_scrape: rfc3339(t.last.start_ms.unwrap_or(i64::MIN)),
        last_scrape_duration: t.last.seconds,
        health: t.last.health.as_str(),
        scrape_interval: model::time::DurationText(t.target.interval_ms).to_string(),
        scrape_timeout: model::time::DurationText(t.target.timeout_ms).to_string(),
    }
}

/// The URL as seen from outside: a loopback host becomes the host of the external URL.
fn global_url(scrape_url: &str, external: &Url) -> String {
    let (Ok(mut url), Some(host)) = (Url::parse(scrape_url), external.host_str()) else {
        return scrape_url.to_owned();
    };
    if url.host_str().is_some_and(|h| LOOPBACK.contains(&h)) && url.set_host(Some(host)).is_ok() {
        return url.to_string();
    }
    scrape_url.to_owned()
}

#[derive(Serialize)]
struct MetadataJson<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    help: &'a str,
    unit: &'a str,
}

impl<'a> From<&'a Metadata> for MetadataJson<'a> {
    fn from(m: &'a Metadata) -> Self {
        Self { kind: m.kind.as_str(), help: &m.help, unit: &m.unit }
    }
}

/// A limit that may be left out or negative for none.
fn number(params: &Params, name: &str) -> Result<Option<usize>, ApiError> {
    match params.get(name) {
        "" => Ok(None),
        text => match text.parse::<i64>() {
            Ok(n) => Ok(usize::try_from(n).ok()),
            Err(_) => Err(ApiError::bad_data(format!("{name} must be a number"))),
        },
    }
}

/// `/api/v1/metadata`
pub async fn metadata(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let limit = number(&params, "limit")?;
    let per_metric = number(&params, "limit_per_metric")?.filter(|n| *n > 0);
    let wanted = params.get("metric");
    let mut families: BTreeMap<String, Vec<Metadata>> = BTreeMap::new();
    for target in api.parts()?.scrape.active_targets() {
        target.metadata.for_each(|family, metadata| {
            if !wanted.is_empty() && wanted != family {
                return;
            }
            let known = families.entry(family.to_owned()).or_default();
            if per_metric.is_none_or(|most| known.len() < most) && !known.contains(metadata) {
                known.push(metadata.clone());
            }
        });
    }
    let shown: BTreeMap<&str, Vec<MetadataJson<'_>>> = families
        .iter()
        .take(limit.unwrap_or(usize::MAX))
        .map(|(family, all)| (family.as_str(), all.iter().map(MetadataJson::from).collect()))
        .collect();
    Reply::json(&shown)
}

#[derive(Serialize)]
struct TargetMetadataJson<'a> {
    target: LabelsJson<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    metric: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    help: &'a str,
    unit: &'a str,
}

/// `/api/v1/targets/metadata`
pub async fn target_metadata(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let limit = number(&params, "limit")?.unwrap_or(usize::MAX);
    let matchers = match params.get("match_target") {
        "" => Vec::new(),
        text => params::parse_selector(text).map_err(|e| ApiError::parameter("match_target", e))?,
    };
    let wanted = params.get("metric");
    let targets = api.parts()?.scrape.active_targets();
    let mut found: Vec<(usize, String, Metadata)> = Vec::new();
    for (at, target) in targets.iter().enumerate() {
        if matchers.iter().all(|m| m.matches_labels(&target.target.public_labels)) {
            target.metadata.for_each(|family, metadata| {
                if (wanted.is_empty() || wanted == family) && found.len() < limit {
                    found.push((at, family.to_owned(), metadata.clone()));
                }
            });
        }
    }
    let shown: Vec<TargetMetadataJson<'_>> = found
        .iter()
        .map(|(at, family, metadata)| TargetMetadataJson {
            target: LabelsJson(&targets[*at].target.public_labels),
            // A client that asked for one metric knows its name.
            metric: if wanted.is_empty() { family } else { "" },
            kind: metadata.kind.as_str(),
            help: &metadata.help,
            unit: &metadata.unit,
        })
        .collect();
    Reply::json(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_targets_are_shown_with_the_external_host() {
        let external = Url::parse("https://mon.example:444/p").unwrap();
        for (url, want) in [
            ("http://localhost:9100/metrics", "http://mon.example:9100/metrics"),
            ("http://127.0.0.1/metrics", "http://mon.example/metrics"),
            ("http://[::1]:1/m?a=b", "http://mon.example:1/m?a=b"),
            ("http://db:9100/metrics", "http://db:9100/metrics"),
        ] {
            assert_eq!(global_url(url, &external), want);
        }
    }
}
