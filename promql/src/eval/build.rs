//! From the syntax tree to the plan: resolves durations, `@` and `start()`..., finds step-invariant parts, cuts the
//! tree into streams, and gives every selector its time range and hints.
//! Source: Prometheus `PreprocessExpr`, `populateSeries`.

use model::read::{Hints, Selection};
use query::aggregate::FoldOp;
use query::aggregate::topk::TopkOp;
use query::{Grid, Pos, QueryError, ValueType};

use super::aggregate::{AggregateNode, Operator};
use super::binary::VectorBinary;
use super::map::Stage;
use super::moment::{Moment, subquery_grid};
use super::needs;
use super::plan::{
    Extent, Input, InstantGives, InstantSelector, Node, NodeId, Op, Plan, RangeInput, RangeSamples,
    ScalarRef, Scope, ScopeId, Source, Stream,
};
use super::resolve_duration::{QueryShape, Sign, resolve};
use crate::ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Duration, Expr, ExprKind, MatrixSelector, RangeMode,
    Subquery, UnaryOp, VectorSelector,
};
use crate::functions::{Buckets, Code};
use crate::options::EngineOptions;

/// What building a part of the tree gave.
pub(crate) enum Built {
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
    figures: Figures,
}

/// Whether the figures of histograms are enough below some node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Something above takes nothing else.
    pub(crate) wanted: bool,
    /// Something above needs the buckets.
    pub(crate) buckets: bool,
}

/// Trees higher than this are built on a stack of their own.
const LOW: usize = 60;
/// Enough for a tree of [`crate::ast::MAX_HEIGHT`], whatever the build's optimisation.
const HIGH_STACK_BYTES: usize = 64 << 20;

/// Builds the plan of an expression.
pub(crate) fn build(
    options: &EngineOptions,
    lookback: i64,
    by_step: bool,
    times: QueryTimes,
    expr: &Expr,
) -> Result<Plan, QueryError> {
    if is_low(expr) {
        return build_here(options, lookback, by_step, times, expr);
    }
    let failed = |what: String| QueryError::Execution(format!("planning the query failed: {what}"));
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(HIGH_STACK_BYTES)
            .spawn_scoped(scope, || build_here(options, lookback, by_step, times, expr))
            .map_err(|error| failed(error.to_string()))?
            .join()
            .unwrap_or_else(|_| Err(failed("it panicked".to_owned())))
    })
}

