//! Functions over ranges: every series is decoded once, and windows slide over its columns in one pass.

use model::Labels;
use model::sample::is_stale;
use query::interrupt::STAGE_EVALUATION;
use query::matrix::{Row, sample_size};
use query::value::ABSENT;
use query::window::Windows;
use query::{Annotations, Grid, Interrupt, Pos, QueryError};

use super::plan::{Extent, RangeInput, RangeSamples, ScalarRef};
use super::samples::{Floats, SeriesSamples};
use super::sliding::SlidingFn;
use super::stream::{Cost, Notes, SeriesResult};
use super::window::{Window, WindowContext};
use super::{NodeValue, ScalarColumn};
use crate::annotations::Annotate;
use crate::options::EngineOptions;

/// A function over ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeFn {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Deriv,
    PredictLinear,
    DoubleExponentialSmoothing,
    Resets,
    Changes,
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Quantile,
    Stddev,
    Stdvar,
    Mad,
    First,
    Last,
    Present,
    /// As `Present`; the series are forgotten afterwards.
    Absent,
    TimeOfFirst,
    TimeOfLast,
    TimeOfMin,
    TimeOfMax,
}

impl RangeFn {
    /// Whether the result is another metric than the samples were.
    pub(crate) fn drops_name(self) -> bool {
        !matches!(self, Self::First | Self::Last | Self::Absent)
    }

    fn may_use_start_times(self) -> bool {
        matches!(self, Self::Rate | Self::Increase | Self::Irate | Self::Resets)
    }
}

/// A call of a function over ranges.
#[derive(Debug)]
pub(crate) struct RangeCall {
    pub(crate) func: RangeFn,
    pub(crate) input: RangeInput,
    /// Scalar arguments, in order.
    pub(crate) params: Vec<ScalarRef>,
    /// Where the range stands.
    pub(crate) pos: Pos,
}

/// A call made ready to be evaluated for many series.
pub(crate) struct RangeRun<'a> {
    call: &'a RangeCall,
    grid: Grid,
    params: Vec<ScalarColumn<'a>>,
    use_start_times: bool,
    type_labels: bool,
    interrupt: &'a Interrupt<'a>,
}

impl<'a> RangeRun<'a> {
    pub(crate) fn new(
        call: &'a RangeCall,
        grid: Grid,
        values: &'a [NodeValue],
        options: &EngineOptions,
        interrupt: &'a Interrupt<'a>,
    ) -> Self {
        Self {
            call,
            grid,
            params: call.params.iter().map(|param| ScalarColumn::new(*param, values)).collect(),
            use_start_times: options.use_start_timestamps && call.func.may_use_start_times(),
            type_labels: options.type_and_unit_labels,
            interrupt,
        }
    }

    /// Evaluates the call for one series.
    pub(crate) fn evaluate(
        &self,
        labels: &Labels,
        drop_name: bool,
        samples: &SeriesSamples<'_>,
        notes: &mut Notes,
    ) -> Result<SeriesResult, QueryError> {
        let call = self.call;
        let mut samples = SeriesSamples { floats: samples.floats, histograms: samples.histograms };
        if !self.use_start_times {
            samples.floats.start_t = &[];
            samples.histograms.start_t = &[];
        }
        if samples.floats.is_empty() && samples.histograms.is_empty() {
            return Ok(SeriesResult::default());
        }
        let context = WindowContext {
            func: call.func,
            labels,
            pos: call.pos,
            range: call.input.range,
            extent: call.input.extent,
        };
        let mut row = Row::floats(labels.clone(), Vec::new());
        let mut cost = Cost::default();
        let plain = samples.histograms.is_empty() && samples.floats.start_t.is_empty();
        let plain = plain && call.input.extent == Extent::Plain && call.input.moment.at.is_none();
        let plain = plain && u32::try_from(samples.floats.len()).is_ok();
        let param = match self.params.first() {
            Some(ScalarColumn::Const(v)) => Some(*v),
            Some(ScalarColumn::Steps(_)) | None => None,
        };
        let kernel = || SlidingFn::new(call.func, call.input.range, samples.floats, param);
        let kernel = plain.then(kernel).flatten();
        match kernel {
            Some(kernel) => self.slide_floats(&kernel, samples.floats, &mut row.values, &mut cost, notes)?,
            None => {
                row.values.resize(self.grid.steps(), ABSENT);
                self.slide_points(&context, &samples, &mut row, &mut cost, notes)?;
            }
        }
        let is_blank = !row.trim();
        if matches!(call.func, RangeFn::Rate | RangeFn::Increase) && !is_blank {
            self.note_non_counter(&context, &row, &mut notes.annotations);
        }
        row.drop_name = drop_name || call.func.drops_name();
        Ok(SeriesResult { row: (!is_blank).then_some(row), cost, samples: 0 })
    }

