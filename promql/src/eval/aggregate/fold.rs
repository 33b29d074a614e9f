//! `sum avg min max count group stddev stdvar`: one pass over the series, in their order, so that sums agree with
//! Prometheus's to the last bit.

use model::histogram::FloatHistogram;
use model::{Labels, Value};

use super::super::Evaluator;
use super::super::histogram::HistogramTotal;
use super::super::kahan::{Kahan, Mean};
use super::super::plan::ScopeId;
use super::super::row::{Row, SharedHistogram};
use super::{AggregateNode, Groups};
use crate::annotations::{Annotations, HistogramOp};
use crate::ast::{AggregateOp, Pos};
use crate::engine::QueryError;
use crate::value::{ABSENT, is_absent};

/// The state of one group over all steps.
trait Fold: Sized + Send {
    fn new(steps: usize) -> Self;
    /// Takes in one series.
    fn take(&mut self, row: &Row, context: &Context, notes: &mut Annotations);
    /// The group's results.
    fn finish(self, labels: Labels, context: &Context, notes: &mut Annotations) -> Row;
    /// About how many bytes the state takes.
    fn bytes(steps: usize) -> usize {
        size_of::<Self>() + 16 * steps
    }
}

/// What folds need beside the samples.
struct Context {
    op: AggregateOp,
    operand_pos: Pos,
    /// Names that must go are gone already.
    eager: bool,
}

impl Context {
    /// The metric that notes about a series name.
    fn told_name<'r>(&self, row: &'r Row) -> &'r str {
        if self.eager && row.drop_name { "" } else { row.labels.metric_name().unwrap_or("") }
    }
}

/// A group under way.
struct Group<F> {
    labels: Labels,
    fold: F,
    drop_name: bool,
}

impl Evaluator<'_> {
    /// Evaluates a one-pass aggregation. Returns the rows, and how many samples count as held by the operand.
    pub(super) fn fold(
        &mut self,
        scope: ScopeId,
        node: &AggregateNode,
    ) -> Result<(Vec<Row>, usize), QueryError> {
        match node.op {
            AggregateOp::Sum => self.fold_with::<Sum>(scope, node),
            AggregateOp::Avg => self.fold_with::<Average>(scope, node),
            AggregateOp::Min | AggregateOp::Max => self.fold_with::<Extreme>(scope, node),
            AggregateOp::Stddev | AggregateOp::Stdvar => self.fold_with::<Spread>(scope, node),
            _ => self.fold_with::<Count>(scope, node),
        }
    }

    fn fold_with<F: Fold>(
        &mut self,
        scope: ScopeId,
        node: &AggregateNode,
    ) -> Result<(Vec<Row>, usize), QueryError> {
        let steps = self.plan.scopes[scope].grid.steps();
        let delayed = self.options.delayed_name_removal;
        let context = Context { op: node.op, operand_pos: node.operand_pos, eager: !delayed };
        let mut groups = Groups::new(&node.grouping, node.without, !delayed);
        let mut states: Vec<Group<F>> = Vec::new();
        let mut notes = Annotations::default();
        let interrupt = self.interrupt;
        let held = self.consume_input(scope, &node.input, &mut |rows| {
            for row in &rows {
                let (number, new) = groups.number(row);
                if let Some(labels) = new {
                    interrupt.allocated(F::bytes(steps))?;
                    states.push(Group { labels, fold: F::new(steps), drop_name: false });
                }
                let group = &mut states[number];
                group.drop_name |= row.drop_name;
                group.fold.take(row, &context, &mut notes);
            }
            interrupt.worked(rows.len() as u64 * steps as u64)
        })?;
        let mut rows = Vec::with_capacity(states.len());
        for group in states {
            let mut row = group.fold.finish(group.labels, &context, &mut notes);
            row.drop_name = delayed && group.drop_name;
            if row.trim() {
                rows.push(row);
            }
        }
        self.annotations.merge(notes);
        Ok((rows, held))
    }
}

