//! Modifiers behind an operand: range `[5m]`, subquery `[1h:5m]`, `offset`, `@`, `anchored` and `smoothed`.

use nom::Parser;
use query::Pos;

use crate::ast::{At, Duration, Expr, ExprKind, MatrixSelector, RangeMode, Subquery, VectorSelector};
use crate::duration_literal;
use crate::lex::Kind;
use crate::parse::duration;
use crate::parse::expr::SizedExpr;
use crate::parse::literal::signed;
use crate::parse::tokens::{Parsed, Tokens, expected, found, satisfy, token};

/// The operand with all modifiers that follow it.
pub(super) fn postfix<'a>(input: Tokens<'a>, operand: SizedExpr) -> Parsed<'a, SizedExpr> {
    let (mut rest, mut operand) = (input, operand);
    loop {
        rest.check_next()?;
        (rest, operand) = match rest.peek().kind {
            Kind::LeftBracket => brackets(rest, operand)?,
            Kind::Offset => offset(rest.skip(), operand)?,
            Kind::At => at(rest.skip(), operand)?,
            Kind::Anchored => mode(rest.skip(), operand, RangeMode::Anchored)?,
            Kind::Smoothed => mode(rest.skip(), operand, RangeMode::Smoothed)?,
            _ => return Ok((rest, operand)),
        };
    }
}

/// `[range]` or `[range:step]`
fn brackets<'a>(input: Tokens<'a>, operand: SizedExpr) -> Parsed<'a, SizedExpr> {
    let bracket = input.peek().pos;
    let (rest, range) =
        expected("subquery or range selector", "number, duration, step(), or range()", duration::positive)(
            input.skip(),
        )?;
    let (rest, next) = expected(
        "subquery or range",
        "\":\" or \"]\"",
        satisfy(|kind| matches!(kind, Kind::Colon | Kind::RightBracket)),
    )(rest)?;
    if next.kind == Kind::RightBracket {
        let pos = Pos { start: operand.expr.pos.start, end: rest.last_end() };
        let matrix = matrix(operand, range).map_err(|message| found(bracket, message))?;
        return Ok((rest, SizedExpr { expr: Expr { pos, kind: ExprKind::Matrix(matrix) }, height: 1 }));
    }
    let (rest, step) = if rest.peek().kind == Kind::RightBracket {
        (rest, None)
    } else {
        let (rest, step) =
            expected("subquery selector", "number, duration, step(), range(), or \"]\"", duration::positive)(
                rest,
            )?;
        (rest, Some(step))
    };
    let (rest, _) = expected("subquery selector", "\"]\"", token(Kind::RightBracket))(rest)?;
    let pos = Pos { start: operand.expr.pos.start, end: rest.last_end() };
    let subquery = Subquery { expr: operand.expr, range, step, offset: Duration::Millis(0), at: None };
    Ok((rest, SizedExpr::over(Expr { pos, kind: ExprKind::Subquery(Box::new(subquery)) }, operand.height)?))
}

fn matrix(operand: SizedExpr, range: Duration) -> Result<MatrixSelector, &'static str> {
    match operand.expr.kind {
        ExprKind::Vector(vector) if vector.offset != Duration::Millis(0) => {
            Err("no offset modifiers allowed before range")
        }
        ExprKind::Vector(vector) if vector.at.is_some() => Err("no @ modifiers allowed before range"),
        ExprKind::Vector(vector) => Ok(MatrixSelector { vector, vector_pos: operand.expr.pos, range }),
        _ => Err("ranges only allowed for vector selectors"),
    }
}

