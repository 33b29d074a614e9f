//! Aggregations. Those that need one pass ([`fold`]) consume streams of series without a matrix in between; those that
//! choose or rank samples ([`pick`], [`ranked`]) and `count_values` look at all series of a step.

mod count_values;
mod fold;
mod pick;
mod ranked;

use std::collections::HashMap;

use model::Labels;

use super::label_key::{KeyHasher, LabelSubset};
use super::needs;
use super::plan::{Input, ScalarRef, ScopeId};
use super::row::{Row, count_last};
use super::{Evaluator, Val};
use crate::ast::{AggregateOp, Pos};
use crate::engine::QueryError;

/// An aggregation.
#[derive(Debug)]
pub(crate) struct AggregateNode {
    pub(crate) op: AggregateOp,
    pub(crate) input: Input,
    /// `k`, the quantile or the ratio.
    pub(crate) param: Option<ScalarRef>,
    /// The label of `count_values`.
    pub(crate) text: Option<String>,
    /// In the order of the text.
    pub(crate) grouping: Vec<String>,
    pub(crate) without: bool,
    pub(crate) pos: Pos,
    pub(crate) operand_pos: Pos,
    pub(crate) param_pos: Pos,
}

/// Numbers the groups of an aggregation.
pub(crate) struct Groups {
    subset: LabelSubset,
    /// Names that must go count as gone already.
    eager: bool,
    numbers: HashMap<Vec<u8>, usize, KeyHasher>,
    key: Vec<u8>,
    /// The labels looked at last, whether without name, and the group's number.
    last: Option<(Labels, bool, usize)>,
}

impl Groups {
    pub(crate) fn new(grouping: &[String], without: bool, eager: bool) -> Self {
        Self {
            subset: LabelSubset::new(!without, grouping),
            eager,
            numbers: HashMap::with_hasher(KeyHasher),
            key: Vec::new(),
            last: None,
        }
    }

    /// The number of a series' group, and its labels if the group is new.
    pub(crate) fn number(&mut self, row: &Row) -> (usize, Option<Labels>) {
        if self.subset.is_nothing() && !self.numbers.is_empty() {
            return (0, None);
        }
        let nameless = self.eager && row.drop_name;
        if let Some((labels, without_name, number)) = &self.last
            && labels.is_same(&row.labels)
            && *without_name == nameless
        {
            return (*number, None);
        }
        self.subset.key(&row.labels, nameless, &mut self.key);
        if let Some(number) = self.numbers.get(&self.key) {
            self.last = Some((row.labels.clone(), nameless, *number));
            return (*number, None);
        }
        let number = self.numbers.len();
        self.numbers.insert(self.key.clone(), number);
        (number, Some(self.subset.labels(&row.labels, nameless)))
    }
}

impl Evaluator<'_> {
    /// Evaluates an aggregation.
    pub(crate) fn aggregate(&mut self, scope: ScopeId, node: &AggregateNode) -> Result<Val, QueryError> {
        let steps = self.plan.scopes[scope].grid.steps();
        let (rows, held) = match node.op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => {
                let (rows, held) = self.collect_input(scope, &node.input)?;
                let params = self.param(node, steps);
                let single = self.plan.scopes[scope].grid.is_instant();
                (
                    pick::evaluate(
                        node,
                        rows,
                        &params,
                        steps,
                        single,
                        self.interrupt,
                        &mut self.annotations,
                    )?,
                    held,
                )
            }
            AggregateOp::Quantile => {
                let (rows, held) = self.collect_input(scope, &node.input)?;
                let params = self.param(node, steps);
                (ranked::quantile(node, &rows, &params, steps, self.interrupt, &mut self.annotations)?, held)
            }
            AggregateOp::CountValues => {
                let (rows, held) = self.collect_input(scope, &node.input)?;
                let counts = count_values::evaluate(node, &rows, steps, self.interrupt)?;
                return self.rows_value(counts, held, count_last(&rows, steps));
            }
            op => {
                let (mut rows, held) = self.fold(scope, node)?;
                if needs::is_unordered(op) {
                    rows.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
                }
                (rows, held)
            }
        };
        let param = node.param.map_or(0, |_| steps);
        self.replace(rows, held + param)
    }

    /// The parameter at each step; 0 where there is none.
    fn param(&self, node: &AggregateNode, steps: usize) -> Vec<f64> {
        let column = node.param.map(|param| super::ScalarColumn::new(param, &self.values).values(steps));
        column.unwrap_or_else(|| vec![0.0; steps])
    }
}
