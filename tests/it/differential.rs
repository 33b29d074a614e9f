//! One data directory under Trivium and under the real Prometheus: fixed and random queries have the same JSON answers.
//!
//! Debian's Prometheus 2.42 is asked what it and 3.14 agree on. A Prometheus 3.14, where `TRIVIUM_PROMETHEUS_3` names
//! one, is asked everything, annotations and error messages included. `TRIVIUM_DIFFERENTIAL=n` asks n times as many
//! random queries, `TRIVIUM_SEED=n` begins with another seed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::append::Appendable;
use model::time::Clock;
use serde_json::{Value, json};
use storage::fs::RealDisk;
use storage::observer::Silent;
use storage::{Options, Storage};
use testkit::random::{Dialect, MetricKind, Queries, Rng, Vocabulary, data};

use crate::harness::http;
use crate::harness::programs::{find, prometheus_3, prometheus_at};
use crate::harness::server::Server;

const IDLE: &str = "global: {scrape_interval: 1h, evaluation_interval: 1m}\n";
const RETENTION: &str = "--storage.tsdb.retention.time=100y";
const FEATURES: &str = "--enable-feature=promql-experimental-functions,promql-duration-expr,\
promql-extended-range-selectors,promql-binop-fill-modifiers";

/// What 2.42 and 3.14 agree on. Times end in 993 ms, when no sample lies at the very start of a window or lookback,
/// which 2.42 includes and 3.14 does not.
const FIXED: [&str; 64] = [
    "requests_total",
    "requests_total{job=\"api\"}",
    "requests_total{job!=\"api\",instance=~\"1|2\"}",
    "{__name__=~\"requests.*|errors.*\",job=\"api\"}",
    "temperature offset 2m",
    "weight @ 600.493",
    "-weight",
    "count(requests_total)",
    "sum(requests_total)",
    "sum by (job) (requests_total)",
    "sum without (instance) (errors_total)",
    "avg by (instance) (requests_total)",
    "min by (job) (temperature)",
    "max by (job) (temperature)",
    "group by (zone) (temperature)",
    "stddev(requests_total)",
    "stdvar by (job) (requests_total)",
    "topk(2, requests_total)",
    "bottomk(2, requests_total)",
    "quantile(0.9, requests_total)",
    "quantile by (job) (0.25, requests_total)",
    "count_values(\"v\", requests_total)",
    "requests_total + on (job, instance) errors_total",
    "requests_total / ignoring (job) group_left () sum by (instance) (errors_total)",
    "sum by (job) (requests_total) - on (job) group_right () errors_total",
    "requests_total > 100",
    "requests_total > bool 100",
    "100 < requests_total",
    "requests_total % 7",
    "requests_total - errors_total",
    "requests_total and on (job) errors_total",
    "requests_total or errors_total",
    "requests_total unless on (job) errors_total",
    "weight * on (job) group_left (zone) temperature{zone=\"eu\"}",
    "1 + 2 * 3",
    "vector(1) == bool 1",
    "abs(temperature)",
    "ceil(temperature)",
    "floor(temperature)",
    "round(temperature, 5)",
    "clamp(temperature, -10, 10)",
    "clamp_min(temperature, 0)",
    "sgn(temperature)",
    "sqrt(requests_total)",
    "scalar(sum(requests_total))",
    "absent(nothing{job=\"x\"})",
    "absent(requests_total)",
    "absent_over_time(nothing[5m])",
    "present_over_time(weight[5m])",
    "sum_over_time(requests_total[5m])",
    "avg_over_time(requests_total[5m])",
    "min_over_time(temperature[5m])",
    "max_over_time(temperature[5m])",
    "count_over_time(temperature[5m])",
    "last_over_time(temperature[5m])",
    "quantile_over_time(0.5, requests_total[5m])",
    "changes(requests_total[5m])",
    "resets(requests_total[20m])",
    "idelta(requests_total[2m])",
    "irate(requests_total[2m])",
    "histogram_quantile(0.9, duration_bucket)",
    "histogram_quantile(0.5, sum by (le) (irate(duration_bucket[5m])))",
    "label_replace(requests_total, \"copy\", \"$1-x\", \"job\", \"(.*)\")",
    "timestamp(requests_total) - time()",
];