/// Calls `float` for every float of a row and `histogram` for every histogram, with the step.
fn each(row: &Row, mut float: impl FnMut(usize, f64), mut histogram: impl FnMut(usize, &SharedHistogram)) {
    for (step, v) in row.span().zip(&row.values) {
        if !is_absent(*v) {
            float(step, *v);
        }
    }
    if let Some(histograms) = &row.histograms {
        for (step, h) in row.span().zip(histograms.iter()) {
            if let Some(h) = h {
                histogram(step, h);
            }
        }
    }
}

/// The total of a group's histograms at one step; `Err` once they did not go together.
type StepTotal = Option<Result<Box<HistogramTotal>, ()>>;

/// The histograms of a group by step, if it has any.
#[derive(Default)]
struct Totals(Vec<StepTotal>);

impl Totals {
    fn add(
        &mut self,
        steps: usize,
        step: usize,
        h: &FloatHistogram,
        row: &Row,
        context: &Context,
        notes: &mut Annotations,
    ) {
        if self.0.is_empty() {
            self.0.resize_with(steps, || None);
        }
        let place = &mut self.0[step];
        match place {
            None => *place = Some(Ok(Box::new(HistogramTotal::new(h)))),
            Some(Err(())) => {}
            Some(Ok(total)) => {
                let is_mean = context.op == AggregateOp::Avg;
                let added = if is_mean { total.add_to_mean(h) } else { total.add(h) };
                if total.reconciled {
                    notes.mismatched_custom_buckets(HistogramOp::Aggregation, context.operand_pos);
                }
                if added.is_err() {
                    notes.mixed_exponential_custom(context.told_name(row), context.operand_pos);
                    *place = Some(Err(()));
                }
            }
        }
    }

    /// Whether floats do not count any more at a step.
    fn failed(&self, step: usize) -> bool {
        matches!(self.0.get(step), Some(Some(Err(()))))
    }

    /// Puts the totals into a row that holds the floats' results.
    fn finish(self, row: &mut Row, context: &Context, notes: &mut Annotations) {
        for (step, total) in self.0.into_iter().enumerate() {
            let Some(total) = total else { continue };
            if row.has(step) {
                notes.mixed_floats_histograms_aggregation(context.operand_pos);
                row.clear(step);
                continue;
            }
            let Ok(total) = total else { continue };
            if total.hints_collide() {
                notes.counter_reset_collision(HistogramOp::Aggregation, context.operand_pos);
            }
            let mut h = if context.op == AggregateOp::Avg { total.mean() } else { total.sum() };
            h.compact(0);
            row.set(step, Value::Histogram(h.into()));
        }
    }
}

/// `sum`
struct Sum {
    sum: Vec<f64>,
    c: Vec<f64>,
    totals: Totals,
}

impl Fold for Sum {
    fn new(steps: usize) -> Self {
        Self { sum: vec![ABSENT; steps], c: vec![0.0; steps], totals: Totals::default() }
    }

    fn take(&mut self, row: &Row, context: &Context, notes: &mut Annotations) {
        let steps = self.sum.len();
        let span = row.span();
        if row.histograms.is_none() && self.totals.0.is_empty() {
            add_all(&mut self.sum[span.clone()], &mut self.c[span], &row.values);
            return;
        }
        let Self { sum, c, totals } = self;
        for step in span {
            if let Some(h) = row.histogram(step) {
                totals.add(steps, step, h, row, context, notes);
            } else if row.has(step) && !totals.failed(step) {
                add(&mut sum[step], &mut c[step], row.float(step), Kahan::plus);
            }
        }
    }

    fn finish(self, labels: Labels, context: &Context, notes: &mut Annotations) -> Row {
        let total = |(sum, c): (&f64, &f64)| if is_absent(*sum) { ABSENT } else { sum + c };
        let values = self.sum.iter().zip(&self.c).map(total).collect();
        let mut row = Row::floats(labels, values);
        self.totals.finish(&mut row, context, notes);
        row
    }
}

/// Adds a series to sums, step by step.
fn add_all(sums: &mut [f64], cs: &mut [f64], values: &[f64]) {
    let is_finite = sums_stay_finite(sums, values);
    let places = sums.iter_mut().zip(cs).zip(values);
    if is_finite {
        places.for_each(|((sum, c), v)| add(sum, c, *v, Kahan::plus_finite));
    } else {
        places.for_each(|((sum, c), v)| add(sum, c, *v, Kahan::plus));
    }
}

