//! The engine from outside: limits, cancellation, figures, options, and failures of the store.
#![expect(clippy::panic, reason = "a test may end so")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::Value;
use model::read::{Hints, ReadError, Selection, SeriesSet, SeriesSource};
use promql::{Engine, EngineOptions, Features, QueryContext, QueryResult, StepCount, parse};
use query::{QueryError, QueryValue, RangeTimes, Threads, Times};
use testkit::script::{Command, Script};
use testkit::series::load;
use testkit::{MemoryStore, PromQl, Store};

/// Ten counters with a sample each 10 seconds, and a gauge.
fn store() -> MemoryStore {
    let mut text = "load 10s\n".to_owned();
    for i in 0..10 {
        text += &format!("  requests_total{{i=\"{i}\"}} {i}+{i}x20\n");
    }
    text += "  level 1 2 3 4 5\n";
    let mut store = MemoryStore::default();
    let script = Script::<PromQl>::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    for (_, command) in script.commands {
        if let Command::Load(command) = command {
            let series = load::series(&command, 0).unwrap_or_else(|error| panic!("{error}"));
            store.load(series).unwrap_or_else(|error| panic!("{error}"));
        }
    }
    store
}

/// A query with everything around it.
struct Case {
    options: EngineOptions,
    lookback_delta: Option<i64>,
    per_step_stats: bool,
    cancelled: bool,
    /// Time passes by a millisecond with every look at the clock.
    deadline: Option<Duration>,
}

impl Case {
    fn new() -> Self {
        Self {
            options: EngineOptions::default(),
            lookback_delta: None,
            per_step_stats: false,
            cancelled: false,
            deadline: None,
        }
    }

    fn run_on(
        &self,
        source: &dyn SeriesSource,
        query: &str,
        times: Result<RangeTimes, i64>,
    ) -> Result<QueryResult, QueryError> {
        let expr = parse(query, &Features::ALL).unwrap_or_else(|error| panic!("{query}: {error}"));
        let cancel = AtomicBool::new(self.cancelled);
        let looks = AtomicU64::new(0);
        let elapsed = || Duration::from_millis(looks.fetch_add(1, Ordering::Relaxed));
        let context = QueryContext {
            cancel: &cancel,
            elapsed: &elapsed,
            deadline: self.deadline,
            lookback_delta: self.lookback_delta,
            per_step_stats: self.per_step_stats,
            queue_time: Duration::from_millis(7),
        };
        let engine = Engine::new(self.options.clone());
        match times {
            Ok(times) => engine.range(&expr, source, times, &context),
            Err(t) => engine.instant(&expr, source, t, &context),
        }
    }

    fn instant(&self, query: &str, t: i64) -> Result<QueryResult, QueryError> {
        self.run_on(&store(), query, Err(t))
    }

    fn range(&self, query: &str, start: i64, end: i64, step: i64) -> Result<QueryResult, QueryError> {
        self.run_on(&store(), query, Ok(RangeTimes { start, end, step }))
    }
}

fn figures(result: Result<QueryResult, QueryError>) -> (i64, i64, usize) {
    let samples = result.unwrap_or_else(|error| panic!("{error}")).stats.samples;
    (samples.total, samples.read, samples.peak)
}

#[test]
fn samples_are_counted_as_prometheus_counts_them() {
    let case = Case::new();
    for (query, want) in [
        // total, read, peak
        ("requests_total", (10, 10, 10)),
        ("sum(requests_total)", (10, 10, 10)),
        ("rate(requests_total[1m])", (60, 60, 16)),
        ("requests_total * 2", (10, 10, 32)),
        ("max_over_time(level[1m:10s])", (6, 6, 13)),
        ("1", (0, 0, 1)),
    ] {
        assert_eq!(figures(case.instant(query, 60_000)), want, "{query}");
    }
    // Windows of 30 s each 10 s overlap: three samples are looked at in each, one is read.
    assert_eq!(figures(case.range("rate(requests_total[30s])", 60_000, 100_000, 10_000)).0, 150);
    assert_eq!(figures(case.range("rate(requests_total[30s])", 60_000, 100_000, 10_000)).1, 70);
    // Evaluated once, looked at in every step.
    assert_eq!(figures(case.range("level @ 30", 60_000, 100_000, 10_000)), (5, 1, 5));
}

