//! An operator applied to two samples. Source: Prometheus `vectorElemBinop`, `scalarBinop`.

use std::sync::Arc;

use model::Value;
use model::histogram::{FloatHistogram, ResetHint};
use query::{Annotations, Pos};

use super::super::power::pow;
use super::super::trigonometry::atan2;
use crate::annotations::{Annotate, HistogramOp};
use crate::ast::BinaryOp;

/// Whether the result is another metric than the operands.
pub(crate) fn changes_metric(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Atan2, Div, Mod, Mul, Pow, Sub};
    matches!(op, Add | Sub | Mul | Div | Mod | Pow | Atan2)
}

/// The operator on floats: the value (the left operand for comparisons), and whether a comparison holds.
#[inline]
pub(crate) fn float_op(op: BinaryOp, a: f64, b: f64) -> (f64, bool) {
    match op {
        BinaryOp::Add => (a + b, true),
        BinaryOp::Sub => (a - b, true),
        BinaryOp::Mul => (a * b, true),
        BinaryOp::Div => (a / b, true),
        BinaryOp::Mod => (a % b, true),
        BinaryOp::Pow => (pow(a, b), true),
        BinaryOp::Atan2 => (atan2(a, b), true),
        BinaryOp::Eq => (a, a == b),
        BinaryOp::Ne => (a, a != b),
        BinaryOp::Lt => (a, a < b),
        BinaryOp::Le => (a, a <= b),
        BinaryOp::Gt => (a, a > b),
        BinaryOp::Ge => (a, a >= b),
        BinaryOp::Or | BinaryOp::And | BinaryOp::Unless | BinaryOp::TrimUpper | BinaryOp::TrimLower => {
            (a, false)
        }
    }
}

/// The operator on scalars; comparisons give 1 or 0.
pub(crate) fn scalar_op(op: BinaryOp, a: f64, b: f64) -> f64 {
    let (v, holds) = float_op(op, a, b);
    if op.is_comparison() { f64::from(u8::from(holds)) } else { v }
}

/// Two samples to be combined.
pub(crate) struct Operands<'a> {
    pub(crate) left: &'a Value,
    pub(crate) right: &'a Value,
}

/// The operator on samples: the result, and whether a comparison holds. `None`, with a note to the user, when the
/// samples do not go together.
pub(crate) fn value_op(
    op: BinaryOp,
    operands: &Operands<'_>,
    pos: Pos,
    annotations: &mut Annotations,
) -> Option<(Value, bool)> {
    match (operands.left, operands.right) {
        (Value::Float(a), Value::Float(b)) => {
            if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
                annotations.incompatible_types("float", op.as_str(), "float", pos);
                return None;
            }
            let (v, holds) = float_op(op, *a, *b);
            Some((Value::Float(v), holds))
        }
        (Value::Float(a), Value::Histogram(h)) => match op {
            BinaryOp::Mul => Some((changed(h, |h| h.mul(*a)), true)),
            _ => {
                annotations.incompatible_types("float", op.as_str(), "histogram", pos);
                None
            }
        },
        (Value::Histogram(h), Value::Float(b)) => match op {
            BinaryOp::Mul => Some((changed(h, |h| h.mul(*b)), true)),
            BinaryOp::Div => Some((changed(h, |h| h.div(*b)), true)),
            BinaryOp::TrimUpper | BinaryOp::TrimLower => {
                let mut h = FloatHistogram::clone(h);
                if op == BinaryOp::TrimUpper {
                    h.trim_upper(*b)
                } else {
                    h.trim_lower(*b)
                }
                Some((Value::Histogram(Arc::new(h)), true))
            }
            _ => {
                annotations.incompatible_types("histogram", op.as_str(), "float", pos);
                None
            }
        },
        (Value::Histogram(a), Value::Histogram(b)) => histogram_op(op, a, b, pos, annotations),
    }
}

fn histogram_op(
    op: BinaryOp,
    a: &Arc<FloatHistogram>,
    b: &Arc<FloatHistogram>,
    pos: Pos,
    annotations: &mut Annotations,
) -> Option<(Value, bool)> {
    let mut result = FloatHistogram::clone(a);
    let (combined, what) = match op {
        BinaryOp::Add => (result.add(b), HistogramOp::Addition),
        BinaryOp::Sub => (result.sub(b), HistogramOp::Subtraction),
        BinaryOp::Eq => return Some((Value::Histogram(Arc::clone(a)), a.equals(b))),
        BinaryOp::Ne => return Some((Value::Histogram(Arc::clone(a)), !a.equals(b))),
        _ => {
            annotations.incompatible_types("histogram", op.as_str(), "histogram", pos);
            return None;
        }
    };
    let Ok(combined) = combined else {
        annotations.incompatible_bucket_layout(op.as_str(), pos);
        return None;
    };
    if combined.reset_hint_collision {
        // Prometheus gives no result then.
        annotations.counter_reset_collision(what, pos);
        return None;
    }
    if combined.bounds_reconciled {
        annotations.mismatched_custom_buckets(what, pos);
    }
    if op == BinaryOp::Sub {
        result.reset_hint = ResetHint::Gauge;
    }
    result.compact(0);
    Some((Value::Histogram(Arc::new(result)), true))
}

fn changed(h: &FloatHistogram, change: impl FnOnce(&mut FloatHistogram)) -> Value {
    let mut h = h.clone();
    change(&mut h);
    h.compact(0);
    Value::Histogram(Arc::new(h))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats() {
        for (op, a, b, want) in [
            (BinaryOp::Mod, -5.0, 3.0, -2.0),
            (BinaryOp::Pow, 2.0, -1.0, 0.5),
            (BinaryOp::Ge, 1.0, 1.0, 1.0),
            (BinaryOp::Ne, f64::NAN, f64::NAN, 1.0),
            (BinaryOp::Eq, f64::NAN, f64::NAN, 0.0),
        ] {
            assert_eq!(scalar_op(op, a, b), want, "{a} {} {b}", op.as_str());
        }
        assert!(scalar_op(BinaryOp::Mod, 1.0, 0.0).is_nan());
    }

    #[test]
    fn mixed_samples_need_a_fitting_operator() {
        let h = Value::Histogram(Arc::new(FloatHistogram { count: 2.0, sum: 4.0, ..Default::default() }));
        let mut notes = Annotations::default();
        let mut run = |op, left: &Value, right: &Value| {
            value_op(op, &Operands { left, right }, Pos::default(), &mut notes)
        };
        let half = Value::Float(0.5);
        match run(BinaryOp::Mul, &half, &h) {
            Some((Value::Histogram(h), true)) => assert_eq!((h.count, h.sum), (1.0, 2.0)),
            other => panic!("{other:?}"),
        }
        assert_eq!(run(BinaryOp::Add, &half, &h), None);
        assert_eq!(run(BinaryOp::Div, &half, &h), None);
        assert_eq!(run(BinaryOp::Lt, &h, &h), None);
        assert_eq!(run(BinaryOp::Eq, &h, &h).map(|r| r.1), Some(true));
        match run(BinaryOp::Sub, &h, &h) {
            Some((Value::Histogram(h), true)) => assert_eq!((h.count, h.reset_hint), (0.0, ResetHint::Gauge)),
            other => panic!("{other:?}"),
        }
        assert_eq!(notes.raw().count(), 3);
    }
}
