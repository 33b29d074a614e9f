//! Durations within brackets and after `offset`: literals, and arithmetic with `step()` and `range()`.

use nom::Parser;
use nom::sequence::{delimited, separated_pair};
use query::Pos;

use crate::ast::{
    BinaryOp, Duration, DurationExpr, DurationExprKind, MAX_HEIGHT, NumberLiteral, UNARY_PRECEDENCE, UnaryOp,
};
use crate::duration_literal;
use crate::lex::Kind;
use crate::parse::literal;
use crate::parse::tokens::{Fail, Parsed, Tokens, found, nested, token, unary_op};

/// A duration expression, and how high its tree is.
struct SizedDuration {
    expr: DurationExpr,
    height: usize,
}

impl SizedDuration {
    fn new(pos: Pos, kind: DurationExprKind, below: usize) -> Result<Self, nom::Err<Fail>> {
        if below >= MAX_HEIGHT {
            return Err(found(
                pos,
                format!("duration expression is too large, at most {MAX_HEIGHT} levels are allowed"),
            ));
        }
        Ok(Self { expr: DurationExpr { pos, kind }, height: below + 1 })
    }

    /// A literal; `blamed` is where an error about its size points.
    fn literal_at(pos: Pos, literal: NumberLiteral, blamed: Pos) -> Result<Self, nom::Err<Fail>> {
        if literal.value.abs() > duration_literal::MAX_SECONDS {
            return Err(found(blamed, "duration out of range"));
        }
        Self::new(pos, DurationExprKind::Literal(literal), 0)
    }

    /// This behind a sign, which literals take into themselves and other expressions only as a minus.
    fn signed(self, op: UnaryOp, sign: Pos) -> Result<Self, nom::Err<Fail>> {
        match (self.literal(), op) {
            (Some(literal), _) => {
                let pos = Pos { start: sign.start, end: self.expr.pos.end };
                Self::literal_at(pos, literal::apply(op, literal), sign)
            }
            (None, UnaryOp::Plus) => Ok(self),
            (None, UnaryOp::Minus) => self.behind_sign(op, sign),
        }
    }

    fn behind_sign(self, op: UnaryOp, sign: Pos) -> Result<Self, nom::Err<Fail>> {
        let pos = Pos { start: sign.start, end: self.expr.pos.end };
        Self::new(pos, DurationExprKind::Unary(op, Box::new(self.expr)), self.height)
    }

    /// This in parentheses, of which one pair is kept.
    fn in_parens(self) -> Result<Self, nom::Err<Fail>> {
        if matches!(self.expr.kind, DurationExprKind::Paren(_)) {
            return Ok(self);
        }
        Self::new(self.expr.pos, DurationExprKind::Paren(Box::new(self.expr)), self.height)
    }

    /// The literal that the whole expression is, if it is one.
    fn literal(&self) -> Option<NumberLiteral> {
        match self.expr.kind {
            DurationExprKind::Literal(literal) => Some(literal),
            _ => None,
        }
    }

    /// The duration for the tree: milliseconds where the text alone tells them.
    fn into_duration(self) -> Duration {
        match self.literal() {
            Some(literal) => Duration::Millis(duration_literal::seconds_to_millis(literal.value)),
            None => Duration::Expr(Box::new(self.expr)),
        }
    }
}

/// The width of a window or the distance of steps. A literal must be greater than 0.
pub(super) fn positive<'a>(input: Tokens<'a>) -> Parsed<'a, Duration> {
    let (rest, built) = duration(input, 0)?;
    if built.literal().is_some_and(|literal| literal.value <= 0.0) {
        return Err(found(built.expr.pos, "duration must be greater than 0"));
    }
    Ok((rest, built.into_duration()))
}

/// What `offset` takes. Other than within brackets, arithmetic goes on only behind a parenthesis or a second sign: in
/// `x offset 5m + 3` the 3 is added to x.
pub(super) fn offset<'a>(input: Tokens<'a>) -> Parsed<'a, Duration> {
    let first = input.peek();
    let (rest, sign) = match unary_op(first.kind) {
        Some(op) => (input.skip(), Some(op)),
        None => (input, None),
    };
    let (rest, built) = match rest.peek().kind {
        Kind::Number | Kind::Duration => {
            let (rest, (literal, pos)) = literal::signed(input)?;
            (rest, SizedDuration::literal_at(pos, literal, first.pos)?)
        }
        Kind::Step | Kind::Range | Kind::MaxOf | Kind::MinOf => {
            let (rest, built) = query_parameter(rest)?;
            let built = match sign {
                Some(op) => built.behind_sign(op, first.pos)?,
                None => built,
            };
            experimental(input, built.expr.pos)?;
            (rest, built)
        }
        Kind::LeftParen if sign.is_some() => {
            let (rest, inner) = parenthesised(rest)?;
            let built = inner.in_parens()?;
            (
                rest,
                if sign == Some(UnaryOp::Minus) {
                    built.behind_sign(UnaryOp::Minus, first.pos)?
                } else {
                    built
                },
            )
        }
        _ => duration(input, 0)?,
    };
    Ok((rest, built.into_duration()))
}

