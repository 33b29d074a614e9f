//! Expressions: operators by their precedence, operands, and the modifiers behind them.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::map;
use query::{Pos, ValueType};

use crate::ast::{Binary, BinaryOp, Expr, ExprKind, MAX_HEIGHT, UNARY_PRECEDENCE};
use crate::lex::Kind;
use crate::parse::binary::modifiers;
use crate::parse::call::{aggregate, call};
use crate::parse::literal::{apply, number_or_duration};
use crate::parse::postfix::postfix;
use crate::parse::selector::selector;
use crate::parse::tokens::{Fail, Parsed, Tokens, found, nested, string, token, unary_op};

/// An expression, and how high its tree is.
pub(super) struct SizedExpr {
    pub(super) expr: Expr,
    pub(super) height: usize,
}

impl SizedExpr {
    /// An expression over others of which the highest has height `below`.
    pub(super) fn over(expr: Expr, below: usize) -> Result<Self, nom::Err<Fail>> {
        if below >= MAX_HEIGHT {
            let message = format!("expression is too large, at most {MAX_HEIGHT} levels are allowed");
            return Err(found(expr.pos, message));
        }
        Ok(Self { expr, height: below + 1 })
    }

    fn leaf(expr: Expr) -> Self {
        Self { expr, height: 1 }
    }
}

/// An expression of operators that bind at least as tightly as `min`; 0 for all.
pub(super) fn expression<'a>(input: Tokens<'a>, min: u8) -> Parsed<'a, SizedExpr> {
    nested(input, |input| {
        let (mut rest, mut left) = operand(input)?;
        loop {
            rest.check_next()?;
            match rest.peek().kind {
                Kind::Op(op) if op.precedence() >= min => (rest, left) = operation(rest.skip(), left, op)?,
                _ => return Ok((rest, left)),
            }
        }
    })
}

/// What follows a left operand and its operator.
fn operation<'a>(input: Tokens<'a>, left: SizedExpr, op: BinaryOp) -> Parsed<'a, SizedExpr> {
    let (rest, (return_bool, matching)) = modifiers(input)?;
    let (rest, right) = expression(rest, op.precedence() + u8::from(!op.is_right_associative()))?;
    let pos = Pos { start: left.expr.pos.start, end: right.expr.pos.end };
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    if fills && !input.source.features.binop_fill_modifiers {
        return Err(found(pos, "binop fill modifiers are experimental and not enabled"));
    }
    let is_scalar = [&left, &right].iter().all(|side| side.expr.value_type() == ValueType::Scalar);
    let value_type = if is_scalar { ValueType::Scalar } else { ValueType::Vector };
    let below = left.height.max(right.height);
    let (left, right) = (left.expr, right.expr);
    let binary = Box::new(Binary { op, left, right, value_type, return_bool, matching: Some(matching) });
    Ok((rest, SizedExpr::over(Expr { pos, kind: ExprKind::Binary(binary) }, below)?))
}

/// Whether an expression can begin so.
pub(super) fn starts_expression(kind: Kind) -> bool {
    matches!(kind, Kind::Number | Kind::Duration | Kind::String | Kind::LeftParen | Kind::LeftBrace)
        || unary_op(kind).is_some()
        || kind.is_metric_name()
}

/// A signed operand, or an operand with its modifiers.
fn operand<'a>(input: Tokens<'a>) -> Parsed<'a, SizedExpr> {
    let first = input.peek();
    let Some(op) = unary_op(first.kind) else {
        let (rest, primary) = primary(input)?;
        return postfix(rest, primary);
    };
    let (rest, SizedExpr { expr, height }) = expression(input.skip(), UNARY_PRECEDENCE + 1)?;
    let pos = Pos { start: first.pos.start, end: expr.pos.end };
    if let ExprKind::Number(literal) = expr.kind {
        return Ok((rest, SizedExpr::leaf(Expr { pos, kind: ExprKind::Number(apply(op, literal)) })));
    }
    Ok((rest, SizedExpr::over(Expr { pos, kind: ExprKind::Unary(op, Box::new(expr)) }, height)?))
}

fn primary<'a>(input: Tokens<'a>) -> Parsed<'a, SizedExpr> {
    let is_followed_by = |kinds: &[Kind]| kinds.contains(&input.kind_after());
    match input.peek().kind {
        Kind::LeftParen => paren(input),
        Kind::Aggregate(op) if is_followed_by(&[Kind::LeftParen, Kind::By, Kind::Without]) => {
            aggregate(input, op)
        }
        kind if (kind == Kind::Identifier || kind.is_preprocessor())
            && is_followed_by(&[Kind::LeftParen]) =>
        {
            call(input)
        }
        _ => leaf(input),
    }
}

fn paren<'a>(input: Tokens<'a>) -> Parsed<'a, SizedExpr> {
    let (rest, _) = token(Kind::LeftParen)(input)?;
    let (rest, inner) = expression(rest, 0)?;
    let (rest, _) = token(Kind::RightParen)(rest)?;
    let pos = Pos { start: input.peek().pos.start, end: rest.last_end() };
    Ok((rest, SizedExpr::over(Expr { pos, kind: ExprKind::Paren(Box::new(inner.expr)) }, inner.height)?))
}

fn leaf<'a>(input: Tokens<'a>) -> Parsed<'a, SizedExpr> {
    let number = map(number_or_duration, |(literal, pos)| Expr { pos, kind: ExprKind::Number(literal) });
    let text = map(string, |(value, token)| Expr { pos: token.pos, kind: ExprKind::String(value) });
    map(alt((number, text, selector)), SizedExpr::leaf).parse(input)
}
