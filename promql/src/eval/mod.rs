//! Evaluation: the syntax tree becomes a plan ([`build`], [`plan`]); the plan's nodes are evaluated in order, each
//! giving a scalar column or rows ([`query::matrix`]); streams ([`stream`]) take series from the store through range
//! functions and simple stages straight into aggregations. One family of functions per file.

pub(crate) mod absent;
mod aggregate;
mod binary;
pub(crate) mod build;
pub(crate) mod call;
pub(crate) mod clamp;
pub(crate) mod classic;
pub(crate) mod date;
mod extended_range;
pub(crate) mod go_format;
mod histogram;
pub(crate) mod hyperbolic;
pub(crate) mod info;
mod instant;
pub(crate) mod label;
pub(crate) mod math;
mod moment;
mod node_value;
mod over_time;
mod plan;
pub(crate) mod power;
pub(crate) mod range;
mod rate;
mod regression;
mod resolve_duration;
mod result;
pub(crate) mod sample_time;
mod samples;
pub(crate) mod scalar;
mod select;
mod selection_hints;
mod sliding;
pub(crate) mod sort;
mod stage;
mod stats;
mod stream;
mod transitions;
pub(crate) mod trigonometry;
mod window;

use std::sync::Arc;
use std::time::Duration;

use build::QueryTimes;
use model::read::{Hints, Selection, SeriesSource};
pub(crate) use node_value::{NodeValue, ScalarColumn, ScalarSamples};
use plan::{NodeId, Op, Plan, ScopeId};
use query::interrupt::{STAGE_EVALUATION, STAGE_EXECUTION};
use query::matrix::Row;
use query::{Annotations, Interrupt, QueryError, QueryValue, SampleCount, Threads, Times, ValueType};
use select::Selected;
use stats::ScopeStats;

use crate::ast::Expr;
use crate::context::QueryContext;
use crate::engine::QueryResult;
use crate::options::EngineOptions;
use crate::stats::{QueryStats, Timings};

/// What a step of the widest accumulator takes, at least.
const STEP_BYTES: usize = 64;

/// What a value at a step takes.
const PLACE_BYTES: usize = 8;

/// A query that is planned.
#[derive(Debug)]
pub(crate) struct Planned {
    options: EngineOptions,
    plan: Plan,
    lookback: i64,
    kind: ValueType,
    is_instant: bool,
    by_step: bool,
    /// When planning began.
    began: Duration,
}

fn interrupt<'a>(options: &'a EngineOptions, context: &QueryContext<'a>) -> Interrupt<'a> {
    let QueryContext { cancel, elapsed, deadline, .. } = *context;
    Interrupt::new(cancel, elapsed, deadline, options.max_bytes, &options.memory)
}