fn is_low(expr: &Expr) -> bool {
    let mut left = vec![(expr, 0)];
    while let Some((expr, height)) = left.pop() {
        if height > LOW {
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
        figures: Figures::default(),
    };
    let wrap = builder.variance(expr).1;
    let built = builder.wrapped(expr, wrap)?;
    builder.finish(built);
    let mut plan = builder.plan;
    if !options.delayed_name_removal {
        needs::note(&mut plan);
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
    fn finish(&mut self, built: Built) {
        match built {
            Built::Scalar(ScalarRef::Const(v)) => drop(self.push(Op::Number(v))),
            Built::Text(text) => drop(self.push(Op::Text(text))),
            Built::Range(input) => drop(self.push(Op::RawRange(input))),
            Built::Vector(Input::Stream(stream)) => drop(self.push(Op::Stream(*stream))),
            // Operands precede their users, so a root that is a node is the last.
            Built::Scalar(ScalarRef::Node(_)) | Built::Vector(Input::Node(_)) => {}
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
    pub(crate) fn wrapped(&mut self, expr: &Expr, wrap: bool) -> Result<Built, QueryError> {
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
        if let Built::Vector(input) = built {
            built = Built::Vector(Input::Node(self.place(input)));
        }
        self.scope = outer;
        self.invariant = false;
        Ok(match built {
            Built::Vector(Input::Node(inner)) => Built::Vector(Input::Node(self.push(Op::Invariant(inner)))),
            Built::Scalar(ScalarRef::Node(inner)) => {
                Built::Scalar(ScalarRef::Node(self.push(Op::Invariant(inner))))
            }
            other => other,
        })
    }

    /// Builds an argument of a call or an operand, on its own if it is step-invariant and worth it.
    pub(crate) fn operand(&mut self, expr: &Expr) -> Result<Built, QueryError> {
        let wrap = self.variance(expr).1;
        self.wrapped(expr, wrap)
    }

    /// Builds a part whose type is scalar.
    pub(crate) fn scalar(&mut self, expr: &Expr) -> Result<ScalarRef, QueryError> {
        match self.operand(expr)? {
            Built::Scalar(scalar) => Ok(scalar),
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
            Built::Vector(input) => Ok(input),
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

    pub(crate) fn expr(&mut self, expr: &Expr) -> Result<Built, QueryError> {
        match &expr.kind {
            ExprKind::Number(number) => Ok(Built::Scalar(ScalarRef::Const(number.value))),
            ExprKind::String(text) => Ok(Built::Text(text.clone())),
            ExprKind::Vector(selector) => self.selector(selector, expr.pos, None).map(Built::Vector),
            ExprKind::Matrix(selector) => self.matrix(selector).map(Built::Range),
            ExprKind::Subquery(subquery) => self.subquery(subquery).map(Built::Range),
            ExprKind::Paren(inner) | ExprKind::Unary(UnaryOp::Plus, inner) => self.expr(inner),
            ExprKind::Unary(UnaryOp::Minus, inner) => self.negate(inner),
            ExprKind::Binary(binary) => self.binary(binary, expr.pos),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate, expr.pos),
            ExprKind::Call(call) => {
                let figures = self.figures;
                self.figures.wanted |= call.function.buckets == Buckets::Unneeded;
                self.figures.buckets |= call.function.buckets == Buckets::Needed;
                let built = self.call(call, expr.pos);
                self.figures = figures;
                built
            }
        }
    }

    /// Appends a stage to a vector's stream.
    pub(crate) fn staged(&mut self, input: Input, stage: Stage) -> Built {
        let mut stream = match input {
            Input::Stream(stream) => stream,
            Input::Node(id) => Box::new(Stream { source: Source::Node(id), stages: Vec::new() }),
        };
        stream.stages.push(stage);
        Built::Vector(Input::Stream(stream))
    }

    fn negate(&mut self, inner: &Expr) -> Result<Built, QueryError> {
        match self.expr(inner)? {
            Built::Scalar(ScalarRef::Const(v)) => Ok(Built::Scalar(ScalarRef::Const(-v))),
            Built::Scalar(scalar) => Ok(Built::Scalar(ScalarRef::Node(self.push(Op::ScalarNegate(scalar))))),
            Built::Vector(input) => Ok(self.staged(input, Stage::Negate)),
            Built::Text(_) | Built::Range(_) => Err(wrong_type(inner, ValueType::Vector)),
        }
    }

    fn binary(&mut self, binary: &Binary, pos: Pos) -> Result<Built, QueryError> {
        let figures = self.figures;
        let op = binary.op;
        self.figures.buckets |= matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
        let mut left = self.operand(&binary.left)?;
        if binary.right.value_type() == ValueType::Vector
            && let Built::Vector(input) = left
        {
            // Before the right side, which counts what is held already.
            left = Built::Vector(Input::Node(self.place(input)));
        }
        let right = self.operand(&binary.right)?;
        self.figures = figures;
        Ok(match (left, right) {
            (Built::Scalar(ScalarRef::Const(a)), Built::Scalar(ScalarRef::Const(b))) => {
                Built::Scalar(ScalarRef::Const(super::binary::scalar_op(op, a, b)))
            }
            (Built::Scalar(left), Built::Scalar(right)) => {
                Built::Scalar(ScalarRef::Node(self.push(Op::ScalarBinary { op, left, right })))
            }
            (Built::Vector(input), Built::Scalar(scalar)) => {
                let stage =
                    Stage::Scalar { op, scalar, scalar_left: false, return_bool: binary.return_bool, pos };
                self.staged(input, stage)
            }
            (Built::Scalar(scalar), Built::Vector(input)) => {
                let stage =
                    Stage::Scalar { op, scalar, scalar_left: true, return_bool: binary.return_bool, pos };
                self.staged(input, stage)
            }
            (Built::Vector(left), Built::Vector(right)) => {
                let matching = binary.matching.clone().unwrap_or_default();
                let (left, right) = (self.place(left), self.place(right));
                let node = VectorBinary { op, left, right, matching, return_bool: binary.return_bool, pos };
                Built::Vector(Input::Node(self.push(Op::VectorBinary(Box::new(node)))))
            }
            _ => return Err(wrong_type(&binary.left, ValueType::Vector)),
        })
    }

    fn aggregate(&mut self, aggregate: &Aggregate, pos: Pos) -> Result<Built, QueryError> {
        let operand = aggregate.expr.without_parens();
        let param = match &aggregate.param {
            Some(param) if param.value_type() == ValueType::Scalar => {
                // Not evaluated on its own: Prometheus looks at the operand only.
                match self.expr(param.without_parens())? {
                    Built::Scalar(scalar) => Some(self.held(scalar)),
                    _ => return Err(wrong_type(param, ValueType::Scalar)),
                }
            }
            _ => None,
        };
        let op = match aggregate.op {
            AggregateOp::Sum => Operator::Fold(FoldOp::Sum),
            AggregateOp::Avg => Operator::Fold(FoldOp::Avg),
            AggregateOp::Min => Operator::Fold(FoldOp::Min),
            AggregateOp::Max => Operator::Fold(FoldOp::Max),
            AggregateOp::Count => Operator::Fold(FoldOp::Count),
            AggregateOp::Group => Operator::Fold(FoldOp::Group),
            AggregateOp::Stddev => Operator::Fold(FoldOp::Stddev),
            AggregateOp::Stdvar => Operator::Fold(FoldOp::Stdvar),
            AggregateOp::Topk => Operator::Topk(TopkOp::Topk),
            AggregateOp::Bottomk => Operator::Topk(TopkOp::Bottomk),
            AggregateOp::Limitk => Operator::Topk(TopkOp::Limitk),
            AggregateOp::LimitRatio => Operator::Topk(TopkOp::LimitRatio),
            AggregateOp::Quantile => Operator::Quantile,
            AggregateOp::CountValues => {
                let label = aggregate.param.as_ref().map(|label| self.text(label)).transpose()?;
                Operator::CountValues(label.unwrap_or_default())
            }
        };
        let Built::Vector(input) = self.expr(operand)? else {
            return Err(wrong_type(operand, ValueType::Vector));
        };
        let node = AggregateNode {
            op,
            name: aggregate.op.as_str(),
            input,
            param,
            grouping: aggregate.grouping.clone(),
            without: aggregate.without,
            pos,
            operand_pos: operand.pos,
            param_pos: aggregate.param.as_ref().map_or(pos, |p| p.without_parens().pos),
        };
        Ok(Built::Vector(Input::Node(self.push(Op::Aggregate(Box::new(node))))))
    }

    /// Builds an instant selector; `gives` other than values for the functions that look at times.
    pub(crate) fn selector(
        &mut self,
        selector: &VectorSelector,
        pos: Pos,
        gives: Option<InstantGives>,
    ) -> Result<Input, QueryError> {
        let moment = self.moment(selector.at, &selector.offset)?;
        let smoothed = selector.mode == RangeMode::Smoothed && gives.is_none();
        let gives = gives.unwrap_or(if smoothed { InstantGives::Smoothed } else { InstantGives::Value });
        let extent = if smoothed { Extent::Smoothed(self.lookback) } else { Extent::Plain };
        let reach = if smoothed { 0 } else { self.lookback };
        // At a single moment, nothing but the newest sample is looked at.
        let newest = !smoothed && (self.grid().steps() == 1 || moment.at.is_some());
        let selection = self.select(selector, moment, reach, extent, newest);
        let stats_only = self.stats_only();
        let source = Source::Instant(InstantSelector {
            selection,
            moment,
            lookback: self.lookback,
            gives,
            stats_only,
            pos,
        });
        Ok(Input::Stream(Box::new(Stream { source, stages: Vec::new() })))
    }

    fn stats_only(&self) -> bool {
        self.figures.wanted && !self.figures.buckets
    }

    /// Adds the selection of a selector that looks `reach` into the past of the moments it sees. `newest`: the newest
    /// sample is enough.
    fn select(
        &mut self,
        selector: &VectorSelector,
        moment: Moment,
        reach: i64,
        extent: Extent,
        newest: bool,
    ) -> usize {
        let grid = self.grid();
        let min_t = moment.seen_from(grid.start).saturating_sub(reach + extent.before()).saturating_add(1);
        let max_t = moment.seen_from(grid.last()).saturating_add(extent.after());
        self.plan.selection(Selection {
            matchers: selector.matchers.clone(),
            min_t,
            max_t,
            limit: 0,
            hints: Hints { newest, ..Hints::default() },
        })
    }

    pub(crate) fn matrix(&mut self, matrix: &MatrixSelector) -> Result<RangeInput, QueryError> {
        let range = resolve(&matrix.range, self.shape(), Sign::Positive)?;
        let moment = self.moment(matrix.vector.at, &matrix.vector.offset)?;
        let extent = match matrix.vector.mode {
            RangeMode::Plain => Extent::Plain,
            RangeMode::Anchored => Extent::Anchored(self.lookback),
            RangeMode::Smoothed => Extent::Smoothed(self.lookback),
        };
        let selection = self.select(&matrix.vector, moment, range, extent, false);
        let samples = RangeSamples::Selection { id: selection, stats_only: self.stats_only() };
        Ok(RangeInput { samples, moment, range, extent })
    }

    pub(crate) fn subquery(&mut self, subquery: &Subquery) -> Result<RangeInput, QueryError> {
        let moment = self.moment(subquery.at, &subquery.offset)?;
        let step = match &subquery.step {
            Some(step) => resolve(step, self.shape(), Sign::Positive)?,
            None => self.options.default_interval,
        };
        let range = resolve(&subquery.range, self.shape(), Sign::Positive)?;
        let outer = self.grid();
        let grid = if outer.steps() == 0 { outer } else { subquery_grid(&outer, moment, range, step.max(1)) };
        let before = (self.scope, self.invariant, self.figures);
        // Counter resets between the picked samples show in the buckets only.
        self.figures.buckets = true;
        self.plan.scopes.push(Scope { grid, by_step: true });
        self.scope = self.plan.scopes.len() - 1;
        self.invariant = grid.is_instant();
        let wrap = self.variance(&subquery.expr).0;
        let built = self.wrapped(&subquery.expr, wrap)?;
        let (node, scope) = match built {
            Built::Vector(input) => (self.place(input), self.scope),
            Built::Scalar(scalar) => (self.push(Op::VectorOf(scalar)), self.scope),
            Built::Text(_) | Built::Range(_) => return Err(wrong_type(&subquery.expr, ValueType::Vector)),
        };
        (self.scope, self.invariant, self.figures) = before;
        let samples = RangeSamples::Subquery { node, scope };
        Ok(RangeInput { samples, moment, range, extent: Extent::Plain })
    }
}

/// For trees that the parser's checker would have refused.
pub(crate) fn wrong_type(expr: &Expr, wanted: ValueType) -> QueryError {
    QueryError::Invalid(format!("expected type {}, got {}", wanted.as_str(), expr.value_type().as_str()))
}
