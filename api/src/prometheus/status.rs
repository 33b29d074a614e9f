//! `/api/v1/status/*`: what the server is, how it was started, what the store holds.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use super::params::Params;
use super::reply::{ApiError, ApiResult, Reply};
use crate::door::Tenant;
use crate::door::status::{BlockInfo, Cardinality};
use crate::rfc3339::rfc3339;
use crate::{Api, BuildInfo};

#[derive(Serialize)]
struct Yaml {
    yaml: String,
}

/// `/api/v1/status/config`
pub async fn config(State(api): State<Arc<Api>>) -> ApiResult {
    Reply::json(&Yaml { yaml: api.control.config_yaml() })
}

/// `/api/v1/status/flags`
pub async fn flags(State(api): State<Arc<Api>>) -> ApiResult {
    let flags: serde_json::Map<String, serde_json::Value> =
        api.options.flags.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    Reply::json(&flags)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildInfoJson {
    version: &'static str,
    revision: &'static str,
    branch: &'static str,
    build_user: &'static str,
    build_date: &'static str,
    go_version: &'static str,
    /// Not in Prometheus: tells that this is Trivium, and which.
    trivium_version: &'static str,
}

impl From<&BuildInfo> for BuildInfoJson {
    fn from(build: &BuildInfo) -> Self {
        Self {
            version: build.prometheus,
            revision: build.revision,
            branch: build.branch,
            build_user: build.user,
            build_date: build.date,
            go_version: build.runtime,
            trivium_version: build.trivium,
        }
    }
}

/// `/api/v1/status/buildinfo`
pub async fn buildinfo(State(api): State<Arc<Api>>) -> ApiResult {
    Reply::json(&BuildInfoJson::from(&api.options.build))
}

/// `/version`
pub async fn version(State(api): State<Arc<Api>>) -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::to_value(BuildInfoJson::from(&api.options.build)).unwrap_or_default())
}

#[derive(Serialize)]
struct RuntimeInfo {
    #[serde(rename = "startTime")]
    start_time: String,
    #[serde(rename = "CWD")]
    cwd: String,
    hostname: String,
    #[serde(rename = "serverTime")]
    server_time: String,
    #[serde(rename = "reloadConfigSuccess")]
    reload_config_success: bool,
    #[serde(rename = "lastConfigTime")]
    last_config_time: String,
    #[serde(rename = "corruptionCount")]
    corruption_count: u64,
    #[serde(rename = "goroutineCount")]
    goroutine_count: usize,
    #[serde(rename = "GOMAXPROCS")]
    gomaxprocs: usize,
    #[serde(rename = "GOMEMLIMIT")]
    gomemlimit: i64,
    #[serde(rename = "GOGC")]
    gogc: String,
    #[serde(rename = "GODEBUG")]
    godebug: &'static str,
    #[serde(rename = "storageRetention")]
    storage_retention: String,
}

/// `/api/v1/status/runtimeinfo`. Of Go's settings the target of its collector is shown as
/// configured; the others have no meaning here and are empty or without limit.
pub async fn runtimeinfo(State(api): State<Arc<Api>>, tenant: Tenant) -> ApiResult {
    let (reload_config_success, last_config_ms) = api.control.last_reload();
    let store = api.parts()?.door.status(tenant);
    Reply::json(&RuntimeInfo {
        start_time: rfc3339(api.options.started_ms),
        cwd: std::env::current_dir().map_or_else(|e| e.to_string(), |d| d.display().to_string()),
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        server_time: rfc3339(api.now_ms()),
        reload_config_success,
        last_config_time: rfc3339(last_config_ms),
        corruption_count: store.corruptions,
        goroutine_count: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        gomaxprocs: std::thread::available_parallelism().map_or(1, usize::from),
        gomemlimit: i64::MAX,
        gogc: api.control.gogc().to_string(),
        godebug: "",
        storage_retention: retention(store.retention_time, store.retention_bytes, store.retention_percentage),
    })
}

fn retention(time_ms: i64, bytes: u64, percentage: f64) -> String {
    let mut parts = Vec::new();
    if time_ms > 0 {
        parts.push(model::time::DurationText(time_ms).to_string());
    }
    if bytes > 0 {
        parts.push(model::size::SizeText(i64::try_from(bytes).unwrap_or(i64::MAX)).to_string());
    }
    if percentage > 0.0 {
        parts.push(format!("{percentage}%"));
    }
    parts.join(" or ")
}

#[derive(Serialize)]
struct NameValue<'a> {
    name: &'a str,
    value: u64,
}

fn pairs(list: &[(String, u64)]) -> Vec<NameValue<'_>> {
    list.iter().map(|(name, value)| NameValue { name, value: *value }).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TsdbStatus<'a> {
    head_stats: HeadStats,
    series_count_by_metric_name: Vec<NameValue<'a>>,
    label_value_count_by_label_name: Vec<NameValue<'a>>,
    memory_in_bytes_by_label_name: Vec<NameValue<'a>>,
    series_count_by_label_value_pair: Vec<NameValue<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadStats {
    num_series: u64,
    num_label_pairs: u64,
    chunk_count: u64,
    min_time: i64,
    max_time: i64,
}

