//! Expressions: operators by their precedence, operands, and the modifiers behind them.

use nom::Parser;
use nom::sequence::delimited;

use crate::ast::{Binary, Expr, ExprKind, MAX_HEIGHT, Pos, UNARY_PRECEDENCE, ValueType};
use crate::lex::Kind;
use crate::parse::binary::modifiers;
use crate::parse::call::{aggregate, call};
use crate::parse::literal::{apply, number_or_duration};
use crate::parse::postfix::postfix;
use crate::parse::selector::selector;
use crate::parse::tokens::{Fail, Parsed, Tokens, found, nested, string, token, unary_op};

/// An expression, and how high its tree is.
pub(super) struct Built {
    pub(super) expr: Expr,
    pub(super) height: usize,
}

impl Built {
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
pub(super) fn expression<'a>(input: Tokens<'a>, min: u8) -> Parsed<'a, Built> {
    nested(input, |input| {
        let (mut rest, mut left) = operand(input)?;
        loop {
            rest.check_next()?;
            let op = match rest.peek().kind {
                Kind::Op(op) if op.precedence() >= min => op,
                _ => return Ok((rest, left)),
            };
            let (next, (return_bool, matching)) = modifiers(rest.skip())?;
            let (next, right) = expression(next, op.precedence() + u8::from(!op.is_right_associative()))?;
            let pos = Pos { start: left.expr.pos.start, end: right.expr.pos.end };
            if !input.source.features.binop_fill_modifiers
                && (matching.fill_left.is_some() || matching.fill_right.is_some())
            {
                return Err(found(pos, "binop fill modifiers are experimental and not enabled"));
            }
            let is_scalar = [&left, &right].iter().all(|side| side.expr.value_type() == ValueType::Scalar);
            let value_type = if is_scalar { ValueType::Scalar } else { ValueType::Vector };
            let below = left.height.max(right.height);
            let binary = Binary {
                op,
                left: left.expr,
                right: right.expr,
                value_type,
                return_bool,
                matching: Some(matching),
            };
            left = Built::over(Expr { pos, kind: ExprKind::Binary(Box::new(binary)) }, below)?;
            rest = next;
        }
    })
}

/// Whether an expression can begin so.
pub(super) fn starts_expression(kind: Kind) -> bool {
    matches!(kind, Kind::Number | Kind::Duration | Kind::String | Kind::LeftParen | Kind::LeftBrace)
        || unary_op(kind).is_some()
        || kind.is_metric_name()
}

/// A signed operand, or an operand with its modifiers.
fn operand<'a>(input: Tokens<'a>) -> Parsed<'a, Built> {
    let first = input.peek();
    let Some(op) = unary_op(first.kind) else {
        let (rest, primary) = primary(input)?;
        return postfix(rest, primary);
    };
    let (rest, Built { expr, height }) = expression(input.skip(), UNARY_PRECEDENCE + 1)?;
    let pos = Pos { start: first.pos.start, end: expr.pos.end };
    if let ExprKind::Number(literal) = expr.kind {
        return Ok((rest, Built::leaf(Expr { pos, kind: ExprKind::Number(apply(op, literal)) })));
    }
    Ok((rest, Built::over(Expr { pos, kind: ExprKind::Unary(op, Box::new(expr)) }, height)?))
}

fn primary<'a>(input: Tokens<'a>) -> Parsed<'a, Built> {
    let next = input.peek();
    match next.kind {
        Kind::Number | Kind::Duration => {
            let (rest, (literal, pos)) = number_or_duration(input)?;
            Ok((rest, Built::leaf(Expr { pos, kind: ExprKind::Number(literal) })))
        }
        Kind::String => {
            let (rest, (value, token)) = string(input)?;
            Ok((rest, Built::leaf(Expr { pos: token.pos, kind: ExprKind::String(value) })))
        }
        Kind::LeftParen => {
            let inner = |input| expression(input, 0);
            let (rest, inner) =
                delimited(token(Kind::LeftParen), inner, token(Kind::RightParen)).parse(input)?;
            let pos = Pos { start: next.pos.start, end: rest.last_end() };
            Ok((rest, Built::over(Expr { pos, kind: ExprKind::Paren(Box::new(inner.expr)) }, inner.height)?))
        }
        Kind::Aggregate(op) if matches!(input.kind_after(), Kind::LeftParen | Kind::By | Kind::Without) => {
            aggregate(input, op)
        }
        kind if (kind == Kind::Identifier || kind.is_preprocessor())
            && input.kind_after() == Kind::LeftParen =>
        {
            call(input)
        }
        _ => {
            let (rest, expr) = selector(input)?;
            Ok((rest, Built::leaf(expr)))
        }
    }
}
