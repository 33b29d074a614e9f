//! `/api/v1/search/metric_names`, `/label_names` and `/label_values` (`--enable-feature=search-api`): names that resemble
//! what a user types. The answer is a stream of JSON lines: batches of results, then one that says how it ended.
//! Source: Prometheus `web/api/v1/search.go`.

mod filter;
mod score;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::StreamBody;
use model::Matcher;
use model::labels::METRIC_NAME;
use model::metadata::Metadata;
use model::read::{Hints, Selection};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::admin::parse_bool;
use super::params::Params;
use super::reply::{ApiError, ErrorKind, Pieces};
use crate::Api;
use crate::door::Tenant;
use crate::door::series::Listing;
use filter::{Algorithm, Filter};

const DEFAULT_LIMIT: usize = 100;
const DEFAULT_BATCH: usize = 100;
const MAX_TERMS: usize = 32;
/// Results that are written before the client must read.
const MAX_BATCH: usize = 10_000;
const HOUR_MS: i64 = 3_600_000;

/// How results are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
    BestFirst,
}

/// The parameters that the three endpoints share.
struct Search {
    selections: Vec<Selection>,
    filter: Filter,
    order: Order,
    with_score: bool,
    limit: usize,
    batch: usize,
}

impl Search {
    /// `endpoint` is named in errors.
    fn parse(api: &Api, params: &Params, endpoint: &str) -> Result<Self, ApiError> {
        let Some(max_limit) = api.options.search_max_limit else {
            return Err(ApiError::new(ErrorKind::Unavailable, "search API disabled"));
        };
        let now = api.now_ms();
        let (start, end) = (params.time_or("start", now - HOUR_MS)?, params.time_or("end", now)?);
        if end < start {
            return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
        }
        let mut selectors = params.selectors()?;
        if selectors.is_empty() {
            selectors.push(Vec::new());
        }
        let terms: Vec<&str> = params.all("search[]").collect();
        if terms.len() > MAX_TERMS {
            let message = format!("too many search[] terms: got {}, maximum is {MAX_TERMS}", terms.len());
            return Err(ApiError::bad_data(message));
        }
        let threshold = match params.get("fuzz_threshold") {
            "" => 0,
            text => text.parse::<u8>().ok().filter(|percent| *percent <= 100).ok_or_else(|| {
                ApiError::bad_data(format!("invalid fuzz_threshold {text:?}: must be 0-100"))
            })?,
        };
        let algorithm = match params.get("fuzz_alg") {
            "" | "subsequence" => Algorithm::Subsequence,
            "jarowinkler" => Algorithm::JaroWinkler,
            other => {
                let message =
                    format!("unsupported fuzz_alg {other:?}: must be one of [subsequence jarowinkler]");
                return Err(ApiError::bad_data(message));
            }
        };
        let case_sensitive = switch(params, "case_sensitive", true)?;
        let with_score = switch(params, "include_score", false)?;
        let order = order(params, terms.is_empty(), endpoint)?;
        let limit = limit(params.get("limit"), max_limit)?;
        let batch = match params.get("batch_size") {
            "" => DEFAULT_BATCH,
            text => positive("batch_size", text)?.min(MAX_BATCH),
        };
        let select = |matchers: Vec<Matcher>| Selection {
            matchers,
            min_t: start,
            max_t: end,
            limit: 0,
            hints: Hints::default(),
        };
        Ok(Self {
            selections: selectors.into_iter().map(select).collect(),
            filter: Filter::new(terms.into_iter(), algorithm, f64::from(threshold) / 100.0, case_sensitive),
            order,
            with_score,
            limit,
            batch,
        })
    }

    /// What was found, in order; at most one more than the limit.
    fn choose(&self, texts: Vec<String>) -> Vec<(String, f64)> {
        let scored = texts.into_iter().filter_map(|text| self.filter.score(&text).map(|score| (text, score)));
        let enough = self.limit.saturating_add(1);
        match self.order {
            // They come in ascending order.
            Order::Ascending => scored.take(enough).collect(),
            Order::Descending => {
                let mut all: Vec<_> = scored.collect();
                all.reverse();
                all.truncate(enough);
                all
            }
            Order::BestFirst => {
                let mut all: Vec<_> = scored.collect();
                all.sort_by(|a, b| b.1.total_cmp(&a.1));
                all.truncate(enough);
                all
            }
        }
    }

    /// Streams the answer; `more` adds to a result.
    fn answer(
        self,
        found: Listing<String>,
        key: &'static str,
        more: impl Fn(&str, &mut serde_json::Map<String, Value>) + Send + 'static,
    ) -> Response {
        let (send, receive) = mpsc::channel::<Bytes>(4);
        tokio::task::spawn_blocking(move || {
            let mut chosen = self.choose(found.items);
            let has_more = chosen.len() > self.limit;
            chosen.truncate(self.limit);
            let mut warnings = found.warnings;
            // A client that has gone ends the stream. The first line is written even without results.
            let line = |line: Value| send.blocking_send(Bytes::from(format!("{line}\n"))).is_ok();
            let mut rest = chosen.as_slice();
            loop {
                let (batch, after) = rest.split_at(self.batch.min(rest.len()));
                rest = after;
                let results: Vec<Value> = batch
                    .iter()
                    .map(|(text, score)| {
                        let mut result = serde_json::Map::new();
                        result.insert(key.to_owned(), text.as_str().into());
                        if self.with_score {
                            result.insert("score".to_owned(), score_json(*score));
                        }
                        more(text, &mut result);
                        result.into()
                    })
                    .collect();
                let mut object = json!({"results": results});
                if !warnings.is_empty() {
                    object["warnings"] = std::mem::take(&mut warnings).into();
                }
                if !line(object) {
                    return;
                }
                if rest.is_empty() {
                    break;
                }
            }
            line(json!({"status": "success", "has_more": has_more}));
        });
        let content_type = [(header::CONTENT_TYPE, "application/x-ndjson; charset=utf-8")];
        (content_type, Body::new(StreamBody::new(Pieces(receive)))).into_response()
    }
}

