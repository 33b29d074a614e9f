//! `tsdb create-blocks-from rules`: what recording rules would have recorded, asked from a server that has the data.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use alerting::rules::file::{Action, GroupSpec, RuleSpec};
use alerting::rules::group::slot;
use alerting::rules::read_file;
use api::prometheus::params::parse_time;
use clap::Args;
use config::context::Context;
use config::fields::Fields;
use config::global::NameValidation;
use config::http_client::HttpClientConfig;
use config::url::GoUrl;
use config::{ConfigError, Defaults, yaml};
use form_urlencoded::Serializer;
use hyper::StatusCode;
use model::api_float::float_text;
use model::go_duration::parse_go_duration;
use model::labels::METRIC_NAME;
use model::rfc3339::UnixTime;
use model::sample::NORMAL_NAN;
use model::time::Clock;
use model::{Labels, LabelsBuilder};
use net::client::{HttpClient, Request};
use promql::Features;
use serde::Deserialize;

use super::backfill::{BlockArguments, BlockDirectory};
use crate::clock::SystemClock;
use crate::host::read_yaml;
use crate::tool::ToolError;
use crate::tool::output::say_err;
use crate::tool::progress::Progress;

const USER_AGENT: &str = concat!("Trivium/", env!("CARGO_PKG_VERSION"));
/// Longer than servers let a query run.
const PATIENCE: Duration = Duration::from_secs(600);
/// Larger answers are refused.
const MAX_ANSWER_BYTES: u64 = 1 << 30;
/// How long ago backfilling ends without `--end`: by then a server has written its blocks.
const END_AGO_MS: i64 = 3 * 3_600_000;

/// What `tsdb create-blocks-from rules` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// HTTP client configuration file.
    #[arg(long = "http.config.file", value_name = "FILENAME")]
    http_config_file: Option<String>,
    /// The URL for the Prometheus API with the data where the rule will be backfilled from.
    #[arg(long, default_value = "http://localhost:9090")]
    url: GoUrl,
    /// The time to start backfilling the new rule from. Must be a RFC3339 formatted date or Unix timestamp. Required.
    #[arg(long, allow_hyphen_values = true)]
    start: String,
    /// If an end time is provided, all recording rules in the rule files provided will be backfilled to the end time.
    /// Default will backfill up to 3 hours ago. Must be a RFC3339 formatted date or Unix timestamp.
    #[arg(long, allow_hyphen_values = true)]
    end: Option<String>,
    /// Output directory for generated blocks.
    #[arg(long, default_value = "data/")]
    output_dir: String,
    /// How frequently to evaluate rules when backfilling if a value is not set in the recording rule files.
    #[arg(long, default_value = "60s", value_parser = parse_go_duration)]
    eval_interval: i64,
    /// A list of one or more files containing recording rules to be backfilled. All recording rules listed in the files
    /// will be backfilled. Alerting rules are not evaluated.
    #[arg(value_name = "RULE-FILES", required = true)]
    files: Vec<String>,
}

/// Writes the blocks: for each rule one per block's time.
pub fn run(args: Arguments, arguments: &BlockArguments, features: Features) -> Result<(), ToolError> {
    let time = |what: &str, text: &str| {
        parse_time(text)
            .map(UnixTime::ms)
            .map_err(|e| ToolError::Invalid(format!("error parsing {what} time: {e}")))
    };
    let end = match args.end.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => time("end", text)?,
        None => SystemClock.now_ms().saturating_sub(END_AGO_MS),
    };
    let start = time("start", &args.start)?;
    if start >= end {
        return Err(ToolError::Invalid("start time is not before end time".into()));
    }
    let mut groups = Vec::new();
    for path in &args.files {
        let text = read_yaml(Path::new(path)).map_err(ToolError::file(path))?;
        let file = read_file(Path::new(path), &text, NameValidation::Utf8, &features)?;
        groups.extend(file.groups.into_iter().map(|group| (path.as_str(), group)));
    }
    let server = Server::new(&args)?;
    let default_ms = args.eval_interval / 1_000_000;
    if default_ms < 1 {
        return Err(ToolError::Invalid("--eval-interval: must be at least 1ms".into()));
    }
    let target = BlockDirectory::create(&args.output_dir, arguments.block_ms())?;
    let mut import = Import { server, target, start, end, block_ms: arguments.block_ms() };
    let mut failed = false;
    for (path, group) in &groups {
        let schedule =
            Schedule { file: path, group, interval_ms: group.interval_ms.unwrap_or(default_ms).max(1) };
        for rule in group.rules.iter().filter(|rule| matches!(rule.action, Action::Record)) {
            if let Err(e) = import.rule(rule, &schedule) {
                say_err(&format!("rule importer error: {path}: {}: {}: {e}\n", group.name, rule.name));
                failed = true;
            }
        }
    }
    if failed { Err(ToolError::Invalid("error importing rules".into())) } else { Ok(()) }
}