/// Adds a value, unless it is absent, to a sum, which is absent before the first. Without branches.
#[inline(always)]
fn add(sum: &mut f64, c: &mut f64, v: f64, plus: impl Fn(Kahan, f64) -> Kahan) {
    // Nothing is lost to -0, and it does not turn a lone -0 into 0.
    let next = plus(Kahan { sum: if is_absent(*sum) { -0.0 } else { *sum }, c: *c }, v);
    let stays = is_absent(v);
    *sum = if stays { *sum } else { next.sum };
    *c = if stays { *c } else { next.c };
}

/// `avg`
struct Average {
    count: Vec<f64>,
    sum: Vec<f64>,
    c: Vec<f64>,
    /// Whether means are built up value by value, once a sum has become too large.
    incremental: Option<Vec<bool>>,
    totals: Totals,
}

impl Average {
    fn add(&mut self, step: usize, v: f64) {
        let Self { count, sum, c, incremental, .. } = self;
        let state = Kahan { sum: sum[step], c: c[step] };
        let is_incremental = incremental.as_ref().is_some_and(|incremental| incremental[step]);
        let mean = match count[step] {
            0.0 => Mean::of(v),
            count => Mean { count, state, incremental: is_incremental }.plus(v),
        };
        Mean { count: count[step], state: Kahan { sum: sum[step], c: c[step] }, .. } = mean;
        if mean.incremental && !is_incremental {
            incremental.get_or_insert_with(|| vec![false; sum.len()])[step] = true;
        }
    }
}

impl Fold for Average {
    fn new(steps: usize) -> Self {
        Self {
            count: vec![0.0; steps],
            // Nothing is lost to -0, and it does not turn a lone -0 into 0.
            sum: vec![-0.0; steps],
            c: vec![0.0; steps],
            incremental: None,
            totals: Totals::default(),
        }
    }

    fn take(&mut self, row: &Row, context: &Context, notes: &mut Annotations) {
        let steps = self.sum.len();
        let span = row.span();
        if row.histograms.is_none() && self.totals.0.is_empty() {
            if self.incremental.is_none() && sums_stay_finite(&self.sum[span.clone()], &row.values) {
                add_to_means(
                    &mut self.count[span.clone()],
                    &mut self.sum[span.clone()],
                    &mut self.c[span],
                    &row.values,
                );
                return;
            }
            for (step, v) in span.zip(&row.values).filter(|(_, v)| !is_absent(**v)) {
                self.add(step, *v);
            }
            return;
        }
        for step in span {
            if let Some(h) = row.histogram(step) {
                self.totals.add(steps, step, h, row, context, notes);
            } else if row.has(step) && !self.totals.failed(step) {
                self.add(step, row.float(step));
            }
        }
    }

    fn finish(self, labels: Labels, context: &Context, notes: &mut Annotations) -> Row {
        let Self { count, sum, c, incremental, totals } = self;
        let mean = |step: usize| match count[step] {
            0.0 => ABSENT,
            count => {
                let incremental = incremental.as_ref().is_some_and(|incremental| incremental[step]);
                Mean { count, state: Kahan { sum: sum[step], c: c[step] }, incremental }.total()
            }
        };
        let mut row = Row::floats(labels, (0..sum.len()).map(mean).collect());
        totals.finish(&mut row, context, notes);
        row
    }

    fn bytes(steps: usize) -> usize {
        size_of::<Self>() + 24 * steps
    }
}

/// Whether adding values, some of which may be absent, to sums cannot overflow.
fn sums_stay_finite(sums: &[f64], values: &[f64]) -> bool {
    const LARGE: f64 = f64::MAX / 4.0;
    sums.iter().zip(values).fold(true, |small, (sum, v)| small & !((sum.abs() > LARGE) | (v.abs() > LARGE)))
}

