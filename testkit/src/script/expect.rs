//! What an `eval` command expects beside values: order, failure, annotations, a string.

use model::Labels;
use model::regexp::Regexp;
use promql::literal::unquote;
use promql::parse::SeriesValue;
use query::Times;

use super::parse::{ScriptError, error};

/// All that a query must fulfil.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// The vector's elements must come in the order of the script.
    pub ordered: bool,
    /// The query must fail.
    pub fail: bool,
    /// What the failure's message must fulfil.
    pub fail_messages: Vec<Condition>,
    /// Expected warnings: all must occur and none other. Empty for no expectation.
    pub warnings: Vec<Condition>,
    /// As `warnings`, for infos.
    pub infos: Vec<Condition>,
    /// There must be no warning.
    pub no_warning: bool,
    /// There must be no info.
    pub no_info: bool,
    /// At least one warning of any kind.
    pub some_warning: bool,
    /// At least one info of any kind.
    pub some_info: bool,
    /// The string that the query gives.
    pub string: Option<String>,
    /// The number that the query gives.
    pub scalar: Option<f64>,
    /// The series that the query gives.
    pub series: Vec<ExpectedSeries>,
    /// The times that the values of `series` are for, when an instant query gives a range vector.
    pub matrix_times: Option<Times>,
    /// The position of the next series, from 0.
    pub(super) next_position: usize,
}

/// A series that a query gives.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its values.
    pub values: Vec<SeriesValue>,
    /// Where it comes in an ordered result, from 0.
    pub position: usize,
}

/// A condition on a message.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Any message.
    Any,
    /// Exactly this one.
    Message(String),
    /// One that the expression is found in.
    Pattern(Regexp),
}

impl Condition {
    /// Whether a message satisfies the condition.
    pub fn matches(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Message(want) => want == message,
            Self::Pattern(pattern) => pattern.is_match(message),
        }
    }

    fn pattern(line: usize, pattern: &str) -> Result<Self, ScriptError> {
        Regexp::new(pattern)
            .map(Self::Pattern)
            .map_err(|e| error(line, format!("invalid regex {pattern:?}: {e}")))
    }
}

impl Expectations {
    /// What the suffix of `eval` says: `_fail`, `_warn`, `_info`, `_ordered` or nothing.
    pub(super) fn for_mode(suffix: &str) -> Option<Self> {
        let mut expected = Self::default();
        match suffix {
            "" => {}
            "_fail" => expected.fail = true,
            "_warn" => expected.some_warning = true,
            "_info" => expected.some_info = true,
            "_ordered" => expected.ordered = true,
            _ => return None,
        }
        Some(expected)
    }

    /// Reads a line if it is an expectation; says whether it was.
    pub(super) fn line(&mut self, line: usize, text: &str) -> Result<bool, ScriptError> {
        if let (Some(message), true) = (text.strip_prefix("expected_fail_message"), self.fail) {
            self.fail_messages.push(Condition::Message(message.trim().to_owned()));
            return Ok(true);
        }
        if let (Some(pattern), true) = (text.strip_prefix("expected_fail_regexp"), self.fail) {
            self.fail_messages.push(Condition::pattern(line, pattern.trim())?);
            return Ok(true);
        }
        if let Some(literal) = text.strip_prefix("expect string") {
            let unquoted = unquote(literal.trim());
            self.string = Some(unquoted.ok_or_else(|| {
                error(line, "expected string literal not valid, a quoted string literal is required")
            })?);
            return Ok(true);
        }
        // A metric of that name can still be written as `expect{}`.
        let Some(condition) = text.strip_prefix("expect ") else { return Ok(false) };
        self.condition(line, condition.trim())?;
        Ok(true)
    }

    fn condition(&mut self, line: usize, text: &str) -> Result<(), ScriptError> {
        let (kind, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        let condition = if rest.is_empty() {
            Condition::Any
        } else if let Some(message) = rest.strip_prefix("msg:") {
            Condition::Message(message.trim().to_owned())
        } else if let Some(pattern) = rest.strip_prefix("regex:") {
            Condition::pattern(line, pattern.trim())?
        } else {
            return Err(error(line, format!("invalid token {rest:?} after {kind}, expected msg: or regex:")));
        };
        match kind {
            "ordered" => self.ordered = true,
            "fail" if !self.fail_messages.is_empty() => {
                return Err(error(line, "invalid expect lines, multiple expect fail lines are not allowed"));
            }
            "fail" => {
                self.fail = true;
                self.fail_messages.push(condition);
            }
            "warn" => self.warnings.push(condition),
            "no_warn" => self.no_warning = true,
            "info" => self.infos.push(condition),
            "no_info" => self.no_info = true,
            _ => return Err(error(line, format!("invalid expected error/annotation type {kind}"))),
        }
        for (some, none, kind) in [
            (!self.warnings.is_empty(), self.no_warning, "warn"),
            (!self.infos.is_empty(), self.no_info, "info"),
        ] {
            if some && none {
                let message = format!("invalid expect lines, {kind} and no_{kind} cannot be used together");
                return Err(error(line, message));
            }
        }
        Ok(())
    }
}