#[test]
fn figures_by_step_when_allowed_and_wanted() {
    let mut case = Case::new();
    case.per_step_stats = true;
    let by_step = |case: &Case| {
        let result = case.range("level", 30_000, 50_000, 10_000).unwrap();
        (result.stats.samples.total_per_step, result.stats.timings.exec_queue)
    };
    assert_eq!(by_step(&case), (None, Duration::from_millis(7)));
    case.options.per_step_stats = true;
    let want = [30_000, 40_000, 50_000].map(|t| StepCount { t, samples: 1 });
    assert_eq!(by_step(&case).0.as_deref(), Some(&want[..]));
}

#[test]
fn too_many_samples_are_refused() {
    let mut case = Case::new();
    let refused = "query processing would load too many samples into memory in query execution";
    for (query, needed) in [
        ("requests_total", 10),
        ("rate(requests_total[1m])", 16),
        ("sum(requests_total)", 10),
        ("level + level", 5),
    ] {
        case.options.max_samples = needed;
        assert!(case.instant(query, 60_000).is_ok(), "{query}");
        case.options.max_samples = needed - 1;
        assert_eq!(case.instant(query, 60_000).unwrap_err().to_string(), refused, "{query}");
    }
    let mut case = Case::new();
    case.options.max_bytes = 1000;
    assert!(case.range("level", 0, 10_000, 1_000).is_ok());
    assert_eq!(case.range("requests_total", 0, 100_000, 1_000).unwrap_err().to_string(), refused);
}

/// The smallest budget with which a range query of 100 steps is answered.
fn bytes_needed(query: &str) -> usize {
    let mut case = Case::new();
    let mut answered = |max_bytes: usize| {
        case.options.max_bytes = max_bytes;
        match case.range(query, 0, 99_000, 1_000) {
            Ok(_) => true,
            Err(QueryError::TooManySamples(stage)) => {
                assert_eq!(stage, "query execution");
                false
            }
            Err(error) => panic!("{query}: {error}"),
        }
    };
    let (mut refused, mut enough) = (0, 1 << 20);
    assert!(answered(enough), "{query}");
    while refused + 1 < enough {
        let middle = (refused + enough) / 2;
        if answered(middle) { enough = middle } else { refused = middle }
    }
    enough
}

#[test]
fn memory_is_bounded_in_sum() {
    // Ten series of 100 steps, and a little.
    const ROWS: usize = 10 * 100 * 8;
    for (parts, whole, times) in [
        // Each side fits into what both together do not.
        (
            ["rate(requests_total[1m])", "requests_total"],
            "rate(requests_total[1m]) + on(i) requests_total",
            3,
        ),
        (["requests_total", "-requests_total"], "requests_total or on(i) (-requests_total)", 2),
        (["sort(requests_total)", "requests_total"], "sort(requests_total) * on(i) (requests_total + 1)", 3),
        // Nested: what is outside is held while the inside is evaluated.
        (
            ["requests_total", "topk(9, requests_total)"],
            "requests_total + on(i) (topk(9, requests_total) + on(i) requests_total)",
            4,
        ),
        (
            ["max_over_time(requests_total[50s:1s])", "requests_total"],
            "requests_total + on(i) max_over_time(requests_total[50s:1s])",
            2,
        ),
        (["vector(1)", "requests_total @ 50"], "requests_total + on(i) (requests_total @ 50)", 3),
    ] {
        let each = parts.map(bytes_needed);
        let both = bytes_needed(whole);
        assert!(both > each[0].max(each[1]) + ROWS / 2, "{whole}: {both}, parts {each:?}");
        assert!(both >= times * ROWS, "{whole}: {both}");
    }
    // What is not needed any more does not count: operands of what has ended.
    let one = bytes_needed("sum(rate(requests_total[1m]))");
    let many = vec!["sum(rate(requests_total[1m]))"; 30].join(" + ");
    assert!(bytes_needed(&many) < one * 10, "{} and {one}", bytes_needed(&many));
    let moved = bytes_needed("((((requests_total + 1) * 2) - 3) / 4) ^ 2");
    assert!(moved < 2 * ROWS, "{moved}");
    // The result of an instant query of a range counts too.
    let mut case = Case::new();
    case.options.max_bytes = 4 << 10;
    assert!(case.instant("requests_total{i=\"1\"}[200s]", 200_000).is_ok());
    let refused = case.instant("requests_total[200s]", 200_000).map(drop);
    assert_eq!(refused, Err(QueryError::TooManySamples("query execution")));
}

