//! From script text to commands.

use model::Labels;

use crate::durations;
use crate::lex::number;
use crate::parse::{ParseErrors, SeriesDescription, SeriesValue, parse_series};
use crate::script::expect::{Expectations, ExpectedSeries};

/// The commands of a script in order.
#[derive(Clone, Debug)]
pub struct Script {
    /// Each with the number of its line, from 1.
    pub commands: Vec<(usize, Command)>,
}

/// One command.
#[derive(Clone, Debug)]
pub enum Command {
    /// Forgets all series.
    Clear,
    /// Adds series.
    Load(Load),
    /// Evaluates a query.
    Eval(Box<Eval>),
}

/// Series to add, their values one step apart from time 0 on.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Distance of the values in milliseconds.
    pub step: i64,
    /// Also adds native histograms with custom buckets, made of the classic histograms.
    pub with_nhcb: bool,
    /// The series; each label set once.
    pub series: Vec<LoadSeries>,
}

/// A series to add.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its values.
    pub values: Vec<SeriesValue>,
    /// For each value its start timestamp in milliseconds relative to its timestamp, `None` for unknown; empty when
    /// the script gives none.
    pub starts: Vec<Option<i64>>,
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

/// When a query is evaluated, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// At one time.
    Instant(i64),
    /// At every step.
    Range {
        /// First step.
        start: i64,
        /// No step after this.
        end: i64,
        /// Distance of steps.
        step: i64,
    },
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

/// Most values that a list of start timestamps may stand for.
const MAX_STARTS: u64 = 100_000;

impl Script {
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
                Command::Load(load(line, text, &mut lines)?)
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

pub(super) fn error(line: usize, message: impl Into<String>) -> ScriptError {
    ScriptError { line, message: message.into() }
}

/// Trimmed lines with their numbers; comments count as empty.
struct Lines<'a> {
    rest: std::iter::Peekable<std::iter::Enumerate<std::str::Split<'a, char>>>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.split('\n').enumerate().peekable() }
    }

    fn next(&mut self) -> Option<(usize, &'a str)> {
        self.rest.next().map(|(i, line)| (i + 1, content(line)))
    }

    /// The next line of the same block; an empty line ends the block.
    fn next_in_block(&mut self) -> Option<(usize, &'a str)> {
        self.rest.next_if(|(_, line)| !content(line).is_empty()).map(|(i, line)| (i + 1, content(line)))
    }
}

fn content(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with('#') { "" } else { line }
}

/// A duration as milliseconds.
fn millis(line: usize, what: &str, text: &str) -> Result<i64, ScriptError> {
    durations::parse_seconds(text)
        .map(durations::seconds_to_millis)
        .map_err(|reason| error(line, format!("invalid {what} {text:?}: {reason}")))
}

fn load(line: usize, text: &str, lines: &mut Lines<'_>) -> Result<Load, ScriptError> {
    let (command, step) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let with_nhcb = match command {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(error(line, "invalid load command, expected load[_with_nhcb] <step>")),
    };
    let step = millis(line, "step", step.trim())?;
    let mut series: Vec<LoadSeries> = Vec::new();
    let mut pending: Option<(usize, Labels, Vec<Option<i64>>)> = None;
    while let Some((line, text)) = lines.next_in_block() {
        if let Some((metric, values)) = split_starts(text) {
            if let Some((line, ..)) = pending {
                return Err(error(line, "@st line has no following sample line"));
            }
            let labels = describe(line, metric)?.labels;
            pending = Some((line, labels, starts(line, values)?));
            continue;
        }
        let SeriesDescription { labels, values } = describe(line, text)?;
        let starts = match pending.take() {
            None => Vec::new(),
            Some((line, of, _)) if of != labels => {
                return Err(error(line, "@st metric does not match the following sample line metric"));
            }
            Some((line, _, starts)) => {
                let (given, wanted) =
                    (starts.len() as u64, values.iter().map(SeriesValue::count).sum::<u64>());
                if given != wanted {
                    let message = format!("@st line has {given} values but sample line has {wanted}");
                    return Err(error(line, message));
                }
                starts
            }
        };
        series.retain(|earlier| earlier.labels != labels);
        series.push(LoadSeries { labels, values, starts });
    }
    match pending {
        Some((line, ..)) => Err(error(line, "@st line has no following sample line")),
        None => Ok(Load { step, with_nhcb, series }),
    }
}

