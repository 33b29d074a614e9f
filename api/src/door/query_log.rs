//! `global.query_log_file`: a JSON line for every query that ran, of clients and of rules, with Prometheus's keys.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use parking_lot::Mutex;
use promql::{QueryResult, QueryStats};
use query::{QueryError, RangeTimes, Times};
use serde_json::{Map, Value, json};

/// Who asked a query.
#[derive(Clone, Debug)]
pub enum Origin {
    /// An HTTP client.
    Http {
        /// Its address without the port; "" where it is not known.
        client_ip: String,
        /// Such as `GET`.
        method: String,
        /// With the route prefix, without the query.
        path: String,
    },
    /// A rule.
    RuleGroup {
        /// The rule file.
        file: String,
        /// The group.
        name: String,
    },
}

/// The log, if there is one. A reload opens it again, so that it can be rotated.
#[derive(Default)]
pub struct QueryLog(ArcSwapOption<Mutex<File>>);

impl QueryLog {
    /// Opens a file to append to from now on; with `None` nothing is logged any more. On error all stays as it is.
    pub fn set_file(&self, path: Option<&Path>) -> io::Result<()> {
        let open = |path| OpenOptions::new().append(true).create(true).open(path);
        let file = path.map(open).transpose()?;
        self.0.store(file.map(|file| Mutex::new(file).into()));
        Ok(())
    }

    /// Whether queries are logged.
    pub fn is_open(&self) -> bool {
        self.0.load().is_some()
    }

    /// Writes the line of a query. Says nothing and succeeds when there is no log.
    pub fn write(
        &self,
        text: &str,
        times: Times,
        origin: &Origin,
        result: &Result<QueryResult, QueryError>,
    ) -> io::Result<()> {
        let Some(file) = &*self.0.load() else { return Ok(()) };
        let line = line(Timestamp::now(), text, times, origin, result);
        // One write for a line: lines of several threads do not mix.
        file.lock().write_all(format!("{line}\n").as_bytes())
    }
}

fn line(
    now: Timestamp,
    text: &str,
    times: Times,
    origin: &Origin,
    result: &Result<QueryResult, QueryError>,
) -> Value {
    let (start, end, step) = match times {
        Times::Instant(t) => (t, t, 0),
        Times::Range(RangeTimes { start, end, step }) => (start, end, step / 1000),
    };
    let mut line = Map::new();
    let mut put = |key: &str, value: Value| drop(line.insert(key.to_owned(), value));
    put("time", format!("{now:.9}").into());
    put("level", "INFO".into());
    put("source", concat!(file!(), ":", line!()).rsplit('/').next().unwrap_or_default().into());
    put("msg", "promql query logged".into());
    put("params", json!({"end": date(end), "query": text, "start": date(start), "step": step}));
    if let Err(e) = result {
        put("error", e.to_string().into());
    }
    put("stats", stats(result.as_ref().map_or(&QueryStats::default(), |result| &result.stats)));
    // No trace is known here; the keys are there for readers that expect them.
    put("spanID", "0000000000000000".into());
    put("traceID", "00000000000000000000000000000000".into());
    match origin {
        Origin::Http { client_ip, method, path } => {
            put("httpRequest", json!({"clientIP": client_ip, "method": method, "path": path}));
        }
        Origin::RuleGroup { file, name } => put("ruleGroup", json!({"file": file, "name": name})),
    }
    line.into()
}

fn date(t_ms: i64) -> String {
    let t =
        Timestamp::from_millisecond(t_ms).unwrap_or(if t_ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
    format!("{t:.3}")
}

fn stats(stats: &QueryStats) -> Value {
    let (t, s) = (&stats.timings, &stats.samples);
    json!({
        "timings": {
            "evalTotalTime": t.eval_total.as_secs_f64(),
            "resultSortTime": t.result_sort.as_secs_f64(),
            "queryPreparationTime": t.query_preparation.as_secs_f64(),
            "innerEvalTime": t.inner_eval.as_secs_f64(),
            "execQueueTime": t.exec_queue.as_secs_f64(),
            "execTotalTime": t.exec_total.as_secs_f64(),
        },
        "samples": {
            "totalQueryableSamples": s.total,
            "samplesRead": s.read,
            "peakSamples": s.peak,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_query_and_none_without_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queries.json");
        let log = QueryLog::default();
        let failed = Err(QueryError::Execution("no \"luck\"".to_owned()));
        let http =
            Origin::Http { client_ip: "::1".into(), method: "POST".into(), path: "/p/api/v1/query".into() };
        log.write("up", Times::Instant(1_500), &http, &failed).unwrap();
        log.set_file(Some(&path)).unwrap();
        log.write("up", Times::Instant(1_500), &http, &failed).unwrap();
        assert!(log.set_file(Some(dir.path())).is_err(), "a directory is no file");
        let rule = Origin::RuleGroup { file: "r.yml".into(), name: "g".into() };
        let range = Times::Range(RangeTimes { start: 0, end: 60_000, step: 15_500 });
        log.write("down", range, &rule, &failed).unwrap();
        log.set_file(None).unwrap();
        log.write("up", Times::Instant(0), &http, &failed).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        let keys: Vec<&str> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "time",
                "level",
                "source",
                "msg",
                "params",
                "error",
                "stats",
                "spanID",
                "traceID",
                "httpRequest"
            ]
        );
        assert_eq!(lines[0]["error"], "no \"luck\"");
        assert_eq!(
            lines[0]["httpRequest"],
            json!({"clientIP": "::1", "method": "POST", "path": "/p/api/v1/query"})
        );
        let t = "1970-01-01T00:00:01.500Z";
        assert_eq!(lines[0]["params"], json!({"end": t, "query": "up", "start": t, "step": 0}));
        assert_eq!(lines[1]["params"]["step"], 15);
        assert_eq!(lines[1]["ruleGroup"], json!({"file": "r.yml", "name": "g"}));
    }
}
