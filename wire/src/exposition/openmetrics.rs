//! The OpenMetrics text format, versions 1.0.0 and 0.0.1: strict blanks, a final `# EOF`, exemplars, units. Source:
//! Prometheus `model/textparse/openmetricsparse.go` and `openmetricslex.l`, whose acceptance this follows.

use model::SampleValue;
use model::metadata::MetricType;
use model::sample::NORMAL_NAN;

use super::cursor::{Cursor, QuoteRules, Token, class};
use super::number::{parse_float, seconds_to_ms};
use super::quote::quoted;
use super::series_text::{family_name, take_quoted, unescape};
use super::{Entry, Exemplars, ParseError, RawExemplar, Series};

const NAME_RULES: QuoteRules = QuoteRules { newline: true, nul: false };
const VALUE_RULES: QuoteRules = QuoteRules { newline: false, nul: true };
const EXEMPLAR_RULES: QuoteRules = QuoteRules { newline: false, nul: false };

const KEYWORDS: [(&[u8], Token); 4] = [
    (b"# HELP ", Token::Help),
    (b"# TYPE ", Token::Type),
    (b"# UNIT ", Token::Unit),
    (b"# EOF", Token::EofWord),
];

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

/// What looking ahead for `_created` lines found; valid for all series that start before `until`.
#[derive(Clone, Default)]
struct Created<'a> {
    until: usize,
    /// Who was created, see [`identity`], and when in milliseconds.
    found: Option<(Vec<&'a [u8]>, i64)>,
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

    fn start_token(&mut self) -> Token {
        if self.after_value {
            return self.timestamp_token();
        }
        let c = &mut self.cursor;
        c.begin_token();
        match c.peek() {
            b if class::TABLE[b as usize] & class::METRIC_START != 0 => {
                c.skip_class(class::METRIC);
                Token::MetricName
            }
            b'#' => {
                let line = &c.body[c.at..];
                for (word, token) in KEYWORDS {
                    if line.starts_with(word) {
                        c.at += word.len();
                        c.at += usize::from(token == Token::EofWord && c.peek() == b'\n');
                        return token;
                    }
                }
                let fits = |word: &[u8]| word.iter().zip(line).take_while(|(a, b)| a == b).count();
                c.at += KEYWORDS.iter().map(|(word, _)| fits(word)).max().unwrap_or(0);
                Token::Invalid
            }
            b'{' => {
                c.at += 1;
                Token::BraceOpen
            }
            _ => self.misfit(),
        }
    }

    fn label_token(&mut self, string_rules: QuoteRules) -> Token {
        let c = &mut self.cursor;
        c.begin_token();
        let single = match c.peek() {
            b if class::TABLE[b as usize] & class::LABEL_START != 0 => {
                c.skip_class(class::LABEL);
                return Token::LabelName;
            }
            b'"' => return if c.skip_quoted(string_rules) { Token::QuotedString } else { Token::Invalid },
            b'}' => Token::BraceClose,
            b'=' => Token::Equal,
            b',' => Token::Comma,
            _ => return self.misfit(),
        };
        c.at += 1;
        single
    }

    fn label_value_token(&mut self, rules: QuoteRules) -> Token {
        let c = &mut self.cursor;
        c.begin_token();
        if c.peek() == b'"' {
            return if c.skip_quoted(rules) { Token::LabelValue } else { Token::Invalid };
        }
        self.misfit()
    }

    /// A blank and what follows up to the next blank or line break.
    fn word_token(&mut self, token: Token) -> Token {
        let c = &mut self.cursor;
        c.at += 1;
        let from = c.at;
        while !matches!(c.peek(), b' ' | b'\n' | 0) {
            c.at += 1;
        }
        if c.at > from { token } else { Token::Invalid }
    }

    fn value_token(&mut self) -> Token {
        let c = &mut self.cursor;
        c.begin_token();
        match c.peek() {
            b'{' => {
                c.at += 1;
                Token::BraceOpen
            }
            b' ' => self.word_token(Token::Value),
            _ => self.misfit(),
        }
    }

    fn timestamp_token(&mut self) -> Token {
        let c = &mut self.cursor;
        c.begin_token();
        match c.peek() {
            b'\n' => {
                c.at += 1;
                Token::Linebreak
            }
            b' ' if c.starts_with(b" # ") => {
                c.at += 3;
                if c.peek() != b'{' {
                    return Token::Invalid;
                }
                c.at += 1;
                Token::Comment
            }
            b' ' => self.word_token(Token::Timestamp),
            _ => self.misfit(),
        }
    }

    fn exemplar_timestamp_token(&mut self) -> Token {
        let c = &mut self.cursor;
        c.begin_token();
        match c.peek() {
            b'\n' => {
                c.at += 1;
                Token::Linebreak
            }
            b' ' => self.word_token(Token::Timestamp),
            _ => self.misfit(),
        }
    }

    fn misfit(&self) -> Token {
        if self.cursor.at_end() { Token::Eof } else { Token::Invalid }
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

    /// The value of the `_created` line that follows for this series, in milliseconds; 0 when there is none.
    ///
    /// What one look ahead finds (the next `_created` line, or that there is none up to the next metadata line) holds
    /// for every series before it, so the whole body is read ahead once at most.
    fn start_timestamp(&mut self, key: &'a [u8]) -> i64 {
        if self.cursor.entry >= self.created.until {
            let mut ahead = self.clone();
            self.created = loop {
                let entry = ahead.any_entry();
                let until = ahead.cursor.entry.max(self.cursor.at);
                let Ok(Some(Entry::Series(series))) = entry else {
                    break Created { until, found: None };
                };
                if let Some(base) = metric_name(series.key).strip_suffix(b"_created") {
                    let SampleValue::Float(seconds) = series.value else { continue };
                    let who = identity(series.key, base, self.kind);
                    break Created { until, found: Some((who, seconds_to_ms(seconds))) };
                }
            };
        }
        let name = metric_name(key);
        let base = name.get(..self.family.len()).unwrap_or(name);
        match &self.created.found {
            Some((who, at)) if *who == identity(key, base, self.kind) => *at,
            _ => 0,
        }
    }
}

fn has_start_timestamp(kind: MetricType) -> bool {
    matches!(kind, MetricType::Counter | MetricType::Summary | MetricType::Histogram)
}

/// The metric's name in series text, raw and without quotes.
fn metric_name(key: &[u8]) -> &[u8] {
    let plain = key.iter().take_while(|b| class::TABLE[**b as usize] & class::METRIC != 0).count();
    if plain > 0 {
        return &key[..plain];
    }
    parts(key).find_map(|(name, value)| value.is_none().then_some(name)).unwrap_or_default()
}

/// What is the same for all series of one histogram, summary or counter and its `_created` line: family and labels,
/// raw, without `le` and `quantile`.
fn identity<'a>(key: &'a [u8], family: &'a [u8], kind: MetricType) -> Vec<&'a [u8]> {
    let left_out: &[u8] = match kind {
        MetricType::Histogram => b"le",
        MetricType::Summary => b"quantile",
        _ => b"",
    };
    let labels = parts(key)
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .filter(|(name, _)| *name != left_out)
        .flat_map(|(name, value)| [name, value]);
    std::iter::once(family).chain(labels).collect()
}

/// Raw names and values between the braces of series text; a name without value is the metric's.
fn parts(key: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let open = memchr::memchr(b'{', key).map_or(key.len(), |at| at + 1);
    let mut rest = &key[open..];
    std::iter::from_fn(move || {
        while let Some(after) = rest.strip_prefix(b",") {
            rest = after;
        }
        if matches!(rest.first(), None | Some(b'}')) {
            return None;
        }
        let name = take_part(&mut rest);
        let value = rest.strip_prefix(b"=").map(|after| {
            rest = after;
            take_part(&mut rest)
        });
        Some((name, value))
    })
}

/// A quoted string's inside or a bare name; `rest` moves behind it, by one byte at least.
fn take_part<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let whole = *rest;
    if let Some(inside) = take_quoted(rest) {
        return inside;
    }
    let len = whole.iter().take_while(|b| class::TABLE[**b as usize] & class::LABEL != 0).count();
    let (name, after) = whole.split_at(len.max(1).min(whole.len()));
    *rest = after;
    name
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
mod tests {
    use super::*;
    use crate::exposition::testing::{self, described};

    fn text(body: &str) -> String {
        described(OpenMetricsParser::new(body.as_bytes(), false))
    }

    #[test]
    fn entries() {
        let body = "# HELP a_seconds Took \\\\ \\n \\\"long\\\".\n# TYPE a_seconds counter\n\
                    # UNIT a_seconds seconds\na_seconds_total{b=\"c\"} 17.0 1520879607.789 # {id=\"x\"} 5 1.5\n\
                    a_seconds_total 1 # {} 2\n# EOF\n";
        assert_eq!(
            text(body),
            "help a_seconds Took \\ \n \"long\".\ntype a_seconds counter\nunit a_seconds seconds\n\
             a_seconds_total{b=c} = 17 @1520879607789 # {id=\"x\"} 5 @1500\na_seconds_total = 1 # {} 2\n"
        );
        for (body, want) in [
            ("# EOF", ""),
            ("# EOF\n", ""),
            ("{\"a.b\",\"c d\"=\"1\",} 1\n# EOF\n", "a.b{c d=1} = 1\n"),
            (
                "# TYPE h histogram\nh_bucket{le=\"1\"} 2 -1.5\n# EOF\n",
                "type h histogram\nh_bucket{le=1.0} = 2 @-1500\n",
            ),
            ("# TYPE s stateset\n# UNIT s \n# EOF\n", "type s stateset\nunit s \n"),
        ] {
            assert_eq!(text(body), want, "{body:?}");
        }
    }

    #[test]
    fn errors_are_those_of_prometheus() {
        for (body, want) in [
            ("", "data does not end with # EOF"),
            ("# EOF\n\n", "unexpected data after # EOF"),
            ("# EOFx", "unexpected data after # EOF"),
            ("\n# EOF\n", r#"expected a valid start token, got "\n" ("INVALID") while parsing: "\n""#),
            (
                "# comment\n# EOF\n",
                r##"expected a valid start token, got "# c" ("INVALID") while parsing: "# c""##,
            ),
            ("a  1\n# EOF\n", r#"expected value after metric, got "  " ("INVALID") while parsing: "a  ""#),
            (
                "a{b=\"1\" ,c=\"2\"} 1\n",
                r#"expected comma or brace close, got " " ("INVALID") while parsing: "a{b=\"1\" ""#,
            ),
            ("a 1 x\n", r#"strconv.ParseFloat: parsing "x": invalid syntax while parsing: "a 1 x""#),
            ("a 1 Inf\n", "invalid timestamp +Inf"),
            (
                "a 1 # {\"b\"} 1\n",
                r#"expected label name, got "} " ("BCLOSE") while parsing: "a 1 # {\"b\"} ""#,
            ),
            ("# UNIT a_seconds bytes\n", r#"unit "bytes" not a suffix of metric "a_seconds""#),
            ("# UNIT seconds seconds\n", r#"unit "seconds" not a suffix of metric "seconds""#),
            ("# TYPE a\n", "expected text in TYPE"),
            ("# TYPE a untyped\n", r#"invalid metric type "untyped""#),
        ] {
            assert_eq!(text(body), format!("error {want} (line 1)\n"), "{body:?}");
        }
        // What cannot follow a value fails the next entry, as it does in Prometheus.
        assert_eq!(
            text("a 1 \n# EOF\n"),
            "a = 1\nerror expected a valid start token, got \"\\n#\" (\"LINEBREAK\") while parsing: \"\\n#\" (line 1)\n"
        );
        assert_eq!(text("a 1\n"), "a = 1\nerror data does not end with # EOF (line 2)\n");
    }

    #[test]
    fn created_lines_become_start_timestamps() {
        let body = "# TYPE c counter\nc_total{a=\"1\"} 1\nc_created{a=\"1\"} 5.5\nc_total{a=\"2\"} 1\n\
                    # TYPE h histogram\nh_bucket{x=\"y\",le=\"1\"} 1\nh_bucket{x=\"y\",le=\"+Inf\"} 1\nh_sum{x=\"y\"} 1\n\
                    h_created{x=\"y\"} 7\nh_count{x=\"z\"} 1\nh_created{x=\"y\"} 8\n# TYPE g gauge\ng_created 1\n# EOF\n";
        assert_eq!(
            described(OpenMetricsParser::new(body.as_bytes(), true)),
            "type c counter\nc_total{a=1} = 1 from 5500\nc_total{a=2} = 1\ntype h histogram\n\
             h_bucket{le=1.0,x=y} = 1 from 7000\nh_bucket{le=+Inf,x=y} = 1 from 7000\nh_sum{x=y} = 1 from 7000\n\
             h_count{x=z} = 1\ntype g gauge\ng_created = 1\n"
        );
    }

    #[test]
    fn looking_ahead_takes_linear_time() {
        let mut body = "# TYPE c counter\n".to_owned();
        for i in 0..20_000 {
            body.push_str(&format!("c_total{{a=\"{i}\"}} 1\n"));
        }
        body.push_str("# EOF\n");
        assert_eq!(OpenMetricsParser::new(body.as_bytes(), true).count(), 20_001);
    }

    #[test]
    fn survives_mutations() {
        let body = "# TYPE a counter\n# UNIT a_s s\na_total{x=\"\\\"\"} 1 5 # {t=\"1\"} 2 3\na_created{x=\"\\\"\"} 1\n\
                    {\"a.b\",c=\"d\"} NaN\n# EOF\n";
        testing::mutate(body, |b| {
            described(OpenMetricsParser::new(b, true));
        });
    }
}
