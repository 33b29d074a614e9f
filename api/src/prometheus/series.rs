//! `/api/v1/series`, `/api/v1/labels`, `/api/v1/label/<name>/values`.

use std::sync::Arc;

use axum::extract::{Path, State};
use model::Matcher;
use model::read::{Hints, Selection};
use net::json::JsonWriter;

use super::params::{MAX_TIME, MIN_TIME, Params};
use super::reply::{ApiError, ApiResult, Reply};
use crate::Api;
use crate::door::Tenant;
use crate::door::series::Listing;

const TRUNCATED: &str = "results truncated due to limit";

/// The parameters of the three endpoints.
struct LabelQuery {
    /// Empty when `match[]` was not given.
    selectors: Vec<Vec<Matcher>>,
    min_t: i64,
    max_t: i64,
    /// 0 for all.
    limit: usize,
}

impl LabelQuery {
    /// `selectors` are those of `match[]`.
    fn parse(params: &Params, selectors: Vec<Vec<Matcher>>) -> Result<Self, ApiError> {
        Ok(Self {
            limit: params.limit()?,
            min_t: params.time_or("start", MIN_TIME)?,
            max_t: params.time_or("end", MAX_TIME)?,
            selectors,
        })
    }

    /// One more than the limit is asked for, to know whether the answer was cut.
    fn selection(&self, matchers: Vec<Matcher>) -> Selection {
        let limit = if self.limit == 0 { 0 } else { self.limit.saturating_add(1) };
        Selection { matchers, min_t: self.min_t, max_t: self.max_t, limit, hints: Hints::default() }
    }

    /// The selections of all selectors, or of everything without any.
    fn selections(&self) -> Vec<Selection> {
        match self.selectors.is_empty() {
            true => vec![self.selection(Vec::new())],
            false => self.selectors.iter().map(|matchers| self.selection(matchers.clone())).collect(),
        }
    }

    fn truncate<T>(&self, mut items: Vec<T>) -> (Vec<T>, bool) {
        let truncated = self.limit > 0 && items.len() > self.limit;
        if truncated {
            items.truncate(self.limit);
        }
        (items, truncated)
    }
}

fn reply<T: Send + 'static>(
    query: &LabelQuery,
    found: Listing<T>,
    write: impl Fn(&mut JsonWriter, &T) + Send + 'static,
) -> Reply {
    let Listing { items, warnings, held } = found;
    let (items, truncated) = query.truncate(items);
    let mut reply = Reply::stream(move |json| {
        json.list(&items, |json, item| write(json, item));
        drop(items);
        drop(held);
    });
    reply.warnings = warnings;
    if truncated { reply.warn(TRUNCATED) } else { reply }
}

/// `/api/v1/labels`
pub async fn labels(State(api): State<Arc<Api>>, tenant: Tenant, params: Params) -> ApiResult {
    let query = LabelQuery::parse(&params, params.selectors()?)?;
    let found = api.parts()?.door.label_names(tenant, query.selections()).await?;
    Ok(reply(&query, found, |json, name| json.string(name)))
}

/// `/api/v1/label/<name>/values`
pub async fn label_values(
    State(api): State<Arc<Api>>,
    tenant: Tenant,
    Path(name): Path<String>,
    params: Params,
) -> ApiResult {
    let name = if name.starts_with("U__") { unescape(&name) } else { name };
    if name.is_empty() {
        return Err(ApiError::bad_data(format!("invalid label name: {name:?}")));
    }
    let query = LabelQuery::parse(&params, params.selectors()?)?;
    let found = api.parts()?.door.label_values(tenant, name, query.selections()).await?;
    Ok(reply(&query, found, |json, value| json.string(value)))
}

/// `/api/v1/series`
pub async fn series(State(api): State<Arc<Api>>, tenant: Tenant, params: Params) -> ApiResult {
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    // As Prometheus words it: only this endpoint names the parameter.
    let selectors = params.selectors().map_err(|e| ApiError::parameter("match[]", e.message))?;
    let query = LabelQuery::parse(&params, selectors)?;
    let found = api.parts()?.door.series(tenant, query.selections()).await?;
    Ok(reply(&query, found, |json, labels| json.labels(labels)))
}

/// A name escaped by the scheme `values`: `U__`, then `__` for `_` and `_hex_` for other characters. Text that is not
/// escaped so is returned as it is. Source: prometheus/common `UnescapeName`.
fn unescape(escaped: &str) -> String {
    let Some(mut rest) = escaped.strip_prefix("U__") else { return escaped.to_owned() };
    let mut name = String::with_capacity(rest.len());
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            name.push('_');
            rest = after;
            continue;
        }
        let Some(end) = rest.find('_') else { return escaped.to_owned() };
        let decoded = (end <= 6).then(|| u32::from_str_radix(&rest[..end], 16).ok()).flatten();
        let Some(c) = decoded.and_then(char::from_u32) else { return escaped.to_owned() };
        name.push(c);
        rest = &rest[end + 1..];
    }
    name.push_str(rest);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescaping() {
        for (escaped, want) in [
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U___1f600_", "😀"),
            ("U__", ""),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_2e", "U__a_2e"),
            ("plain", "plain"),
        ] {
            assert_eq!(unescape(escaped), want, "{escaped}");
        }
    }
}
