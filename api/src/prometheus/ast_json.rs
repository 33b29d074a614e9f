//! The syntax tree as `/api/v1/parse_query` shows it. Source: Prometheus `web/api/v1/translate_ast.go`.

use model::Matcher;
use model::go_float::FloatF;
use promql::ast::{
    Aggregate, At, Binary, Call, Duration, DurationExpr, DurationExprKind, Expr, ExprKind, MatrixSelector,
    NumberLiteral, RangeMode, Subquery, UnaryOp, VectorSelector,
};
use promql::functions::Function;
use promql::literal::lossy;
use serde_json::{Value, json};

/// The tree as JSON; keys are sorted when it is written.
pub fn to_json(expr: &Expr) -> Value {
    // One function for each kind keeps the stack frames of the recursion small.
    match &expr.kind {
        ExprKind::Number(literal) => number_literal(literal),
        ExprKind::String(value) => json!({ "type": "stringLiteral", "val": lossy(value) }),
        ExprKind::Vector(vector) => selector("vectorSelector", vector),
        ExprKind::Matrix(matrix) => range_selector(matrix),
        ExprKind::Subquery(inner) => subquery(inner),
        ExprKind::Unary(op, inner) => nested("unaryExpr", Some(op.as_str()), inner),
        ExprKind::Binary(inner) => binary(inner),
        ExprKind::Aggregate(inner) => aggregation(inner),
        ExprKind::Call(inner) => call(inner),
        ExprKind::Paren(inner) => nested("parenExpr", None, inner),
    }
}

fn number_literal(literal: &NumberLiteral) -> Value {
    json!({ "type": "numberLiteral", "val": FloatF(literal.value).to_string() })
}

fn nested(kind: &str, op: Option<&str>, inner: &Expr) -> Value {
    let inner = to_json(inner);
    let mut tree = json!({ "type": kind, "expr": inner });
    if let Some(op) = op {
        tree["op"] = json!(op);
    }
    tree
}

fn range_selector(matrix: &MatrixSelector) -> Value {
    let mut tree = selector("matrixSelector", &matrix.vector);
    tree["range"] = millis(&matrix.range);
    tree["rangeExpr"] = duration_expr(&matrix.range);
    tree
}

fn subquery(subquery: &Subquery) -> Value {
    let mut tree = json!({
        "type": "subquery",
        "range": millis(&subquery.range),
        "rangeExpr": duration_expr(&subquery.range),
        "offset": millis(&subquery.offset),
        "offsetExpr": duration_expr(&subquery.offset),
        "step": subquery.step.as_ref().map_or(json!(0), millis),
        "stepExpr": subquery.step.as_ref().map_or(Value::Null, duration_expr),
        "timestamp": timestamp(subquery.at),
        "startOrEnd": start_or_end(subquery.at),
    });
    tree["expr"] = to_json(&subquery.expr);
    tree
}

fn binary(binary: &Binary) -> Value {
    let mut tree = json!({
        "type": "binaryExpr",
        "op": binary.op.as_str(),
        "matching": matching(binary),
        "bool": binary.return_bool,
    });
    tree["lhs"] = to_json(&binary.left);
    tree["rhs"] = to_json(&binary.right);
    tree
}

fn aggregation(aggregate: &Aggregate) -> Value {
    let mut tree = json!({
        "type": "aggregation",
        "op": aggregate.op.as_str(),
        "grouping": aggregate.grouping,
        "without": aggregate.without,
    });
    tree["expr"] = to_json(&aggregate.expr);
    tree["param"] = aggregate.param.as_ref().map_or(Value::Null, to_json);
    tree
}

fn call(call: &Call) -> Value {
    let mut tree = json!({ "type": "call", "func": signature(call.function) });
    tree["args"] = call.args.iter().map(to_json).collect();
    tree
}

fn signature(function: &Function) -> Value {
    json!({
        "name": function.name,
        "argTypes": function.args.iter().map(|arg| arg.api_name()).collect::<Vec<_>>(),
        "variadic": function.variadic,
        "returnType": function.returns.api_name(),
    })
}

fn selector(kind: &str, vector: &VectorSelector) -> Value {
    json!({
        "type": kind,
        "name": vector.name,
        "offset": millis(&vector.offset),
        "offsetExpr": duration_expr(&vector.offset),
        "matchers": vector.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "timestamp": timestamp(vector.at),
        "startOrEnd": start_or_end(vector.at),
        "anchored": vector.mode == RangeMode::Anchored,
        "smoothed": vector.mode == RangeMode::Smoothed,
    })
}

fn matcher(matcher: &Matcher) -> Value {
    json!({ "name": matcher.name(), "value": matcher.value(), "type": matcher.op().as_str() })
}