/// As Go writes it: 1, not 1.0.
fn score_json(score: f64) -> Value {
    if score.fract() == 0.0 { (score as i64).into() } else { score.into() }
}

fn order(params: &Params, without_terms: bool, endpoint: &str) -> Result<Order, ApiError> {
    let (by, direction) = (params.get("sort_by"), params.get("sort_dir"));
    let wrong = |message: String| Err(ApiError::bad_data(message));
    match (by, direction) {
        ("", text) if !text.is_empty() => wrong("sort_dir is only valid when sort_by is set".to_owned()),
        ("score", text) if !text.is_empty() => {
            wrong("sort_dir is not supported for sort_by=score".to_owned())
        }
        (_, text) if !matches!(text, "" | "asc" | "dsc") => {
            wrong(format!("invalid sort_dir {text:?}: must be \"asc\" or \"dsc\""))
        }
        ("score", _) if without_terms => wrong("sort_by=score requires search[] to be set".to_owned()),
        ("score", _) => Ok(Order::BestFirst),
        ("alpha", "dsc") => Ok(Order::Descending),
        ("" | "alpha", _) => Ok(Order::Ascending),
        (other, _) => {
            wrong(format!("invalid sort_by {other:?} for {endpoint}: must be \"alpha\" or \"score\""))
        }
    }
}

/// `max` is 0 for none.
fn limit(text: &str, max: usize) -> Result<usize, ApiError> {
    let max = if max == 0 { usize::MAX } else { max };
    if text.is_empty() {
        return Ok(DEFAULT_LIMIT.min(max));
    }
    let limit = positive("limit", text)?;
    if limit > max {
        let message =
            format!("limit {limit} exceeds the configured maximum ({max}, see --web.search.max-limit)");
        return Err(ApiError::bad_data(message));
    }
    Ok(limit)
}

fn positive(name: &str, text: &str) -> Result<usize, ApiError> {
    text.parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| ApiError::bad_data(format!("invalid {name} {text:?}: must be a positive integer")))
}

fn switch(params: &Params, name: &str, default: bool) -> Result<bool, ApiError> {
    match params.get(name) {
        "" => Ok(default),
        text => parse_bool(text)
            .ok_or_else(|| ApiError::bad_data(format!("invalid {name} {text:?}: must be boolean"))),
    }
}

/// `/api/v1/search/metric_names`
pub async fn metric_names(
    State(api): State<Arc<Api>>,
    tenant: Tenant,
    params: Params,
) -> Result<Response, ApiError> {
    let search = Search::parse(&api, &params, "metric_names")?;
    let with_metadata = switch(&params, "include_metadata", false)?;
    let parts = api.parts()?;
    let found = parts.door.label_values(tenant, METRIC_NAME.to_owned(), search.selections.clone()).await?;
    let metadata = if with_metadata { metadata(&parts.scrape) } else { HashMap::new() };
    Ok(search.answer(found, "name", move |name, result| {
        let Some(metadata) = metadata.get(name) else { return };
        let fields = [
            ("type", metadata.kind.as_str()),
            ("help", metadata.help.as_str()),
            ("unit", metadata.unit.as_str()),
        ];
        for (field, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
            result.insert(field.to_owned(), text.into());
        }
    }))
}

/// The metadata of all metrics; of several targets' the first.
fn metadata(scrape: &scrape::Manager) -> HashMap<String, Metadata> {
    let mut all = HashMap::new();
    for target in scrape.active_targets() {
        target.metadata.for_each(|name, metadata| {
            if !all.contains_key(name) {
                all.insert(name.to_owned(), metadata.clone());
            }
        });
    }
    all
}

/// `/api/v1/search/label_names`
pub async fn label_names(
    State(api): State<Arc<Api>>,
    tenant: Tenant,
    params: Params,
) -> Result<Response, ApiError> {
    let search = Search::parse(&api, &params, "label_names")?;
    let found = api.parts()?.door.label_names(tenant, search.selections.clone()).await?;
    Ok(search.answer(found, "name", |_, _| {}))
}

/// `/api/v1/search/label_values`
pub async fn label_values(
    State(api): State<Arc<Api>>,
    tenant: Tenant,
    params: Params,
) -> Result<Response, ApiError> {
    let search = Search::parse(&api, &params, "label_values")?;
    let label = match params.get("label") {
        "" => return Err(ApiError::bad_data("missing required parameter \"label\"")),
        label => label.to_owned(),
    };
    let found = api.parts()?.door.label_values(tenant, label, search.selections.clone()).await?;
    Ok(search.answer(found, "value", |_, _| {}))
}
