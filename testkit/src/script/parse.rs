//! From script text to commands.

use promql::duration_literal;
use promql::literal::parse_number;
use promql::parse::{ParseErrors, SeriesDescription, SeriesValue, parse_series};
use query::{RangeTimes, Times};

use super::Language;
use super::expect::{Expectations, ExpectedSeries};

/// The commands of a script in order.
#[derive(Clone, Debug)]
pub struct Script<L: Language> {
    /// Each with the number of its line, from 1.
    pub commands: Vec<(usize, Command<L::Load>)>,
}

/// One command.
#[derive(Clone, Debug)]
pub enum Command<Load> {
    /// Forgets all data.
    Clear,
    /// Adds data.
    Load(Load),
    /// Evaluates a query.
    Eval(Box<Eval>),
}

/// A query and what is expected of it.
#[derive(Clone, Debug)]
pub struct Eval {
    /// The query.
    pub query: String,
    /// When to evaluate it.
    pub times: Times,
    /// What must come out.
    pub expected: Expectations,
}

/// A script that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScriptError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl<L: Language> Script<L> {
    /// Reads a script. Queries are not parsed, so that an evaluation may expect that to fail.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut lines = Lines::new(text);
        let mut commands = Vec::new();
        while let Some((line, text)) = lines.next() {
            if text.is_empty() {
                continue;
            }
            let word = text.split([' ', '\t']).next().unwrap_or_default().to_ascii_lowercase();
            let command = if word == "clear" {
                Command::Clear
            } else if word.starts_with("load") {
                Command::Load(L::parse_load(line, text, &mut lines)?)
            } else if word.starts_with("eval") {
                Command::Eval(Box::new(eval(line, text, &mut lines)?))
            } else {
                return Err(error(line, format!("invalid command {text:?}, expected load, eval or clear")));
            };
            commands.push((line, command));
        }
        Ok(Self { commands })
    }
}

/// The error of a line.
pub fn error(line: usize, message: impl Into<String>) -> ScriptError {
    ScriptError { line, message: message.into() }
}

/// Trimmed lines with their numbers; comments count as empty.
pub struct Lines<'a> {
    rest: std::iter::Peekable<std::iter::Enumerate<std::str::Split<'a, char>>>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.split('\n').enumerate().peekable() }
    }

    /// The next line.
    fn next(&mut self) -> Option<(usize, &'a str)> {
        self.rest.next().map(|(i, line)| (i + 1, content(line)))
    }

    /// The next line of the same block; an empty line ends the block.
    pub fn next_in_block(&mut self) -> Option<(usize, &'a str)> {
        self.rest.next_if(|(_, line)| !content(line).is_empty()).map(|(i, line)| (i + 1, content(line)))
    }
}

fn content(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with('#') { "" } else { line }
}

/// A duration of a script as milliseconds; `what` names it in the error.
pub fn millis(line: usize, what: &str, text: &str) -> Result<i64, ScriptError> {
    duration_literal::parse_seconds(text)
        .map(duration_literal::seconds_to_millis)
        .map_err(|reason| error(line, format!("invalid {what} {text:?}: {reason}")))
}

/// A metric and values, of a series that is loaded or expected.
pub fn describe(line: usize, text: &str) -> Result<SeriesDescription, ScriptError> {
    parse_series(text).map_err(|errors: ParseErrors| error(line, errors.to_string()))
}

fn eval(line: usize, text: &str, lines: &mut Lines<'_>) -> Result<Eval, ScriptError> {
    let invalid = || {
        error(
            line,
            "invalid evaluation command, expected eval[_fail|_warn|_info|_ordered] instant at <time> <query> or \
             eval[_fail|_warn|_info] range from <time> to <time> step <step> <query>",
        )
    };
    let mut words = Words { rest: text };
    let mode = words.take().and_then(|word| word.strip_prefix("eval")).ok_or_else(invalid)?;
    let (times, query) = match words.take() {
        Some("instant") => {
            words.expect("at").ok_or_else(invalid)?;
            let at = millis(line, "timestamp", words.take().ok_or_else(invalid)?)?;
            (Times::Instant(at), words.rest)
        }
        Some("range") => {
            let times = range(line, &mut words, invalid)?;
            (times, words.rest)
        }
        _ => return Err(invalid()),
    };
    if query.is_empty() {
        return Err(invalid());
    }
    let mut expected = Expectations::for_mode(mode).ok_or_else(invalid)?;
    if matches!(times, Times::Range(_)) && expected.ordered {
        return Err(invalid());
    }
    while let Some((line, text)) = lines.next_in_block() {
        if let Some(rest) = text.strip_prefix("expect range vector") {
            let mut words = Words { rest };
            let invalid = || error(line, format!("invalid range vector definition {text:?}"));
            expected.matrix_times = Some(range(line, &mut words, invalid)?);
            continue;
        }
        if expected.line(line, text)? {
            continue;
        }
        if let Some(value) = scalar(text) {
            expected.scalar = Some(value);
            break;
        }
        let SeriesDescription { labels, values } = describe(line, text)?;
        let is_instant = matches!(times, Times::Instant(_)) && expected.matrix_times.is_none();
        if is_instant && values.iter().map(SeriesValue::count).sum::<u64>() > 1 {
            return Err(error(
                line,
                "expecting multiple values in instant evaluation not allowed. consider using 'expect range vector' \
                 directive to enable a range vector result for an instant query",
            ));
        }
        expected.scalar = None;
        expected.series.retain(|earlier| earlier.labels != labels);
        expected.series.push(ExpectedSeries { labels, values, position: expected.next_position });
        expected.next_position += 1;
    }
    let times = match (times, expected.matrix_times) {
        (Times::Instant(_), Some(matrix)) => Times::Instant(end(matrix)),
        (_, Some(matrix)) => matrix,
        (times, None) => times,
    };
    Ok(Eval { query: query.to_owned(), times, expected })
}

/// `from <time> to <time> step <step>`
fn range(
    line: usize,
    words: &mut Words<'_>,
    invalid: impl Fn() -> ScriptError,
) -> Result<Times, ScriptError> {
    let mut part = |keyword: &str, what: &str| {
        words.expect(keyword).ok_or_else(&invalid)?;
        millis(line, what, words.take().ok_or_else(&invalid)?)
    };
    let start = part("from", "start timestamp")?;
    let end = part("to", "end timestamp")?;
    let step = part("step", "step")?;
    if end < start {
        return Err(error(line, "invalid test definition, end timestamp is before start timestamp"));
    }
    Ok(Times::Range(RangeTimes { start, end, step }))
}

/// The last time of an evaluation.
fn end(times: Times) -> i64 {
    match times {
        Times::Instant(t) => t,
        Times::Range(range) => range.end,
    }
}

/// A number that stands alone on its line.
fn scalar(text: &str) -> Option<f64> {
    match text.strip_prefix(['+', '-']) {
        Some(rest) => parse_number(rest).ok().map(|value| if text.starts_with('-') { -value } else { value }),
        None => parse_number(text).ok(),
    }
}

/// Words separated by spaces, the rest of the line left as it is.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn take(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let (word, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        self.rest = rest.trim_start();
        (!word.is_empty()).then_some(word)
    }

    fn expect(&mut self, word: &str) -> Option<()> {
        (self.take()? == word).then_some(())
    }
}
