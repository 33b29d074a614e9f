//! Function calls and aggregations.

use model::labels::Quoted;
use nom::Parser;
use nom::branch::alt;
use nom::combinator::opt;
use query::Pos;

use crate::ast::{Aggregate, AggregateOp, Call, Expr, ExprKind};
use crate::functions;
use crate::lex::Kind;
use crate::parse::expr::{SizedExpr, expression, starts_expression};
use crate::parse::grouping::grouping;
use crate::parse::tokens::{Parsed, Tokens, expected, found, token};

/// `rate(x[5m])`; the name was seen to be followed by a parenthesis.
pub(super) fn call<'a>(input: Tokens<'a>) -> Parsed<'a, SizedExpr> {
    let name = input.peek();
    let (rest, (args, height)) = arguments(input.skip())?;
    let text = input.text_of(&name);
    let Some(function) = functions::find(text) else {
        return Err(found(name.pos, format!("unknown function with name {}", Quoted(text))));
    };
    if function.experimental && !input.source.features.experimental_functions {
        return Err(found(name.pos, format!("function {} is not enabled", Quoted(text))));
    }
    let pos = Pos { start: name.pos.start, end: rest.last_end() };
    Ok((rest, SizedExpr::over(Expr { pos, kind: ExprKind::Call(Call { function, args }) }, height)?))
}

/// Arguments in parentheses, and the height of the highest.
fn arguments<'a>(input: Tokens<'a>) -> Parsed<'a, (Vec<Expr>, usize)> {
    let (mut rest, _) = token(Kind::LeftParen)(input)?;
    let (mut args, mut height) = (Vec::new(), 0);
    if rest.peek().kind == Kind::RightParen {
        return Ok((rest.skip(), (args, height)));
    }
    loop {
        let (next, arg) = expression(rest, 0)?;
        height = height.max(arg.height);
        args.push(arg.expr);
        if next.peek().kind == Kind::RightParen {
            return Ok((next.skip(), (args, height)));
        }
        let (next, comma) = token(Kind::Comma)(next)?;
        next.check_next()?;
        if !starts_expression(next.peek().kind) {
            return Err(found(comma.pos, "trailing commas not allowed in function call args"));
        }
        rest = next;
    }
}

/// `sum by (x) (y)`, `topk(5, y) without (x)`
pub(super) fn aggregate<'a>(input: Tokens<'a>, op: AggregateOp) -> Parsed<'a, SizedExpr> {
    let start = input.peek().pos.start;
    let (rest, (before, (mut args, height), after)) = expected("aggregation", "", |input: Tokens<'a>| {
        let (rest, before) = opt(modifier).parse(input)?;
        let (rest, args) = arguments(rest)?;
        let (rest, after) = if before.is_none() { opt(modifier).parse(rest)? } else { (rest, None) };
        Ok((rest, (before, args, after)))
    })(input.skip())?;
    let pos = Pos { start, end: rest.last_end() };
    let (expr, got) = (args.pop(), args.len() + 1);
    let Some(expr) = expr else {
        return Err(found(pos, "no arguments for aggregate expression provided"));
    };
    if op.is_experimental() && !input.source.features.experimental_functions {
        let message = format!(
            "{}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
            op.as_str()
        );
        return Err(found(pos, message));
    }
    let wanted = 1 + usize::from(op.param_type().is_some());
    if got != wanted {
        let message = format!(
            "wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}"
        );
        return Err(found(pos, message));
    }
    let (without, grouping) = before.or(after).unwrap_or_default();
    let aggregate = Aggregate { op, expr, param: args.pop(), grouping, without };
    Ok((rest, SizedExpr::over(Expr { pos, kind: ExprKind::Aggregate(Box::new(aggregate)) }, height)?))
}

/// `by (...)` or `without (...)`: whether it is the latter, and the labels.
fn modifier<'a>(input: Tokens<'a>) -> Parsed<'a, (bool, Vec<String>)> {
    let (rest, keyword) = alt((token(Kind::By), token(Kind::Without))).parse(input)?;
    let (rest, labels) = grouping(rest)?;
    Ok((rest, (keyword.kind == Kind::Without, labels)))
}
