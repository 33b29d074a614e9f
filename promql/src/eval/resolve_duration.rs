//! The value of durations that are computed from the query's own step and range.
//! Source: Prometheus `promql/durations.go`.

use query::QueryError;

use crate::ast::{BinaryOp, Duration, DurationExpr, DurationExprKind, UnaryOp};
use crate::duration_literal::MAX_SECONDS;

/// What `step()` and `range()` stand for, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryShape {
    pub(crate) step: i64,
    pub(crate) range: i64,
}

/// Which durations make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Ranges and steps.
    Positive,
    /// Offsets.
    Any,
}

/// The duration in milliseconds.
pub(crate) fn resolve(duration: &Duration, shape: QueryShape, sign: Sign) -> Result<i64, QueryError> {
    let expr = match duration {
        Duration::Millis(ms) => return Ok(*ms),
        Duration::Expr(expr) => expr,
    };
    let seconds = evaluate(expr, shape)?;
    if !seconds.is_finite() {
        return Err(refuse(expr, "duration is NaN or infinite"));
    }
    if seconds <= 0.0 && sign == Sign::Positive {
        return Err(refuse(expr, "duration must be greater than 0"));
    }
    if seconds.abs() > MAX_SECONDS {
        return Err(refuse(expr, "duration is out of range"));
    }
    Ok((seconds * 1000.0) as i64)
}

fn refuse(expr: &DurationExpr, what: &str) -> QueryError {
    QueryError::Invalid(format!("{}:{}: {what}", expr.pos.start, expr.pos.end))
}

fn evaluate(expr: &DurationExpr, shape: QueryShape) -> Result<f64, QueryError> {
    Ok(match &expr.kind {
        DurationExprKind::Literal(number) => number.value,
        DurationExprKind::Step => shape.step as f64 / 1000.0,
        DurationExprKind::Range => shape.range as f64 / 1000.0,
        DurationExprKind::Paren(inner) | DurationExprKind::Unary(UnaryOp::Plus, inner) => {
            evaluate(inner, shape)?
        }
        DurationExprKind::Unary(UnaryOp::Minus, inner) => -evaluate(inner, shape)?,
        DurationExprKind::Min(a, b) => super::math::go_min(evaluate(a, shape)?, evaluate(b, shape)?),
        DurationExprKind::Max(a, b) => super::math::go_max(evaluate(a, shape)?, evaluate(b, shape)?),
        DurationExprKind::Binary(op, a, b) => {
            let (a, b) = (evaluate(a, shape)?, evaluate(b, shape)?);
            match op {
                BinaryOp::Div if b == 0.0 => return Err(refuse(expr, "division by zero")),
                BinaryOp::Mod if b == 0.0 => return Err(refuse(expr, "modulo by zero")),
                _ => super::binary::scalar_op(*op, a, b),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use query::Pos;

    use super::*;
    use crate::ast::NumberLiteral;

    fn expr(kind: DurationExprKind) -> Box<DurationExpr> {
        Box::new(DurationExpr { pos: Pos { start: 1, end: 2 }, kind })
    }

    fn number(value: f64) -> Box<DurationExpr> {
        expr(DurationExprKind::Literal(NumberLiteral { value, is_duration: true }))
    }

    #[test]
    fn arithmetic_and_bounds() {
        let shape = QueryShape { step: 15_000, range: 3_600_000 };
        let of = |kind, sign| resolve(&Duration::Expr(expr(kind)), shape, sign);
        let binary = |op, a, b| DurationExprKind::Binary(op, a, b);
        assert_eq!(
            of(binary(BinaryOp::Mul, expr(DurationExprKind::Step), number(2.0)), Sign::Positive),
            Ok(30_000)
        );
        assert_eq!(
            of(DurationExprKind::Max(number(5.0), expr(DurationExprKind::Range)), Sign::Any),
            Ok(3_600_000)
        );
        assert_eq!(of(DurationExprKind::Unary(UnaryOp::Minus, number(1.5)), Sign::Any), Ok(-1500));
        for (kind, want) in [
            (DurationExprKind::Unary(UnaryOp::Minus, number(1.5)), "1:2: duration must be greater than 0"),
            (binary(BinaryOp::Div, number(1.0), number(0.0)), "1:2: division by zero"),
            (binary(BinaryOp::Pow, number(10.0), number(400.0)), "1:2: duration is NaN or infinite"),
            (number(1e12).kind, "1:2: duration is out of range"),
        ] {
            assert_eq!(of(kind, Sign::Positive), Err(QueryError::Invalid(want.to_owned())));
        }
    }
}