fn matching(binary: &Binary) -> Value {
    binary.matching.as_ref().map_or(Value::Null, |matching| {
        json!({
            "card": matching.cardinality.as_str(),
            "labels": matching.labels,
            "on": matching.on,
            "include": matching.include,
            "fillValues": { "lhs": number(matching.fill_left), "rhs": number(matching.fill_right) },
        })
    })
}

/// A float as Go writes it: whole numbers without a point.
fn number(value: Option<f64>) -> Value {
    match value {
        Some(whole)
            if whole.fract() == 0.0 && whole.abs() < 1e15 && !(whole == 0.0 && whole.is_sign_negative()) =>
        {
            json!(whole as i64)
        }
        other => json!(other),
    }
}

fn millis(duration: &Duration) -> Value {
    match duration {
        Duration::Millis(millis) => json!(millis),
        Duration::Expr(_) => json!(0),
    }
}

fn duration_expr(duration: &Duration) -> Value {
    match duration {
        Duration::Millis(_) => Value::Null,
        Duration::Expr(expr) => duration_tree(expr, false),
    }
}

fn duration_tree(expr: &DurationExpr, wrapped: bool) -> Value {
    let node = |op: &str, left: Option<&DurationExpr>, right: Option<&DurationExpr>| {
        json!({
            "type": "durationExpr",
            "op": op,
            "lhs": left.map(|left| duration_tree(left, false)),
            "rhs": right.map(|right| duration_tree(right, false)),
            "wrapped": wrapped,
        })
    };
    match &expr.kind {
        DurationExprKind::Literal(NumberLiteral { value, is_duration }) => {
            json!({ "type": "numberLiteral", "val": FloatF(*value).to_string(), "duration": is_duration })
        }
        DurationExprKind::Step => node("step", None, None),
        DurationExprKind::Range => node("range", None, None),
        DurationExprKind::Unary(op, inner) => node(op.as_str(), None, Some(inner)),
        DurationExprKind::Binary(op, left, right) => node(op.as_str(), Some(left), Some(right)),
        DurationExprKind::Min(a, b) => node("min_of", Some(a), Some(b)),
        DurationExprKind::Max(a, b) => node("max_of", Some(a), Some(b)),
        // Parentheses are a mark on what they enclose; a literal, which has no such mark, is given a plus for it.
        DurationExprKind::Paren(inner) => match inner.kind {
            DurationExprKind::Literal(_) => json!({
                "type": "durationExpr",
                "op": UnaryOp::Plus.as_str(),
                "lhs": null,
                "rhs": duration_tree(inner, false),
                "wrapped": true,
            }),
            _ => duration_tree(inner, true),
        },
    }
}

fn timestamp(at: Option<At>) -> Value {
    match at {
        Some(At::Timestamp(millis)) => json!(millis),
        _ => Value::Null,
    }
}

fn start_or_end(at: Option<At>) -> Value {
    match at {
        Some(At::Start) => json!("start"),
        Some(At::End) => json!("end"),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use promql::ast::MAX_HEIGHT;
    use promql::{Features, parse};

    use super::*;

    #[test]
    fn trees_as_json() {
        let tree = |query: &str| to_json(&parse(query, &Features::ALL).unwrap());
        assert_eq!(
            tree("-x{a!='1'} @ end() offset 5m"),
            json!({
                "type": "unaryExpr",
                "op": "-",
                "expr": {
                    "type": "vectorSelector",
                    "name": "x",
                    "offset": 300_000,
                    "offsetExpr": null,
                    "matchers": [
                        { "name": "a", "value": "1", "type": "!=" },
                        { "name": "__name__", "value": "x", "type": "=" },
                    ],
                    "timestamp": null,
                    "startOrEnd": "end",
                    "anchored": false,
                    "smoothed": false,
                },
            })
        );
        assert_eq!(
            tree("x[(5m):step()]")["rangeExpr"],
            json!({
                "type": "durationExpr",
                "op": "+",
                "lhs": null,
                "rhs": { "type": "numberLiteral", "val": "300", "duration": true },
                "wrapped": true,
            })
        );
        assert_eq!(
            tree("a and b")["matching"],
            json!({
                "card": "many-to-many",
                "labels": [],
                "on": false,
                "include": [],
                "fillValues": { "lhs": null, "rhs": null },
            })
        );
        assert_eq!(
            tree("round(x, 1)")["func"],
            json!({ "name": "round", "argTypes": ["vector", "scalar"], "variadic": 1, "returnType": "vector" })
        );
    }

    #[test]
    fn the_highest_trees_are_written() {
        let check = || {
            let high = format!("x{}", " + 1".repeat(MAX_HEIGHT - 1));
            assert!(to_json(&parse(&high, &Features::ALL).unwrap()).is_object());
        };
        // Without optimisation stack frames are several times larger than in the server.
        std::thread::Builder::new().stack_size(16 << 20).spawn(check).unwrap().join().unwrap();
    }
}