impl Planned {
    /// Plans a query from the syntax tree.
    pub(crate) fn new(
        options: &EngineOptions,
        expr: &Expr,
        times: Times,
        context: &QueryContext<'_>,
    ) -> Result<Self, QueryError> {
        let began = (context.elapsed)();
        let interrupt = interrupt(options, context);
        interrupt.check(STAGE_EXECUTION)?;
        let lookback = context.lookback_delta.filter(|ms| *ms > 0).unwrap_or(options.lookback_delta);
        let by_step = options.per_step_stats && context.per_step_stats;
        let query = match times {
            Times::Instant(t) => QueryTimes { start: t, end: t, step: 0 },
            Times::Range(range) => QueryTimes { start: range.start, end: range.end, step: range.step },
        };
        let plan = build::build(options, lookback, by_step, query, expr)?;
        for scope in &plan.scopes {
            // Before any list of a value for each step is made. What makes such a list counts it.
            let bytes = scope.grid.steps().saturating_mul(STEP_BYTES);
            interrupt.could_allocate(bytes)?;
        }
        let (kind, is_instant) = (expr.value_type(), matches!(times, Times::Instant(_)));
        Ok(Self { options: options.clone(), plan, lookback, kind, is_instant, by_step, began })
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Evaluates the plan.
    pub(crate) fn evaluate(
        &self,
        source: &dyn SeriesSource,
        threads: Threads,
        context: &QueryContext<'_>,
    ) -> Result<QueryResult, QueryError> {
        let Self { options, plan, began, .. } = self;
        let mut interrupt = interrupt(options, context);
        if threads == Threads::Calling {
            interrupt = interrupt.on_one_thread();
        }
        let mut evaluator = Evaluator::new(options, self.lookback, plan, source, &interrupt)?;
        let prepared = (context.elapsed)();
        let root = evaluator.evaluate()?;
        let evaluated = (context.elapsed)();
        interrupt.check(STAGE_EVALUATION)?;
        let mut value = evaluator.result(root, self.kind, self.is_instant)?;
        if let QueryValue::Matrix(series) = &mut value {
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        let sorted = (context.elapsed)();
        let timings = Timings {
            eval_total: sorted - *began,
            result_sort: if matches!(value, QueryValue::Matrix(_)) {
                sorted - evaluated
            } else {
                Duration::ZERO
            },
            query_preparation: prepared - *began,
            inner_eval: evaluated - prepared,
            exec_queue: context.queue_time,
            exec_total: context.queue_time + (sorted - *began),
        };
        let samples = evaluator.stats[0].report(&plan.scopes[0].grid, evaluator.count.peak, self.by_step);
        Ok(QueryResult { value, annotations: evaluator.annotations, stats: QueryStats { timings, samples } })
    }
}

/// One query under way.
pub(crate) struct Evaluator<'a> {
    options: &'a EngineOptions,
    lookback: i64,
    plan: &'a Plan,
    source: &'a dyn SeriesSource,
    interrupt: &'a Interrupt<'a>,
    selected: Vec<Arc<Selected>>,
    /// What the nodes gave, by node.
    values: Vec<NodeValue>,
    /// Bytes that the values take, until what took them over has ended.
    bytes: Vec<usize>,
    /// Nodes whose values the node under way has taken over.
    taken: Vec<NodeId>,
    /// Samples looked at, by scope.
    stats: Vec<ScopeStats>,
    count: SampleCount,
    annotations: Annotations,
}

impl<'a> Evaluator<'a> {
    /// Selects the series of a plan.
    fn new(
        options: &'a EngineOptions,
        lookback: i64,
        plan: &'a Plan,
        source: &'a dyn SeriesSource,
        interrupt: &'a Interrupt<'a>,
    ) -> Result<Self, QueryError> {
        let mut annotations = Annotations::default();
        let mut selected = Vec::with_capacity(plan.selections.len());
        for selection in &plan.selections {
            interrupt.check(STAGE_EVALUATION)?;
            let (mut found, mut bytes) = select::select(source, selection, interrupt)?;
            if selection.hints.labels.is_some() && found.has_type_or_unit() {
                // Then a name alone does not tell whether series stay distinct without it.
                let hints = Hints { labels: None, ..selection.hints.clone() };
                interrupt.freed(bytes);
                (found, bytes) =
                    select::select(source, &Selection { hints, ..selection.clone() }, interrupt)?;
            }
            found.warnings.iter().for_each(|warning| annotations.add_store_warning(warning));
            interrupt.ended(bytes, 0)?;
            selected.push(Arc::new(found));
        }
        Ok(Self {
            options,
            lookback,
            plan,
            source,
            interrupt,
            selected,
            values: plan.nodes.iter().map(|_| NodeValue::None).collect(),
            bytes: vec![0; plan.nodes.len()],
            taken: Vec::new(),
            stats: plan.scopes.iter().map(ScopeStats::new).collect(),
            count: SampleCount::new(options.max_samples),
            annotations,
        })
    }

    /// Evaluates all nodes; gives the root's value.
    fn evaluate(&mut self) -> Result<NodeValue, QueryError> {
        for id in 0..self.plan.nodes.len() {
            self.interrupt.check(STAGE_EVALUATION)?;
            let value = self.node(id)?;
            self.bytes[id] = value.bytes();
            let freed = self.taken.drain(..).map(|operand| std::mem::take(&mut self.bytes[operand])).sum();
            self.interrupt.ended(self.bytes[id], freed)?;
            self.values[id] = value;
        }
        Ok(self.values.pop().unwrap_or_default())
    }

