//! `/api/v1/query`, `/api/v1/query_range`, `/api/v1/format_query`, `/api/v1/parse_query`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use model::labels::Quoted;
use net::json::JsonWriter;
use net::listener::Peer;
use promql::ast::Expr;
use promql::{QueryResult, QueryStats, StepCount};
use query::{QueryError, QueryValue, RangeTimes, Times};
use tokio::sync::oneshot;

use super::ast_json::to_json;
use super::params::Params;
use super::query_result::{text_len, write_result};
use super::reply::{ApiError, ApiResult, ErrorKind, Reply, WrittenReply};
use crate::Api;
use crate::door::Tenant;
use crate::door::place::Place;
use crate::door::promql::{Asked, QueryOptions, WriteAnswer};
use crate::door::query_log::Origin;

/// Steps that a range query may have.
const MAX_POINTS: i64 = 11_000;
/// Warnings that are shown, and infos.
const MAX_NOTES: usize = 10;

/// `/api/v1/query`
pub async fn query(
    State(api): State<Arc<Api>>,
    tenant: Tenant,
    asker: Asker,
    params: Params,
) -> Result<WrittenReply, ApiError> {
    let limit = params.limit()?;
    let t = params.evaluation_time_or("time", api.now_ms())?;
    run(&api, tenant, asker, &params, Times::Instant(t), limit).await
}

/// `/api/v1/query_range`
pub async fn query_range(
    State(api): State<Arc<Api>>,
    tenant: Tenant,
    asker: Asker,
    params: Params,
) -> Result<WrittenReply, ApiError> {
    let limit = params.limit()?;
    let (start, end) = (params.evaluation_time("start")?, params.evaluation_time("end")?);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = params.duration("step")?;
    if step <= 0 {
        return Err(ApiError::parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if end.saturating_sub(start) / step > MAX_POINTS {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
             (?step=XX)",
        ));
    }
    run(&api, tenant, asker, &params, Times::Range(RangeTimes { start, end, step }), limit).await
}

async fn run(
    api: &Api,
    tenant: Tenant,
    asker: Asker,
    params: &Params,
    times: Times,
    limit: usize,
) -> Result<WrittenReply, ApiError> {
    let door = &api.parts()?.door;
    let stats = params.get("stats").to_owned();
    let options = QueryOptions {
        timeout: params
            .duration_opt("timeout")?
            .map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))),
        lookback_delta: lookback(params)?,
        per_step_stats: stats == "all",
    };
    let asked = params.get("query");
    let expr = parse(api, asked)?;
    let answer = Answer { text: asked.to_owned(), limit, stats };
    door.query(tenant, &expr, Asked { text: asked, origin: asker.0 }, times, options, answer)
        .await
        .map_err(query_error)?
}

/// The client, for the query log.
pub struct Asker(Origin);

impl FromRequestParts<Arc<Api>> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>();
        // Of the path this router sees what stands behind the place where it is nested.
        let path = format!("{}/api/v1{}", api.options.prefix, parts.uri.path());
        Ok(Self(Origin::Http {
            client_ip: peer.map_or_else(String::new, |Peer(address)| address.ip().to_canonical().to_string()),
            method: parts.method.to_string(),
            path,
        }))
    }
}

/// The answer to one query.
struct Answer {
    /// What the client asked.
    text: String,
    /// 0 for all of the result.
    limit: usize,
    /// The parameter of this name.
    stats: String,
}

impl WriteAnswer for Answer {
    type Written = Result<WrittenReply, ApiError>;

    fn text_len(&self, result: &QueryResult) -> usize {
        text_len(&result.value)
    }

    fn write(
        self,
        result: Result<QueryResult, QueryError>,
        written: oneshot::Sender<Self::Written>,
        place: Place,
    ) {
        // A client that has gone needs no answer.
        match result {
            Err(e) => drop(written.send(Err(query_error(e)))),
            Ok(result) => {
                let len = text_len(&result.value);
                let hand_over = Box::new(move |text| drop(written.send(Ok(WrittenReply(text)))));
                let mut json = match place {
                    Place::Serving => JsonWriter::whole(len, hand_over),
                    Place::Blocking => JsonWriter::handing_over(len, hand_over),
                };
                reply(result, &self.text, self.limit, &self.stats).write(&mut json);
                json.finish();
            }
        }
    }
}

