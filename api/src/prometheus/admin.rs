//! `/api/v1/admin/tsdb/*`, behind `--web.enable-admin-api`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use storage::{Storage, StorageError};

use super::params::{MAX_TIME, MIN_TIME, Params};
use super::reply::{ApiError, ErrorKind, Reply};
use crate::Api;

impl Api {
    fn admin(&self) -> Result<Arc<Storage>, ApiError> {
        match self.options.admin {
            true => Ok(self.parts()?.storage.clone()),
            false => Err(ApiError::new(
                ErrorKind::Unavailable,
                "admin APIs disabled; start with --web.enable-admin-api",
            )),
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(e @ StorageError::Replaying(_))) => Err(ApiError::new(ErrorKind::Unavailable, e.to_string())),
        Ok(Err(e)) => Err(ApiError::new(ErrorKind::Internal, e.to_string())),
        Err(e) => Err(ApiError::new(ErrorKind::Internal, format!("the store's work ended early: {e}"))),
    }
}

/// `delete_series`: hides matching series' samples between `start` and `end`.
pub async fn delete_series(State(api): State<Arc<Api>>, params: Params) -> Result<Response, ApiError> {
    let storage = api.admin()?;
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let (min_t, max_t) = (params.time_or("start", MIN_TIME)?, params.time_or("end", MAX_TIME)?);
    let selectors = params.selectors()?;
    blocking(move || selectors.iter().try_for_each(|matchers| storage.delete_series(matchers, min_t, max_t)))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `clean_tombstones`: rewrites blocks without deleted samples.
pub async fn clean_tombstones(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let storage = api.admin()?;
    blocking(move || storage.clean_tombstones()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Serialize)]
struct SnapshotData {
    name: String,
}

/// `snapshot`: a data directory of its own below `snapshots/`.
pub async fn snapshot(State(api): State<Arc<Api>>, params: Params) -> Result<Reply, ApiError> {
    let storage = api.admin()?;
    let skip_head = match params.get("skip_head") {
        "" => false,
        text => parse_bool(text).ok_or_else(|| {
            ApiError::parameter("skip_head", format!("unable to parse boolean {text:?}; give true or false"))
        })?,
    };
    let name = format!("{}-{:016x}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"), api.random_u64());
    let target = name.clone();
    blocking(move || storage.snapshot_to(&target, !skip_head)).await?;
    Reply::json(&SnapshotData { name })
}

/// Go's `strconv.ParseBool`.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
