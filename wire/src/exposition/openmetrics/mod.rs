//! The OpenMetrics text format, versions 1.0.0 and 0.0.1: strict blanks, a final `# EOF`, exemplars, units. Source:
//! Prometheus `model/textparse/openmetricsparse.go` and `openmetricslex.l`, whose acceptance this follows.

mod created;
mod tokens;

use model::SampleValue;
use model::metadata::MetricType;
use model::sample::NORMAL_NAN;

use super::cursor::{Cursor, QuoteRules, Token, class};
use super::number::{parse_float, seconds_to_ms};
use super::quote::quoted;
use super::series_text::{family_name, unescape};
use super::{Entry, Exemplars, ParseError, RawExemplar, Series};
use created::{Created, has_start_timestamp, metric_name};

const NAME_RULES: QuoteRules = QuoteRules { newline: true, nul: false };
const VALUE_RULES: QuoteRules = QuoteRules { newline: false, nul: true };
const EXEMPLAR_RULES: QuoteRules = QuoteRules { newline: false, nul: false };

/// The entries of a body in OpenMetrics text, in order. After an error it is exhausted.
#[derive(Clone)]
pub struct OpenMetricsParser<'a> {
    cursor: Cursor<'a>,
    kind: MetricType,
    unit: &'a str,
    /// The family that was named last, raw and without quotes.
    family: &'a [u8],
    /// Whether the last sample ended in what is no line break; the next token then counts as following a value.
    after_value: bool,
    start_timestamps: bool,
    created: Created<'a>,
    done: bool,
}

impl<'a> OpenMetricsParser<'a> {
    /// A parser at the start of `body`. With `start_timestamps`, `_created` lines are no series of their own but give
    /// the start timestamps of those they belong to.
    pub fn new(body: &'a [u8], start_timestamps: bool) -> Self {
        Self {
            cursor: Cursor::new(body, false),
            kind: MetricType::Unknown,
            unit: "",
            family: b"",
            after_value: false,
            start_timestamps,
            created: Created::default(),
            done: false,
        }
    }

    fn entry(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        loop {
            let Some(entry) = self.any_entry()? else {
                return Ok(None);
            };
            let Entry::Series(mut series) = entry else {
                return Ok(Some(entry));
            };
            if self.start_timestamps && has_start_timestamp(self.kind) {
                if metric_name(series.key).ends_with(b"_created") {
                    continue;
                }
                series.start_t = self.start_timestamp(series.key);
            }
            return Ok(Some(Entry::Series(series)));
        }
    }

    fn any_entry(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        self.cursor.entry = self.cursor.at;
        match self.start_token() {
            Token::EofWord => {
                if self.cursor.at_end() {
                    return Ok(None);
                }
                Err(self.cursor.error("unexpected data after # EOF".to_owned()))
            }
            Token::Eof => Err(self.ended()),
            token @ (Token::Help | Token::Type | Token::Unit) => self.metadata(token).map(Some),
            Token::BraceOpen => {
                let named = self.labels(false)?;
                let key = self.cursor.entry();
                let token = self.value_token();
                self.sample(key, named, token).map(Some)
            }
            Token::MetricName => {
                let mut key = self.cursor.entry();
                let mut token = self.value_token();
                if token == Token::BraceOpen {
                    self.labels(true)?;
                    key = self.cursor.entry();
                    token = self.value_token();
                }
                self.sample(key, true, token).map(Some)
            }
            token => Err(self.cursor.unexpected("expected a valid start token", token)),
        }
    }

    fn ended(&self) -> ParseError {
        self.cursor.error("data does not end with # EOF".to_owned())
    }

