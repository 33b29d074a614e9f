//! Durations of ranges, offsets and steps.

use super::{BinaryOp, NumberLiteral, Pos, UnaryOp};

/// A duration that may be computed from the query's own parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Duration {
    /// Milliseconds, known from the text alone; may be negative in an offset.
    Millis(i64),
    /// `step() * 2`, `max(5m, range())`
    Expr(Box<DurationExpr>),
}

/// Arithmetic on durations, in seconds. Source: Prometheus `DurationExpr`.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// Where it stands.
    pub pos: Pos,
    /// What it is.
    pub kind: DurationExprKind,
}

/// The kinds of duration expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExprKind {
    /// A number or duration literal.
    Literal(NumberLiteral),
    /// `step()`: the query's resolution
    Step,
    /// `range()`: the query's end minus its start
    Range,
    /// `-x`, `+x`
    Unary(UnaryOp, Box<DurationExpr>),
    /// `a + b`, and `* / % ^ -`
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `min(a, b)`
    Min(Box<DurationExpr>, Box<DurationExpr>),
    /// `max(a, b)`
    Max(Box<DurationExpr>, Box<DurationExpr>),
    /// `(a)`
    Paren(Box<DurationExpr>),
}
