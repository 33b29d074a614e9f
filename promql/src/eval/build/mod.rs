//! From the syntax tree to the plan: resolves durations, `@` and `start()`..., finds step-invariant parts, cuts the
//! tree into streams, and gives every selector its time range and hints.
//! Source: Prometheus `PreprocessExpr`, `populateSeries`.

mod operators;
mod selectors;

use query::{Grid, QueryError, ValueType};

use crate::ast::{At, Duration, Expr, ExprKind, UnaryOp};
use crate::eval::moment::Moment;
use crate::eval::plan::{
    Input, Node, NodeId, Op, Plan, RangeInput, ScalarRef, Scope, ScopeId, Source, Stream,
};
use crate::eval::resolve_duration::{QueryShape, Sign, resolve};
use crate::eval::selection_hints;
use crate::eval::stage::Stage;
use crate::functions::{Buckets, Code};
use crate::options::EngineOptions;

/// What building a part of the tree gave.
pub(crate) enum PlanPart {
    Scalar(ScalarRef),
    Vector(Input),
    /// At the root, or as an argument that functions read themselves.
    Text(String),
    /// A range, at the root.
    Range(RangeInput),
}

/// The times of the query as the user gave them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryTimes {
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// 0 for an instant query.
    pub(crate) step: i64,
}

impl QueryTimes {
    /// The step; 0 also for a range of a single moment.
    pub(crate) fn step_of_range(self) -> i64 {
        if self.start == self.end { 0 } else { self.step }
    }
}

/// Builds a plan.
pub(crate) struct Builder<'a> {
    pub(crate) options: &'a EngineOptions,
    pub(crate) lookback: i64,
    pub(crate) times: QueryTimes,
    pub(crate) plan: Plan,
    pub(crate) scope: ScopeId,
    /// Inside a part that is evaluated once anyway.
    invariant: bool,
    histogram_needs: HistogramNeeds,
}

/// What the nodes above one need of histograms.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HistogramNeeds {
    /// Something above takes nothing but count and sum.
    pub(crate) stats_suffice: bool,
    /// Something above needs the buckets.
    pub(crate) buckets: bool,
}

/// Trees higher than this are built on a stack of their own.
const SHALLOW_HEIGHT: usize = 60;
/// Enough for a tree of [`crate::ast::MAX_HEIGHT`], whatever the build's optimisation.
const DEEP_STACK_BYTES: usize = 64 << 20;

/// Builds the plan of an expression.
pub(crate) fn build(
    options: &EngineOptions,
    lookback: i64,
    by_step: bool,
    times: QueryTimes,
    expr: &Expr,
) -> Result<Plan, QueryError> {
    if is_shallow(expr) {
        return build_here(options, lookback, by_step, times, expr);
    }
    let failed = |what: String| QueryError::Execution(format!("planning the query failed: {what}"));
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(DEEP_STACK_BYTES)
            .spawn_scoped(scope, || build_here(options, lookback, by_step, times, expr))
            .map_err(|error| failed(error.to_string()))?
            .join()
            .unwrap_or_else(|_| Err(failed("it panicked".to_owned())))
    })
}

fn is_shallow(expr: &Expr) -> bool {
    let mut left = vec![(expr, 0)];
    while let Some((expr, height)) = left.pop() {
        if height > SHALLOW_HEIGHT {
            return false;
        }
        left.extend(expr.children().into_iter().map(|child| (child, height + 1)));
    }
    true
}

fn build_here(
    options: &EngineOptions,
    lookback: i64,
    by_step: bool,
    times: QueryTimes,
    expr: &Expr,
) -> Result<Plan, QueryError> {
    validate(options, expr)?;
    let grid = Grid { start: times.start, end: times.end, interval: times.step.max(1) };
    let mut plan = Plan::default();
    plan.scopes.push(Scope { grid, by_step });
    let mut builder = Builder {
        options,
        lookback,
        times,
        plan,
        scope: 0,
        invariant: grid.is_instant(),
        histogram_needs: HistogramNeeds::default(),
    };
    let wrap = builder.variance(expr).1;
    let built = builder.wrapped(expr, wrap)?;
    builder.finish(built);
    let mut plan = builder.plan;
    if !options.delayed_name_removal {
        selection_hints::note(&mut plan);
    }
    Ok(plan)
}

