//! `/api/v1/series`, `/api/v1/labels`, `/api/v1/label/<name>/values`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use model::Matcher;
use model::read::{Hints, ReadError, Selection, SeriesSource};

use super::params::{MAX_TIME, MIN_TIME, Params};
use super::reply::{ApiError, ApiResult, ErrorKind, Reply};
use crate::{Api, Parts};

const TRUNCATED: &str = "results truncated due to limit";

/// What the three endpoints are asked.
struct Question {
    /// Empty when `match[]` was not given.
    selectors: Vec<Vec<Matcher>>,
    min_t: i64,
    max_t: i64,
    /// 0 for all.
    limit: usize,
}

impl Question {
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

    fn cut<T>(&self, mut items: Vec<T>) -> (Vec<T>, bool) {
        let truncated = self.limit > 0 && items.len() > self.limit;
        if truncated {
            items.truncate(self.limit);
        }
        (items, truncated)
    }
}

fn failed(e: ReadError) -> ApiError {
    match e {
        ReadError::Cancelled => ApiError::new(ErrorKind::Canceled, e.to_string()),
        e => ApiError::new(ErrorKind::Execution, e.to_string()),
    }
}

/// Reads on a blocking thread: an index may have to come from disk.
async fn read<T: Send + 'static>(
    parts: &Parts,
    read: impl FnOnce(&dyn SeriesSource) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let storage = parts.storage.clone();
    tokio::task::spawn_blocking(move || read(&*storage.snapshot()))
        .await
        .map_err(|e| ApiError::new(ErrorKind::Internal, format!("reading labels: {e}")))?
}

/// Names or values of all selections, each once, in order.
fn strings(
    question: &Question,
    mut read: impl FnMut(&Selection) -> Result<Vec<String>, ReadError>,
) -> Result<Vec<String>, ApiError> {
    let mut selections = question.selections();
    if let [selection] = &mut selections[..] {
        return read(selection).map_err(failed);
    }
    let mut all = BTreeSet::new();
    for selection in selections {
        all.extend(read(&selection).map_err(failed)?);
    }
    Ok(all.into_iter().collect())
}

fn reply_strings(question: &Question, strings: Vec<String>, warnings: Vec<String>) -> Reply {
    let (strings, truncated) = question.cut(strings);
    let mut reply = Reply::stream(move |json| json.list(&strings, |json, s| json.string(s)));
    reply.warnings = warnings;
    if truncated { reply.warn(TRUNCATED) } else { reply }
}

/// `/api/v1/labels`
pub async fn labels(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    let question = Question::parse(&params, params.selectors()?)?;
    read(api.parts()?, move |source| {
        let names = strings(&question, |selection| source.label_names(selection))?;
        Ok(reply_strings(&question, names, source.warnings()))
    })
    .await
}

/// `/api/v1/label/<name>/values`
pub async fn label_values(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    params: Params,
) -> ApiResult {
    let name = if name.starts_with("U__") { unescape(&name) } else { name };
    if name.is_empty() {
        return Err(ApiError::bad_data(format!("invalid label name: {name:?}")));
    }
    let question = Question::parse(&params, params.selectors()?)?;
    read(api.parts()?, move |source| {
        let values = strings(&question, |selection| source.label_values(&name, selection))?;
        Ok(reply_strings(&question, values, source.warnings()))
    })
    .await
}

/// `/api/v1/series`
pub async fn series(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    // As Prometheus words it: only this endpoint names the parameter.
    let selectors = params.selectors().map_err(|e| ApiError::parameter("match[]", e.message))?;
    let question = Question::parse(&params, selectors)?;
    read(api.parts()?, move |source| {
        let mut all = Vec::new();
        for selection in question.selections() {
            let set = source.select(&selection).map_err(failed)?;
            all.extend(set.series.iter().map(|s| s.labels().clone()));
        }
        if question.selectors.len() > 1 {
            all.sort();
            all.dedup();
        }
        let (all, truncated) = question.cut(all);
        let mut reply = Reply::stream(move |json| json.list(&all, |json, labels| json.labels(labels)));
        reply.warnings = source.warnings();
        Ok(if truncated { reply.warn(TRUNCATED) } else { reply })
    })
    .await
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
