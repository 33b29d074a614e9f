//! Operators and aggregations.

use query::aggregate::FoldOp;
use query::aggregate::topk::TopkOp;
use query::{Pos, QueryError, ValueType};

use super::{Builder, PlanPart, wrong_type};
use crate::ast::{Aggregate, AggregateOp, Binary, BinaryOp, Expr};
use crate::eval::aggregate::{AggregateNode, Operator};
use crate::eval::binary::VectorBinary;
use crate::eval::plan::{Input, Op, ScalarRef};
use crate::eval::stage::Stage;

impl Builder<'_> {
    pub(super) fn negate(&mut self, inner: &Expr) -> Result<PlanPart, QueryError> {
        match self.expr(inner)? {
            PlanPart::Scalar(ScalarRef::Const(v)) => Ok(PlanPart::Scalar(ScalarRef::Const(-v))),
            PlanPart::Scalar(scalar) => {
                Ok(PlanPart::Scalar(ScalarRef::Node(self.push(Op::ScalarNegate(scalar)))))
            }
            PlanPart::Vector(input) => Ok(self.staged(input, Stage::Negate)),
            PlanPart::Text(_) | PlanPart::Range(_) => Err(wrong_type(inner, ValueType::Vector)),
        }
    }

    pub(super) fn binary(&mut self, binary: &Binary, pos: Pos) -> Result<PlanPart, QueryError> {
        let needs = self.histogram_needs;
        let op = binary.op;
        self.histogram_needs.buckets |= matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
        let mut left = self.operand(&binary.left)?;
        if binary.right.value_type() == ValueType::Vector
            && let PlanPart::Vector(input) = left
        {
            // Before the right side, which counts what is held already.
            left = PlanPart::Vector(Input::Node(self.place(input)));
        }
        let right = self.operand(&binary.right)?;
        self.histogram_needs = needs;
        Ok(match (left, right) {
            (PlanPart::Scalar(ScalarRef::Const(a)), PlanPart::Scalar(ScalarRef::Const(b))) => {
                PlanPart::Scalar(ScalarRef::Const(crate::eval::binary::scalar_op(op, a, b)))
            }
            (PlanPart::Scalar(left), PlanPart::Scalar(right)) => {
                PlanPart::Scalar(ScalarRef::Node(self.push(Op::ScalarBinary { op, left, right })))
            }
            (PlanPart::Vector(input), PlanPart::Scalar(scalar)) => {
                let stage =
                    Stage::Scalar { op, scalar, scalar_left: false, return_bool: binary.return_bool, pos };
                self.staged(input, stage)
            }
            (PlanPart::Scalar(scalar), PlanPart::Vector(input)) => {
                let stage =
                    Stage::Scalar { op, scalar, scalar_left: true, return_bool: binary.return_bool, pos };
                self.staged(input, stage)
            }
            (PlanPart::Vector(left), PlanPart::Vector(right)) => {
                let matching = binary.matching.clone().unwrap_or_default();
                let (left, right) = (self.place(left), self.place(right));
                let node = VectorBinary { op, left, right, matching, return_bool: binary.return_bool, pos };
                PlanPart::Vector(Input::Node(self.push(Op::VectorBinary(Box::new(node)))))
            }
            _ => return Err(wrong_type(&binary.left, ValueType::Vector)),
        })
    }

    pub(super) fn aggregate(&mut self, aggregate: &Aggregate, pos: Pos) -> Result<PlanPart, QueryError> {
        let operand = aggregate.expr.without_parens();
        let param = match &aggregate.param {
            Some(param) if param.value_type() == ValueType::Scalar => {
                // Not evaluated on its own: Prometheus looks at the operand only.
                match self.expr(param.without_parens())? {
                    PlanPart::Scalar(scalar) => Some(self.held(scalar)),
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
        let PlanPart::Vector(input) = self.expr(operand)? else {
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
        Ok(PlanPart::Vector(Input::Node(self.push(Op::Aggregate(Box::new(node))))))
    }
}
