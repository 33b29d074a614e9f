//! From query text to a checked syntax tree.
//!
//! [`crate::lex`] cuts the text into tokens; the parsers here, one file per part of the language, are nom parsers over
//! those tokens ([`tokens`]); [`crate::check`] finds what is grammatical but means nothing. What is accepted, how it
//! associates and which error comes first follow Prometheus's grammar. Source: Prometheus 3.14
//! `promql/parser/generated_parser.y` and `parse.go`.

mod binary;
mod call;
mod duration;
mod error;
mod expr;
mod grouping;
mod literal;
mod metric;
mod postfix;
mod selector;
mod series;
mod tokens;

use std::sync::Arc;

use model::{Labels, Matcher};

pub use error::{ParseError, ParseErrors};
pub use series::{SeriesDescription, SeriesValue};

use query::Pos;
use tokens::{Parsed, Source, Tokens, token};

use crate::ast::{Expr, ExprKind};
use crate::check;
use crate::lex::{self, Kind};

/// Parts of the language that a flag of the server switches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// `promql-experimental-functions`
    pub experimental_functions: bool,
    /// `promql-duration-expr`; on by default since Prometheus 3.14.
    pub duration_expressions: bool,
    /// `promql-extended-range-selectors`: `anchored` and `smoothed`
    pub extended_range_selectors: bool,
    /// `promql-binop-fill-modifiers`: `fill`, `fill_left` and `fill_right`
    pub binop_fill_modifiers: bool,
}

impl Features {
    /// Everything.
    pub const ALL: Self = Self {
        experimental_functions: true,
        duration_expressions: true,
        extended_range_selectors: true,
        binop_fill_modifiers: true,
    };
}

/// What a server without flags has.
impl Default for Features {
    fn default() -> Self {
        Self {
            experimental_functions: false,
            duration_expressions: true,
            extended_range_selectors: false,
            binop_fill_modifiers: false,
        }
    }
}

/// Parses and checks a query. Time and memory are linear in the text, and the tree's height is bounded by
/// [`crate::ast::MAX_HEIGHT`].
pub fn parse(text: &str, features: &Features) -> Result<Expr, ParseErrors> {
    let source = Source { text, lexed: lex::scan(text, false), features };
    let input = Tokens::new(&source);
    let mut expr = if input.peek().kind == Kind::Eof {
        Err(error(text, Pos::default(), "no expression found in input"))
    } else {
        whole(input, |input| {
            let (rest, built) = expr::expression(input, 0)?;
            Ok((rest, built.expr))
        })
    }?;
    let findings = check::check(&mut expr, text);
    if findings.is_empty() {
        return Ok(expr);
    }
    // All errors share the query, which may be long.
    let query: Arc<str> = Arc::from(text);
    let errors =
        findings.into_iter().map(|(pos, message)| ParseError { pos, message, query: Arc::clone(&query) });
    Err(ParseErrors::new(errors.collect()))
}

/// Parses a selector as `match[]` and federation take it. Selectors that match everything are allowed here; callers
/// that do not want them check that one matcher does not match the empty string.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseErrors> {
    let source = Source { text, lexed: lex::scan(text, false), features: &Features::ALL };
    let expr = whole(Tokens::new(&source), selector::selector)?;
    match expr.kind {
        ExprKind::Vector(vector) => Ok(vector.matchers),
        _ => Err(error(text, expr.pos, "expected a selector").into()),
    }
}

/// Parses the labels of one series: `up{job="x"}`, `{"a name", job="x"}`.
pub fn parse_metric(text: &str) -> Result<Labels, ParseErrors> {
    let source = Source { text, lexed: lex::scan(text, false), features: &Features::ALL };
    Ok(whole(Tokens::new(&source), metric::metric)?)
}

/// Parses a series of test scripts: its labels and its values, one per step.
pub fn parse_series(text: &str) -> Result<SeriesDescription, ParseErrors> {
    let source = Source { text, lexed: lex::scan(text, true), features: &Features::ALL };
    Ok(whole(Tokens::new(&source), series::series)?)
}

/// Runs a parser that must take all of the input.
fn whole<'a, T>(
    input: Tokens<'a>,
    mut parser: impl FnMut(Tokens<'a>) -> Parsed<'a, T>,
) -> Result<T, ParseError> {
    let parsed = parser(input).and_then(|(rest, parsed)| token(Kind::Eof)(rest).map(|_| parsed));
    parsed.map_err(|fail| {
        let (pos, message) = input.finish(fail);
        error(input.source.text, pos, message)
    })
}

fn error(query: &str, pos: Pos, message: impl Into<String>) -> ParseError {
    ParseError { pos, message: message.into(), query: Arc::from(query) }
}
