//! `/api/v1/query_exemplars`.

use std::sync::Arc;

use axum::extract::State;

use super::params::{MAX_TIME, MIN_TIME, Params};
use super::query::parse;
use super::reply::{ApiError, ApiResult, Reply};
use crate::Api;
use crate::door::Tenant;
use crate::door::exemplars::ExemplarQuery;

/// `/api/v1/query_exemplars`
pub async fn query_exemplars(State(api): State<Arc<Api>>, tenant: Tenant, params: Params) -> ApiResult {
    let (min_t, max_t) = (params.time_or("start", MIN_TIME)?, params.time_or("end", MAX_TIME)?);
    if max_t < min_t {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let expr = parse(&api, params.get("query"))?;
    let matchers: Vec<_> = expr.selectors().into_iter().map(|s| s.matchers.clone()).collect();
    if matchers.is_empty() {
        return Reply::json(&[(); 0]);
    }
    let query = ExemplarQuery { matchers, min_t, max_t };
    let found = api.parts()?.door.exemplars(tenant, query).await?;
    Ok(Reply::stream(move |json| {
        json.list(&found, |json, series| {
            json.raw("{\"seriesLabels\":");
            json.labels(&series.labels);
            json.raw(",\"exemplars\":");
            json.list(&series.exemplars, |json, exemplar| {
                json.raw("{\"labels\":");
                json.labels(&exemplar.labels);
                json.raw(",\"value\":");
                json.float_string(exemplar.v);
                json.raw(",\"timestamp\":");
                json.timestamp(exemplar.time());
                json.raw("}");
            });
            json.raw("}");
        });
    }))
}
