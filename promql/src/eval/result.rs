//! From what the root gave to the query's value.

use std::sync::Arc;

use model::read::Columns;
use query::interrupt::STAGE_EVALUATION;
use query::matrix::{EqualLabels, Row, SharedHistogram, sample_size, unite};
use query::value::{Floats, Scalar, Series, Text};
use query::{QueryError, QueryValue, ValueType, VectorSample};
use rayon::prelude::*;

use super::plan::{Extent, RangeInput, RangeSamples, ScopeId};
use super::samples::SeriesSamples;
use super::{Evaluator, NodeValue};
use crate::literal::lossy;

impl Evaluator<'_> {
    /// Evaluates a range selector or subquery that is the query's result.
    pub(crate) fn range_result(
        &mut self,
        scope: ScopeId,
        input: &RangeInput,
    ) -> Result<NodeValue, QueryError> {
        match input.samples {
            RangeSamples::Subquery { node, scope: inner } => {
                let grid = self.plan.scopes[inner].grid;
                let total = self.stats[inner].total;
                self.account_subquery(scope, inner, input);
                self.stats[scope].add_at(0, total, 0);
                let (mut rows, _) = self.take_rows(node);
                rows = self.final_names(rows)?;
                Ok(NodeValue::Matrix(rows.into_iter().map(|row| series_of_row(row, &grid)).collect()))
            }
            RangeSamples::Selection { id, .. } => self.selection_result(scope, input, id),
        }
    }

    fn selection_result(
        &mut self,
        scope: ScopeId,
        input: &RangeInput,
        id: usize,
    ) -> Result<NodeValue, QueryError> {
        let end = input.moment.seen_from(self.plan.scopes[scope].grid.start);
        let start = end - input.range;
        let (from, to) = (start - input.extent.before(), end + input.extent.after());
        let interrupt = self.interrupt;
        let selected = Arc::clone(&self.selected[id]);
        let read = |columns: &mut Columns, index: usize| -> Result<Option<Series>, QueryError> {
            interrupt.check(STAGE_EVALUATION)?;
            let series = selected.series[index].as_ref();
            super::select::decode(series, columns, false)?;
            let samples = SeriesSamples::of_store(columns);
            let within = |t: &[i64]| (t.partition_point(|t| *t <= from), t.partition_point(|t| *t <= to));
            let (lo, hi) = within(samples.floats.t);
            let floats = samples.floats.slice(lo, hi);
            let (lo, hi) = within(samples.histograms.t);
            let histograms = samples.histograms.slice(lo, hi);
            let (mut t, mut v) = (floats.t.to_vec(), floats.v.to_vec());
            if input.extent != Extent::Plain {
                if !histograms.is_empty() {
                    let mode = if input.extent.after() > 0 { "smoothed" } else { "anchored" };
                    let text = format!("{mode} modifier is not supported with histograms");
                    return Err(QueryError::Execution(text));
                }
                (t, v) = super::extended_range::extend(floats, start, end, input.extent);
            }
            if t.is_empty() && histograms.is_empty() {
                return Ok(None);
            }
            let histograms = histograms.t.iter().copied().zip(histograms.v.iter().cloned()).collect();
            let series =
                Series { labels: series.labels().clone(), floats: Floats::Samples { t, v }, histograms };
            interrupt.allocated(series_bytes(&series))?;
            Ok(Some(series))
        };
        let all: Result<Vec<Option<Series>>, QueryError> = (0..selected.series.len())
            .into_par_iter()
            .with_min_len(interrupt.min_len(16))
            .map_init(Columns::default, |columns, index| read(columns, index))
            .collect();
        let series: Vec<Series> = all?.into_iter().flatten().collect();
        for one in &series {
            let floats = match &one.floats {
                Floats::Samples { t, .. } => t.len(),
                Floats::Steps { .. } => 0,
            };
            let samples = floats + one.histograms.iter().map(|(_, h)| sample_size(h)).sum::<usize>();
            self.stats[scope].add_at(0, samples as i64, samples as i64);
            self.count.hold(samples)?;
        }
        Ok(NodeValue::Matrix(series))
    }

    /// Drops the names that were to be dropped at the end.
    fn final_names(&self, mut rows: Vec<Row>) -> Result<Vec<Row>, QueryError> {
        if !self.options.delayed_name_removal {
            return Ok(rows);
        }
        rows.par_iter_mut().with_min_len(self.interrupt.min_len(256)).for_each(Row::settle_name);
        unite(rows, EqualLabels::Merge)
    }

    /// The query's value.
    pub(crate) fn result(
        &mut self,
        root: NodeValue,
        kind: ValueType,
        is_instant: bool,
    ) -> Result<QueryValue, QueryError> {
        let grid = self.plan.scopes[0].grid;
        match root {
            NodeValue::None => Ok(QueryValue::Matrix(Vec::new())),
            NodeValue::Text(v) => Ok(QueryValue::String(Text { t: grid.start, v: lossy(&v).into_owned() })),
            NodeValue::Matrix(series) => Ok(QueryValue::Matrix(series)),
            NodeValue::Scalar(values) if is_instant && kind == ValueType::Scalar => {
                Ok(QueryValue::Scalar(Scalar {
                    t: grid.start,
                    v: values.first().copied().unwrap_or(f64::NAN),
                }))
            }
            NodeValue::Scalar(values) => {
                let row = Row::floats(model::Labels::empty(), values);
                let rows = if row.values.is_empty() { Vec::new() } else { vec![row] };
                Ok(QueryValue::Matrix(rows.into_iter().map(|row| series_of_row(row, &grid)).collect()))
            }
            NodeValue::Rows(rows, _) => {
                let rows = self.final_names(rows)?;
                if is_instant {
                    let sample = |row: Row| {
                        let value = row.value(0)?;
                        Some(VectorSample { labels: row.labels, t: grid.start, value })
                    };
                    return Ok(QueryValue::Vector(rows.into_iter().filter_map(sample).collect()));
                }
                Ok(QueryValue::Matrix(rows.into_iter().map(|row| series_of_row(row, &grid)).collect()))
            }
        }
    }
}

/// About how many bytes a series of the result takes.
pub(super) fn series_bytes(series: &Series) -> usize {
    let floats = match &series.floats {
        Floats::Samples { t, v } => size_of_val(t.as_slice()) + size_of_val(v.as_slice()),
        Floats::Steps { values, .. } => size_of_val(values.as_slice()),
    };
    let histograms: usize = series.histograms.iter().map(|(_, h)| 16 + 16 * sample_size(h)).sum();
    size_of::<Series>() + series.labels.packed().len() + floats + histograms
}

fn series_of_row(row: Row, grid: &query::Grid) -> Series {
    let first = row.first;
    let histograms: Vec<(i64, SharedHistogram)> = match row.histograms {
        Some(histograms) => histograms
            .into_iter()
            .enumerate()
            .filter_map(|(at, h)| h.map(|h| (grid.time(first + at), h)))
            .collect(),
        None => Vec::new(),
    };
    let floats = Floats::Steps { start: grid.time(first), interval: grid.interval, values: row.values };
    Series { labels: row.labels, floats, histograms }
}
