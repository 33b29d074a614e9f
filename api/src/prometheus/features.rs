//! `/api/v1/features`: what this server can do, for clients that choose by it.

use std::sync::Arc;

use axum::extract::State;

use super::reply::{ApiResult, Reply};
use crate::Api;

/// `/api/v1/features`
pub async fn features(State(api): State<Arc<Api>>) -> ApiResult {
    Reply::json(&api.options.features)
}