fn lookback(params: &Params) -> Result<Option<i64>, ApiError> {
    match params.get("lookback_delta") {
        "" => Ok(None),
        text => super::params::parse_seconds_or_duration(text)
            .map(Some)
            .map_err(|e| ApiError::bad_data(format!("error parsing lookback delta duration: {e}"))),
    }
}

/// Parses the parameter `query`.
pub(super) fn parse(api: &Api, text: &str) -> Result<Expr, ApiError> {
    promql::parse::parse(text, api.parts()?.door.promql_features())
        .map_err(|e| ApiError::parameter("query", e))
}

fn query_error(e: QueryError) -> ApiError {
    match &e {
        QueryError::Invalid(_) => ApiError::parameter("query", e),
        QueryError::Timeout(_) => ApiError::new(ErrorKind::Timeout, e.to_string()),
        QueryError::Cancelled(_) => ApiError::new(ErrorKind::Canceled, e.to_string()),
        QueryError::Storage(_) | QueryError::TooManySamples(_) | QueryError::Execution(_) => {
            ApiError::new(ErrorKind::Execution, e.to_string())
        }
    }
}

fn reply(result: QueryResult, text: &str, limit: usize, stats: &str) -> Reply {
    let QueryResult { mut value, annotations, stats: figures } = result;
    let (mut warnings, infos) = annotations.strings(text, MAX_NOTES, MAX_NOTES);
    if truncate(&mut value, limit) {
        warnings.push("results truncated due to limit".to_owned());
    }
    if !matches!(stats, "" | "true" | "all") {
        warnings.push(format!(
            "value {} for parameter \"stats\" is deprecated and will be rejected in the next major release, use \
             \"true\" or \"all\"",
            Quoted(stats)
        ));
    }
    let with_stats = !stats.is_empty();
    let write = move |json: &mut JsonWriter| {
        write_result(json, &value);
        if with_stats {
            json.raw(",\"stats\":");
            write_stats(json, &figures);
        }
        json.raw("}");
    };
    let mut reply = Reply::at_once(write);
    (reply.warnings, reply.infos) = (warnings, infos);
    reply
}

fn truncate(value: &mut QueryValue, limit: usize) -> bool {
    match value {
        _ if limit == 0 => false,
        QueryValue::Vector(samples) if samples.len() > limit => {
            samples.truncate(limit);
            true
        }
        QueryValue::Matrix(series) if series.len() > limit => {
            series.truncate(limit);
            true
        }
        _ => false,
    }
}

fn write_stats(json: &mut JsonWriter, stats: &QueryStats) {
    let t = &stats.timings;
    let timings = [
        ("evalTotalTime", t.eval_total),
        ("resultSortTime", t.result_sort),
        ("queryPreparationTime", t.query_preparation),
        ("innerEvalTime", t.inner_eval),
        ("execQueueTime", t.exec_queue),
        ("execTotalTime", t.exec_total),
    ];
    json.raw("{\"timings\":{");
    for (i, (name, time)) in timings.into_iter().enumerate() {
        json.raw(if i == 0 { "\"" } else { ",\"" });
        json.raw(name);
        json.raw("\":");
        json.raw(&time.as_secs_f64().to_string());
    }
    let s = &stats.samples;
    json.raw("},\"samples\":{");
    for (name, steps) in
        [("totalQueryableSamplesPerStep", &s.total_per_step), ("samplesReadPerStep", &s.read_per_step)]
    {
        if let Some(steps) = steps {
            json.raw("\"");
            json.raw(name);
            json.raw("\":");
            json.list(steps, |json, StepCount { t, samples }| {
                json.raw("[");
                json.timestamp(*t);
                json.raw(",");
                json.raw(&samples.to_string());
                json.raw("]");
            });
            json.raw(",");
        }
    }
    json.raw(&format!(
        "\"totalQueryableSamples\":{},\"peakSamples\":{},\"samplesRead\":{}}}}}",
        s.total, s.peak, s.read
    ));
}

/// `/api/v1/format_query`
pub async fn format_query(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    Reply::json(&promql::print::pretty(&parse(&api, params.get("query"))?))
}

/// `/api/v1/parse_query`
pub async fn parse_query(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    Reply::json(&to_json(&parse(&api, params.get("query"))?))
}
