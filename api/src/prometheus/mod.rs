//! Prometheus's HTTP API, `/api/v1`: one file per group of endpoints, [`params`] for what a request says and [`reply`] for
//! how an answer is written.

mod admin;
mod alerts;
mod ast_json;
mod exemplars;
mod features;
mod notifications;
pub mod params;
mod query;
mod query_result;
pub mod reply;
mod rules;
mod scrape_pools;
mod search;
mod self_metrics;
mod series;
pub mod status;
mod targets;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::Api;

/// The routes below `/api/v1` that are served from the start.
pub fn early_routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/status/walreplay", get(status::wal_replay))
        .route("/features", get(features::features))
        .route("/notifications", get(notifications::notifications))
        .route("/notifications/live", get(notifications::live))
}

/// The routes below `/api/v1` that are served once the store is open.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/query", get(query::query).post(query::query))
        .route("/query_range", get(query::query_range).post(query::query_range))
        .route("/query_exemplars", get(exemplars::query_exemplars).post(exemplars::query_exemplars))
        .route("/format_query", get(query::format_query).post(query::format_query))
        .route("/parse_query", get(query::parse_query).post(query::parse_query))
        .route("/labels", get(series::labels).post(series::labels))
        .route("/label/{name}/values", get(series::label_values))
        .route("/series", get(series::series).post(series::series))
        .route("/search/metric_names", get(search::metric_names).post(search::metric_names))
        .route("/search/label_names", get(search::label_names).post(search::label_names))
        .route("/search/label_values", get(search::label_values).post(search::label_values))
        .route("/scrape_pools", get(scrape_pools::scrape_pools))
        .route("/scrape_pools/config", get(scrape_pools::config))
        .route("/targets", get(targets::targets))
        .route("/targets/relabel_steps", get(scrape_pools::relabel_steps))
        .route("/targets/metadata", get(targets::target_metadata))
        .route("/metadata", get(targets::metadata))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(alerts::alerts))
        .route("/alertmanagers", get(alerts::alertmanagers))
        .route("/status/config", get(status::config))
        .route("/status/self_metrics", get(self_metrics::self_metrics))
        .route("/status/flags", get(status::flags))
        .route("/status/runtimeinfo", get(status::runtimeinfo))
        .route("/status/buildinfo", get(status::buildinfo))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/tsdb/blocks", get(status::blocks))
        .route("/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/admin/tsdb/clean_tombstones", post(admin::clean_tombstones).put(admin::clean_tombstones))
        .route("/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
}
