//! Queries as text: [`fmt::Display`] is Prometheus's canonical form on one line, [`pretty`] the form of
//! `/api/v1/format_query`. Source: Prometheus `promql/parser/printer.go` and `prettier.go`.

use std::fmt::{self, Display, Formatter, Write};

use model::MatchOp;
use model::go_float::{FloatF, FloatG};
use model::labels::{METRIC_NAME, Quoted, is_classic_label_name};
use model::time::DurationText;

use crate::ast::{
    Aggregate, At, Binary, Cardinality, Duration, DurationExpr, DurationExprKind, Expr, ExprKind, Matching,
    MatrixSelector, NumberLiteral, RangeMode, Subquery, UnaryOp, VectorSelector,
};
use crate::duration_literal::to_i64;
use crate::literal::QuotedText;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(literal) => literal.fmt(f),
            ExprKind::String(text) => QuotedText(text).fmt(f),
            ExprKind::Vector(vector) => vector.fmt(f),
            ExprKind::Matrix(matrix) => matrix.fmt(f),
            ExprKind::Subquery(subquery) => write!(f, "{}{}", subquery.expr, SubqueryWindow(subquery)),
            ExprKind::Unary(op, inner) => write!(f, "{}{inner}", op.as_str()),
            ExprKind::Binary(binary) => {
                write!(f, "{} {} {}", binary.left, BinaryOperator(binary), binary.right)
            }
            ExprKind::Aggregate(aggregate) => {
                write!(f, "{}(", AggregateOperator(aggregate))?;
                if let Some(param) = &aggregate.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", aggregate.expr)
            }
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                separated(f, ", ", &call.args)?;
                f.write_str(")")
            }
            ExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

fn separated<T: Display>(f: &mut Formatter<'_>, separator: &str, items: &[T]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_duration {
            let sign = if self.value < 0.0 { "-" } else { "" };
            // Cut to nanoseconds, not rounded as windows are.
            return write!(f, "{sign}{}", DurationText(to_i64(self.value.abs() * 1e9) / 1_000_000));
        }
        FloatF(self.value).fmt(f)
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_series(f)?;
        self.write_at(f)?;
        self.write_mode(f)?;
        write_offset(f, &self.offset)
    }
}

impl VectorSelector {
    fn write_series(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // The name written before the braces is a matcher too, but only an empty one needs to be shown as such.
        let is_name = |m: &&model::Matcher| {
            m.name() == METRIC_NAME
                && m.op() == MatchOp::Equal
                && m.value() == self.name
                && !m.value().is_empty()
        };
        let mut matchers: Vec<_> =
            self.matchers.iter().filter(|m| !is_name(m)).map(ToString::to_string).collect();
        matchers.sort_unstable();
        f.write_str(&self.name)?;
        if matchers.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        separated(f, ",", &matchers)?;
        f.write_str("}")
    }

    fn write_at(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.at.map_or(Ok(()), |at| at.fmt(f))
    }

    fn write_mode(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mode {
            RangeMode::Plain => "",
            RangeMode::Anchored => " anchored",
            RangeMode::Smoothed => " smoothed",
        })
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.vector.write_series(f)?;
        write!(f, "[{}]", self.range)?;
        self.vector.write_mode(f)?;
        self.vector.write_at(f)?;
        write_offset(f, &self.vector.offset)
    }
}

impl Display for At {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timestamp(millis) => write!(f, " @ {:.3}", *millis as f64 / 1000.0),
            Self::Start => f.write_str(" @ start()"),
            Self::End => f.write_str(" @ end()"),
        }
    }
}

fn write_offset(f: &mut Formatter<'_>, offset: &Duration) -> fmt::Result {
    if *offset == Duration::Millis(0) { Ok(()) } else { write!(f, " offset {offset}") }
}

/// `[range:step] @ time offset offset`
struct SubqueryWindow<'a>(&'a Subquery);

impl Display for SubqueryWindow<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Subquery { range, step, offset, at, .. } = self.0;
        write!(f, "[{range}:")?;
        if let Some(step) = step {
            step.fmt(f)?;
        }
        f.write_str("]")?;
        if let Some(at) = at {
            at.fmt(f)?;
        }
        write_offset(f, offset)
    }
}

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millis(millis) => DurationText(*millis).fmt(f),
            Self::Expr(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationExprKind::Literal(literal) => literal.fmt(f),
            DurationExprKind::Step => f.write_str("step()"),
            DurationExprKind::Range => f.write_str("range()"),
            DurationExprKind::Unary(UnaryOp::Plus, inner) => inner.fmt(f),
            DurationExprKind::Unary(UnaryOp::Minus, inner) => write!(f, "-{inner}"),
            DurationExprKind::Binary(op, left, right) => write!(f, "{left} {} {right}", op.as_str()),
            DurationExprKind::Min(a, b) => write!(f, "min_of({a}, {b})"),
            DurationExprKind::Max(a, b) => write!(f, "max_of({a}, {b})"),
            DurationExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

/// `+ bool on (a) group_left (b)`
struct BinaryOperator<'a>(&'a Binary);