const SORTED: &str = "sort_desc(requests_total)";

/// What also 3.14 without flags, but not 2.42, gives so.
const FIXED_3: [&str; 41] = [
    "90s % (1 / 3)",
    "rate(requests_total[5m])",
    "sum by (job) (rate(requests_total[1m]))",
    "increase(requests_total[10m])",
    "delta(temperature[5m])",
    "deriv(requests_total[5m])",
    "predict_linear(requests_total[5m], 600)",
    "stddev_over_time(requests_total[5m])",
    "latency",
    "size",
    "migrated",
    "rate(latency[5m])",
    "sum(rate(latency[5m]))",
    "avg(latency)",
    "latency - on (job, instance) latency offset 1m",
    "latency * 2 == latency + latency",
    "histogram_quantile(0.9, sum(rate(latency[5m])))",
    "histogram_quantile(0.9, sum by (job) (rate(size[5m])))",
    "histogram_fraction(0, 1, latency)",
    "histogram_fraction(0.2, 0.7, duration_bucket)",
    "histogram_count(latency) / histogram_sum(latency)",
    "histogram_avg(rate(latency[5m]))",
    "histogram_stddev(latency)",
    "histogram_stdvar(latency)",
    "latency </ 2",
    "latency >/ 0.5",
    "sum_over_time(latency[5m])",
    "avg_over_time(size[5m])",
    "sum(migrated)",
    "rate(migrated[5m])",
    "changes(migrated[10m])",
    "resets(latency[20m])",
    SORTED,
    "sum(latency) + sum(size)",
    "max_over_time(rate(requests_total[1m])[10m:30s])",
    "avg_over_time((requests_total - errors_total)[5m:17s])",
    "quantile(2, requests_total)",
    "histogram_quantile(NaN, duration_bucket)",
    "requests_total + on (job) errors_total",
    "rate(temperature[5m])",
    "topk(scalar(vector(2)), rate(errors_total[2m]))",
];

/// The time at which the data ends, so that nothing is too old.
struct AtTheEnd;

impl Clock for AtTheEnd {
    fn now_ms(&self) -> i64 {
        1_500_000
    }
}

/// Writes random samples into two equal data directories: `dir/data` for our server, `dir/theirs`.
fn fill(dir: &Path, seed: u64, vocabulary: &Vocabulary) -> PathBuf {
    let timing = data::Timing { start: 0, interval: 15_000, scrapes: 100 };
    let mut series = data::series(&mut Rng::new(seed), vocabulary, timing);
    // Prometheus reads series in the order in which they came; we read them in that of their labels.
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    let theirs = dir.join("theirs");
    for path in [&dir.join("data"), &theirs] {
        let disk = Arc::new(RealDisk::new(path));
        let options = Options { background: false, ..Options::default() };
        let storage = Storage::open(disk, Arc::new(AtTheEnd), options, Arc::new(Silent)).unwrap();
        storage.wait_replayed().unwrap();
        for series in &series {
            let mut appender = storage.appender();
            for sample in &series.samples {
                let value = sample.value.clone().into();
                appender.append_value(None, &series.labels, sample.t, value, 0).unwrap();
            }
            appender.commit().unwrap();
        }
        storage.close().unwrap();
    }
    theirs
}

/// A query and its times in seconds; without step it is instant.
struct Question {
    query: String,
    start: String,
    end: String,
    step: Option<usize>,
}

impl Question {
    fn new(query: String, rng: &mut Rng) -> Self {
        let (start, step) = (200 + rng.below(700), 1 + rng.below(120));
        let end = start + step * rng.below(8);
        let step = rng.chance(50).then_some(step);
        Self { query, start: format!("{start}.993"), end: format!("{end}.993"), step }
    }

    /// The same as an instant query at each of its times.
    fn at_each_step(&self) -> Vec<Self> {
        let seconds =
            |time: &str| time.split('.').next().and_then(|text| text.parse::<usize>().ok()).unwrap();
        let times = (seconds(&self.start)..=seconds(&self.end)).step_by(self.step.unwrap_or(1));
        let at = |time: usize| Self {
            query: self.query.clone(),
            start: format!("{time}.993"),
            end: String::new(),
            step: None,
        };
        times.map(at).collect()
    }

