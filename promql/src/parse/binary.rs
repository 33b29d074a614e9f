//! What may stand between a binary operator and its right operand: `bool on (a) group_left (b) fill (0)`.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt};
use nom::sequence::{delimited, preceded};

use crate::ast::{Cardinality, Matching};
use crate::lex::Kind;
use crate::parse::expr::starts_expression;
use crate::parse::grouping::grouping;
use crate::parse::literal::signed;
use crate::parse::tokens::{Parsed, Tokens, token};

/// Whether `bool` was there, and how to match.
pub(super) fn modifiers<'a>(input: Tokens<'a>) -> Parsed<'a, (bool, Matching)> {
    let (rest, return_bool) = map(opt(token(Kind::Bool)), |found| found.is_some()).parse(input)?;
    let mut matching = Matching::default();
    let (mut rest, keyword) = opt(alt((token(Kind::On), token(Kind::Ignoring)))).parse(rest)?;
    if let Some(keyword) = keyword {
        matching.on = keyword.kind == Kind::On;
        (rest, matching.labels) = grouping(rest)?;
        let (next, side) = opt(alt((token(Kind::GroupLeft), token(Kind::GroupRight)))).parse(rest)?;
        rest = next;
        if let Some(side) = side {
            matching.cardinality = match side.kind {
                Kind::GroupLeft => Cardinality::ManyToOne,
                _ => Cardinality::OneToMany,
            };
            (rest, matching.include) = included(rest)?;
        }
    }
    let (rest, ()) = fill(rest, &mut matching)?;
    Ok((rest, (return_bool, matching)))
}

/// Labels of `group_left`; without a parenthesis there are none, and the operand must follow.
fn included<'a>(input: Tokens<'a>) -> Parsed<'a, Vec<String>> {
    let next = input.peek().kind;
    if next != Kind::LeftParen && starts_expression(next) {
        return Ok((input, Vec::new()));
    }
    grouping(input)
}

fn fill<'a>(input: Tokens<'a>, matching: &mut Matching) -> Parsed<'a, ()> {
    let value = |keyword: Kind| preceded(token(keyword), fill_value);
    let (rest, both) = opt(value(Kind::Fill)).parse(input)?;
    if both.is_some() {
        (matching.fill_left, matching.fill_right) = (both, both);
        return Ok((rest, ()));
    }
    let (rest, left) = opt(value(Kind::FillLeft)).parse(input)?;
    let (rest, right) = opt(value(Kind::FillRight)).parse(rest)?;
    let (rest, late_left) = if left.is_none() && right.is_some() {
        opt(value(Kind::FillLeft)).parse(rest)?
    } else {
        (rest, None)
    };
    (matching.fill_left, matching.fill_right) = (left.or(late_left), right);
    Ok((rest, ()))
}

fn fill_value<'a>(input: Tokens<'a>) -> Parsed<'a, f64> {
    let value = map(signed, |(literal, _)| literal.value);
    // Without a context of its own a misfit must still not be taken for a missing modifier.
    cut(delimited(token(Kind::LeftParen), value, token(Kind::RightParen))).parse(input)
}
