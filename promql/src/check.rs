//! What the grammar cannot see: types, numbers of arguments, contradicting modifiers. Source: Prometheus
//! `parser.checkAST`, whose order of findings and whose words are kept.

use std::collections::HashSet;

use model::labels::{METRIC_NAME, Quoted};
use query::{Pos, ValueType};

use crate::ast::{Aggregate, Binary, Call, Cardinality, Expr, ExprKind, VectorSelector};

/// Everything wrong with a tree, in the order in which Prometheus finds it. On the way it settles how binary
/// operations match: many-to-many for set operators, not at all when an operand is no vector.
pub(crate) fn check(expr: &mut Expr, query: &str) -> Vec<(Pos, String)> {
    let mut checker = Checker { query, findings: Vec::new() };
    checker.check(expr, false);
    checker.findings
}

struct Checker<'a> {
    query: &'a str,
    findings: Vec<(Pos, String)>,
}

impl Checker<'_> {
    fn report(&mut self, pos: Pos, message: impl Into<String>) {
        self.findings.push((pos, message.into()));
    }

    fn expect(&mut self, expr: &mut Expr, want: ValueType, context: &str) {
        let got = self.check(expr, false);
        if got != want {
            let message = format!("expected type {} in {context}, got {}", want.as_str(), got.as_str());
            self.report(expr.pos, message);
        }
    }

    /// Checks a tree and gives its type. `matches_all` allows a selector without a matcher that narrows it.
    fn check(&mut self, expr: &mut Expr, matches_all: bool) -> ValueType {
        let pos = expr.pos;
        match &mut expr.kind {
            ExprKind::Number(_) | ExprKind::String(_) => {}
            ExprKind::Aggregate(aggregate) => self.check_aggregate(aggregate),
            ExprKind::Binary(binary) => self.check_binary(binary, pos),
            ExprKind::Call(call) => self.check_call(call, pos),
            ExprKind::Paren(inner) => {
                self.check(inner, false);
            }
            ExprKind::Unary(_, inner) => {
                let got = self.check(inner, false);
                if !matches!(got, ValueType::Scalar | ValueType::Vector) {
                    let message = format!(
                        "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                        Quoted(got.as_str())
                    );
                    self.report(pos, message);
                }
            }
            ExprKind::Subquery(subquery) => {
                let got = self.check(&mut subquery.expr, false);
                if got != ValueType::Vector {
                    let got = got.api_name();
                    self.report(
                        pos,
                        format!("subquery is only allowed on instant vector, got {got} instead"),
                    );
                }
            }
            ExprKind::Matrix(matrix) => self.check_selector(&matrix.vector, matrix.vector_pos, false),
            ExprKind::Vector(vector) => self.check_selector(vector, pos, matches_all),
        }
        expr.value_type()
    }

    fn check_aggregate(&mut self, aggregate: &mut Aggregate) {
        self.expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression");
        if let (Some(want), Some(param)) = (aggregate.op.param_type(), &mut aggregate.param) {
            self.expect(param, want, "aggregation parameter");
        }
    }

    fn check_binary(&mut self, binary: &mut Binary, pos: Pos) {
        let left = self.check(&mut binary.left, false);
        let right = self.check(&mut binary.right, false);
        let op = binary.op;
        let between = self.between(binary.left.pos, binary.right.pos);
        if binary.return_bool && !op.is_comparison() {
            self.report(between, "bool modifier can only be used on comparison operators");
        }
        if op.is_comparison() && !binary.return_bool && binary.value_type == ValueType::Scalar {
            self.report(between, "comparisons between scalars must use BOOL modifier");
        }
        let Some(mut matching) = binary.matching.take() else { return };
        if op.is_set() && matching.cardinality == Cardinality::OneToOne {
            matching.cardinality = Cardinality::ManyToMany;
        }
        if matching.on {
            let included: HashSet<&String> = matching.include.iter().collect();
            for label in matching.labels.iter().filter(|label| included.contains(label)) {
                let message =
                    format!("label {} must not occur in ON and GROUP clause at once", Quoted(label));
                self.report(between, message);
            }
        }
        for (side, got) in [(&binary.left, left), (&binary.right, right)] {
            if !matches!(got, ValueType::Scalar | ValueType::Vector) {
                self.report(side.pos, "binary expression must contain only scalar and instant vector types");
            }
        }
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if left != ValueType::Vector || right != ValueType::Vector {
            if !matching.labels.is_empty() {
                self.report(pos, "vector matching only allowed between instant vectors");
            }
            if fills {
                self.report(pos, "filling in missing series only allowed between instant vectors");
            }
        } else {
            if op.is_set() {
                if matching.cardinality != Cardinality::ManyToMany {
                    self.report(pos, format!("no grouping allowed for {} operation", Quoted(op.as_str())));
                    self.report(pos, "set operations must always be many-to-many");
                }
                if fills {
                    self.report(pos, "filling in missing series not allowed for set operators");
                }
            }
            binary.matching = Some(matching);
        }
        if op.is_set() && (left == ValueType::Scalar || right == ValueType::Scalar) {
            let message =
                format!("set operator {} not allowed in binary scalar expression", Quoted(op.as_str()));
            self.report(pos, message);
        }
    }

    /// The operator with its modifiers, between the operands.
    fn between(&self, left: Pos, right: Pos) -> Pos {
        let text = self.query.get(left.end..right.start).unwrap_or_default();
        let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
        let start = left.end + (text.len() - text.trim_start_matches(is_space).len());
        let end = right.start - (text.len() - text.trim_end_matches(is_space).len());
        Pos { start, end: end.max(start) }
    }

    fn check_call(&mut self, call: &mut Call, pos: Pos) {
        let function = call.function;
        let name = Quoted(function.name);
        let (wanted, got) = (function.args.len(), call.args.len());
        if function.variadic == 0 {
            if wanted != got {
                self.report(pos, format!("expected {wanted} argument(s) in call to {name}, got {got}"));
            }
        } else {
            let least = wanted - 1;
            let most = usize::try_from(function.variadic).ok().map(|more| least + more);
            if got < least {
                self.report(
                    pos,
                    format!("expected at least {least} argument(s) in call to {name}, got {got}"),
                );
            } else if let Some(most) = most.filter(|most| got > *most) {
                self.report(pos, format!("expected at most {most} argument(s) in call to {name}, got {got}"));
            }
        }
        let takes_selector = function.takes_label_selector;
        if let (true, Some(labels)) = (takes_selector, call.args.get(1)) {
            self.check_label_selector(function.name, labels, pos);
        }
        for (i, arg) in call.args.iter_mut().enumerate() {
            let Some(want) = function.arg_type(i) else { break };
            let got = self.check(arg, takes_selector && i == 1);
            if got != want {
                let message = format!(
                    "expected type {} in call to function {name}, got {}",
                    want.as_str(),
                    got.as_str()
                );
                self.report(arg.pos, message);
            }
        }
    }

    /// An argument that is a selector without a name.
    fn check_label_selector(&mut self, function: &str, labels: &Expr, call: Pos) {
        let got = labels.value_type();
        if got != ValueType::Vector {
            let message = format!(
                "expected type {} in call to function {}, got {}",
                ValueType::Vector.as_str(),
                Quoted(function),
                got.as_str()
            );
            self.report(call, message);
        }
        match &labels.kind {
            ExprKind::Vector(vector) if vector.name.is_empty() => {}
            ExprKind::Vector(_) => {
                self.report(labels.pos, "expected label selectors only, got vector selector instead");
            }
            _ => self.report(labels.pos, "expected label selectors only"),
        }
    }

    fn check_selector(&mut self, vector: &VectorSelector, pos: Pos, matches_all: bool) {
        if let (false, Some((_, others))) = (vector.name.is_empty(), vector.matchers.split_last()) {
            for other in others.iter().filter(|m| m.name() == METRIC_NAME) {
                let (first, second) = (Quoted(&vector.name), Quoted(other.value()));
                self.report(pos, format!("metric name must not be set twice: {first} or {second}"));
            }
        } else if !matches_all && vector.matchers.iter().all(|m| m.matches("")) {
            self.report(pos, "vector selector must contain at least one non-empty matcher");
        }
    }
}