    fn node(&mut self, id: NodeId) -> Result<NodeValue, QueryError> {
        let plan = self.plan;
        let node = &plan.nodes[id];
        let grid = plan.scopes[node.scope].grid;
        let steps = grid.steps();
        match &node.op {
            Op::Text(text) => Ok(NodeValue::Text(text.clone())),
            Op::Number(v) => self.scalar_value(vec![*v; steps]),
            Op::Stream(stream) => {
                let (rows, samples) = self.collect(node.scope, stream)?;
                Ok(NodeValue::Rows(rows, samples))
            }
            Op::RangeResult(input) => self.range_result(node.scope, input),
            Op::Invariant(inner) => self.invariant(node.scope, *inner),
            Op::Aggregate(aggregate) => self.aggregate(node.scope, aggregate),
            Op::VectorBinary(binary) => self.vector_binary(node.scope, binary),
            Op::Call(call) => call.evaluate(self, node.scope),
            Op::Time
            | Op::ScalarBinary { .. }
            | Op::ScalarNegate(_)
            | Op::ScalarOf(_)
            | Op::ScalarExtreme { .. }
            | Op::VectorOf(_)
            | Op::DateNow(_) => self.scalar_node(node.scope, &node.op),
        }
    }

    /// Counts a scalar column as held.
    fn scalar_value(&mut self, values: Vec<f64>) -> Result<NodeValue, QueryError> {
        self.count.hold(values.len())?;
        Ok(NodeValue::Scalar(values))
    }

    /// Counts rows as held in place of the operands they were made of. `gathered`: samples of the operands at the
    /// last step, which Prometheus, going step by step, holds once more.
    pub(crate) fn rows_value(
        &mut self,
        rows: Vec<Row>,
        operands: usize,
        gathered: usize,
    ) -> Result<NodeValue, QueryError> {
        self.count.touch(gathered + rows.iter().map(Row::samples).sum::<usize>())?;
        self.replace(rows, operands)
    }

    /// Counts rows as held in place of their operands, without a moment in which both are.
    pub(crate) fn replace(&mut self, rows: Vec<Row>, operands: usize) -> Result<NodeValue, QueryError> {
        let samples = rows.iter().map(Row::samples).sum();
        self.count.release(operands);
        self.count.hold(samples)?;
        Ok(NodeValue::Rows(rows, samples))
    }

    /// Takes the rows of a node evaluated before, and how many samples they count for.
    fn take_rows(&mut self, id: NodeId) -> (Vec<Row>, usize) {
        self.taken.push(id);
        match std::mem::take(&mut self.values[id]) {
            NodeValue::Rows(rows, samples) => (rows, samples),
            _ => (Vec::new(), 0),
        }
    }

    /// Repeats what was evaluated once for every step.
    fn invariant(&mut self, scope: ScopeId, inner: NodeId) -> Result<NodeValue, QueryError> {
        let steps = self.plan.scopes[scope].grid.steps();
        self.account_invariant(scope, self.plan.nodes[inner].scope, steps);
        self.taken.push(inner);
        match std::mem::take(&mut self.values[inner]) {
            NodeValue::Scalar(values) => {
                self.count.release(values.len());
                self.scalar_value(values.first().map(|v| vec![*v; steps]).unwrap_or_default())
            }
            NodeValue::Rows(mut rows, samples) => {
                // Before memory is taken for it.
                self.count.hold(samples.saturating_mul(steps.saturating_sub(1)))?;
                let places = |row: &Row| 1 + usize::from(row.histograms.is_some());
                let places: usize = rows.iter().map(places).sum();
                self.interrupt.allocated(places.saturating_mul(steps).saturating_mul(PLACE_BYTES))?;
                for row in &mut rows {
                    let v = row.float(0);
                    let h = row.histogram(0).cloned();
                    row.first = 0;
                    row.values = vec![v; steps];
                    row.histograms = h.map(|h| vec![Some(h); steps]);
                }
                Ok(NodeValue::Rows(rows, samples * steps))
            }
            other => Ok(other),
        }
    }
}