#[test]
fn steps_beyond_all_memory_are_refused_before_any_is_looked_at() {
    let case = Case::new();
    for query in [
        "sum_over_time(vector(time())[50000d:1s])",
        "max_over_time(level[90000d:1s])",
        "absent_over_time(vector(1)[100000d:1ms])",
        "present_over_time(rate(requests_total[90000d:1ms])[1h:1m])",
        "count by (i) (count_over_time((requests_total > 1)[90000d:1ms]))",
    ] {
        let refused = case.instant(query, 100_000).map(drop);
        assert_eq!(refused, Err(QueryError::TooManySamples("query execution")), "{query}");
    }
}

#[test]
fn queries_end_when_cancelled_or_out_of_time() {
    let mut case = Case::new();
    case.cancelled = true;
    let error = case.instant("level", 0).unwrap_err();
    assert_eq!(error.to_string(), "query was canceled in query execution");
    let mut case = Case::new();
    case.deadline = Some(Duration::from_millis(6));
    let error = case.range("sum(rate(requests_total[1m])) + sum(level)", 0, 100_000, 1_000).unwrap_err();
    assert_eq!(error.to_string(), "query timed out in expression evaluation");
    case.deadline = Some(Duration::from_secs(60));
    assert!(case.range("sum(rate(requests_total[1m]))", 0, 100_000, 1_000).is_ok());
}

#[test]
fn options_switch_things_off() {
    let mut case = Case::new();
    case.options.at_modifier = false;
    case.options.negative_offset = false;
    for (query, want) in [
        ("level @ 10", "@ modifier is disabled"),
        ("rate(level[1m] @ end())", "@ modifier is disabled"),
        ("level offset -1m", "negative offset is disabled"),
        ("max_over_time(level[1m:] offset -1m)", "negative offset is disabled"),
    ] {
        assert_eq!(case.instant(query, 0).unwrap_err(), QueryError::Invalid(want.to_owned()), "{query}");
    }
    let case = Case::new();
    for query in ["\"text\"", "level[1m]"] {
        assert!(matches!(case.range(query, 0, 1, 1), Err(QueryError::Invalid(_))), "{query}");
    }
    assert!(matches!(case.range("level", 0, 1, 0), Err(QueryError::Invalid(_))));
}

#[test]
fn lookback_of_the_query_replaces_the_engines() {
    let mut case = Case::new();
    let at = |case: &Case| match case.instant("level", 99_000).unwrap().value {
        QueryValue::Vector(samples) => samples.first().map(|sample| sample.value.clone()),
        _ => None,
    };
    assert_eq!(at(&case), Some(Value::Float(5.0)));
    case.lookback_delta = Some(59_000);
    assert_eq!(at(&case), None);
    case.lookback_delta = Some(59_001);
    assert_eq!(at(&case), Some(Value::Float(5.0)));
}

