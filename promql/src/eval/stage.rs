//! Stages of a stream: what is done to each series by itself, sample by sample.

use std::sync::Arc;

use model::Value;
use model::histogram::FloatHistogram;
use query::matrix::Row;
use query::value::{ABSENT, is_absent};
use query::{Annotations, Grid, Pos};

use super::binary::{Operands, changes_metric, float_op, value_op};
use super::date::Date;
use super::math::{go_max, go_min, round_to};
use super::plan::ScalarRef;
use super::{NodeValue, ScalarColumn};
use crate::ast::BinaryOp;
use crate::duration_literal::to_i64;

/// Something done to each series.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// `-vector`
    Negate,
    /// An operator with a scalar on one side.
    Scalar { op: BinaryOp, scalar: ScalarRef, scalar_left: bool, return_bool: bool, pos: Pos },
    /// A function of one float. Histograms are left out.
    Float(fn(f64) -> f64),
    /// `clamp` and its kin.
    Clamp { min: ScalarRef, max: ScalarRef },
    /// `round`, to a multiple of the scalar, or to 1.
    Round(Option<ScalarRef>),
    /// A part of the date that a float means in seconds.
    Date(fn(&Date) -> i64),
    /// The step's time, under `timestamp()`.
    StepTime,
    /// A figure of a histogram. Floats are left out.
    Histogram(fn(&FloatHistogram) -> f64),
    /// Nothing remains but the name goes, after selectors that gave times.
    DropName,
    /// Nothing remains.
    Nothing,
}

impl Stage {
    /// Whether the result is another metric.
    pub(crate) fn drops_name(&self) -> bool {
        match self {
            Self::Scalar { op, return_bool, .. } => changes_metric(*op) || *return_bool,
            Self::Nothing => false,
            _ => true,
        }
    }
}

impl Stage {
    /// The scalars it was given, as far as the query wrote them.
    pub(crate) fn operands(&self) -> Vec<ScalarRef> {
        let written = |scalar: &ScalarRef| !matches!(scalar, ScalarRef::Const(v) if v.is_infinite());
        match self {
            Self::Scalar { scalar, .. } | Self::Round(Some(scalar)) => vec![*scalar],
            Self::Clamp { min, max } => [*min, *max].into_iter().filter(written).collect(),
            _ => Vec::new(),
        }
    }
}

/// What a stage did to all rows, in samples.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StageSamples {
    /// Rows with a sample at the last step before it.
    pub(crate) gathered: usize,
    /// Samples after it.
    pub(crate) samples: usize,
}

impl StageSamples {
    /// Adds up two stage_samples of the same stages.
    pub(crate) fn add_all(stage_samples: &mut [Self], more: &[Self]) {
        for (mine, more) in stage_samples.iter_mut().zip(more) {
            mine.gathered += more.gathered;
            mine.samples += more.samples;
        }
    }
}

/// A stage with its scalars at hand.
pub(crate) struct ResolvedStage<'a> {
    stage: &'a Stage,
    scalars: [ScalarColumn<'a>; 2],
    grid: Grid,
    delayed: bool,
}

impl<'a> ResolvedStage<'a> {
    /// Steps of the grid are at least one.
    pub(crate) fn new(stage: &'a Stage, values: &'a [NodeValue], grid: Grid, delayed: bool) -> Self {
        let (a, b) = match stage {
            Stage::Scalar { scalar, .. } | Stage::Round(Some(scalar)) => (*scalar, *scalar),
            Stage::Clamp { min, max } => (*min, *max),
            _ => (ScalarRef::Const(1.0), ScalarRef::Const(1.0)),
        };
        Self { stage, scalars: [ScalarColumn::new(a, values), ScalarColumn::new(b, values)], grid, delayed }
    }
}

