//! `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`. They matter for instant queries only: ranges are always
//! ordered by labels.

use query::matrix::{Row, count_last};
use query::{Pos, QueryError, sort};

use super::build::{Builder, PlanPart};
use super::call::{CallSite, VectorFn};
use super::plan::{Input, ScopeId};
use super::{Evaluator, NodeValue};
use crate::annotations::Annotate;

/// What a vector is sorted by.
#[derive(Debug)]
enum Key {
    Value,
    Labels(Vec<String>),
}

#[derive(Debug)]
struct Sort {
    input: Input,
    key: Key,
    descending: bool,
    pos: Pos,
}

/// Builds `sort`.
pub(crate) fn build_ascending(
    builder: &mut Builder<'_>,
    site: &CallSite<'_>,
) -> Result<PlanPart, QueryError> {
    build(builder, site, Key::Value, false)
}

/// Builds `sort_desc`.
pub(crate) fn build_descending(
    builder: &mut Builder<'_>,
    site: &CallSite<'_>,
) -> Result<PlanPart, QueryError> {
    build(builder, site, Key::Value, true)
}

/// Builds `sort_by_label`.
pub(crate) fn build_by_label(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let labels = site.texts(builder, 1)?;
    build(builder, site, Key::Labels(labels), false)
}

/// Builds `sort_by_label_desc`.
pub(crate) fn build_by_label_desc(
    builder: &mut Builder<'_>,
    site: &CallSite<'_>,
) -> Result<PlanPart, QueryError> {
    let labels = site.texts(builder, 1)?;
    build(builder, site, Key::Labels(labels), true)
}

fn build(
    builder: &mut Builder<'_>,
    site: &CallSite<'_>,
    key: Key,
    descending: bool,
) -> Result<PlanPart, QueryError> {
    let input = builder.vector(site.arg(0)?)?;
    Ok(builder.vector_call(Sort { input, key, descending, pos: site.pos }))
}

impl VectorFn for Sort {
    fn input(&self) -> &Input {
        &self.input
    }

    fn evaluate(&self, evaluator: &mut Evaluator<'_>, scope: ScopeId) -> Result<NodeValue, QueryError> {
        let grid = evaluator.plan.scopes[scope].grid;
        if !grid.is_instant() {
            evaluator.annotations.sort_in_range_query(self.pos);
        }
        let (rows, held) = evaluator.collect_input(scope, &self.input)?;
        let gathered = count_last(&rows, grid.steps());
        let sorted = match &self.key {
            Key::Value if grid.is_instant() => sort::by_value(rows, self.descending),
            Key::Value => without_histograms(rows),
            Key::Labels(labels) if grid.is_instant() => sort::by_labels(rows, labels, self.descending),
            Key::Labels(_) => rows,
        };
        evaluator.rows_value(sorted, held, gathered)
    }
}

fn without_histograms(mut rows: Vec<Row>) -> Vec<Row> {
    rows.iter_mut().for_each(|row| row.histograms = None);
    rows.retain_mut(Row::trim);
    rows
}
