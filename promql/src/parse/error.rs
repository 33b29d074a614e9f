//! What is wrong with a query, and where.

use std::fmt;
use std::sync::Arc;

use query::Pos;

/// One thing that is wrong with a query. Displayed as Prometheus does: `1:5: parse error: unexpected ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The bytes of the query that the message is about.
    pub pos: Pos,
    /// What is wrong and, where that is clear, what was expected.
    pub message: String,
    /// The whole query.
    pub query: Arc<str>,
}

impl ParseError {
    /// Line and column (in bytes), from 1, at which `pos` starts.
    pub fn line_and_column(&self) -> (usize, usize) {
        let before = &self.query.as_bytes()[..self.pos.start.min(self.query.len())];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        (line, before.len() - line_start + 1)
    }

    /// The line of the query that the error is in, and below it a mark under the part that the message is about.
    pub fn excerpt(&self) -> String {
        let (line, column) = self.line_and_column();
        let text = self.query.lines().nth(line - 1).unwrap_or_default();
        let start = (0..column).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0).min(text.len());
        let end = (start + self.pos.end.saturating_sub(self.pos.start)).min(text.len());
        let end = (end..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let indent: String = text[..start].chars().map(|c| if c == '\t' { c } else { ' ' }).collect();
        let width = text[start..end].trim_end().chars().count().max(1);
        format!("{text}\n{indent}{}", "^".repeat(width))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.query.is_empty() {
            f.write_str("unknown position")?;
        } else {
            let (line, column) = self.line_and_column();
            write!(f, "{line}:{column}")?;
        }
        write!(f, ": parse error: {}", self.message)
    }
}

impl std::error::Error for ParseError {}

/// Everything that is wrong with a query, never empty: one syntax error, or all type errors. Displayed as the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseErrors(Vec<ParseError>);

impl ParseErrors {
    /// The errors, of which there is at least one, in the order in which Prometheus finds them.
    pub(super) fn new(errors: Vec<ParseError>) -> Self {
        Self(errors)
    }

    /// All errors.
    pub fn all(&self) -> &[ParseError] {
        &self.0
    }
}

impl From<ParseError> for ParseErrors {
    fn from(error: ParseError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.first().map_or(Ok(()), |first| first.fmt(f))
    }
}

impl std::error::Error for ParseErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(query: &str, start: usize, end: usize) -> ParseError {
        ParseError { pos: Pos { start, end }, message: "m".to_owned(), query: Arc::from(query) }
    }

    #[test]
    fn positions_and_excerpts() {
        for (query, start, end, shown, excerpt) in [
            ("", 0, 0, "unknown position: parse error: m", "\n^"),
            ("up +", 4, 4, "1:5: parse error: m", "up +\n    ^"),
            ("a\n\tfoo bar", 7, 10, "2:6: parse error: m", "\tfoo bar\n\t    ^^^"),
            ("ö + x", 5, 6, "1:6: parse error: m", "ö + x\n    ^"),
            ("a b\nc", 2, 5, "1:3: parse error: m", "a b\n  ^"),
        ] {
            let error = error(query, start, end);
            assert_eq!(error.to_string(), shown);
            assert_eq!(error.excerpt(), excerpt, "{query}");
        }
    }
}