/// Applies stages to a row. False when nothing is left of it.
pub(crate) fn apply_stages(
    stages: &[ResolvedStage<'_>],
    row: &mut Row,
    stage_samples: &mut [StageSamples],
    annotations: &mut Annotations,
) -> bool {
    for (resolved, samples_of_stage) in stages.iter().zip(stage_samples) {
        samples_of_stage.gathered += usize::from(row.has(resolved.grid.steps() - 1));
        resolved.apply(row, annotations);
        if !row.trim() {
            return false;
        }
        samples_of_stage.samples += row.samples();
    }
    true
}

impl ResolvedStage<'_> {
    fn apply(&self, row: &mut Row, annotations: &mut Annotations) {
        let [a, b] = &self.scalars;
        row.drop_name |= self.stage.drops_name();
        match self.stage {
            Stage::Negate => {
                floats(row, |_, v| -v);
                for h in row.histograms.iter_mut().flat_map(|hs| hs.iter_mut()).flatten() {
                    Arc::make_mut(h).mul(-1.0);
                }
            }
            Stage::Scalar { op, scalar_left, return_bool, pos, .. } => {
                self.scalar(row, *op, *scalar_left, *return_bool, *pos, annotations);
            }
            Stage::Float(f) => only_floats(row, |_, v| f(v)),
            Stage::Clamp { .. } => only_floats(row, |step, v| {
                let (min, max) = (a.at(step), b.at(step));
                if max < min { ABSENT } else { go_max(min, go_min(max, v)) }
            }),
            Stage::Round(_) => only_floats(row, |step, v| round_to(v, 1.0 / a.at(step))),
            Stage::Date(part) => only_floats(row, |_, v| part(&Date::of_seconds(to_i64(v))) as f64),
            Stage::StepTime => {
                for step in row.span() {
                    if row.has(step) {
                        row.set(step, Value::Float(self.grid.time(step) as f64 / 1000.0));
                    }
                }
                row.histograms = None;
            }
            Stage::Histogram(f) => {
                let histograms = row.histograms.take();
                row.values.fill(ABSENT);
                for (v, h) in row.values.iter_mut().zip(histograms.iter().flat_map(|hs| hs.iter())) {
                    if let Some(h) = h {
                        *v = f(h);
                    }
                }
                // Type and unit of the histogram are those of its figures too.
                if !self.delayed {
                    row.drop_name = false;
                    row.labels = row.labels.without_metric_name();
                }
            }
            Stage::DropName => {}
            Stage::Nothing => {
                row.values.clear();
                row.histograms = None;
            }
        }
    }

    fn scalar(
        &self,
        row: &mut Row,
        op: BinaryOp,
        scalar_left: bool,
        return_bool: bool,
        pos: Pos,
        annotations: &mut Annotations,
    ) {
        let scalar = &self.scalars[0];
        let is_trim = matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
        if row.histograms.is_none() && !is_trim {
            // One loop for each operator, so that the compiler sees through it.
            match (op, scalar_left) {
                (BinaryOp::Mul, _) => floats(row, |step, v| v * scalar.at(step)),
                (BinaryOp::Div, false) => floats(row, |step, v| v / scalar.at(step)),
                (BinaryOp::Add, _) => floats(row, |step, v| v + scalar.at(step)),
                _ => floats(row, |step, v| {
                    let (left, right) = if scalar_left { (scalar.at(step), v) } else { (v, scalar.at(step)) };
                    let (result, holds) = float_op(op, left, right);
                    if return_bool {
                        f64::from(u8::from(holds))
                    } else if !holds {
                        ABSENT
                    } else if op.is_comparison() {
                        v
                    } else {
                        result
                    }
                }),
            }
            return;
        }
        for step in row.span() {
            let Some(value) = row.value(step) else { continue };
            let scalar = Value::Float(scalar.at(step));
            let operands = if scalar_left {
                Operands { left: &scalar, right: &value }
            } else {
                Operands { left: &value, right: &scalar }
            };
            let result = value_op(op, &operands, pos, annotations);
            row.clear(step);
            match result {
                Some((_, holds)) if return_bool => row.set(step, Value::Float(f64::from(u8::from(holds)))),
                Some((_, true)) if op.is_comparison() => row.set(step, value),
                Some((result, true)) => row.set(step, result),
                _ => {}
            }
        }
    }
}

/// Changes the floats of a row.
fn floats(row: &mut Row, f: impl Fn(usize, f64) -> f64) {
    for (step, v) in (row.first..).zip(&mut row.values) {
        if !is_absent(*v) {
            *v = f(step, *v);
        }
    }
}

/// Changes the floats of a row and leaves out its histograms.
fn only_floats(row: &mut Row, f: impl Fn(usize, f64) -> f64) {
    row.histograms = None;
    floats(row, f);
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;

    fn run(stage: Stage, values: &[f64]) -> Option<Vec<f64>> {
        let mut row = Row::floats(Labels::from_pairs([("__name__", "m")]), values.to_vec());
        let grid = Grid { start: 1000, end: 1000 + (values.len() as i64 - 1) * 500, interval: 500 };
        let resolved = [ResolvedStage::new(&stage, &[], grid, false)];
        let left =
            apply_stages(&resolved, &mut row, &mut [StageSamples::default()], &mut Annotations::default());
        left.then(|| (0..values.len()).map(|step| row.float(step)).collect())
    }

    #[test]
    fn stages() {
        let scalar = |op, scalar, scalar_left, return_bool| Stage::Scalar {
            op,
            scalar: ScalarRef::Const(scalar),
            scalar_left,
            return_bool,
            pos: Pos::default(),
        };
        let bits =
            |values: Option<Vec<f64>>| values.map(|vs| vs.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        for (stage, want) in [
            (Stage::Negate, vec![-1.0, ABSENT, 4.0]),
            (scalar(BinaryOp::Gt, 0.0, false, false), vec![1.0, ABSENT, ABSENT]),
            (scalar(BinaryOp::Gt, 0.0, true, false), vec![ABSENT, ABSENT, -4.0]),
            (scalar(BinaryOp::Gt, 0.0, false, true), vec![1.0, ABSENT, 0.0]),
            (scalar(BinaryOp::Sub, 10.0, true, false), vec![9.0, ABSENT, 14.0]),
            (
                Stage::Clamp { min: ScalarRef::Const(-1.0), max: ScalarRef::Const(9.0) },
                vec![1.0, ABSENT, -1.0],
            ),
            (Stage::StepTime, vec![1.0, ABSENT, 2.0]),
            (Stage::Float(f64::abs), vec![1.0, ABSENT, 4.0]),
        ] {
            let what = format!("{stage:?}");
            assert_eq!(bits(run(stage, &[1.0, ABSENT, -4.0])), bits(Some(want)), "{what}");
        }
        assert_eq!(run(Stage::Nothing, &[1.0]), None);
        assert_eq!(run(Stage::Histogram(|h| h.sum), &[1.0]), None);
    }
}
