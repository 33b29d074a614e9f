//! `/api/v1/admin/tsdb/*`, behind `--web.enable-admin-api`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::params::{MAX_TIME, MIN_TIME, Params};
use super::reply::{ApiError, ErrorKind, Reply};
use crate::Api;
use crate::door::admin::AdminError;
use crate::door::{Door, Tenant};

impl Api {
    /// The door, where administrators may use it.
    fn admin(&self) -> Result<&Door, ApiError> {
        match self.options.admin {
            true => Ok(&self.parts()?.door),
            false => Err(ApiError::new(
                ErrorKind::Unavailable,
                "admin APIs disabled; start with --web.enable-admin-api",
            )),
        }
    }
}

impl From<AdminError> for ApiError {
    fn from(e: AdminError) -> Self {
        let kind = match e {
            AdminError::Replaying(_) => ErrorKind::Unavailable,
            AdminError::Failed(_) | AdminError::Ended(_) => ErrorKind::Internal,
        };
        Self::new(kind, e.to_string())
    }
}

/// `delete_series`: hides matching series' samples between `start` and `end`.
pub async fn delete_series(
    State(api): State<Arc<Api>>,
    tenant: Tenant,
    params: Params,
) -> Result<Response, ApiError> {
    let door = api.admin()?;
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let (min_t, max_t) = (params.time_or("start", MIN_TIME)?, params.time_or("end", MAX_TIME)?);
    let selectors = params.selectors()?;
    door.delete_series(tenant, selectors, min_t, max_t).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `clean_tombstones`: rewrites blocks without deleted samples.
pub async fn clean_tombstones(State(api): State<Arc<Api>>, tenant: Tenant) -> Result<Response, ApiError> {
    let door = api.admin()?;
    door.clean_tombstones(tenant).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Serialize)]
struct SnapshotData {
    name: String,
}

/// `snapshot`: a data directory of its own below `snapshots/`.
pub async fn snapshot(
    State(api): State<Arc<Api>>,
    tenant: Tenant,
    params: Params,
) -> Result<Reply, ApiError> {
    let door = api.admin()?;
    let skip_head = match params.get("skip_head") {
        "" => false,
        text => parse_bool(text).ok_or_else(|| {
            ApiError::parameter("skip_head", format!("unable to parse boolean {text:?}; give true or false"))
        })?,
    };
    let name = format!("{}-{:016x}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"), api.random_u64());
    door.snapshot_to(tenant, name.clone(), !skip_head).await?;
    Reply::json(&SnapshotData { name })
}

/// Go's `strconv.ParseBool`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
