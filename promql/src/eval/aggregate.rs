//! Aggregations: the operators of [`query::aggregate`] over what a plan's node gives, with PromQL's notes.

use model::go_float::FloatG;
use query::aggregate::topk::{self, TopkOp};
use query::aggregate::{
    Average, Count, Extreme, Fold, FoldNotes, FoldOp, Folding, Groups, Spread, Sum, count_values, quantile,
};
use query::matrix::{Row, count_last};
use query::{Annotations, Pos, QueryError};

use super::plan::{Input, ScalarRef, ScopeId};
use super::{Evaluator, NodeValue, ScalarColumn};
use crate::annotations::{Annotate, HistogramOp};
use crate::literal::{QuotedText, is_valid_name};

/// What an aggregation does.
#[derive(Clone, Debug)]
pub(crate) enum Operator {
    Fold(FoldOp),
    Topk(TopkOp),
    Quantile,
    /// With the label that gets the value.
    CountValues(String),
}

/// An aggregation.
#[derive(Debug)]
pub(crate) struct AggregateNode {
    pub(crate) op: Operator,
    /// As in the query.
    pub(crate) name: &'static str,
    pub(crate) input: Input,
    /// `k`, the quantile or the ratio.
    pub(crate) param: Option<ScalarRef>,
    /// In the order of the text.
    pub(crate) grouping: Vec<String>,
    pub(crate) without: bool,
    pub(crate) pos: Pos,
    pub(crate) operand_pos: Pos,
    pub(crate) param_pos: Pos,
}

impl AggregateNode {
    fn groups(&self, eager: bool) -> Groups {
        Groups::new(&self.grouping, self.without, eager)
    }
}

/// The notes of one aggregation.
struct Notes<'a> {
    annotations: &'a mut Annotations,
    name: &'static str,
    pos: Pos,
    /// Names that must go are gone already.
    eager: bool,
}

impl FoldNotes for Notes<'_> {
    fn histogram_ignored(&mut self) {
        self.annotations.histogram_ignored_in_aggregation(self.name, self.pos);
    }

    fn mixed_floats_and_histograms(&mut self) {
        self.annotations.mixed_floats_histograms_aggregation(self.pos);
    }

    fn mixed_bucket_schemas(&mut self, row: &Row) {
        let nameless = self.eager && row.drop_name;
        let metric = if nameless { "" } else { row.labels.metric_name().unwrap_or("") };
        self.annotations.mixed_exponential_custom(metric, self.pos);
    }

    fn custom_buckets_reconciled(&mut self) {
        self.annotations.mismatched_custom_buckets(HistogramOp::Aggregation, self.pos);
    }

    fn counter_resets_collide(&mut self) {
        self.annotations.counter_reset_collision(HistogramOp::Aggregation, self.pos);
    }
}

