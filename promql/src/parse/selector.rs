//! Instant selectors: `up{job="x"}`, `{"a name", "a label"=~"v.*"}`.

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};
use nom::Parser;
use nom::sequence::preceded;
use query::Pos;

use crate::ast::{BinaryOp, Duration, Expr, ExprKind, RangeMode, VectorSelector};
use crate::lex::Kind;
use crate::parse::tokens::{Parsed, Tokens, expected, found, list, satisfy, string, token};

const CONTEXT: &str = "label matching";

/// A metric name, matchers in braces, or both.
pub(super) fn selector<'a>(input: Tokens<'a>) -> Parsed<'a, Expr> {
    let start = input.peek().pos.start;
    let (mut rest, mut name) = (input, String::new());
    if let Ok((next, token)) = satisfy(Kind::is_metric_name)(input) {
        (rest, name) = (next, input.text_of(&token).to_owned());
        rest.check_next()?;
    }
    let mut matchers = Vec::new();
    if name.is_empty() || rest.peek().kind == Kind::LeftBrace {
        (rest, matchers) = braces(rest)?;
    }
    if !name.is_empty() {
        matchers.push(Matcher::equal(METRIC_NAME, &name));
    }
    let selector =
        VectorSelector { name, matchers, offset: Duration::Millis(0), at: None, mode: RangeMode::Plain };
    Ok((rest, Expr { pos: Pos { start, end: rest.last_end() }, kind: ExprKind::Vector(selector) }))
}

fn braces<'a>(input: Tokens<'a>) -> Parsed<'a, Vec<Matcher>> {
    preceded(token(Kind::LeftBrace), list(CONTEXT, "\",\" or \"}\"", Kind::RightBrace, matcher)).parse(input)
}

fn matcher<'a>(input: Tokens<'a>) -> Parsed<'a, Matcher> {
    if input.peek().kind == Kind::String {
        let (rest, (name, name_token)) = string(input)?;
        rest.check_next()?;
        return match match_op(rest.peek().kind) {
            Some(op) => value(rest.skip(), op, name, name_token.pos),
            None => Ok((rest, Matcher::equal(METRIC_NAME, name))),
        };
    }
    let (rest, name) = expected(CONTEXT, "identifier or \"}\"", token(Kind::Identifier))(input)?;
    let (rest, op) =
        expected(CONTEXT, "label matching operator", satisfy(|kind| match_op(kind).is_some()))(rest)?;
    value(rest, match_op(op.kind).unwrap_or(MatchOp::Equal), input.text_of(&name).to_owned(), name.pos)
}

fn value<'a>(input: Tokens<'a>, op: MatchOp, name: String, name_pos: Pos) -> Parsed<'a, Matcher> {
    let (rest, (value, token)) = expected(CONTEXT, "string", string)(input)?;
    match Matcher::new(op, name, value) {
        Ok(matcher) => Ok((rest, matcher)),
        Err(error) => Err(found(Pos { start: name_pos.start, end: token.pos.end }, error.to_string())),
    }
}

fn match_op(kind: Kind) -> Option<MatchOp> {
    Some(match kind {
        Kind::Assign => MatchOp::Equal,
        Kind::Op(BinaryOp::Ne) => MatchOp::NotEqual,
        Kind::MatchRegex => MatchOp::Regex,
        Kind::MatchNotRegex => MatchOp::NotRegex,
        _ => return None,
    })
}
