//! Number and duration literals.

use nom::Parser;
use nom::combinator::opt;
use query::Pos;

use crate::ast::{NumberLiteral, UnaryOp};
use crate::duration_literal;
use crate::lex::{Kind, parse_number};
use crate::parse::tokens::{Parsed, Tokens, found, satisfy, sign};

/// `1.5`, `0x1f`, `Inf` or `5m`, and where it stands.
pub(super) fn number_or_duration<'a>(input: Tokens<'a>) -> Parsed<'a, (NumberLiteral, Pos)> {
    let (rest, token) = satisfy(|kind| matches!(kind, Kind::Number | Kind::Duration))(input)?;
    let text = input.text_of(&token);
    let is_duration = token.kind == Kind::Duration;
    let value = if is_duration {
        duration_literal::parse_seconds(text)
    } else {
        parse_number(text).map_err(|reason| format!("error parsing number: {reason}"))
    };
    let value = value.map_err(|message| found(token.pos, message))?;
    Ok((rest, (NumberLiteral { value, is_duration }, token.pos)))
}

/// The same with an optional sign.
pub(super) fn signed<'a>(input: Tokens<'a>) -> Parsed<'a, (NumberLiteral, Pos)> {
    let (rest, (sign, (literal, pos))) = (opt(sign), number_or_duration).parse(input)?;
    Ok((
        rest,
        match sign {
            Some((op, token)) => (apply(op, literal), Pos { start: token.pos.start, end: pos.end }),
            None => (literal, pos),
        },
    ))
}

/// A literal behind a sign.
pub(super) fn apply(op: UnaryOp, literal: NumberLiteral) -> NumberLiteral {
    match op {
        UnaryOp::Plus => literal,
        UnaryOp::Minus => NumberLiteral { value: -literal.value, ..literal },
    }
}