/// Refuses what the options switch off.
fn validate(options: &EngineOptions, expr: &Expr) -> Result<(), QueryError> {
    let mut refused = None;
    let mut look = |at: &Option<At>, offset: &Duration| {
        if at.is_some() && !options.at_modifier {
            refused.get_or_insert("@ modifier is disabled");
        }
        if matches!(offset, Duration::Millis(ms) if *ms < 0) && !options.negative_offset {
            refused.get_or_insert("negative offset is disabled");
        }
    };
    expr.walk(&mut |expr| match &expr.kind {
        ExprKind::Vector(vector) => look(&vector.at, &vector.offset),
        ExprKind::Matrix(matrix) => look(&matrix.vector.at, &matrix.vector.offset),
        ExprKind::Subquery(subquery) => look(&subquery.at, &subquery.offset),
        _ => {}
    });
    refused.map_or(Ok(()), |what| Err(QueryError::Invalid(what.to_owned())))
}

impl Builder<'_> {
    pub(crate) fn grid(&self) -> Grid {
        self.plan.scopes[self.scope].grid
    }

    /// Adds a node to the plan.
    pub(crate) fn push(&mut self, op: Op) -> NodeId {
        self.plan.nodes.push(Node { scope: self.scope, op });
        self.plan.nodes.len() - 1
    }

    /// Makes a vector a node of its own.
    pub(crate) fn place(&mut self, input: Input) -> NodeId {
        match input {
            Input::Node(id) => id,
            Input::Stream(stream) => self.push(Op::Stream(*stream)),
        }
    }

    /// Makes sure that the plan's last node is the root.
    fn finish(&mut self, built: PlanPart) {
        match built {
            PlanPart::Scalar(ScalarRef::Const(v)) => drop(self.push(Op::Number(v))),
            PlanPart::Text(text) => drop(self.push(Op::Text(text))),
            PlanPart::Range(input) => drop(self.push(Op::RangeResult(input))),
            PlanPart::Vector(Input::Stream(stream)) => drop(self.push(Op::Stream(*stream))),
            // Operands precede their users, so a root that is a node is the last.
            PlanPart::Scalar(ScalarRef::Node(_)) | PlanPart::Vector(Input::Node(_)) => {}
        }
    }

    fn shape(&self) -> QueryShape {
        QueryShape { step: self.times.step, range: self.times.end - self.times.start }
    }

    pub(crate) fn moment(&self, at: Option<At>, offset: &Duration) -> Result<Moment, QueryError> {
        let at = at.map(|at| match at {
            At::Timestamp(t) => t,
            At::Start => self.times.start,
            At::End => self.times.end,
        });
        Ok(Moment { at, offset: resolve(offset, self.shape(), Sign::Any)? })
    }

    /// Whether an expression gives the same at every step, and whether that is worth evaluating it on its own.
    fn variance(&self, expr: &Expr) -> (bool, bool) {
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::String(_) => (true, false),
            ExprKind::Vector(vector) => (vector.at.is_some(), vector.at.is_some()),
            ExprKind::Matrix(matrix) => (matrix.vector.at.is_some(), false),
            ExprKind::Subquery(subquery) => (subquery.at.is_some(), false),
            ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => self.variance(inner),
            ExprKind::Aggregate(aggregate) => self.variance(&aggregate.expr),
            ExprKind::Binary(binary) => {
                let both = self.variance(&binary.left).0 && self.variance(&binary.right).0;
                (both, both)
            }
            ExprKind::Call(call) => {
                if matches!(call.function.code, Code::QueryTime(_)) {
                    return (true, false);
                }
                let mut args = call.args.iter().map(Expr::without_parens);
                let invariant = !call.function.depends_on_step(call) && args.all(|arg| self.variance(arg).0);
                (invariant, invariant)
            }
        }
    }

    /// Builds a part, in a scope of one step when `wrap` says that it is worth it.
    pub(crate) fn wrapped(&mut self, expr: &Expr, wrap: bool) -> Result<PlanPart, QueryError> {
        if !wrap || self.invariant {
            return self.expr(expr);
        }
        let outer = self.scope;
        let grid = self.grid();
        // A subquery's empty grid stays empty.
        let grid = if grid.steps() == 0 { grid } else { Grid::single(grid.start, grid.interval) };
        self.plan.scopes.push(Scope { grid, by_step: false });
        self.scope = self.plan.scopes.len() - 1;
        self.invariant = true;
        let mut built = self.expr(expr)?;
        if let PlanPart::Vector(input) = built {
            built = PlanPart::Vector(Input::Node(self.place(input)));
        }
        self.scope = outer;
        self.invariant = false;
        Ok(match built {
            PlanPart::Vector(Input::Node(inner)) => {
                PlanPart::Vector(Input::Node(self.push(Op::Invariant(inner))))
            }
            PlanPart::Scalar(ScalarRef::Node(inner)) => {
                PlanPart::Scalar(ScalarRef::Node(self.push(Op::Invariant(inner))))
            }
            other => other,
        })
    }

    /// Builds an argument of a call or an operand, on its own if it is step-invariant and worth it.
    pub(crate) fn operand(&mut self, expr: &Expr) -> Result<PlanPart, QueryError> {
        let wrap = self.variance(expr).1;
        self.wrapped(expr, wrap)
    }

    /// Builds a part whose type is scalar.
    pub(crate) fn scalar(&mut self, expr: &Expr) -> Result<ScalarRef, QueryError> {
        match self.operand(expr)? {
            PlanPart::Scalar(scalar) => Ok(scalar),
            _ => Err(wrong_type(expr, ValueType::Scalar)),
        }
    }

    /// As [`Self::scalar`], but a node in any case: its values count as held while what follows is evaluated.
    pub(crate) fn held_scalar(&mut self, expr: &Expr) -> Result<ScalarRef, QueryError> {
        let scalar = self.scalar(expr)?;
        Ok(self.held(scalar))
    }

    fn held(&mut self, scalar: ScalarRef) -> ScalarRef {
        match scalar {
            ScalarRef::Const(v) => ScalarRef::Node(self.push(Op::Number(v))),
            ScalarRef::Node(_) => scalar,
        }
    }

    /// Builds a part whose type is vector.
    pub(crate) fn vector(&mut self, expr: &Expr) -> Result<Input, QueryError> {
        match self.operand(expr)? {
            PlanPart::Vector(input) => Ok(input),
            _ => Err(wrong_type(expr, ValueType::Vector)),
        }
    }

    /// Builds a part that is a string literal.
    pub(crate) fn text(&self, expr: &Expr) -> Result<String, QueryError> {
        match &expr.without_parens().kind {
            ExprKind::String(text) => Ok(text.clone()),
            _ => Err(wrong_type(expr, ValueType::String)),
        }
    }

    pub(crate) fn expr(&mut self, expr: &Expr) -> Result<PlanPart, QueryError> {
        match &expr.kind {
            ExprKind::Number(number) => Ok(PlanPart::Scalar(ScalarRef::Const(number.value))),
            ExprKind::String(text) => Ok(PlanPart::Text(text.clone())),
            ExprKind::Vector(selector) => self.selector(selector, expr.pos, None).map(PlanPart::Vector),
            ExprKind::Matrix(selector) => self.matrix(selector).map(PlanPart::Range),
            ExprKind::Subquery(subquery) => self.subquery(subquery).map(PlanPart::Range),
            ExprKind::Paren(inner) | ExprKind::Unary(UnaryOp::Plus, inner) => self.expr(inner),
            ExprKind::Unary(UnaryOp::Minus, inner) => self.negate(inner),
            ExprKind::Binary(binary) => self.binary(binary, expr.pos),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate, expr.pos),
            ExprKind::Call(call) => {
                let needs = self.histogram_needs;
                self.histogram_needs.stats_suffice |= call.function.buckets == Buckets::Unneeded;
                self.histogram_needs.buckets |= call.function.buckets == Buckets::Needed;
                let built = self.call(call, expr.pos);
                self.histogram_needs = needs;
                built
            }
        }
    }

    /// Appends a stage to a vector's stream.
    pub(crate) fn staged(&mut self, input: Input, stage: Stage) -> PlanPart {
        let mut stream = match input {
            Input::Stream(stream) => stream,
            Input::Node(id) => Box::new(Stream { source: Source::Node(id), stages: Vec::new() }),
        };
        stream.stages.push(stage);
        PlanPart::Vector(Input::Stream(stream))
    }
}

/// For trees that the parser's checker would have refused.
pub(crate) fn wrong_type(expr: &Expr, wanted: ValueType) -> QueryError {
    QueryError::Invalid(format!("expected type {}, got {}", wanted.as_str(), expr.value_type().as_str()))
}
