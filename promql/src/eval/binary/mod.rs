//! Binary operators: on pairs of samples ([`op`]), and on two vectors ([`matching`], [`set`]).

mod matching;
mod op;
mod set;
mod stepwise;

use query::label_subset::LabelSubset;
use query::matrix::count_last;
use query::{Pos, QueryError};

use super::plan::{NodeId, ScopeId};
use super::{Evaluator, NodeValue};
use crate::ast::{BinaryOp, Matching};

pub(crate) use op::{Operands, changes_metric, float_op, scalar_op, value_op};

/// An operation on two vectors.
#[derive(Debug)]
pub(crate) struct VectorBinary {
    pub(crate) op: BinaryOp,
    pub(crate) left: NodeId,
    pub(crate) right: NodeId,
    pub(crate) matching: Matching,
    pub(crate) return_bool: bool,
    pub(crate) pos: Pos,
}

impl Evaluator<'_> {
    /// Evaluates an operation on two vectors.
    pub(crate) fn vector_binary(
        &mut self,
        scope: ScopeId,
        binary: &VectorBinary,
    ) -> Result<NodeValue, QueryError> {
        let steps = self.plan.scopes[scope].grid.steps();
        let (left, left_samples) = self.take_rows(binary.left);
        let (right, right_samples) = self.take_rows(binary.right);
        let gathered = count_last(&left, steps) + count_last(&right, steps);
        let subset = LabelSubset::new(binary.matching.on, &binary.matching.labels);
        let rows = if binary.op.is_set() {
            set::evaluate(binary.op, &subset, left, right, steps)?
        } else {
            let delayed = self.options.delayed_name_removal;
            matching::evaluate(
                binary,
                &subset,
                left,
                right,
                steps,
                delayed,
                self.interrupt,
                &mut self.annotations,
            )?
        };
        self.rows_value(rows, left_samples + right_samples, gathered)
    }
}