impl Display for BinaryOperator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.as_str())?;
        if self.0.return_bool {
            f.write_str(" bool")?;
        }
        self.0.matching.as_ref().map_or(Ok(()), |matching| matching.fmt(f))
    }
}

impl Display for Matching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let group = match self.cardinality {
            Cardinality::ManyToOne => Some("group_left"),
            Cardinality::OneToMany => Some("group_right"),
            Cardinality::OneToOne | Cardinality::ManyToMany => None,
        };
        if !self.labels.is_empty() || self.on || group.is_some() {
            let keyword = if self.on { "on" } else { "ignoring" };
            write!(f, " {keyword} ({})", LabelList(&self.labels))?;
        }
        if let Some(keyword) = group {
            write!(f, " {keyword} ({})", LabelList(&self.include))?;
        }
        match (self.fill_left, self.fill_right) {
            (Some(left), Some(right)) if left == right => write!(f, " fill ({})", FloatG(left)),
            (left, right) => {
                left.map_or(Ok(()), |value| write!(f, " fill_left ({})", FloatG(value)))?;
                right.map_or(Ok(()), |value| write!(f, " fill_right ({})", FloatG(value)))
            }
        }
    }
}

/// `sum by (a) ` with its last space, or `sum`
struct AggregateOperator<'a>(&'a Aggregate);

impl Display for AggregateOperator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Aggregate { op, grouping, without, .. } = self.0;
        f.write_str(op.as_str())?;
        match (without, grouping.as_slice()) {
            (true, labels) => write!(f, " without ({}) ", LabelList(labels)),
            (false, []) => Ok(()),
            (false, labels) => write!(f, " by ({}) ", LabelList(labels)),
        }
    }
}

struct LabelList<'a>(&'a [String]);

impl Display for LabelList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, label) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_classic_label_name(label) {
                f.write_str(label)?;
            } else {
                Quoted(label).fmt(f)?;
            }
        }
        Ok(())
    }
}

/// Lines longer than this are split where they can be. In bytes.
const MAX_LINE: usize = 100;

/// A query over several lines, indented by two spaces for each level, without a newline at the end.
pub fn pretty(expr: &Expr) -> String {
    let mut out = String::new();
    write_pretty(&mut out, expr, 0);
    out
}

fn write_pretty(out: &mut String, expr: &Expr, level: usize) {
    match &expr.kind {
        ExprKind::Unary(op, inner) => {
            let mut operand = String::new();
            write_pretty(&mut operand, inner, level);
            indent(out, level);
            out.push_str(op.as_str());
            out.push_str(operand.trim());
        }
        // Prometheus forgets the indentation of a subquery that fits its line.
        ExprKind::Subquery(_) if fits(expr) => push(out, expr),
        ExprKind::Subquery(subquery) => {
            write_pretty(out, &subquery.expr, level);
            push(out, SubqueryWindow(subquery));
        }
        ExprKind::Binary(binary) if !fits(expr) => {
            write_pretty(out, &binary.left, level + 1);
            out.push('\n');
            indent(out, level);
            push(out, BinaryOperator(binary));
            out.push('\n');
            write_pretty(out, &binary.right, level + 1);
        }
        ExprKind::Aggregate(aggregate) if !fits(expr) => {
            indent(out, level);
            push(out, AggregateOperator(aggregate));
            let operands: Vec<_> = aggregate.param.iter().chain([&aggregate.expr]).collect();
            write_arguments(out, &operands, level);
        }
        ExprKind::Call(call) if !fits(expr) => {
            indent(out, level);
            out.push_str(call.function.name);
            write_arguments(out, &call.args.iter().collect::<Vec<_>>(), level);
        }
        ExprKind::Paren(inner) if !fits(expr) => {
            indent(out, level);
            write_arguments(out, &[inner], level);
        }
        _ => {
            indent(out, level);
            push(out, expr);
        }
    }
}

/// Expressions in parentheses, each on lines of its own.
fn write_arguments(out: &mut String, args: &[&Expr], level: usize) {
    out.push_str("(\n");
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            out.push_str(",\n");
        }
        write_pretty(out, arg, level + 1);
    }
    out.push('\n');
    indent(out, level);
    out.push(')');
}

fn indent(out: &mut String, level: usize) {
    out.extend(std::iter::repeat_n("  ", level));
}

fn push(out: &mut String, item: impl Display) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{item}");
}

fn fits(expr: &Expr) -> bool {
    /// Stops the formatting as soon as the line is too long, so that a deep tree costs linear time.
    struct Line(usize);
    impl Write for Line {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    write!(Line(MAX_LINE), "{expr}").is_ok()
}