#[test]
fn wide_and_high_trees_are_evaluated() {
    let case = Case::new();
    let value = |query: &str| match case.instant(query, 40_000).unwrap().value {
        QueryValue::Vector(samples) => samples[0].value.clone(),
        QueryValue::Scalar(scalar) => Value::Float(scalar.v),
        other => panic!("{other:?}"),
    };
    assert_eq!(value(&format!("level{}", " + 1".repeat(450))), Value::Float(455.0));
    assert_eq!(value(&format!("{}level{}", "(".repeat(90), ")".repeat(90))), Value::Float(5.0));
    assert_eq!(value(&format!("{}level", "-".repeat(91))), Value::Float(-5.0));
}

#[test]
fn one_thread_gives_what_many_give() {
    let store = store();
    let (cancel, elapsed) = (AtomicBool::new(false), || Duration::ZERO);
    let context = QueryContext::unbounded(&cancel, &elapsed);
    let engine = Engine::new(EngineOptions::default());
    let range = Times::Range(RangeTimes { start: 0, end: 200_000, step: 1_000 });
    for (query, times) in [
        ("requests_total", Times::Instant(60_000)),
        ("requests_total[1m]", Times::Instant(60_000)),
        ("sum by (i) (rate(requests_total[30s]))", range),
        ("count(requests_total) / on () level", range),
        ("requests_total / requests_total", range),
        ("requests_total > on (i) group_left () (requests_total - 3)", range),
        ("-topk(3, max_over_time(requests_total[1m:7s]))", range),
    ] {
        let expr = parse(query, &Features::ALL).unwrap_or_else(|error| panic!("{query}: {error}"));
        let prepared = engine.prepare(&expr, times, &context).unwrap();
        let by = |workers| {
            let QueryResult { value, stats, .. } = prepared.evaluate(&store, workers, &context).unwrap();
            format!("{value:?} {stats:?}")
        };
        assert_eq!(by(Threads::Calling), by(Threads::All), "{query}");
    }
}

/// A store that says how many series it has at most: roughly, and closely.
struct AtMost(Option<u64>, Option<u64>);

impl SeriesSource for AtMost {
    fn select(&self, _: &Selection) -> Result<SeriesSet, ReadError> {
        Err(ReadError::Failed("it is not to be asked".to_owned()))
    }

    fn at_most(&self, _: &Selection, closely: bool) -> Option<u64> {
        if closely { self.1 } else { self.0 }
    }

    fn label_names(&self, _: &Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }
}

#[test]
fn work_grows_with_series_steps_and_windows() {
    let (cancel, elapsed) = (AtomicBool::new(false), || Duration::ZERO);
    let context = QueryContext::unbounded(&cancel, &elapsed);
    let work_of = |query: &str, times, store: AtMost, enough| {
        let expr = parse(query, &Features::ALL).unwrap_or_else(|error| panic!("{query}: {error}"));
        let prepared = Engine::new(EngineOptions::default()).prepare(&expr, times, &context).unwrap();
        prepared.work(&store, enough)
    };
    let work = |query: &str, times, series| work_of(query, times, AtMost(series, series), 0);
    let now = Times::Instant(0);
    let range = |end| Times::Range(RangeTimes { start: 0, end, step: 1_000 });
    let growing = [
        work("1", now, None),
        work("absent(a)", now, Some(0)),
        work("a", now, Some(1)),
        work("a", now, Some(100)),
        work("a", range(100_000), Some(100)),
        work("sum(max_over_time(a[1d]))", range(100_000), Some(100)),
        work("sum(max_over_time(a[1d])) / b", range(10_000_000), Some(100)),
    ];
    assert!(growing.iter().all(Option::is_some) && growing[1..].is_sorted_by(|a, b| a < b), "{growing:?}");
    assert!(growing[0] <= growing[1], "{growing:?}");
    // Closely only if roughly it is too much.
    assert_eq!(work_of("a", now, AtMost(Some(100), Some(1)), 0), growing[2]);
    assert_eq!(work_of("a", now, AtMost(Some(100), Some(1)), u64::MAX), growing[3]);
    assert_eq!(work("a", now, None), None);
    // It selects by what it finds on its way.
    assert_eq!(work("info(a)", now, Some(1)), None);
}

