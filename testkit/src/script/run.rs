//! Runs a script's commands against something that stores and evaluates.

use model::Value;
use query::value::{Scalar, Series};
use query::{QueryValue, RangeTimes, Times, VectorSample};

use super::compare::{check_sorted, compare};
use super::expect::{Condition, Expectations};
use super::parse::{Command, Eval, Script};
use super::{Language, Target};

/// What answers queries: the engine, or a server. Times are milliseconds since the Unix epoch.
pub trait Evaluator {
    /// A query's answer at one time; the error is the message that the user would see.
    fn instant(&mut self, query: &str, t: i64) -> Result<Answer, String>;

    /// A query's answer at every step from `start` to `end`.
    fn range(&mut self, query: &str, start: i64, end: i64, step: i64) -> Result<Answer, String>;
}

/// The answer to a query.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The value.
    pub value: QueryValue,
    /// Warnings with their positions in the query.
    pub warnings: Vec<String>,
    /// Infos with their positions in the query.
    pub infos: Vec<String>,
}

/// How a script went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many evaluations gave what was expected.
    pub passed: usize,
    /// Evaluations that did not, and commands that could not be carried out.
    pub failures: Vec<Failure>,
}

/// Something that did not go as the script expects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Failure {
    /// Number of the command's line, from 1.
    pub line: usize,
    /// What went wrong.
    pub message: String,
}

/// Distance of the steps in the check that a range query gives what the instant query gives. In milliseconds.
const RANGE_CHECK_STEP: i64 = 60_000;

/// Runs all commands; failures do not end the run. The target is cleared first.
pub fn run<L: Language, T: Target<L>>(script: &Script<L>, target: &mut T) -> Report {
    let mut report = Report::default();
    let mut fail = |line, message| report.failures.push(Failure { line, message });
    if let Err(message) = target.clear() {
        fail(1, message);
    }
    let mut passed = 0;
    for (line, command) in &script.commands {
        let result = match command {
            Command::Clear => target.clear(),
            Command::Load(load) => target.load(load),
            Command::Eval(eval) => evaluate::<L>(eval, target).map(|()| passed += 1),
        };
        if let Err(message) = result {
            fail(*line, message);
        }
    }
    report.passed = passed;
    report
}

/// Carries out one `eval` command with all that belongs to it; the error says what differs.
pub fn evaluate<L: Language>(eval: &Eval, target: &mut impl Evaluator) -> Result<(), String> {
    match eval.times {
        Times::Range(RangeTimes { start, end, step }) => {
            let answer = target.range(&eval.query, start, end, step);
            check_answer(eval, &eval.query, answer).map(drop)
        }
        Times::Instant(t) => {
            evaluate_instant::<L>(eval, &eval.query, t, target)?;
            for (query, t) in L::equivalents(&eval.query, t) {
                evaluate_instant::<L>(eval, &query, t, target)
                    .map_err(|reason| format!("{reason} at t={t}"))?;
            }
            Ok(())
        }
    }
}

fn evaluate_instant<L: Language>(
    eval: &Eval,
    query: &str,
    t: i64,
    target: &mut impl Evaluator,
) -> Result<(), String> {
    let answer = target.instant(query, t);
    let Some(answer) = check_answer(eval, query, answer)? else { return Ok(()) };
    let expected = &eval.expected;
    if L::depends_on_range(query) || expected.matrix_times.is_some() || expected.string.is_some() {
        return Ok(());
    }
    // A range query must give the same at its middle step.
    let (start, end) = (t - RANGE_CHECK_STEP, t + RANGE_CHECK_STEP);
    let in_range_mode = |reason: String| format!("{query}: in range mode: {reason}");
    let ranged = target.range(query, start, end, RANGE_CHECK_STEP).map_err(in_range_mode)?;
    if expected.ordered {
        return Ok(());
    }
    let QueryValue::Matrix(series) = &ranged.value else {
        return Err(in_range_mode(format!("got {}", ranged.value.value_type().as_str())));
    };
    check_sorted(series).map_err(in_range_mode)?;
    let samples: Vec<VectorSample> = series.iter().filter_map(|series| sample_at(series, t)).collect();
    let value = match (&answer.value, samples.first()) {
        (QueryValue::Scalar(_), Some(VectorSample { value: Value::Float(v), .. })) => {
            QueryValue::Scalar(Scalar { t, v: *v })
        }
        _ => QueryValue::Vector(samples),
    };
    compare(expected, eval.times, &value).map_err(in_range_mode)
}

fn sample_at(series: &Series, t: i64) -> Option<VectorSample> {
    let float = series.floats.iter().find(|(at, _)| *at == t).map(|(_, v)| Value::Float(v));
    let histogram =
        || series.histograms.iter().find(|(at, _)| *at == t).map(|(_, h)| Value::Histogram(h.clone()));
    let value = float.or_else(histogram)?;
    Some(VectorSample { labels: series.labels.clone(), t, value })
}

/// Checks failure, annotations and value. `None` when the query failed as it should.
fn check_answer(eval: &Eval, query: &str, answer: Result<Answer, String>) -> Result<Option<Answer>, String> {
    let expected = &eval.expected;
    let answer = match answer {
        Err(message) if !expected.fail => return Err(format!("{query}: failed: {message}")),
        Err(message) => {
            return match expected.fail_messages.iter().find(|condition| !condition.matches(&message)) {
                None => Ok(None),
                Some(condition) => Err(format!("{query}: expected failure {condition:?} but got: {message}")),
            };
        }
        Ok(_) if expected.fail => return Err(format!("{query}: expected it to fail but it did not")),
        Ok(answer) => answer,
    };
    let in_query = |reason: String| format!("{query}: {reason}");
    check_annotations(expected, &answer).map_err(in_query)?;
    compare(expected, eval.times, &answer.value).map_err(in_query)?;
    Ok(Some(answer))
}

fn check_annotations(expected: &Expectations, answer: &Answer) -> Result<(), String> {
    for (kind, got, conditions, some, none) in [
        ("warning", &answer.warnings, &expected.warnings, expected.some_warning, expected.no_warning),
        ("info", &answer.infos, &expected.infos, expected.some_info, expected.no_info),
    ] {
        if none && !got.is_empty() {
            return Err(format!("expected no {kind} but got {got:?}"));
        }
        if got.is_empty() && (some || !conditions.is_empty()) {
            return Err(format!("expected a {kind} but got none"));
        }
        if conditions.is_empty() {
            continue;
        }
        let missing = |condition: &&Condition| !got.iter().any(|text| condition.matches(text));
        if let Some(condition) = conditions.iter().find(missing) {
            return Err(format!("expected {kind} {condition:?} but got {got:?}"));
        }
        let unexpected = |text: &&String| !conditions.iter().any(|condition| condition.matches(text));
        if let Some(text) = got.iter().find(unexpected) {
            return Err(format!("unexpected {kind} {text:?}"));
        }
    }
    Ok(())
}
