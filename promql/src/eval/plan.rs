//! The plan of a query: a list of nodes, operands before the operations that use them, so that evaluation is a loop.
//!
//! Chains that treat each series by itself (select, apply a range function, then arithmetic with scalars and simple
//! functions) form one [`Stream`]: series pass through it one by one, and an aggregation above consumes them without
//! a matrix in between. Every node belongs to a [`Scope`]: the query itself, a subquery, or a step-invariant part,
//! each with its own grid.

use model::Matcher;
use model::read::{Selection, SeriesSource};
use query::{Grid, Pos};

use super::aggregate::AggregateNode;
use super::binary::VectorBinary;
use super::call::VectorFn;
use super::date::Date;
use super::moment::Moment;
use super::range::RangeCall;
use super::stage::Stage;
use crate::ast::BinaryOp;

/// Index of a node in the plan.
pub(crate) type NodeId = usize;
/// Index of a scope in the plan.
pub(crate) type ScopeId = usize;
/// Index of a selection in the plan.
pub(crate) type SelectionId = usize;

/// The whole plan; the last node is the root.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<Node>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) selections: Vec<Selection>,
    /// How often each selection is used.
    pub(crate) uses: Vec<usize>,
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) scope: ScopeId,
    pub(crate) op: Op,
}

/// A part of the query with its own steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub(crate) grid: Grid,
    /// Whether samples are counted by step: the user asked, or the enclosing query attributes them to its own steps.
    pub(crate) by_step: bool,
}

/// What a node does.
#[derive(Debug)]
pub(crate) enum Op {
    /// A string literal; at the root only.
    Text(String),
    /// A number at the root.
    Number(f64),
    /// `time()`
    Time,
    /// Arithmetic of two scalars.
    ScalarBinary { op: BinaryOp, left: ScalarRef, right: ScalarRef },
    /// `-scalar`
    ScalarNegate(ScalarRef),
    /// `scalar(vector)`
    ScalarOf(Input),
    /// `max_of`, `min_of`
    ScalarExtreme { extreme: fn(f64, f64) -> f64, left: ScalarRef, right: ScalarRef },
    /// `vector(scalar)`
    VectorOf(ScalarRef),
    /// Date functions without argument.
    DateNow(fn(&Date) -> i64),
    /// Series treated one by one.
    Stream(Stream),
    /// A range selector as the query's result.
    RangeResult(RangeInput),
    /// A step-invariant part, evaluated once in its own scope.
    Invariant(NodeId),
    /// An aggregation.
    Aggregate(Box<AggregateNode>),
    /// An operation on two vectors.
    VectorBinary(Box<VectorBinary>),
    /// A function that looks at the whole vector.
    Call(Box<dyn VectorFn>),
}

/// A scalar operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ScalarRef {
    Const(f64),
    Node(NodeId),
}

/// Where an operation's series come from.
#[derive(Debug)]
pub(crate) enum Input {
    /// Passed on one by one.
    Stream(Box<Stream>),
    /// Evaluated before.
    Node(NodeId),
}

/// A source of series and what is done to each of them.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) source: Source,
    pub(crate) stages: Vec<Stage>,
}

/// Where a stream begins.
#[derive(Debug)]
pub(crate) enum Source {
    /// An instant selector.
    Instant(InstantSelector),
    /// A function over ranges.
    Range(Box<RangeCall>),
    /// Series evaluated before.
    Node(NodeId),
}

/// An instant selector.
#[derive(Clone, Debug)]
pub(crate) struct InstantSelector {
    pub(crate) selection: SelectionId,
    pub(crate) moment: Moment,
    pub(crate) lookback: i64,
    pub(crate) gives: InstantOutput,
    /// Histograms are reduced to their figures.
    pub(crate) stats_only: bool,
    pub(crate) pos: Pos,
}

/// What an instant selector gives for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstantOutput {
    /// The sample.
    Value,
    /// The value at the very step, by interpolation.
    Smoothed,
    /// The sample's time in seconds, under `timestamp()`.
    Time,
    /// The sample's start time in seconds, under `start_timestamp()`.
    StartTime,
}

