//! Runs streams: series are decoded, evaluated and staged in parallel, and handed on in order, batch by batch.

use std::ops::Range;
use std::sync::Arc;

use model::read::Columns;
use query::in_order::in_order;
use query::interrupt::STAGE_EVALUATION;
use query::matrix::{EqualLabels, Row, unite};
use query::{Annotations, QueryError};
use rayon::prelude::*;

use super::instant::evaluate_instant;
use super::plan::{Input, RangeSamples, ScalarRef, ScopeId, Source, Stream};
use super::range::RangeRun;
use super::samples::SeriesSamples;
use super::select::decode;
use super::stage::{ResolvedStage, Stage, StageSamples, apply_stages};
use super::{Evaluator, NodeValue, ScalarSamples};

/// What evaluating one series took, in samples.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// The largest window held.
    pub(crate) widest: usize,
    /// The last window held.
    pub(crate) last: usize,
    /// Samples looked at.
    pub(crate) total: i64,
    /// Samples read.
    pub(crate) read: i64,
}

/// What a worker notes beside the rows.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) annotations: Annotations,
    /// Samples looked at and read by step, where that is counted.
    pub(crate) by_step: Option<Vec<(i64, i64)>>,
    /// Memory for the places of windows, kept from one series to the next.
    pub(crate) places: Vec<u32>,
}

impl Notes {
    /// Counts samples at a step.
    #[inline]
    pub(crate) fn count(&mut self, cost: &mut Cost, step: usize, total: i64, read: i64) {
        cost.total += total;
        cost.read += read;
        if let Some(by_step) = &mut self.by_step {
            by_step[step].0 += total;
            by_step[step].1 += read;
        }
    }
}

/// What evaluating one series gave.
#[derive(Default)]
pub(crate) struct SeriesResult {
    pub(crate) row: Option<Row>,
    pub(crate) cost: Cost,
    /// Samples that the source gave, before stages changed them.
    pub(crate) samples: usize,
}

/// Series that one task evaluates without looking left or right, at most, and points that it makes, about.
const TASK: usize = 32;
const TASK_POINTS: usize = 1 << 16;
/// Tasks into which few series are split.
const TASKS: usize = 8;
/// Series times steps that are not worth waking other threads for.
const SEQUENTIAL: usize = 128;

/// Receives rows in order.
pub(crate) type Sink<'s> = dyn FnMut(Vec<Row>) -> Result<(), QueryError> + Send + 's;

