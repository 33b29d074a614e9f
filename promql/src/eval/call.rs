//! Function calls: how a call becomes part of the plan, by its function's [`Code`].

use std::fmt;

use query::{Pos, QueryError, ValueType};

use super::absent::Absent;
use super::build::{Builder, PlanPart, wrong_type};
use super::plan::{Input, Op, ScalarRef, ScopeId, Source, Stream};
use super::range::{RangeCall, RangeFn};
use super::stage::Stage;
use super::{Evaluator, NodeValue};
use crate::ast::{Call, Expr, ExprKind, RangeMode};
use crate::functions::Code;

/// A function of a whole vector, in the plan.
pub(crate) trait VectorFn: fmt::Debug + Send + Sync {
    /// The vector.
    fn input(&self) -> &Input;

    /// Evaluates the function.
    fn evaluate(&self, evaluator: &mut Evaluator<'_>, scope: ScopeId) -> Result<NodeValue, QueryError>;

    /// Whether only samples count, and neither labels nor the order of series.
    fn ignores_labels(&self) -> bool {
        false
    }

    /// Whether it asks the store for more series than the plan's selections tell.
    fn selects_more(&self) -> bool {
        false
    }
}

/// A call with what its function needs to build it.
pub(crate) struct CallSite<'e> {
    /// The function's name.
    pub(crate) name: &'static str,
    /// Without parentheses.
    pub(crate) args: Vec<&'e Expr>,
    /// Where it stands.
    pub(crate) pos: Pos,
}

impl<'e> CallSite<'e> {
    /// An argument that the checker has seen.
    pub(crate) fn arg(&self, at: usize) -> Result<&'e Expr, QueryError> {
        let missing = || QueryError::Invalid("missing argument in call to function".to_owned());
        self.args.get(at).copied().ok_or_else(missing)
    }

    /// The arguments from one on, which are strings.
    pub(crate) fn texts(&self, builder: &Builder<'_>, from: usize) -> Result<Vec<String>, QueryError> {
        self.args.iter().skip(from).map(|arg| builder.text(arg)).collect()
    }
}

impl Builder<'_> {
    /// Builds a call.
    pub(crate) fn call(&mut self, call: &Call, pos: Pos) -> Result<PlanPart, QueryError> {
        let args = call.args.iter().map(Expr::without_parens).collect();
        let site = CallSite { name: call.function.name, args, pos };
        match &call.function.code {
            Code::Range(func) => self.range_call(*func, &site),
            Code::Float(f) => self.staged_call(Stage::Float(*f), &site),
            Code::Histogram(figure) => self.staged_call(Stage::Histogram(*figure), &site),
            Code::Date(part) if site.args.is_empty() => Ok(self.vector_node(Op::DateNow(*part))),
            Code::Date(part) => self.staged_call(Stage::Date(*part), &site),
            Code::QueryTime(time) => Ok(PlanPart::Scalar(ScalarRef::Const(time(self.times) as f64 / 1000.0))),
            Code::Build(build) => build(self, &site),
        }
    }

    /// Builds a call that treats each series of its first argument by itself.
    pub(crate) fn staged_call(&mut self, stage: Stage, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
        let input = self.vector(site.arg(0)?)?;
        Ok(self.staged(input, stage))
    }

    /// Adds a function of a whole vector to the plan.
    pub(crate) fn vector_call(&mut self, call: impl VectorFn + 'static) -> PlanPart {
        self.vector_node(Op::Call(Box::new(call)))
    }

    /// Adds a node that gives a vector.
    pub(crate) fn vector_node(&mut self, op: Op) -> PlanPart {
        PlanPart::Vector(Input::Node(self.push(op)))
    }

    /// Adds a node that gives a scalar.
    pub(crate) fn scalar_node(&mut self, op: Op) -> PlanPart {
        PlanPart::Scalar(ScalarRef::Node(self.push(op)))
    }

    fn range_call(&mut self, func: RangeFn, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
        let is_range = |arg: &&&Expr| arg.value_type() == ValueType::Matrix;
        let Some(range) = site.args.iter().find(is_range) else {
            return Err(wrong_type(site.arg(0)?, ValueType::Matrix));
        };
        let input = match &range.kind {
            ExprKind::Matrix(matrix) => {
                check_mode(site.name, func, matrix.vector.mode)?;
                self.matrix(matrix)?
            }
            ExprKind::Subquery(subquery) => self.subquery(subquery)?,
            _ => return Err(wrong_type(range, ValueType::Matrix)),
        };
        let mut params = Vec::new();
        for arg in site.args.iter().filter(|arg| arg.value_type() == ValueType::Scalar) {
            params.push(self.scalar(arg)?);
        }
        // Notes point at the first argument, whichever that is; for a subquery Prometheus has forgotten where it was.
        let first = site.arg(0)?;
        let is_subquery = matches!(first.kind, ExprKind::Subquery(_));
        let pos = if is_subquery { Pos::default() } else { first.pos };
        let call = RangeCall { func, input, params, pos };
        let stream = Stream { source: Source::Range(Box::new(call)), stages: Vec::new() };
        let input = Input::Stream(Box::new(stream));
        if func == RangeFn::Absent {
            return Ok(self.vector_call(Absent::over_time(input, range)));
        }
        Ok(PlanPart::Vector(input))
    }
}

/// Refuses extended selectors where samples outside of the window would count.
fn check_mode(name: &str, func: RangeFn, mode: RangeMode) -> Result<(), QueryError> {
    let is_rate = matches!(func, RangeFn::Rate | RangeFn::Increase | RangeFn::Delta);
    let (mode, allowed, all) = match mode {
        RangeMode::Plain => return Ok(()),
        RangeMode::Anchored => (
            "anchored",
            is_rate || matches!(func, RangeFn::Changes | RangeFn::Resets),
            "changes, delta, increase, rate, resets",
        ),
        RangeMode::Smoothed => ("smoothed", is_rate, "delta, increase, rate"),
    };
    if allowed {
        return Ok(());
    }
    Err(QueryError::Execution(format!("{mode} modifier can only be used with: {all} - not with {name}")))
}