impl Evaluator<'_> {
    /// Evaluates an aggregation.
    pub(crate) fn aggregate(
        &mut self,
        scope: ScopeId,
        node: &AggregateNode,
    ) -> Result<NodeValue, QueryError> {
        let grid = self.plan.scopes[scope].grid;
        let steps = grid.steps();
        let (rows, held) = match &node.op {
            Operator::Fold(op) => {
                let (mut rows, held) = match op {
                    FoldOp::Sum => self.fold::<Sum>(scope, node, *op)?,
                    FoldOp::Avg => self.fold::<Average>(scope, node, *op)?,
                    FoldOp::Min | FoldOp::Max => self.fold::<Extreme>(scope, node, *op)?,
                    FoldOp::Count | FoldOp::Group => self.fold::<Count>(scope, node, *op)?,
                    FoldOp::Stddev | FoldOp::Stdvar => self.fold::<Spread>(scope, node, *op)?,
                };
                if op.takes_any_order() {
                    rows.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
                }
                (rows, held)
            }
            Operator::Topk(op) => {
                let (rows, held) = self.collect_input(scope, &node.input)?;
                let params = self.param(node, steps);
                (self.topk(node, *op, &rows, &params, grid.is_instant())?, held)
            }
            Operator::Quantile => {
                let (rows, held) = self.collect_input(scope, &node.input)?;
                let params = self.param(node, steps);
                note_invalid_quantiles(&params, node.param_pos, &mut self.annotations);
                let annotations = &mut self.annotations;
                let ignored = || annotations.histogram_ignored_in_aggregation(node.name, node.operand_pos);
                (quantile::evaluate(node.groups(true), &rows, &params, self.interrupt, ignored)?, held)
            }
            Operator::CountValues(label) => {
                let (rows, held) = self.collect_input(scope, &node.input)?;
                if !is_valid_name(label) {
                    return Err(QueryError::Execution(format!("invalid label name {}", QuotedText(label))));
                }
                let (grouping, without) = (&node.grouping, node.without);
                let counts = count_values::evaluate(label, grouping, without, &rows, steps, self.interrupt)?;
                return self.rows_value(counts, held, count_last(&rows, steps));
            }
        };
        let param = node.param.map_or(0, |_| steps);
        self.replace(rows, held + param)
    }

    /// Evaluates a one-pass aggregation. Returns the rows, and how many samples count as held by the operand.
    fn fold<F: Fold + Send>(
        &mut self,
        scope: ScopeId,
        node: &AggregateNode,
        op: FoldOp,
    ) -> Result<(Vec<Row>, usize), QueryError> {
        let steps = self.plan.scopes[scope].grid.steps();
        let delayed = self.options.delayed_name_removal;
        let mut told = Annotations::default();
        let mut notes =
            Notes { annotations: &mut told, name: node.name, pos: node.operand_pos, eager: !delayed };
        let mut folding = Folding::<F>::new(op, node.groups(!delayed), steps);
        let interrupt = self.interrupt;
        let held =
            self.consume_input(scope, &node.input, &mut |rows| folding.take(&rows, interrupt, &mut notes))?;
        let rows = folding.finish(delayed, &mut notes);
        self.annotations.merge(told);
        Ok((rows, held))
    }

    fn topk(
        &mut self,
        node: &AggregateNode,
        op: TopkOp,
        rows: &[Row],
        params: &[f64],
        single: bool,
    ) -> Result<Vec<Row>, QueryError> {
        let annotations = &mut self.annotations;
        if !check_topk(op, params, node.param_pos, annotations)? {
            return Ok(Vec::new());
        }
        let ignored = || annotations.histogram_ignored_in_aggregation(node.name, node.pos);
        topk::evaluate(op, node.groups(true), rows, params, single, self.interrupt, ignored)
    }

    /// The parameter at each step; 0 where there is none.
    fn param(&self, node: &AggregateNode, steps: usize) -> Vec<f64> {
        let column = node.param.map(|param| ScalarColumn::new(param, &self.values).values(steps));
        column.unwrap_or_else(|| vec![0.0; steps])
    }
}

/// The floats that convert to a 64-bit integer lie strictly between these.
const INT_MAX: f64 = 9_223_372_036_854_774_784.0;
const INT_MIN: f64 = -9_223_372_036_854_775_808.0;

/// Checks the number or ratio of all steps. False when nothing will be chosen at any.
fn check_topk(
    op: TopkOp,
    params: &[f64],
    pos: Pos,
    annotations: &mut Annotations,
) -> Result<bool, QueryError> {
    let has_nan = params.iter().any(|v| v.is_nan());
    let max = params.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let min = params.iter().copied().fold(f64::INFINITY, f64::min);
    let refuse = |text: String| Err(QueryError::Execution(text));
    if op == TopkOp::LimitRatio {
        if has_nan {
            return refuse("Ratio value is NaN".to_owned());
        }
        if max > 1.0 {
            annotations.invalid_ratio(max, 1.0, pos);
        }
        if min < -1.0 {
            annotations.invalid_ratio(min, -1.0, pos);
        }
        return Ok(max != 0.0 || min != 0.0);
    }
    if has_nan {
        return refuse("Parameter value is NaN".to_owned());
    }
    if max < 1.0 {
        return Ok(false);
    }
    if min <= INT_MIN {
        return refuse(format!("Scalar value {} underflows int64", FloatG(min)));
    }
    if max >= INT_MAX {
        return refuse(format!("Scalar value {} overflows int64", FloatG(max)));
    }
    Ok(true)
}

fn note_invalid_quantiles(params: &[f64], pos: Pos, annotations: &mut Annotations) {
    if params.iter().any(|q| q.is_nan()) {
        annotations.invalid_quantile(f64::NAN, pos);
    }
    let max = params.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let min = params.iter().copied().fold(f64::INFINITY, f64::min);
    if max > 1.0 {
        annotations.invalid_quantile(max, pos);
    }
    if min < 0.0 {
        annotations.invalid_quantile(min, pos);
    }
}