/// A store that cannot answer.
struct Broken;

impl SeriesSource for Broken {
    fn select(&self, _: &Selection) -> Result<SeriesSet, ReadError> {
        Err(ReadError::Failed("disk on fire".to_owned()))
    }

    fn label_names(&self, _: &Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }
}

/// A store that has nothing but a warning.
struct Warning;

impl SeriesSource for Warning {
    fn select(&self, selection: &Selection) -> Result<SeriesSet, ReadError> {
        assert_eq!((selection.min_t, selection.max_t), (-49_999, 40_000));
        Ok(SeriesSet { series: Vec::new(), warnings: vec!["block 7 is damaged".to_owned()] })
    }

    fn label_names(&self, _: &Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &Selection) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }
}

/// A store that keeps what it is asked.
struct Recording(MemoryStore, Mutex<Vec<Selection>>);

impl SeriesSource for Recording {
    fn select(&self, selection: &Selection) -> Result<SeriesSet, ReadError> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).push(selection.clone());
        self.0.select(selection)
    }

    fn label_names(&self, selection: &Selection) -> Result<Vec<String>, ReadError> {
        self.0.label_names(selection)
    }

    fn label_values(&self, name: &str, selection: &Selection) -> Result<Vec<String>, ReadError> {
        self.0.label_values(name, selection)
    }
}

#[test]
fn equal_selectors_are_selected_once_and_their_hints_hold_for_all_of_them() {
    let case = Case::new();
    let asked = |query: &str, times| {
        let source = Recording(store(), Mutex::default());
        case.run_on(&source, query, times).unwrap();
        let asked = source.1.into_inner().unwrap();
        asked.into_iter().map(|selection| selection.hints).collect::<Vec<_>>()
    };
    let labels = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let everything_of_newest = Hints { newest: true, ..Hints::default() };
    for (query, hints) in [
        ("sum(level) / count(level)", Hints { newest: true, labels: labels(&[]), unordered: false }),
        ("count(level) + count(level > 1)", Hints { newest: true, labels: labels(&[]), unordered: true }),
        (
            "sum by (i) (requests_total) / on (i) max by (i, job) (requests_total)",
            Hints { newest: true, labels: labels(&["i", "job"]), unordered: false },
        ),
        ("sum(level) / on () level", everything_of_newest.clone()),
        ("level / level", everything_of_newest.clone()),
        ("requests_total{i=\"1\"} and requests_total{i=\"1\"}", everything_of_newest.clone()),
        ("level + timestamp(level)", everything_of_newest),
        // As far back as the lookback, but with all samples.
        ("level + max_over_time(level[5m])", Hints::default()),
    ] {
        assert_eq!(asked(query, Err(40_000)), [hints], "{query}");
    }
    let times = RangeTimes { start: 0, end: 60_000, step: 10_000 };
    let hints = Hints { labels: labels(&[]), ..Hints::default() };
    assert_eq!(asked("sum(level) / count(level)", Ok(times)), [hints]);
    assert_eq!(asked("level / (level offset 10s)", Err(40_000)).len(), 2);
}

#[test]
fn the_store_is_asked_once_and_its_warnings_and_errors_are_passed_on() {
    let case = Case::new();
    let error = case.run_on(&Broken, "level", Err(0)).unwrap_err();
    assert_eq!(error.to_string(), "expanding series: disk on fire");
    let times = RangeTimes { start: 0, end: 60_000, step: 10_000 };
    let result = case.run_on(&Warning, "sum(rate(x[30s] offset 20s))", Ok(times)).unwrap();
    assert_eq!(result.annotations.strings("q", 0, 0).0, ["block 7 is damaged"]);
}