    fn ask(&self, url: &str) -> Value {
        let answer = match &self.step {
            None => http::post_form(
                &format!("{url}/api/v1/query"),
                &[("query", &self.query), ("time", &self.start)],
            ),
            Some(step) => http::post_form(
                &format!("{url}/api/v1/query_range"),
                &[
                    ("query", &self.query),
                    ("start", &self.start),
                    ("end", &self.end),
                    ("step", &step.to_string()),
                ],
            ),
        };
        let mut answer = answer.json();
        // Only where the query sorts by values that differ does the order of an answer mean anything.
        if self.query != SORTED
            && let Some(Value::Array(series)) = answer.pointer_mut("/data/result")
        {
            series.sort_by_key(|series| series["metric"].to_string());
        }
        for notes in ["warnings", "infos"] {
            if let Some(Value::Array(notes)) = answer.get_mut(notes) {
                notes.sort_by_key(Value::to_string);
            }
        }
        sort_keys(&mut answer);
        answer
    }
}

/// Puts the keys of objects in order; that of labels has no meaning.
fn sort_keys(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(sort_keys);
            fields.sort_keys();
        }
        Value::Array(items) => items.iter_mut().for_each(sort_keys),
        _ => {}
    }
}

/// Whether two answers are equal but for the last digits of numbers.
fn is_near(a: &Value, b: &Value, tolerance: f64) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_near(a, b, tolerance))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_near(a, b, tolerance)))
        }
        (Value::String(x), Value::String(y)) => {
            x == y
                || number(x).zip(number(y)).is_some_and(|(x, y)| {
                    (x - y).abs() <= tolerance * x.abs().max(y.abs()) || x.is_nan() && y.is_nan()
                })
        }
        _ => a == b,
    }
}

/// Everything that differs, in words.
#[derive(Default)]
struct Tally {
    equal: usize,
    near: Vec<String>,
    refused: usize,
    different: Vec<String>,
}

impl Tally {
    /// Asks both; `comparable` prepares our answer and theirs.
    fn compare(&mut self, question: &Question, urls: [&str; 2], comparable: fn(&mut Value, &mut Value)) {
        let ask = |question: &Question| {
            let [mut ours, mut theirs] = urls.map(|url| question.ask(url));
            comparable(&mut ours, &mut theirs);
            (ours, theirs)
        };
        let is_same = |(ours, theirs): (Value, Value)| is_near(&ours, &theirs, 1e-9);
        let (ours, theirs) = ask(question);
        if ours == theirs {
            self.equal += 1;
            return;
        }
        let Question { query, start, end, step } = question;
        let short = |value: &Value| value.to_string().chars().take(2000).collect::<String>();
        let shown =
            format!("{query}\n{start} {end} {step:?}\nours   {}\ntheirs {}", short(&ours), short(&theirs));
        // In a range query Prometheus adds in random order, and functions such as `%` may make much of a last digit.
        let is_near = is_near(&ours, &theirs, 1e-9)
            || step.is_some() && question.at_each_step().iter().all(|question| is_same(ask(question)));
        if is_near { self.near.push(shown) } else { self.different.push(shown) }
    }