/// The metric and the values of a line `metric{...}@st values`.
fn split_starts(text: &str) -> Option<(&str, &str)> {
    let (metric, values) = text.split_once([' ', '\t'])?;
    Some((metric.strip_suffix("@st")?, values))
}

fn describe(line: usize, text: &str) -> Result<SeriesDescription, ScriptError> {
    parse_series(text).map_err(|errors: ParseErrors| error(line, errors.to_string()))
}

/// Start timestamps: `_`, `_xN`, `-1m`, `-1mxN`, `-30s-1mxN`.
fn starts(line: usize, text: &str) -> Result<Vec<Option<i64>>, ScriptError> {
    let mut values = Vec::new();
    for item in text.split_whitespace() {
        let (first, step, times) =
            start(item).map_err(|reason| error(line, format!("invalid ST item {item:?}: {reason}")))?;
        if values.len() as u64 + times > MAX_STARTS {
            return Err(error(line, format!("more than {MAX_STARTS} start timestamps")));
        }
        let mut next = first;
        for _ in 0..times {
            values.push(next);
            next = next.and_then(|next| next.checked_add(step));
        }
    }
    Ok(values)
}

/// The first value, what is added from one to the next, and how many values there are.
fn start(item: &str) -> Result<(Option<i64>, i64, u64), String> {
    let count = |text: &str| text.parse::<u64>().map_err(|_| "invalid repeat count".to_owned());
    if let Some(rest) = item.strip_prefix('_') {
        return match rest.strip_prefix('x') {
            None if rest.is_empty() => Ok((None, 0, 1)),
            None => Err("expected x behind _".to_owned()),
            Some(times) => Ok((None, 0, count(times)?)),
        };
    }
    let (first, rest) = signed_duration(item)?;
    if rest.is_empty() {
        return Ok((Some(first), 0, 1));
    }
    if let Some(times) = rest.strip_prefix('x') {
        return Ok((Some(first), 0, count(times)?.saturating_add(1)));
    }
    if !rest.starts_with(['+', '-']) {
        return Err(format!("unexpected {rest:?} after duration"));
    }
    let (step, rest) = signed_duration(rest)?;
    let times = rest.strip_prefix('x').ok_or("expected x<count> after step duration")?;
    Ok((Some(first), step, count(times)?.saturating_add(1)))
}

/// A duration with an optional sign as milliseconds, and what follows it.
fn signed_duration(text: &str) -> Result<(i64, &str), String> {
    let (sign, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let unit = unsigned[digits..].bytes().take_while(|b| b.is_ascii_alphabetic() && *b != b'x').count();
    let (duration, rest) = unsigned.split_at(digits + unit);
    Ok((sign * durations::seconds_to_millis(durations::parse_seconds(duration)?), rest))
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
    if matches!(times, Times::Range { .. }) && expected.ordered {
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
        (Times::Instant(_), Some(matrix)) => Times::Instant(matrix.end()),
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
    Ok(Times::Range { start, end, step })
}

impl Times {
    /// The last time.
    pub fn end(self) -> i64 {
        match self {
            Self::Instant(at) => at,
            Self::Range { end, .. } => end,
        }
    }
}

/// A number that stands alone on its line.
fn scalar(text: &str) -> Option<f64> {
    match text.strip_prefix(['+', '-']) {
        Some(rest) => {
            number::parse(rest).ok().map(|value| if text.starts_with('-') { -value } else { value })
        }
        None => number::parse(text).ok(),
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
