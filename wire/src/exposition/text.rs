//! The Prometheus text format: version 0.0.4, and 1.0.0 with quoted names. Source: Prometheus
//! `model/textparse/promparse.go` and `promlex.l`, whose acceptance this follows byte by byte, with one exception:
//! blanks before a metric name are no part of the name.

use model::SampleValue;
use model::metadata::MetricType;
use model::sample::NORMAL_NAN;

use super::cursor::{Cursor, QuoteRules, Token, class};
use super::number::parse_float;
use super::quote::quoted;
use super::series_text::{family_name, unescape_help};
use super::{Entry, Exemplars, ParseError, Series};

const NAME_RULES: QuoteRules = QuoteRules { newline: true, nul: false };
const VALUE_RULES: QuoteRules = QuoteRules { newline: true, nul: true };

/// The entries of a body in text format, in order. After an error it is exhausted.
#[derive(Clone)]
pub struct TextParser<'a> {
    cursor: Cursor<'a>,
    kind: MetricType,
    done: bool,
}

impl<'a> TextParser<'a> {
    /// A parser at the start of `body`.
    pub fn new(body: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(body, true), kind: MetricType::Unknown, done: false }
    }

    /// As [`Iterator::next`], without reading labels that were read before: `known` gets the rest of the body where an
    /// entry with labels may begin, and says how long its key is if it begins with one that this format gave before
    /// and that ends with the closing brace.
    pub fn next_known(
        &mut self,
        known: impl FnMut(&[u8]) -> Option<usize>,
    ) -> Option<Result<Entry<'a>, ParseError>> {
        if self.done {
            return None;
        }
        let entry = self.entry(known).transpose();
        self.done = !matches!(entry, Some(Ok(_)));
        entry
    }

    #[inline]
    fn entry(
        &mut self,
        mut known: impl FnMut(&[u8]) -> Option<usize>,
    ) -> Result<Option<Entry<'a>>, ParseError> {
        loop {
            self.cursor.skip_blanks();
            self.cursor.entry = self.cursor.at;
            let rest = self.cursor.body.get(self.cursor.at..).unwrap_or_default();
            if rest
                .first()
                .is_some_and(|b| *b == b'{' || class::TABLE[*b as usize] & class::METRIC_START != 0)
                && let Some(len) = known(rest)
            {
                self.cursor.at += len;
                let key = self.cursor.entry();
                let token = self.value_token();
                return self.sample(key, true, token).map(Some);
            }
            return match self.start_token() {
                Token::Eof => Ok(None),
                Token::Linebreak => continue,
                token @ (Token::Help | Token::Type) => self.metadata(token).map(Some),
                Token::Comment => {
                    let text = self.cursor.token();
                    self.cursor.at += 1;
                    Ok(Some(Entry::Comment(text)))
                }
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
            };
        }
    }

    /// `# HELP` and `# TYPE` from the family name on.
    fn metadata(&mut self, which: Token) -> Result<Entry<'a>, ParseError> {
        let c = &mut self.cursor;
        c.skip_blanks();
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
        let family = family_name(c.token());
        let text = self.metadata_text();
        let c = &mut self.cursor;
        let entry = if which == Token::Type {
            self.kind = match text {
                b"counter" => MetricType::Counter,
                b"gauge" => MetricType::Gauge,
                b"histogram" => MetricType::Histogram,
                b"summary" => MetricType::Summary,
                b"untyped" => MetricType::Unknown,
                _ => return Err(c.error(format!("invalid metric type {}", quoted(text)))),
            };
            Entry::Type { family, kind: self.kind }
        } else {
            let Ok(text) = std::str::from_utf8(text) else {
                return Err(c.error(format!("help text {} is not a valid utf8 string", quoted(text))));
            };
            Entry::Help { family, text: unescape_help(text) }
        };
        if c.peek() != b'\n' {
            // Only a NUL byte right behind the name comes here; everywhere else the lexer takes it for the end.
            c.begin_token();
            return Err(c.unexpected("linebreak expected after metadata", Token::Eof));
        }
        c.at += 1;
        Ok(entry)
    }

    /// The rest of a metadata line without the blank that separates it; the position is then at the line break.
    fn metadata_text(&mut self) -> &'a [u8] {
        let c = &mut self.cursor;
        if c.peek() == 0 {
            return b"";
        }
        let start = c.at;
        c.at = c.line_end();
        let text = c.slice(start, c.at);
        if text.iter().all(|b| matches!(b, b' ' | b'\t')) {
            return b"";
        }
        text.get(1..).unwrap_or_default()
    }

    /// What starts an entry. For a comment the token is its text, without the line break.
    fn start_token(&mut self) -> Token {
        let c = &mut self.cursor;
        c.begin_token();
        match c.peek() {
            b if class::TABLE[b as usize] & class::METRIC_START != 0 => {
                c.skip_class(class::METRIC);
                Token::MetricName
            }
            b'#' => self.comment_token(),
            b'\n' => {
                c.at += 1;
                Token::Linebreak
            }
            b'{' => {
                c.at += 1;
                Token::BraceOpen
            }
            0 => Token::Eof,
            _ => Token::Invalid,
        }
    }

    fn comment_token(&mut self) -> Token {
        let c = &mut self.cursor;
        c.at += 1;
        let blanks = c.at;
        c.skip_blanks();
        // Prometheus takes a NUL byte for the end of the body, except within a comment that starts with a blank.
        let end_at_nul = if c.at == blanks {
            let line = c.slice(c.at, c.line_end());
            memchr::memchr(0, line).is_some()
        } else {
            for (keyword, token) in [(b"HELP", Token::Help), (b"TYPE", Token::Type)] {
                if c.starts_with(keyword) && matches!(c.body.get(c.at + 4), Some(b' ' | b'\t')) {
                    c.at += 4;
                    return token;
                }
            }
            c.body.get(c.at) == Some(&0)
        };
        if end_at_nul {
            return Token::Eof;
        }
        c.at = c.line_end();
        Token::Comment
    }

    fn label_token(&mut self) -> Token {
        let c = &mut self.cursor;
        c.skip_blanks();
        c.begin_token();
        let single = match c.peek() {
            b if class::TABLE[b as usize] & class::LABEL_START != 0 => {
                c.skip_class(class::LABEL);
                return Token::LabelName;
            }
            b'"' => return if c.skip_quoted(NAME_RULES) { Token::QuotedString } else { Token::Invalid },
            b'}' => Token::BraceClose,
            b'=' => Token::Equal,
            b',' => Token::Comma,
            _ => return self.misfit(),
        };
        c.at += 1;
        single
    }

    fn label_value_token(&mut self) -> Token {
        let c = &mut self.cursor;
        c.skip_blanks();
        c.begin_token();
        if c.peek() == b'"' {
            return if c.skip_quoted(VALUE_RULES) { Token::LabelValue } else { Token::Invalid };
        }
        self.misfit()
    }

    fn value_token(&mut self) -> Token {
        let c = &mut self.cursor;
        c.skip_blanks();
        c.begin_token();
        if c.peek() == b'{' {
            c.at += 1;
            return Token::BraceOpen;
        }
        while !matches!(c.peek(), b'{' | b' ' | b'\t' | b'\n' | 0) {
            c.at += 1;
        }
        if c.at > c.start { Token::Value } else { self.misfit() }
    }

    fn timestamp_token(&mut self) -> Token {
        let c = &mut self.cursor;
        c.skip_blanks();
        c.begin_token();
        if c.peek() == b'\n' {
            c.at += 1;
            return Token::Linebreak;
        }
        while c.peek().is_ascii_digit() {
            c.at += 1;
        }
        if c.at > c.start { Token::Timestamp } else { self.misfit() }
    }

    fn misfit(&self) -> Token {
        if self.cursor.at_end() { Token::Eof } else { Token::Invalid }
    }

    /// The inside of braces up to and with the closing one; returns whether the metric is named, before or inside.
    fn labels(&mut self, mut named: bool) -> Result<bool, ParseError> {
        let mut token = self.label_token();
        loop {
            match token {
                Token::BraceClose => return Ok(named),
                Token::LabelName | Token::QuotedString => {}
                _ => return Err(self.cursor.unexpected("expected label name", token)),
            }
            let is_quoted = token == Token::QuotedString;
            token = self.label_token();
            if is_quoted && matches!(token, Token::Comma | Token::BraceClose) {
                if named {
                    return Err(self.cursor.wrong("metric name already set"));
                }
                named = true;
                if token == Token::Comma {
                    token = self.label_token();
                }
                continue;
            }
            if token != Token::Equal {
                return Err(self.cursor.unexpected("expected equal", token));
            }
            let value = self.label_value_token();
            if value != Token::LabelValue {
                return Err(self.cursor.unexpected("expected label value", value));
            }
            if !self.cursor.utf8 && std::str::from_utf8(self.cursor.token()).is_err() {
                let message = format!("invalid UTF-8 label value: {}", quoted(self.cursor.token()));
                return Err(self.cursor.error(message));
            }
            // Commas may be missing, or trail.
            token = self.label_token();
            if token == Token::Comma {
                token = self.label_token();
            }
        }
    }

    /// Value, timestamp and line break behind a series.
    fn sample(&mut self, key: &'a [u8], named: bool, token: Token) -> Result<Entry<'a>, ParseError> {
        if !named {
            return Err(self.cursor.wrong("metric name not set"));
        }
        if token != Token::Value {
            return Err(self.cursor.unexpected("expected value after metric", token));
        }
        let mut v = parse_float(self.cursor.token()).map_err(|what| self.cursor.wrong(&what))?;
        if v.is_nan() {
            v = NORMAL_NAN;
        }
        let mut t = None;
        match self.timestamp_token() {
            Token::Linebreak => {}
            Token::Timestamp => {
                t = Some(parse_ms(self.cursor.token()).map_err(|what| self.cursor.wrong(&what))?);
                let token = self.timestamp_token();
                if token != Token::Linebreak {
                    return Err(self.cursor.unexpected("expected next entry after timestamp", token));
                }
            }
            token => return Err(self.cursor.unexpected("expected timestamp or new record", token)),
        }
        Ok(Entry::Series(Series {
            key,
            t,
            value: SampleValue::Float(v),
            start_t: 0,
            exemplars: Exemplars::None,
            kind: self.kind,
            unit: "",
        }))
    }
}