    fn close(self, most_near: usize) {
        let Self { equal, near, refused, different } = self;
        println!(
            "{equal} equal, {} differ in last digits, {refused} not understood by the other",
            near.len()
        );
        if std::env::var_os("TRIVIUM_SHOW_NEAR").is_some() {
            near.iter().for_each(|near| println!("{near}\n"));
        }
        assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n\n"));
        assert!(near.len() <= most_near, "{} differ in last digits:\n{}", near.len(), near.join("\n\n"));
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn prometheus_2_gives_the_same_answers() {
    let Some(program) = find(&["prometheus"]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut vocabulary = Vocabulary::default();
    vocabulary.metrics.retain(|metric| {
        matches!(metric.kind, MetricKind::Counter | MetricKind::Gauge | MetricKind::Buckets)
    });
    let seed = number("TRIVIUM_SEED", 1);
    println!("seed {seed}");
    let theirs = fill(dir.path(), seed, &vocabulary);
    let real = prometheus_at(&program, dir.path(), IDLE, &theirs, &[]);
    let server = Server::start(dir.path(), IDLE, &[RETENTION]);
    let mut rng = Rng::new(seed);
    let mut queries = Queries::new(seed, &vocabulary, Dialect::Stable);
    let random: Vec<String> = (0..100 * number("TRIVIUM_DIFFERENTIAL", 1)).map(|_| queries.query()).collect();
    let agreed = random.into_iter().filter(|query| is_unambiguous(query) && versions_agree_on(query));
    let mut tally = Tally::default();
    for query in FIXED.iter().map(|query| (*query).to_owned()).chain(agreed) {
        let question = Question::new(query, &mut rng);
        if question.ask(&real.url(""))["errorType"] == "bad_data" {
            tally.refused += 1;
            continue;
        }
        tally.compare(&question, [&server.url(""), &real.url("")], |ours, theirs| {
            for answer in [ours, theirs] {
                // Version 2 knows no annotations, and has other words for errors.
                *answer = json!([answer["status"], answer["data"], answer["errorType"]]);
            }
        });
    }
    assert!(tally.refused < tally.equal + tally.near.len(), "{} not understood", tally.refused);
    tally.close(usize::MAX);
}

/// Whether a query has one answer. Which of equals these take depends on the order in which samples happen to come.
fn is_unambiguous(query: &str) -> bool {
    !query.contains("topk") && !query.contains("bottomk")
}

/// Whether a random query means the same to 2.42 and 3.14.
fn versions_agree_on(query: &str) -> bool {
    const LATER: [&str; 6] = [
        // Extrapolation near a counter's zero.
        "rate(",
        "increase(",
        // Keeps the name in 2.42.
        "atan2",
        // NaN and infinities.
        "stddev",
        "stdvar",
        // Not of classic histograms in 2.42.
        "histogram_fraction",
    ];
    // At these times a sample may lie at the very start of a window.
    const OTHER_TIMES: [&str; 5] = [" @ ", ":]", ":17s]", ":30s]", ":1m]"];
    !LATER.iter().chain(&OTHER_TIMES).any(|part| query.contains(part))
}

/// Prometheus tells of each operator and step only what it met last, in an order that may be random; we tell all. What
/// we tell beyond it is forgotten here.
fn keep_one_operand_note(ours: &mut Value, theirs: &mut Value) {
    for list in ["warnings", "infos"] {
        let of_operators = |note: &Value| {
            let about = ["for binary operator", "during histogram addition", "during histogram subtraction"];
            note.as_str().is_some_and(|text| about.iter().any(|about| text.contains(about)))
        };
        let told = |note: &Value| theirs[list].as_array().is_some_and(|notes| notes.contains(note));
        let any_told = theirs["warnings"].as_array().into_iter().chain(theirs["infos"].as_array());
        if any_told.flatten().any(of_operators)
            && let Some(Value::Array(notes)) = ours.get_mut(list)
        {
            notes.retain(|note| !of_operators(note) || told(note));
            if notes.is_empty()
                && let Some(fields) = ours.as_object_mut()
            {
                fields.remove(list);
            }
        }
    }
}

#[test]
fn prometheus_3_gives_the_same_answers() {
    let Some(program) = prometheus_3() else { return };
    let dir = tempfile::tempdir().unwrap();
    let vocabulary = Vocabulary::default();
    let seed = number("TRIVIUM_SEED", 1);
    println!("seed {seed}");
    let theirs = fill(dir.path(), seed, &vocabulary);
    let real = prometheus_at(&program, dir.path(), IDLE, &theirs, &[FEATURES]);
    let server = Server::start(dir.path(), IDLE, &[RETENTION, FEATURES]);
    let mut rng = Rng::new(seed);
    let mut queries = Queries::new(seed, &vocabulary, Dialect::Experimental);
    let random = (0..300 * number("TRIVIUM_DIFFERENTIAL", 1)).map(|_| queries.query());
    let random = random.filter(|query| is_unambiguous(query));
    let fixed = FIXED.iter().chain(&FIXED_3).map(|query| (*query).to_owned());
    let mut tally = Tally::default();
    for query in fixed.chain(random) {
        let question = Question::new(query, &mut rng);
        tally.compare(&question, [&server.url(""), &real.url("")], keep_one_operand_note);
    }
    let asked = tally.equal + tally.near.len() + tally.different.len();
    tally.close(asked / 20);
}