fn offset<'a>(input: Tokens<'a>, mut operand: SizedExpr) -> Parsed<'a, SizedExpr> {
    let (rest, offset) = expected("offset", "number, duration, step(), or range()", duration::offset)(input)?;
    let pos = operand.expr.pos;
    let Some(Times { offset: place, .. }) = times(&mut operand.expr) else {
        return Err(found(
            pos,
            "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ));
    };
    if *place != Duration::Millis(0) {
        return Err(found(pos, "offset may not be set multiple times"));
    }
    *place = offset;
    operand.expr.pos.end = rest.last_end();
    Ok((rest, operand))
}

fn at<'a>(input: Tokens<'a>, mut operand: SizedExpr) -> Parsed<'a, SizedExpr> {
    let pos = operand.expr.pos;
    let (rest, (at, out_of_bounds)) = expected("@", "timestamp", moment)(input)?;
    if let Some(seconds) = out_of_bounds {
        return Err(found(pos, format!("timestamp out of bounds for @ modifier: {}", fixed(seconds))));
    }
    let Some(Times { at: place, .. }) = times(&mut operand.expr) else {
        return Err(found(
            pos,
            "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ));
    };
    if place.is_some() {
        return Err(found(pos, "@ <timestamp> may not be set multiple times"));
    }
    *place = Some(at);
    operand.expr.pos.end = rest.last_end();
    Ok((rest, operand))
}

/// `start()`, `end()` or a time in seconds, which is also given back when it is out of bounds.
fn moment<'a>(input: Tokens<'a>) -> Parsed<'a, (At, Option<f64>)> {
    let call = |rest| (token(Kind::LeftParen), token(Kind::RightParen)).parse(rest);
    match input.peek().kind {
        Kind::Start => call(input.skip()).map(|(rest, _)| (rest, (At::Start, None))),
        Kind::End => call(input.skip()).map(|(rest, _)| (rest, (At::End, None))),
        _ => {
            let (rest, (literal, _)) = signed(input)?;
            let seconds = literal.value;
            let is_inside = seconds < i64::MAX as f64 && seconds > i64::MIN as f64;
            let millis = duration_literal::to_i64((seconds * 1000.0).round());
            Ok((rest, (At::Timestamp(millis), (!is_inside).then_some(seconds))))
        }
    }
}

fn mode<'a>(rest: Tokens<'a>, mut operand: SizedExpr, mode: RangeMode) -> Parsed<'a, SizedExpr> {
    let word = if mode == RangeMode::Anchored { "anchored" } else { "smoothed" };
    let problem = if !rest.source.features.extended_range_selectors {
        Some("is experimental and not enabled")
    } else {
        match &mut operand.expr.kind {
            ExprKind::Vector(vector) | ExprKind::Matrix(MatrixSelector { vector, .. }) => {
                set_mode(vector, mode)
            }
            ExprKind::Subquery(_) => Some("is not supported for subqueries"),
            _ => Some("not implemented"),
        }
    };
    match problem {
        None => Ok((rest, operand)),
        Some(BOTH_MODES) => Err(found(operand.expr.pos, BOTH_MODES)),
        Some(problem) => Err(found(operand.expr.pos, format!("{word} modifier {problem}"))),
    }
}

const BOTH_MODES: &str = "anchored and smoothed modifiers cannot be used together";

fn set_mode(vector: &mut VectorSelector, mode: RangeMode) -> Option<&'static str> {
    if vector.mode != RangeMode::Plain && vector.mode != mode {
        return Some(BOTH_MODES);
    }
    vector.mode = mode;
    None
}

/// The places in a selector or subquery that `offset` and `@` fill.
struct Times<'a> {
    offset: &'a mut Duration,
    at: &'a mut Option<At>,
}

fn times(expr: &mut Expr) -> Option<Times<'_>> {
    match &mut expr.kind {
        ExprKind::Vector(vector) | ExprKind::Matrix(MatrixSelector { vector, .. }) => {
            Some(Times { offset: &mut vector.offset, at: &mut vector.at })
        }
        ExprKind::Subquery(subquery) => Some(Times { offset: &mut subquery.offset, at: &mut subquery.at }),
        _ => None,
    }
}

/// Six digits after the point, as Go's `%f`.
fn fixed(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    format!("{value:.6}")
}