    fn metadata(&mut self, which: Token) -> Result<Entry<'a>, ParseError> {
        let c = &mut self.cursor;
        c.begin_token();
        let token = match c.peek() {
            _ if c.at_end() => Token::Eof,
            b'"' if c.skip_quoted(NAME_RULES) => Token::MetricName,
            b if class::TABLE[b as usize] & class::METRIC_START != 0 => {
                c.skip_class(class::METRIC);
                Token::MetricName
            }
            _ => Token::Invalid,
        };
        if token != Token::MetricName {
            return Err(c.unexpected(&format!("expected metric name after {}", which.name()), token));
        }
        let raw = c.token();
        self.family = raw.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(raw);
        let family = family_name(raw);
        let line_end = c.line_end();
        if c.peek() != b' ' || line_end == c.body.len() {
            return Err(c.error(format!("expected text in {}", which.name())));
        }
        let text = c.slice(c.at + 1, line_end);
        c.at = line_end + 1;
        match which {
            Token::Type => {
                self.kind = match text {
                    b"counter" => MetricType::Counter,
                    b"gauge" => MetricType::Gauge,
                    b"histogram" => MetricType::Histogram,
                    b"gaugehistogram" => MetricType::GaugeHistogram,
                    b"summary" => MetricType::Summary,
                    b"info" => MetricType::Info,
                    b"stateset" => MetricType::StateSet,
                    b"unknown" => MetricType::Unknown,
                    _ => return Err(c.error(format!("invalid metric type {}", quoted(text)))),
                };
                Ok(Entry::Type { family, kind: self.kind })
            }
            Token::Help => {
                let Ok(text) = std::str::from_utf8(text) else {
                    return Err(c.error(format!("help text {} is not a valid utf8 string", quoted(text))));
                };
                Ok(Entry::Help { family, text: unescape(text) })
            }
            _ => {
                let suffixed = text.is_empty()
                    || self.family.strip_suffix(text).is_some_and(|before| before.ends_with(b"_"));
                match std::str::from_utf8(text) {
                    Ok(unit) if suffixed => {
                        self.unit = unit;
                        Ok(Entry::Unit { family, unit })
                    }
                    _ => Err(c.error(format!(
                        "unit {} not a suffix of metric {}",
                        quoted(text),
                        quoted(self.family)
                    ))),
                }
            }
        }
    }

    /// The inside of braces of a series; returns whether the metric is named, before or inside.
    fn labels(&mut self, named: bool) -> Result<bool, ParseError> {
        self.pairs(Some(named), NAME_RULES, VALUE_RULES)
    }

    /// The inside of braces up to and with the closing one. `named` is `None` where no name may stand, in exemplars.
    fn pairs(
        &mut self,
        mut named: Option<bool>,
        string_rules: QuoteRules,
        value_rules: QuoteRules,
    ) -> Result<bool, ParseError> {
        let mut token = self.label_token(string_rules);
        loop {
            match token {
                Token::BraceClose => return Ok(named == Some(true)),
                Token::LabelName | Token::QuotedString => {}
                _ => return Err(self.cursor.unexpected("expected label name", token)),
            }
            let is_quoted = token == Token::QuotedString;
            token = self.label_token(string_rules);
            if is_quoted && matches!(token, Token::Comma | Token::BraceClose) {
                match named {
                    None => return Err(self.cursor.unexpected("expected label name", token)),
                    Some(true) => return Err(self.cursor.wrong("metric name already set")),
                    Some(false) => named = Some(true),
                }
                if token == Token::Comma {
                    token = self.label_token(string_rules);
                }
                continue;
            }
            if token != Token::Equal {
                return Err(self.cursor.unexpected("expected equal", token));
            }
            let value = self.label_value_token(value_rules);
            if value != Token::LabelValue {
                return Err(self.cursor.unexpected("expected label value", value));
            }
            if !self.cursor.utf8 && std::str::from_utf8(self.cursor.token()).is_err() {
                let message = format!("invalid UTF-8 label value: {}", quoted(self.cursor.token()));
                return Err(self.cursor.error(message));
            }
            token = self.label_token(string_rules);
            if token == Token::Comma {
                token = self.label_token(string_rules);
            } else if token != Token::BraceClose {
                return Err(self.cursor.unexpected("expected comma or brace close", token));
            }
        }
    }

    fn float(&mut self, token: Token, after: &str) -> Result<f64, ParseError> {
        if token != Token::Value {
            return Err(self.cursor.unexpected(&format!("expected value after {after}"), token));
        }
        let text = self.cursor.token().get(1..).unwrap_or_default();
        let v = parse_float(text).map_err(|what| self.cursor.wrong(&what))?;
        Ok(if v.is_nan() { NORMAL_NAN } else { v })
    }

    fn timestamp(&mut self, what: &str) -> Result<i64, ParseError> {
        let text = self.cursor.token().get(1..).unwrap_or_default();
        let seconds = parse_float(text).map_err(|what| self.cursor.wrong(&what))?;
        if !seconds.is_finite() {
            let shown = match seconds {
                f64::INFINITY => "+Inf",
                f64::NEG_INFINITY => "-Inf",
                _ => "NaN",
            };
            return Err(self.cursor.error(format!("invalid {what} {shown}")));
        }
        Ok(seconds_to_ms(seconds))
    }

    /// Value, timestamp, exemplar and line break behind a series.
    fn sample(&mut self, key: &'a [u8], named: bool, token: Token) -> Result<Entry<'a>, ParseError> {
        if !named {
            return Err(self.cursor.wrong("metric name not set"));
        }
        let v = self.float(token, "metric")?;
        let mut t = None;
        let mut exemplars = Exemplars::None;
        self.after_value = false;
        match self.timestamp_token() {
            Token::Eof => return Err(self.ended()),
            Token::Linebreak => {}
            Token::Comment => exemplars = Exemplars::One(self.exemplar()?),
            Token::Timestamp => {
                t = Some(self.timestamp("timestamp")?);
                match self.timestamp_token() {
                    Token::Linebreak => {}
                    Token::Comment => exemplars = Exemplars::One(self.exemplar()?),
                    token => {
                        return Err(self.cursor.unexpected("expected next entry after timestamp", token));
                    }
                }
            }
            _ => self.after_value = true,
        }
        Ok(Entry::Series(Series {
            key,
            t,
            value: SampleValue::Float(v),
            start_t: 0,
            exemplars,
            kind: self.kind,
            unit: self.unit,
        }))
    }

    /// What follows ` # {`.
    fn exemplar(&mut self) -> Result<RawExemplar<'a>, ParseError> {
        let from = self.cursor.at;
        self.pairs(None, EXEMPLAR_RULES, EXEMPLAR_RULES)?;
        let labels = self.cursor.slice(from, self.cursor.at).into();
        let c = &mut self.cursor;
        c.begin_token();
        let token = match c.peek() {
            b' ' => self.word_token(Token::Value),
            _ => self.misfit(),
        };
        let v = self.float(token, "exemplar labels")?;
        let mut t = None;
        match self.exemplar_timestamp_token() {
            Token::Eof => return Err(self.ended()),
            Token::Linebreak => {}
            Token::Timestamp => {
                t = Some(self.timestamp("exemplar timestamp")?);
                let token = self.exemplar_timestamp_token();
                if token != Token::Linebreak {
                    return Err(self
                        .cursor
                        .unexpected("expected next entry after exemplar timestamp", token));
                }
            }
            token => return Err(self.cursor.unexpected("expected timestamp or comment", token)),
        }
        Ok(RawExemplar { v, t, labels })
    }
}

impl<'a> Iterator for OpenMetricsParser<'a> {
    type Item = Result<Entry<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let entry = self.entry().transpose();
        self.done = !matches!(entry, Some(Ok(_)));
        entry
    }
}

#[cfg(test)]
mod tests;
