//! The syntax tree of PromQL, with the source position of every node. Source: Prometheus `promql/parser/ast.go`.

mod aggregate;
mod duration;
mod operators;
mod selectors;

pub use aggregate::{Aggregate, AggregateOp};
pub use duration::{Duration, DurationExpr, DurationExprKind};
pub use operators::{Binary, BinaryOp, Cardinality, Matching, UNARY_PRECEDENCE, UnaryOp};
pub use query::{Pos, ValueType};
pub use selectors::{At, MatrixSelector, RangeMode, Subquery, VectorSelector};

/// The highest tree that the parser builds; beyond it, it gives an error. Our own bound: Prometheus has none.
pub const MAX_HEIGHT: usize = 500;

/// An expression with its place in the text.
///
/// A tree from the parser is at most [`MAX_HEIGHT`] nodes high, so recursion over it is safe.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Where it stands.
    pub pos: Pos,
    /// What it is.
    pub kind: ExprKind,
}

impl Expr {
    /// What the expression evaluates to. Source: Prometheus `Expr.Type`.
    pub fn value_type(&self) -> ValueType {
        let mut expr = self;
        loop {
            match &expr.kind {
                ExprKind::Number(_) => return ValueType::Scalar,
                ExprKind::String(_) => return ValueType::String,
                ExprKind::Vector(_) | ExprKind::Aggregate(_) => return ValueType::Vector,
                ExprKind::Matrix(_) | ExprKind::Subquery(_) => return ValueType::Matrix,
                ExprKind::Call(call) => return call.function.returns,
                ExprKind::Unary(_, inner) | ExprKind::Paren(inner) => expr = inner,
                ExprKind::Binary(binary) => return binary.value_type,
            }
        }
    }

    /// The direct sub-expressions in Prometheus's order: an aggregation's operand before its parameter. Selectors
    /// have none.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Vector(_) | ExprKind::Matrix(_) => {
                Vec::new()
            }
            ExprKind::Subquery(subquery) => vec![&subquery.expr],
            ExprKind::Unary(_, inner) | ExprKind::Paren(inner) => vec![inner],
            ExprKind::Binary(binary) => vec![&binary.left, &binary.right],
            ExprKind::Aggregate(aggregate) => {
                std::iter::once(&aggregate.expr).chain(aggregate.param.as_ref()).collect()
            }
            ExprKind::Call(call) => call.args.iter().collect(),
        }
    }

    /// Calls `visit` for this expression and all below, parents first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// The expression inside any number of parentheses.
    pub fn without_parens(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// Whether the expression is an instant selector.
    pub fn is_vector_selector(&self) -> bool {
        matches!(self.kind, ExprKind::Vector(_))
    }

    /// Every selector of the tree, those of range selectors included, in the order of the text.
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut found = Vec::new();
        self.walk(&mut |expr| match &expr.kind {
            ExprKind::Vector(vector) => found.push(vector),
            ExprKind::Matrix(matrix) => found.push(&matrix.vector),
            _ => {}
        });
        found
    }
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `Inf`, `0x1f`, `5m` used as a number
    Number(NumberLiteral),
    /// `"text"`
    String(String),
    /// `up{job="x"} offset 5m`
    Vector(VectorSelector),
    /// `up[5m]`
    Matrix(MatrixSelector),
    /// `expr[1h:5m]`
    Subquery(Box<Subquery>),
    /// `-expr`, `+expr`
    Unary(UnaryOp, Box<Expr>),
    /// `a + on(x) b`
    Binary(Box<Binary>),
    /// `sum by (x) (expr)`
    Aggregate(Box<Aggregate>),
    /// `rate(x[5m])`
    Call(Call),
    /// `(expr)`
    Paren(Box<Expr>),
}

/// A number, and whether the text wrote it as a duration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumberLiteral {
    /// The value; seconds when it was a duration.
    pub value: f64,
    /// Written as `5m` rather than `300`.
    pub is_duration: bool,
}

/// A function call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function's entry in the table.
    pub function: &'static crate::functions::Function,
    /// Arguments in order.
    pub args: Vec<Expr>,
}