/// `/api/v1/status/tsdb`
pub async fn tsdb(State(api): State<Arc<Api>>, tenant: Tenant, params: Params) -> ApiResult {
    let limit = match params.get("limit") {
        "" => 10,
        text => match text.parse::<usize>() {
            Ok(n @ 1..=10_000) => n,
            Ok(n) if n > 10_000 => {
                return Err(ApiError::parameter("limit", "limit must not exceed 10000"));
            }
            _ => return Err(ApiError::bad_data("limit must be a positive number")),
        },
    };
    let cardinality = api.parts()?.door.cardinality(tenant, limit).await?;
    let Cardinality { series, label_pairs, chunks, min_t, max_t, .. } = cardinality;
    Reply::json(&TsdbStatus {
        head_stats: HeadStats {
            num_series: series,
            num_label_pairs: label_pairs,
            chunk_count: chunks,
            min_time: min_t,
            max_time: max_t,
        },
        series_count_by_metric_name: pairs(&cardinality.series_by_metric),
        label_value_count_by_label_name: pairs(&cardinality.values_by_label),
        memory_in_bytes_by_label_name: pairs(&cardinality.bytes_by_label),
        series_count_by_label_value_pair: pairs(&cardinality.series_by_pair),
    })
}

/// `/api/v1/status/tsdb/blocks`
pub async fn blocks(State(api): State<Arc<Api>>, tenant: Tenant) -> ApiResult {
    let blocks: Vec<_> = api.parts()?.door.blocks(tenant).iter().map(block_meta).collect();
    Reply::json(&serde_json::json!({ "blocks": blocks }))
}

/// A block's meta.json as Prometheus shows it: numbers that are zero are left out.
fn block_meta(b: &BlockInfo) -> serde_json::Value {
    let mut stats = serde_json::Map::new();
    for (name, n) in [
        ("numSamples", b.samples),
        ("numFloatSamples", b.float_samples),
        ("numHistogramSamples", b.histogram_samples),
        ("numSeries", b.series),
        ("numChunks", b.chunks),
        ("numTombstones", b.tombstones),
    ] {
        if n > 0 {
            stats.insert(name.to_owned(), n.into());
        }
    }
    let mut compaction = serde_json::json!({ "level": b.level, "sources": b.sources });
    if let Some(object) = compaction.as_object_mut() {
        if b.deletable {
            object.insert("deletable".to_owned(), true.into());
        }
        if !b.parents.is_empty() {
            let parents: Vec<_> = b
                .parents
                .iter()
                .map(|(ulid, min, max)| serde_json::json!({ "ulid": ulid, "minTime": min, "maxTime": max }))
                .collect();
            object.insert("parents".to_owned(), parents.into());
        }
        if b.failed {
            object.insert("failed".to_owned(), true.into());
        }
        if !b.hints.is_empty() {
            object.insert("hints".to_owned(), b.hints.clone().into());
        }
    }
    serde_json::json!({
        "ulid": b.ulid,
        "minTime": b.min_t,
        "maxTime": b.max_t,
        "stats": stats,
        "compaction": compaction,
        "version": b.version,
    })
}

/// `/api/v1/status/walreplay`: served before the server is ready.
pub async fn wal_replay(State(api): State<Arc<Api>>) -> ApiResult {
    let [min, current, max] = api.control.replay_progress();
    Reply::json(&serde_json::json!({ "min": min, "max": max, "current": current }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_the_keys_of_its_meta_json() {
        let block = BlockInfo {
            ulid: "01BX5ZZKBKACTAV9WEVGEMMVRZ".to_owned(),
            min_t: -5,
            max_t: 10,
            samples: 3,
            float_samples: 1,
            histogram_samples: 2,
            series: 4,
            chunks: 5,
            tombstones: 6,
            level: 2,
            sources: vec!["a".to_owned()],
            parents: vec![("b".to_owned(), -5, 0)],
            hints: vec!["from-out-of-order".to_owned()],
            deletable: true,
            failed: true,
            version: 1,
            bytes: 7,
        };
        let want = serde_json::json!({
            "ulid": "01BX5ZZKBKACTAV9WEVGEMMVRZ", "minTime": -5, "maxTime": 10,
            "stats": {
                "numSamples": 3, "numFloatSamples": 1, "numHistogramSamples": 2, "numSeries": 4, "numChunks": 5,
                "numTombstones": 6,
            },
            "compaction": {
                "level": 2, "sources": ["a"], "deletable": true,
                "parents": [{ "ulid": "b", "minTime": -5, "maxTime": 0 }],
                "failed": true, "hints": ["from-out-of-order"],
            },
            "version": 1,
        });
        assert_eq!(block_meta(&block), want);
        let empty = block_meta(&BlockInfo::default());
        assert_eq!((&empty["stats"], empty["compaction"].get("failed")), (&serde_json::json!({}), None));
    }
}
