//! A query pinned to one time: with `@` on every selector its result no longer depends on when it is evaluated, which
//! is one more thing that scripts check of every instant query.

use promql::ast::{At, Expr, ExprKind};

/// Gives all selectors and outer subqueries that have no timestamp the timestamp `t`. False when a function makes the
/// result depend on the time of evaluation all the same; then the tree is no longer of use.
pub fn pin(expr: &mut Expr, t: i64) -> bool {
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => true,
        ExprKind::Vector(vector) => {
            pin_at(&mut vector.at, t);
            true
        }
        ExprKind::Matrix(matrix) => {
            pin_at(&mut matrix.vector.at, t);
            true
        }
        // What is within is evaluated at the subquery's own times.
        ExprKind::Subquery(subquery) => {
            pin_at(&mut subquery.at, t);
            true
        }
        ExprKind::Unary(_, inner) | ExprKind::Paren(inner) => pin(inner, t),
        ExprKind::Binary(binary) => pin(&mut binary.left, t) && pin(&mut binary.right, t),
        ExprKind::Aggregate(aggregate) => {
            pin(&mut aggregate.expr, t) && aggregate.param.as_mut().is_none_or(|param| pin(param, t))
        }
        ExprKind::Call(call) => {
            !call.function.depends_on_time() && call.args.iter_mut().all(|arg| pin(arg, t))
        }
    }
}

fn pin_at(at: &mut Option<At>, t: i64) {
    if !matches!(at, Some(At::Timestamp(_))) {
        *at = Some(At::Timestamp(t));
    }
}

#[cfg(test)]
mod tests {
    use promql::{Features, parse};

    use super::*;

    #[test]
    fn pinning() {
        for (query, want) in [
            ("a + b[5m] offset 1m", None),
            (
                "sum(a @ 3 offset 1m) + rate(b[5m] @ end())",
                Some("sum(a @ 3.000 offset 1m) + rate(b[5m] @ 7.000)"),
            ),
            ("max_over_time(time()[5m:1m]) * a", Some("max_over_time(time()[5m:1m] @ 7.000) * a @ 7.000")),
            ("a * time()", None),
        ] {
            let Ok(mut expr) = parse(query, &Features::ALL) else { continue };
            let pinned = pin(&mut expr, 7000).then(|| expr.to_string());
            assert_eq!(pinned.as_deref(), want, "{query}");
        }
    }
}