/// The samples of a range function's windows.
#[derive(Clone, Debug)]
pub(crate) struct RangeInput {
    pub(crate) samples: RangeSamples,
    /// The end of the window seen from a step.
    pub(crate) moment: Moment,
    /// Width of the window in milliseconds.
    pub(crate) range: i64,
    /// How far beyond the window samples count, for `anchored` and `smoothed`.
    pub(crate) extent: Extent,
}

/// Where the samples of windows come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RangeSamples {
    /// The store; with `stats_only`, histograms are reduced to their figures.
    Selection { id: SelectionId, stats_only: bool },
    /// A subquery's evaluation: its node, and the scope of that.
    Subquery { node: NodeId, scope: ScopeId },
}

/// Samples around a window that its function needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Extent {
    /// None.
    #[default]
    Plain,
    /// Those before, as far as the lookback reaches.
    Anchored(i64),
    /// Those before and after, as far as the lookback reaches.
    Smoothed(i64),
}

impl Extent {
    pub(crate) fn before(self) -> i64 {
        match self {
            Self::Plain => 0,
            Self::Anchored(lookback) | Self::Smoothed(lookback) => lookback,
        }
    }

    pub(crate) fn after(self) -> i64 {
        match self {
            Self::Smoothed(lookback) => lookback,
            Self::Plain | Self::Anchored(_) => 0,
        }
    }
}

impl Plan {
    /// Adds a selection, or finds the same one: selectors with equal matchers and times share what the store gives.
    pub(crate) fn selection(&mut self, new: Selection) -> SelectionId {
        let same = |old: &Selection| {
            old.min_t == new.min_t && old.max_t == new.max_t && old.matchers == new.matchers
        };
        match self.selections.iter().position(same) {
            Some(at) => {
                self.uses[at] += 1;
                self.selections[at].hints.merge(&new.hints);
                at
            }
            None => {
                self.selections.push(new);
                self.uses.push(1);
                self.selections.len() - 1
            }
        }
    }

    /// See [`crate::engine::Prepared::may_wait`].
    pub(crate) fn may_wait(&self, source: &dyn SeriesSource) -> bool {
        self.selections.iter().any(|selection| source.may_wait(selection))
    }

    /// See [`crate::engine::Prepared::work`].
    pub(crate) fn work(&self, source: &dyn SeriesSource, enough: u64) -> Option<u64> {
        let roughly = self.estimate(source, false)?;
        if roughly <= enough { Some(roughly) } else { self.estimate(source, true) }
    }

    /// Nanoseconds, where samples are 15 s or more apart.
    fn estimate(&self, source: &dyn SeriesSource, closely: bool) -> Option<u64> {
        // What finding and labelling a series takes, finding and decoding the chunk in which its samples begin, decoding
        // another sample, and a step of a series.
        const SERIES: u64 = 500;
        const CHUNK: u64 = 1000;
        const SAMPLE: u64 = 5;
        const STEP: u64 = 10;
        const SAMPLES_APART_MS: i64 = 15_000;
        let steps: u64 = self.scopes.iter().map(|scope| scope.grid.steps() as u64).sum();
        let mut work = (self.nodes.len() as u64).saturating_mul(100 + STEP * steps);
        for node in &self.nodes {
            if matches!(&node.op, Op::Call(call) if call.selects_more()) {
                return None;
            }
        }
        for selection in &self.selections {
            // The newest sample is at hand where samples are in memory.
            let newest = selection.hints.newest && !source.may_wait(selection);
            let span = selection.max_t.saturating_sub(selection.min_t).max(0);
            let samples = span.unsigned_abs() / SAMPLES_APART_MS.unsigned_abs();
            let read = if newest { 0 } else { CHUNK + SAMPLE.saturating_mul(samples) };
            let each = (SERIES + STEP * steps).saturating_add(read);
            work = work.saturating_add(each.saturating_mul(source.at_most(selection, closely)?));
        }
        Some(work)
    }

    /// Whether all series of a selection have the same metric name.
    pub(crate) fn has_one_name(&self, selection: SelectionId) -> bool {
        self.selections[selection].matchers.iter().any(names_one_metric)
    }
}

fn names_one_metric(matcher: &Matcher) -> bool {
    matcher.op() == model::MatchOp::Equal && matcher.name() == model::labels::METRIC_NAME
}