/// When a group is evaluated.
struct Schedule<'a> {
    file: &'a str,
    group: &'a GroupSpec,
    interval_ms: i64,
}

impl Schedule<'_> {
    /// The first evaluation in or after a second.
    fn first_at(&self, second: i64) -> i64 {
        let t = slot(self.file, &self.group.name, self.interval_ms, second.saturating_mul(1000));
        if t.div_euclid(1000) < second { t.saturating_add(self.interval_ms) } else { t }
    }
}

/// A range of evaluations, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: i64,
    last: i64,
}

/// The evaluations of a group that belong to each block between two times. Whole seconds, as promtool asks.
fn ranges(schedule: &Schedule<'_>, start: i64, end: i64, block_ms: i64) -> Vec<Range> {
    let (start, end) = (start.div_euclid(1000), end.div_euclid(1000));
    let mut ranges = Vec::new();
    let mut block = (start * 1000).div_euclid(block_ms) * block_ms;
    while block <= end * 1000 {
        let first = schedule.first_at((block / 1000).max(start));
        let last = ((block + block_ms - 1).div_euclid(1000)).min(end) * 1000;
        if first <= last {
            ranges.push(Range { first, last });
        }
        block += block_ms;
    }
    ranges
}

struct Import {
    server: Server,
    target: BlockDirectory,
    start: i64,
    end: i64,
    block_ms: i64,
}

impl Import {
    fn rule(&mut self, rule: &RuleSpec, schedule: &Schedule<'_>) -> Result<(), ToolError> {
        let expr = rule.expr.to_string();
        let ranges = ranges(schedule, self.start, self.end, self.block_ms);
        let progress = Progress::new(&rule.name, ranges.len() as u64);
        for (done, range) in ranges.into_iter().enumerate() {
            let matrix = self.server.query_range(&expr, range, schedule.interval_ms)?;
            let mut draft = self.target.draft()?;
            for series in matrix {
                let labels = recorded(rule, &series.metric);
                let refused = |e| ToolError::Invalid(format!("add: {labels}: {e}"));
                let reference = draft.samples.series(&labels).map_err(refused)?;
                for (t, v) in &series.values {
                    let t = (t * 1000.0).round() as i64;
                    draft.samples.add(reference, t, value(v)?).map_err(refused)?;
                }
            }
            self.target.write(draft, None, &progress)?;
            progress.at(done as u64 + 1);
        }
        Ok(())
    }
}

/// The labels of what a rule records: those of the rule win over those of the result.
fn recorded(rule: &RuleSpec, metric: &BTreeMap<String, String>) -> Labels {
    let mut labels = LabelsBuilder::new();
    let of_rule = rule.labels.iter().map(|(name, value)| (name, value));
    for (name, value) in metric.iter().chain(of_rule) {
        labels.set(name, value);
    }
    labels.set(METRIC_NAME, &rule.name);
    labels.finish()
}

fn value(text: &str) -> Result<f64, ToolError> {
    match text {
        "NaN" => Ok(NORMAL_NAN),
        text => text.parse().map_err(|_| ToolError::Invalid(format!("the server sent the value {text:?}"))),
    }
}

/// A server that answers range queries.
struct Server {
    url: GoUrl,
    client: HttpClient,
    runtime: tokio::runtime::Runtime,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Matrix(Vec<Series>),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Server {
    fn new(args: &Arguments) -> Result<Self, ToolError> {
        let config = match &args.http_config_file {
            None => HttpClientConfig::default(),
            Some(_) if args.url.userinfo().is_some() => {
                let message =
                    "cannot set base auth in the server URL and use a http.config.file at the same time";
                return Err(ToolError::Invalid(message.into()));
            }
            Some(path) => read_http_config(path)?,
        };
        let path = format!("{}/api/v1/query_range", args.url.path().trim_end_matches('/'));
        let url = args.url.clone().with_path(&path);
        let failed = |e: &dyn std::fmt::Display| ToolError::Invalid(format!("new api client error: {e}"));
        let client = HttpClient::new(&config, USER_AGENT).map_err(|e| failed(&e))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { url, client, runtime: runtime.map_err(|e| failed(&e))? })
    }