/// An expression of operators that bind at least as tightly as `min`.
fn duration<'a>(input: Tokens<'a>, min: u8) -> Parsed<'a, SizedDuration> {
    nested(input, |input| {
        let first = input.peek();
        let (mut rest, mut left) = match unary_op(first.kind) {
            Some(op) => {
                let (rest, operand) = duration(input.skip(), UNARY_PRECEDENCE + 1)?;
                (rest, operand.signed(op, first.pos)?)
            }
            None => atom(input)?,
        };
        loop {
            rest.check_next()?;
            let operator = rest.peek();
            let op = match operator.kind {
                Kind::Op(op) if is_arithmetic(op) && op.precedence() >= min => op,
                _ => return Ok((rest, left)),
            };
            let right_min = op.precedence() + u8::from(!op.is_right_associative());
            let (next, right) = duration(rest.skip(), right_min)?;
            experimental(input, left.expr.pos)?;
            if right.literal().is_some_and(|literal| literal.value == 0.0) {
                match op {
                    BinaryOp::Div => return Err(found(operator.pos, "division by zero")),
                    BinaryOp::Mod => return Err(found(operator.pos, "modulo by zero")),
                    _ => {}
                }
            }
            let pos = Pos { start: left.expr.pos.start, end: right.expr.pos.end };
            let below = left.height.max(right.height);
            let kind = DurationExprKind::Binary(op, Box::new(left.expr), Box::new(right.expr));
            left = SizedDuration::new(pos, kind, below)?;
            rest = next;
        }
    })
}

fn is_arithmetic(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Pow
    )
}

/// A literal, `step()`, `range()`, `max_of(a, b)`, `min_of(a, b)` or an expression in parentheses.
fn atom<'a>(input: Tokens<'a>) -> Parsed<'a, SizedDuration> {
    match input.peek().kind {
        Kind::Number | Kind::Duration => {
            let (rest, (literal, pos)) = literal::number_or_duration(input)?;
            Ok((rest, SizedDuration::literal_at(pos, literal, pos)?))
        }
        Kind::LeftParen => {
            let (rest, inner) = parenthesised(input)?;
            experimental(input, inner.expr.pos)?;
            Ok((rest, inner.in_parens()?))
        }
        _ => {
            let (rest, built) = query_parameter(input)?;
            experimental(input, built.expr.pos)?;
            Ok((rest, built))
        }
    }
}

fn parenthesised<'a>(input: Tokens<'a>) -> Parsed<'a, SizedDuration> {
    delimited(token(Kind::LeftParen), |input| duration(input, 0), token(Kind::RightParen)).parse(input)
}

fn query_parameter<'a>(input: Tokens<'a>) -> Parsed<'a, SizedDuration> {
    let keyword = input.peek();
    let arguments = input.skip();
    match keyword.kind {
        Kind::Step | Kind::Range => {
            let (rest, _) = (token(Kind::LeftParen), token(Kind::RightParen)).parse(arguments)?;
            let pos = Pos { start: keyword.pos.start, end: rest.last_end() };
            let is_step = keyword.kind == Kind::Step;
            let kind = if is_step { DurationExprKind::Step } else { DurationExprKind::Range };
            Ok((rest, SizedDuration::new(pos, kind, 0)?))
        }
        Kind::MaxOf | Kind::MinOf => {
            let operand = |input| duration(input, 0);
            let pair = separated_pair(operand, token(Kind::Comma), operand);
            let (rest, (a, b)) =
                delimited(token(Kind::LeftParen), pair, token(Kind::RightParen)).parse(arguments)?;
            // Prometheus places these at their operands, as it does binary operations.
            let pos = Pos { start: a.expr.pos.start, end: b.expr.pos.end };
            let below = a.height.max(b.height);
            let (a, b) = (Box::new(a.expr), Box::new(b.expr));
            let is_max = keyword.kind == Kind::MaxOf;
            let kind = if is_max { DurationExprKind::Max(a, b) } else { DurationExprKind::Min(a, b) };
            Ok((rest, SizedDuration::new(pos, kind, below)?))
        }
        _ => input.unexpected(),
    }
}

fn experimental(input: Tokens<'_>, pos: Pos) -> Result<(), nom::Err<Fail>> {
    if input.source.features.duration_expressions {
        return Ok(());
    }
    Err(found(pos, "experimental duration expression is not enabled"))
}