/// Adds a series to sums and counts, step by step. Without branches.
fn add_to_means(counts: &mut [f64], sums: &mut [f64], cs: &mut [f64], values: &[f64]) {
    for (((count, sum), c), v) in counts.iter_mut().zip(sums).zip(cs).zip(values) {
        let next = Kahan { sum: *sum, c: *c }.plus_finite(*v);
        let stays = is_absent(*v);
        *count += if stays { 0.0 } else { 1.0 };
        *sum = if stays { *sum } else { next.sum };
        *c = if stays { *c } else { next.c };
    }
}

/// `min`, `max`: NaN only where there is nothing else.
struct Extreme(Vec<f64>);

impl Fold for Extreme {
    fn new(steps: usize) -> Self {
        Self(vec![ABSENT; steps])
    }

    fn take(&mut self, row: &Row, context: &Context, notes: &mut Annotations) {
        let best = &mut self.0[row.span()];
        if context.op == AggregateOp::Max {
            keep_better(best, &row.values, |best, v| best < v);
        } else {
            keep_better(best, &row.values, |best, v| best > v);
        }
        for _ in row.histograms.iter().flatten().flatten() {
            notes.histogram_ignored_in_aggregation(context.op.as_str(), context.operand_pos);
        }
    }

    fn finish(self, labels: Labels, _: &Context, _: &mut Annotations) -> Row {
        Row::floats(labels, self.0)
    }
}

/// Puts values in the place of those that they beat. Without branches.
fn keep_better(places: &mut [f64], values: &[f64], is_beaten: impl Fn(f64, f64) -> bool) {
    for (place, v) in places.iter_mut().zip(values) {
        // The absent mark is a NaN, which anything replaces.
        let goes = !is_absent(*v) & (place.is_nan() | is_beaten(*place, *v));
        *place = if goes { *v } else { *place };
    }
}

/// `count`, `group`
struct Count(Vec<f64>);

impl Fold for Count {
    fn new(steps: usize) -> Self {
        Self(vec![0.0; steps])
    }

    fn take(&mut self, row: &Row, _: &Context, _: &mut Annotations) {
        let counts = &mut self.0;
        for (count, v) in counts[row.span()].iter_mut().zip(&row.values) {
            *count += f64::from(u8::from(!is_absent(*v)));
        }
        if row.histograms.is_some() {
            row.span().filter(|step| row.histogram(*step).is_some()).for_each(|step| counts[step] += 1.0);
        }
    }

    fn finish(self, labels: Labels, context: &Context, _: &mut Annotations) -> Row {
        let is_group = context.op == AggregateOp::Group;
        let value = |count: f64| match count {
            0.0 => ABSENT,
            _ if is_group => 1.0,
            count => count,
        };
        Row::floats(labels, self.0.into_iter().map(value).collect())
    }
}

/// Welford's running variance.
#[derive(Clone, Copy, Default)]
struct Variance {
    count: f64,
    mean: f64,
    squares: f64,
}

/// `stddev`, `stdvar`
struct Spread(Vec<Variance>);

impl Fold for Spread {
    fn new(steps: usize) -> Self {
        Self(vec![Variance::default(); steps])
    }

    fn take(&mut self, row: &Row, context: &Context, notes: &mut Annotations) {
        let variances = &mut self.0;
        let float = |step: usize, v: f64| {
            let state: &mut Variance = &mut variances[step];
            state.count += 1.0;
            if state.count == 1.0 {
                *state =
                    Variance { count: 1.0, mean: v, squares: if v.is_finite() { 0.0 } else { f64::NAN } };
                return;
            }
            let delta = v - state.mean;
            state.mean += delta / state.count;
            state.squares += delta * (v - state.mean);
        };
        each(row, float, |_, _| {
            notes.histogram_ignored_in_aggregation(context.op.as_str(), context.operand_pos)
        });
    }

    fn finish(self, labels: Labels, context: &Context, _: &mut Annotations) -> Row {
        let is_deviation = context.op == AggregateOp::Stddev;
        let value = |state: Variance| match state.count {
            0.0 => ABSENT,
            count if is_deviation => (state.squares / count).sqrt(),
            count => state.squares / count,
        };
        Row::floats(labels, self.0.into_iter().map(value).collect())
    }

    fn bytes(steps: usize) -> usize {
        size_of::<Self>() + size_of::<Variance>() * steps
    }
}