    /// Windows over a series of floats only.
    fn slide_floats(
        &self,
        kernel: &SlidingFn,
        floats: Floats<'_>,
        out: &mut Vec<f64>,
        cost: &mut Cost,
        notes: &mut Notes,
    ) -> Result<(), QueryError> {
        const SAMPLES_BETWEEN_CHECKS: usize = 1 << 18;
        let from_store = matches!(self.call.input.samples, RangeSamples::Selection { .. });
        let (grid, range) = (&self.grid, self.call.input.range);
        let first_end = self.call.input.moment.seen_from(grid.start);
        let mut places = std::mem::take(&mut notes.places);
        let windows = Windows::find(floats.t, first_end, grid.interval, range, grid.steps(), &mut places);
        let held = windows.sizes();
        cost.widest = held.widest;
        cost.last = held.last;
        if notes.by_step.is_some() {
            let mut seen = 0;
            for (step, (lo, hi)) in windows.spans().enumerate() {
                let fresh = if from_store { hi - lo.max(seen) } else { 0 };
                notes.count(cost, step, (hi - lo) as i64, fresh as i64);
                seen = hi;
            }
        } else {
            cost.total += held.total as i64;
            cost.read += if from_store { held.fresh as i64 } else { 0 };
        }
        out.reserve_exact(windows.steps());
        let steps = SAMPLES_BETWEEN_CHECKS / held.widest.max(1) + 1;
        for from in (0..windows.steps()).step_by(steps) {
            if from > 0 {
                self.interrupt.check(STAGE_EVALUATION)?;
            }
            kernel.run(floats, &windows.part(from, steps), out);
        }
        notes.places = places;
        Ok(())
    }

    /// Windows in general.
    fn slide_points(
        &self,
        context: &WindowContext<'_>,
        samples: &SeriesSamples<'_>,
        row: &mut Row,
        cost: &mut Cost,
        notes: &mut Notes,
    ) -> Result<(), QueryError> {
        let from_store = matches!(self.call.input.samples, RangeSamples::Selection { .. });
        let (floats, histograms) = (&samples.floats, &samples.histograms);
        let (mut float_lo, mut float_hi, mut histogram_lo, mut histogram_hi) = (0, 0, 0, 0);
        let mut work = 0u64;
        for step in 0..self.grid.steps() {
            let t = self.grid.time(step);
            let end = self.call.input.moment.seen_from(t);
            let start = end - context.range;
            let (from, to) = (start - context.extent.before(), end + context.extent.after());
            let seen = (float_hi, histogram_hi);
            advance(floats.t, &mut float_lo, &mut float_hi, from, to);
            advance(histograms.t, &mut histogram_lo, &mut histogram_hi, from, to);
            let window = Window {
                t,
                start,
                end,
                floats: floats.slice(float_lo, float_hi),
                histograms: histograms.slice(histogram_lo, histogram_hi),
            };
            if window.floats.is_empty() && window.histograms.is_empty() {
                continue;
            }
            let size =
                |from: usize, to: usize| histograms.v[from..to].iter().map(|h| sample_size(h)).sum::<usize>();
            let len = window.floats.len() + size(histogram_lo, histogram_hi);
            let fresh = if from_store {
                float_hi - seen.0.max(float_lo) + size(seen.1.max(histogram_lo), histogram_hi)
            } else {
                0
            };
            notes.count(cost, step, len as i64, fresh as i64);
            cost.widest = cost.widest.max(len);
            cost.last = len;
            let param = |at: usize| self.params.get(at).map_or(f64::NAN, |param| param.at(step));
            if let Some(value) = context.evaluate(&window, param, &mut notes.annotations)? {
                row.set(step, value);
            }
            work += len as u64;
            if work > 1 << 16 {
                self.interrupt.worked(work)?;
                work = 0;
            }
        }
        Ok(())
    }

    /// Tells the user when a rate is taken of what does not look like a counter.
    fn note_non_counter(&self, context: &WindowContext<'_>, row: &Row, annotations: &mut Annotations) {
        let name = context.metric_name();
        if name.is_empty() || row.values.iter().all(|v| is_stale(*v)) {
            return;
        }
        if self.type_labels {
            let kind = context.labels.get("__type__").unwrap_or("");
            if !matches!(kind, "counter" | "histogram") {
                annotations.possible_non_counter_label(name, kind, context.pos);
            }
        } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
            annotations.possible_non_counter(name, context.pos);
        }
    }
}

/// Moves a window's bounds to the samples after `from` up to `to`. Windows never go back.
fn advance(t: &[i64], lo: &mut usize, hi: &mut usize, from: i64, to: i64) {
    while *hi < t.len() && t[*hi] <= to {
        *hi += 1;
    }
    while *lo < *hi && t[*lo] <= from {
        *lo += 1;
    }
}