    fn query_range(&self, expr: &str, range: Range, step_ms: i64) -> Result<Vec<Series>, ToolError> {
        let seconds = |ms: i64| float_text(ms as f64 / 1000.0);
        let mut form = Serializer::new(String::new());
        form.append_pair("query", expr)
            .append_pair("start", &seconds(range.first))
            .append_pair("end", &seconds(range.last))
            .append_pair("step", &seconds(step_ms));
        let form = form.finish();
        let failed = |e: String| ToolError::Invalid(format!("query range: {e}"));
        let ask = async |request: Request| {
            let response = self.client.send(&request, PATIENCE).await?;
            let status = response.status;
            Ok::<_, net::client::HttpError>((status, response.read(MAX_ANSWER_BYTES, Vec::new()).await?))
        };
        let (status, body) = self
            .runtime
            .block_on(async {
                let post = Request::post(self.url.clone(), "application/x-www-form-urlencoded", form.clone());
                let answer = ask(post).await?;
                if !matches!(answer.0, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
                    return Ok(answer);
                }
                ask(Request::get(self.url.clone().with_query(&form))).await
            })
            .map_err(|e| failed(e.to_string()))?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|e| failed(format!("the server answered {status}, and no JSON of the API: {e}")))?;
        for warning in &answer.warnings {
            say_err(&format!("Range query returned warnings: {warning}\n"));
        }
        match answer.data {
            Some(Data::Matrix(matrix)) if answer.status == "success" => Ok(matrix),
            Some(_) if answer.status == "success" => Err(failed("rule result is no matrix".into())),
            _ => Err(failed(format!("{}: {}", answer.error_type, answer.error))),
        }
    }
}

fn read_http_config(path: &str) -> Result<HttpClientConfig, ToolError> {
    let text = read_yaml(Path::new(path)).map_err(ToolError::file(path))?;
    let (path, defaults) = (Path::new(path), Defaults::default());
    let context = Context::new(path, &defaults);
    let read = |root: &yaml::Node| {
        let mut fields = Fields::new(root, "")?;
        let config = HttpClientConfig::read(&mut fields, &context, true)?;
        fields.finish().map(|()| config)
    };
    let config = yaml::parse(&text).and_then(|root| read(&root));
    Ok(config.map_err(|fault| ConfigError::at(path, &text, fault))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "groups: [{name: g, rules: [{record: r, expr: sum(a), labels: {x: rule, y: ''}}]}]";

    fn group() -> GroupSpec {
        let names = NameValidation::Utf8;
        let file = read_file(Path::new("r.yml"), RULES, names, &Features::default()).unwrap();
        file.groups.into_iter().next().unwrap()
    }

    #[test]
    fn ranges_are_aligned_to_the_group_and_cut_at_blocks() {
        let group = group();
        let schedule = Schedule { file: "r.yml", group: &group, interval_ms: 60_000 };
        let (block_ms, start, end) = (7_200_000, 3_600_000, 16_000_000);
        let ranges = ranges(&schedule, start, end, block_ms);
        let bounds = [(3_600_000, 7_199_000), (7_200_000, 14_399_000), (14_400_000, 16_000_000)];
        assert_eq!(ranges.len(), bounds.len());
        let phase = ranges[0].first.rem_euclid(60_000);
        for (range, (from, to)) in ranges.iter().zip(bounds) {
            assert!(range.first >= from && range.first < from + 60_000, "{range:?}");
            assert_eq!((range.last, range.first.rem_euclid(60_000)), (to, phase));
        }
    }

    #[test]
    fn labels_of_the_rule_win() {
        let metric = [("__name__", "a"), ("x", "result"), ("y", "result"), ("z", "result")]
            .map(|(n, v)| (n.into(), v.into()));
        let want = Labels::from_pairs([("__name__", "r"), ("x", "rule"), ("z", "result")]);
        assert_eq!(recorded(&group().rules[0], &metric.into()), want);
    }

    #[test]
    fn values() {
        for (text, want) in [("1.5", 1.5), ("+Inf", f64::INFINITY), ("-Inf", f64::NEG_INFINITY)] {
            assert_eq!(value(text).unwrap(), want);
        }
        assert!(value("NaN").unwrap().is_nan());
        assert!(value("x").is_err());
    }
}