/// Digits to milliseconds.
fn parse_ms(digits: &[u8]) -> Result<i64, String> {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("strconv.ParseInt: parsing {}: value out of range", quoted(digits)))
}

impl<'a> Iterator for TextParser<'a> {
    type Item = Result<Entry<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_known(|_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::testing::{self, described};

    fn text(body: &str) -> String {
        described(TextParser::new(body.as_bytes()))
    }

    #[test]
    fn entries() {
        let body = "# HELP rpc Took \\\\ \\n \\\"long\\\".\n# TYPE rpc summary\nrpc{quantile=\"0.5\"} 1\n\
                    rpc_sum 1.5e3 -\n";
        assert_eq!(
            text(body),
            "help rpc Took \\ \n \\\"long\\\".\ntype rpc summary\nrpc{quantile=0.5} = 1\n\
             error expected timestamp or new record, got \"-\" (\"INVALID\") while parsing: \"rpc_sum 1.5e3 -\" \
             (line 4)\n"
        );
        for (body, want) in [
            ("", ""),
            ("\n \t\n", ""),
            ("a 1", "a = 1\n"),
            ("a\t1\t5 \n", "a = 1 @5\n"),
            ("a{} NaN\n", "a = NaN\n"),
            ("  a{ x = \"1\" , } -Inf", "a{x=1} = -inf\n"),
            ("a{x=\"1\"y=\"2\"} 1", "a{x=1,y=2} = 1\n"),
            ("a{x=\"\",x=\"1\"} 1", "a{x=,x=1} = 1\n"),
            ("{\"a.b\",\"c d\"=\"\\\"\\n\"} 1", "a.b{c d=\"\n} = 1\n"),
            ("{c=\"d\",\"a.b\"} 1", "a.b{c=d} = 1\n"),
            ("# TYPE \"a.b\" gauge\n# HELP a\n", "type a.b gauge\nhelp a \n"),
            (
                "#\n# \n#x\n# HELP\n# HELPER a b\n",
                "comment #\ncomment # \ncomment #x\ncomment # HELP\ncomment # HELPER a b\n",
            ),
            (
                "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"1e9\"} 3\n",
                "type h histogram\nh_bucket{le=1.0} = 2\nh_bucket{le=1e+09} = 3\n",
            ),
            ("# TYPE g gauge\ng{le=\"1\",quantile=\"1\"} 2\n", "type g gauge\ng{le=1,quantile=1} = 2\n"),
            ("a 1\n\0 whatever", "a = 1\n"),
        ] {
            assert_eq!(text(body), want, "{body:?}");
        }
    }

    #[test]
    fn errors_are_those_of_prometheus() {
        for (body, want) in [
            ("a", r#"expected value after metric, got "\n" ("INVALID") while parsing: "a\n""#),
            ("a{", r#"expected label name, got "\n" ("INVALID") while parsing: "a{\n""#),
            ("a{b", r#"expected equal, got "\n" ("INVALID") while parsing: "a{b\n""#),
            ("a{b=c} 1", r#"expected label value, got "c" ("INVALID") while parsing: "a{b=c""#),
            (
                "a{b=\"c} 1",
                r#"expected label value, got "\"c} 1\n" ("INVALID") while parsing: "a{b=\"c} 1\n""#,
            ),
            ("a{b.c=\"1\"} 1", r#"expected equal, got "." ("INVALID") while parsing: "a{b.""#),
            ("{a=\"b\"} 1", r#"metric name not set while parsing: "{a=\"b\"} 1""#),
            ("a{\"b\"} 1", r#"metric name already set while parsing: "a{\"b\"}""#),
            (
                "a 1 2 x",
                r#"expected next entry after timestamp, got "x" ("INVALID") while parsing: "a 1 2 x""#,
            ),
            (
                "a 1 99999999999999999999",
                "strconv.ParseInt: parsing \"99999999999999999999\": value out of range while parsing: \"a 1 99999999999999999999\"",
            ),
            ("a 0x10", r#"strconv.ParseFloat: parsing "0x10": invalid syntax while parsing: "a 0x10""#),
            ("a 1_0", r#"unsupported character in float while parsing: "a 1_0""#),
            ("# TYPE a thing", r#"invalid metric type "thing""#),
            ("# TYPE a  gauge", r#"invalid metric type " gauge""#),
            (
                "# TYPE ",
                r##"expected metric name after TYPE, got "\n" ("INVALID") while parsing: "# TYPE \n""##,
            ),
            ("1a 2", r#"expected a valid start token, got "1" ("INVALID") while parsing: "1""#),
        ] {
            assert_eq!(text(body), format!("error {want} (line 1)\n"), "{body:?}");
        }
        let invalid = described(TextParser::new(b"ok 1\na{b=\"\xff\"} 1"));
        assert_eq!(invalid, "ok = 1\nerror invalid UTF-8 label value: \"\\\"\\xff\\\"\" (line 2)\n");
        let invalid = described(TextParser::new(b"# HELP a \xff\n"));
        assert_eq!(invalid, "error help text \"\\xff\" is not a valid utf8 string (line 1)\n");
    }

    #[test]
    fn known_keys_are_as_if_read() {
        let body = "a{b=\"c\"} 1 5\n  {\"a.b\",c=\"}\"}\t2\na{b=\"c\"} x\n";
        let keys: [&[u8]; 2] = [b"a{b=\"c\"}", b"{\"a.b\",c=\"}\"}"];
        let mut asked = 0;
        let mut parser = TextParser::new(body.as_bytes());
        let known = std::iter::from_fn(|| {
            parser.next_known(|rest| {
                asked += 1;
                keys.iter().find(|key| rest.starts_with(key)).map(|key| key.len())
            })
        });
        assert_eq!(described(known), text(body));
        assert_eq!(asked, 3);
    }

    #[test]
    fn error_text_is_bounded() {
        let body = format!("a{{b=\"{}", "x".repeat(1 << 20));
        assert!(text(&body).len() < 4096);
    }

    #[test]
    fn survives_mutations() {
        testing::mutate(
            "# HELP a b\n# TYPE a histogram\na_bucket{le=\"1\",x=\"\\\"\"} 1 5\n{\"a.b\",c=\"d\"} NaN\n",
            |b| {
                described(TextParser::new(b));
            },
        );
    }
}
