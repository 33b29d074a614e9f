//! A position in a body, the scanning steps that both text formats share, and their errors.

use memchr::memchr;

use super::ParseError;
use super::quote::quoted;

/// What a lexer found, with the names that Prometheus's error messages use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Invalid,
    Eof,
    Linebreak,
    Help,
    Type,
    Unit,
    EofWord,
    Comment,
    MetricName,
    QuotedString,
    BraceOpen,
    BraceClose,
    LabelName,
    LabelValue,
    Comma,
    Equal,
    Timestamp,
    Value,
}

impl Token {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::Eof => "EOF",
            Self::Linebreak => "LINEBREAK",
            Self::Help => "HELP",
            Self::Type => "TYPE",
            Self::Unit => "UNIT",
            Self::EofWord => "EOFWORD",
            Self::Comment => "COMMENT",
            Self::MetricName => "MNAME",
            Self::QuotedString => "QSTRING",
            Self::BraceOpen => "BOPEN",
            Self::BraceClose => "BCLOSE",
            Self::LabelName => "LNAME",
            Self::LabelValue => "LVALUE",
            Self::Comma => "COMMA",
            Self::Equal => "EQUAL",
            Self::Timestamp => "TIMESTAMP",
            Self::Value => "VALUE",
        }
    }
}

/// What a byte may be part of.
pub(super) mod class {
    /// First byte of a label name.
    pub const LABEL_START: u8 = 1;
    /// Later byte of a label name.
    pub const LABEL: u8 = 2;
    /// First byte of a metric name.
    pub const METRIC_START: u8 = 4;
    /// Later byte of a metric name.
    pub const METRIC: u8 = 8;

    pub const TABLE: [u8; 256] = {
        let mut table = [0; 256];
        let mut b = 0;
        while b < 256 {
            let byte = b as u8;
            table[b] = if byte.is_ascii_alphabetic() || byte == b'_' {
                LABEL_START | LABEL | METRIC_START | METRIC
            } else if byte.is_ascii_digit() {
                LABEL | METRIC
            } else if byte == b':' {
                METRIC_START | METRIC
            } else {
                0
            };
            b += 1;
        }
        table
    };
}

/// How a quoted string treats line breaks and NUL bytes; both differ by format and place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct QuoteRules {
    pub newline: bool,
    pub nul: bool,
}

/// A position in a body and the current token, which is `body[start..at]`.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    pub body: &'a [u8],
    /// Where the current token starts.
    pub start: usize,
    /// The byte after the current token; for [`Token::Invalid`] the byte that did not fit.
    pub at: usize,
    /// Where the current entry starts.
    pub entry: usize,
    /// Whether the body is valid UTF-8 as a whole, so that its parts need no check of their own.
    pub utf8: bool,
    /// Whether a line break is thought behind the body.
    pub implied_newline: bool,
}

impl<'a> Cursor<'a> {
    pub fn new(body: &'a [u8], implied_newline: bool) -> Self {
        let utf8 = std::str::from_utf8(body).is_ok();
        Self { body, start: 0, at: 0, entry: 0, utf8, implied_newline }
    }

    /// Whether nothing is left, not even an implied line break.
    #[inline]
    pub fn at_end(&self) -> bool {
        self.at >= self.body.len() + usize::from(self.implied_newline)
    }

    /// The byte at the position; 0 at the end, where a NUL byte is as wrong as the end itself.
    #[inline]
    pub fn peek(&self) -> u8 {
        match self.body.get(self.at) {
            Some(b) => *b,
            None if self.implied_newline && self.at == self.body.len() => b'\n',
            None => 0,
        }
    }

    /// Starts a token here. At the end the last token stays, which error messages then show.
    #[inline]
    pub fn begin_token(&mut self) {
        if !self.at_end() {
            self.start = self.at;
        }
    }

    #[inline]
    pub fn token(&self) -> &'a [u8] {
        self.slice(self.start, self.at)
    }

    /// The entry from its start to the position.
    #[inline]
    pub fn entry(&self) -> &'a [u8] {
        self.slice(self.entry, self.at)
    }

    #[inline]
    pub fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        self.body.get(from..to.min(self.body.len())).unwrap_or_default()
    }

    #[inline]
    pub fn starts_with(&self, prefix: &[u8]) -> bool {
        self.body.get(self.at..).is_some_and(|rest| rest.starts_with(prefix))
    }

    #[inline]
    pub fn skip_class(&mut self, class: u8) {
        while self.body.get(self.at).is_some_and(|b| class::TABLE[*b as usize] & class != 0) {
            self.at += 1;
        }
    }

    #[inline]
    pub fn skip_blanks(&mut self) {
        while matches!(self.body.get(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// The position of the next line break, or the end of the body.
    #[inline]
    pub fn line_end(&self) -> usize {
        let rest = self.body.get(self.at..).unwrap_or_default();
        memchr(b'\n', rest).map_or(self.body.len(), |n| self.at + n)
    }

    /// From an opening quote to behind its closing quote. On false the position is at the byte that does not fit.
    #[inline]
    pub fn skip_quoted(&mut self, rules: QuoteRules) -> bool {
        loop {
            self.at += 1;
            match self.body.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return true;
                }
                Some(b'\\') => {
                    self.at += 1;
                    while rules.nul && self.body.get(self.at) == Some(&0) {
                        self.at += 1;
                    }
                    if matches!(self.body.get(self.at), None | Some(b'\n' | 0)) {
                        return false;
                    }
                }
                Some(b'\n') if !rules.newline => return false,
                Some(0) if !rules.nul => return false,
                Some(_) => {}
                None => return false,
            }
        }
    }

    /// The message for a token that does not belong here, and the text around it.
    #[cold]
    pub fn unexpected(&self, expected: &str, got: Token) -> ParseError {
        let end = self.at + 1;
        self.error(format!(
            "{expected}, got {} ({:?}) while parsing: {}",
            self.quote(self.start, end),
            got.name(),
            self.quote(self.entry, end),
        ))
    }

    /// The message for a text that is wrong in itself.
    #[cold]
    pub fn wrong(&self, what: &str) -> ParseError {
        self.error(format!("{what} while parsing: {}", self.quote(self.entry, self.at)))
    }

    #[cold]
    pub fn error(&self, message: String) -> ParseError {
        let before = self.slice(0, self.entry);
        ParseError { line: 1 + memchr::memchr_iter(b'\n', before).count(), message }
    }

    fn quote(&self, from: usize, to: usize) -> String {
        let text = self.slice(from, to);
        if self.implied_newline && to > self.body.len() {
            return quoted(&[text, b"\n"].concat());
        }
        quoted(text)
    }
}