impl Evaluator<'_> {
    /// Evaluates an operand and hands its rows on, names settled. Returns how many samples count as held; the caller
    /// gives them back.
    pub(crate) fn consume_input(
        &mut self,
        scope: ScopeId,
        input: &Input,
        sink: &mut Sink<'_>,
    ) -> Result<usize, QueryError> {
        match input {
            Input::Stream(stream) => self.consume(scope, stream, sink),
            Input::Node(id) => {
                let (rows, held) = self.take_rows(*id);
                sink(rows)?;
                Ok(held)
            }
        }
    }

    /// Evaluates an operand as a whole.
    pub(crate) fn collect_input(
        &mut self,
        scope: ScopeId,
        input: &Input,
    ) -> Result<(Vec<Row>, usize), QueryError> {
        match input {
            Input::Stream(stream) => self.collect(scope, stream),
            Input::Node(id) => Ok(self.take_rows(*id)),
        }
    }

    /// Evaluates a stream as a whole, names settled unless that is delayed. Returns the rows, and how many samples
    /// count as held.
    pub(crate) fn collect(
        &mut self,
        scope: ScopeId,
        stream: &Stream,
    ) -> Result<(Vec<Row>, usize), QueryError> {
        let mut rows = Vec::new();
        let interrupt = self.interrupt;
        // An operand's rows are only moved.
        let grows = !matches!(stream.source, Source::Node(_));
        let held = self.consume(scope, stream, &mut |more| {
            if grows {
                interrupt.allocated(more.iter().map(Row::bytes).sum())?;
            }
            rows.extend(more);
            Ok(())
        })?;
        if !self.options.delayed_name_removal {
            rows.par_iter_mut().with_min_len(interrupt.min_len(256)).for_each(Row::settle_name);
        }
        Ok((rows, held))
    }

    /// Evaluates a stream and hands its rows on; names that must go are marked, not dropped. Returns how many samples
    /// count as held; the caller gives them back.
    pub(crate) fn consume(
        &mut self,
        scope: ScopeId,
        stream: &Stream,
        sink: &mut Sink<'_>,
    ) -> Result<usize, QueryError> {
        let source = match &stream.source {
            Source::Node(node) => Some(*node),
            Source::Range(call) => match call.input.samples {
                RangeSamples::Subquery { node, scope: inner } => {
                    self.account_subquery(scope, inner, &call.input);
                    Some(node)
                }
                RangeSamples::Selection { .. } => None,
            },
            Source::Instant(_) => None,
        };
        let (rows, held) = source.map(|node| self.take_rows(node)).unwrap_or_default();
        if self.plan.scopes[scope].grid.steps() == 0 {
            return Ok(held);
        }
        let values = std::mem::take(&mut self.values);
        let result = self.consume_with(scope, stream, rows, &values, sink);
        self.values = values;
        let more = result?;
        if let Source::Range(_) = stream.source {
            // A subquery's samples are given back with the call that consumed them.
            self.count.release(held);
            return Ok(more);
        }
        Ok(held + more)
    }

    fn consume_with(
        &mut self,
        scope: ScopeId,
        stream: &Stream,
        rows: Vec<Row>,
        values: &[NodeValue],
        sink: &mut Sink<'_>,
    ) -> Result<usize, QueryError> {
        let grid = self.plan.scopes[scope].grid;
        let delayed = self.options.delayed_name_removal;
        let stages: Vec<_> =
            stream.stages.iter().map(|stage| ResolvedStage::new(stage, values, grid, delayed)).collect();
        let mut stage_samples = vec![StageSamples::default(); stages.len()];
        let Some((equals, early)) = self.clash(stream) else {
            let held = self.source(scope, stream, rows, values, &stages, &mut stage_samples, sink)?;
            return self.account_stages(&stream.stages, &stage_samples, values, grid.steps(), held);
        };
        // Names are dropped where that may make label sets equal: look at them all before going on.
        let (early, late) = stages.split_at(early);
        let (early_tallies, late_tallies) = stage_samples.split_at_mut(early.len());
        let (mut named, mut bytes, interrupt) = (Vec::new(), 0, self.interrupt);
        let grows = !matches!(stream.source, Source::Node(_));
        let held = self.source(scope, stream, rows, values, early, early_tallies, &mut |more| {
            if grows {
                let grown = more.iter().map(Row::bytes).sum();
                bytes += grown;
                interrupt.allocated(grown)?;
            }
            named.extend(more);
            Ok(())
        })?;
        named.par_iter_mut().with_min_len(self.interrupt.min_len(256)).for_each(Row::settle_name);
        let mut rows = unite(named, equals)?;
        if !late.is_empty() {
            let annotations = &mut self.annotations;
            rows.retain_mut(|row| apply_stages(late, row, late_tallies, annotations));
        }
        // What takes them counts them.
        interrupt.freed(bytes);
        sink(rows)?;
        self.account_stages(&stream.stages, &stage_samples, values, grid.steps(), held)
    }

    /// Counts what stages hold: operands and results of each as a whole, and for the last step once more. Returns how
    /// many samples the last one's results count for.
    fn account_stages(
        &mut self,
        stages: &[Stage],
        stage_samples: &[StageSamples],
        values: &[NodeValue],
        steps: usize,
        mut held: usize,
    ) -> Result<usize, QueryError> {
        for (stage, samples_of_stage) in stages.iter().zip(stage_samples) {
            match stage {
                Stage::Negate => continue,
                // The selector below was evaluated for one step at a time.
                Stage::DropName => self.count.release(std::mem::take(&mut held)),
                _ => {}
            }
            let scalars = ScalarSamples::new(&stage.operands(), values, steps);
            self.count.touch(scalars.more + samples_of_stage.gathered + samples_of_stage.samples)?;
            self.count.release(held + scalars.held);
            self.count.hold(samples_of_stage.samples)?;
            held = samples_of_stage.samples;
        }
        Ok(held)
    }

    /// Whether rows may come out with equal labels, and after which stage.
    fn clash(&self, stream: &Stream) -> Option<(EqualLabels, usize)> {
        if self.options.delayed_name_removal {
            return None;
        }
        let (selection, dropped) = match &stream.source {
            Source::Instant(selector) => (Some(selector.selection), false),
            Source::Range(call) => match call.input.samples {
                RangeSamples::Selection { id, .. } => (Some(id), call.func.drops_name()),
                RangeSamples::Subquery { .. } => (None, call.func.drops_name()),
            },
            Source::Node(_) => (None, false),
        };
        let clash = if dropped {
            (EqualLabels::Refuse, 0)
        } else {
            (EqualLabels::Merge, stream.stages.iter().position(|stage| stage.drops_name())? + 1)
        };
        let distinct =
            selection.is_some_and(|id| self.plan.has_one_name(id) && !self.selected[id].has_type_or_unit());
        (!distinct).then_some(clash)
    }

    /// Evaluates a source and the stages, batch by batch.
    #[expect(clippy::too_many_arguments, reason = "what belongs to one stream under way")]
    fn source(
        &mut self,
        scope: ScopeId,
        stream: &Stream,
        mut rows: Vec<Row>,
        values: &[NodeValue],
        stages: &[ResolvedStage<'_>],
        stage_samples: &mut [StageSamples],
        sink: &mut Sink<'_>,
    ) -> Result<usize, QueryError> {
        let grid = self.plan.scopes[scope].grid;
        let interrupt = self.interrupt;
        match &stream.source {
            Source::Instant(selector) => {
                let selected = Arc::clone(&self.selected[selector.selection]);
                self.batches(
                    scope,
                    selected.series.len(),
                    stages,
                    stage_samples,
                    sink,
                    |index, columns, notes| {
                        let series = selected.series[index].as_ref();
                        decode(series, columns, selector.stats_only)?;
                        Ok(evaluate_instant(selector, &grid, series.labels(), columns, notes))
                    },
                )
            }
            Source::Range(call) => {
                let run = RangeRun::new(call, grid, values, self.options, interrupt);
                let params = call.params.iter().filter(|param| matches!(param, ScalarRef::Const(_))).count();
                self.count.hold(params * grid.steps())?;
                let held = match call.input.samples {
                    RangeSamples::Selection { id, stats_only } => {
                        let selected = Arc::clone(&self.selected[id]);
                        self.batches(
                            scope,
                            selected.series.len(),
                            stages,
                            stage_samples,
                            sink,
                            |index, columns, notes| {
                                let series = selected.series[index].as_ref();
                                decode(series, columns, stats_only)?;
                                run.evaluate(series.labels(), false, &SeriesSamples::of_store(columns), notes)
                            },
                        )
                    }
                    RangeSamples::Subquery { scope: inner, .. } => {
                        let inner = self.plan.scopes[inner].grid;
                        self.batches(
                            scope,
                            rows.len(),
                            stages,
                            stage_samples,
                            sink,
                            |index, columns, notes| {
                                let row = &rows[index];
                                let samples = SeriesSamples::of_row(row, &inner, columns);
                                run.evaluate(&row.labels, row.drop_name, &samples, notes)
                            },
                        )
                    }
                };
                Ok(held? + call.params.len() * grid.steps())
            }
            Source::Node(_) => {
                if !stages.is_empty() {
                    let done = rows
                        .par_chunks_mut(TASK)
                        .with_min_len(interrupt.min_len(1))
                        .map(|rows| {
                            let mut annotations = Annotations::default();
                            let mut stage_samples = vec![StageSamples::default(); stages.len()];
                            for row in rows {
                                if !apply_stages(stages, row, &mut stage_samples, &mut annotations) {
                                    row.values.clear();
                                    row.histograms = None;
                                }
                            }
                            (annotations, stage_samples)
                        })
                        .collect::<Vec<_>>();
                    for (annotations, more) in done {
                        self.annotations.merge(annotations);
                        StageSamples::add_all(stage_samples, &more);
                    }
                    rows.retain(|row| !row.values.is_empty());
                }
                interrupt.check(STAGE_EVALUATION)?;
                sink(rows)?;
                Ok(0)
            }
        }
    }

    /// Makes rows of `len` series in parallel and hands them on in order. Returns how many samples the series gave,
    /// counted as held.
    fn batches(
        &mut self,
        scope: ScopeId,
        len: usize,
        stages: &[ResolvedStage<'_>],
        stage_samples: &mut [StageSamples],
        sink: &mut Sink<'_>,
        make: impl Fn(usize, &mut Columns, &mut Notes) -> Result<SeriesResult, QueryError> + Sync,
    ) -> Result<usize, QueryError> {
        let steps = self.plan.scopes[scope].grid.steps();
        let by_step = self.stats[scope].by_step.is_some();
        let interrupt = self.interrupt;
        let task = |range: Range<usize>, columns: &mut Columns| -> Result<Task, QueryError> {
            let mut done = Task {
                all: Vec::with_capacity(range.len()),
                stage_samples: vec![StageSamples::default(); stages.len()],
                notes: Notes { by_step: by_step.then(|| vec![(0, 0); steps]), ..Notes::default() },
            };
            for index in range {
                interrupt.check_at(index, STAGE_EVALUATION)?;
                let mut made = make(index, columns, &mut done.notes)?;
                made.samples = made.row.as_ref().map_or(0, Row::samples);
                made.row = made.row.and_then(|mut row| {
                    apply_stages(stages, &mut row, &mut done.stage_samples, &mut done.notes.annotations)
                        .then_some(row)
                });
                done.all.push(made);
            }
            Ok(done)
        };
        let mut held = 0;
        let mut take = |done: Result<Task, QueryError>| -> Result<(), QueryError> {
            let Task { all, stage_samples: more, notes } = done?;
            StageSamples::add_all(stage_samples, &more);
            self.annotations.merge(notes.annotations);
            self.stats[scope].add_by_step(notes.by_step);
            let mut rows = Vec::with_capacity(all.len());
            for made in all {
                self.stats[scope].total += made.cost.total;
                self.stats[scope].read += made.cost.read;
                self.count.touch(made.cost.widest)?;
                self.count.touch(made.cost.last + made.samples)?;
                self.count.hold(made.samples)?;
                held += made.samples;
                rows.extend(made.row);
            }
            sink(rows)
        };
        let per_task = (len / TASKS).min(TASK_POINTS / steps.max(1)).clamp(1, TASK);
        let range = |at: usize| at * per_task..len.min((at + 1) * per_task);
        let tasks = len.div_ceil(per_task);
        if len <= 1 || len.saturating_mul(steps) <= SEQUENTIAL || !interrupt.parallel() {
            let mut columns = Columns::default();
            (0..tasks).try_for_each(|at| take(task(range(at), &mut columns)))?;
        } else {
            in_order(tasks, Columns::default, |columns, at| task(range(at), columns), take)?;
        }
        Ok(held)
    }
}

/// Series of one task made into rows.
struct Task {
    all: Vec<SeriesResult>,
    stage_samples: Vec<StageSamples>,
    notes: Notes,
}
