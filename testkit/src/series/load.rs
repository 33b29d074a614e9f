//! The `load` command of series, and how its descriptions become samples.

use std::sync::Arc;

use model::histogram::FloatHistogram;
use model::{Labels, Value};
use promql::ast::UnaryOp;
use promql::parse::{SeriesDescription, SeriesValue};

use super::{LoadedSample, LoadedSeries, nhcb, starts};
use crate::script::parse::{Lines, ScriptError, describe, error, millis};

/// Series to add, their values one step apart from time 0 on.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Distance of the values in milliseconds.
    pub step: i64,
    /// Also adds native histograms with custom buckets, made of the classic histograms.
    pub with_nhcb: bool,
    /// The series; each label set once.
    pub series: Vec<LoadSeries>,
}

/// A series to add.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its values.
    pub values: Vec<SeriesValue>,
    /// For each value its start timestamp in milliseconds relative to its timestamp, `None` for unknown; empty when
    /// the script gives none.
    pub starts: Vec<Option<i64>>,
}

/// Reads a `load` command and its block.
pub fn parse(line: usize, text: &str, lines: &mut Lines<'_>) -> Result<Load, ScriptError> {
    let (command, step) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let with_nhcb = match command {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(error(line, "invalid load command, expected load[_with_nhcb] <step>")),
    };
    let step = millis(line, "step", step.trim())?;
    let mut series: Vec<LoadSeries> = Vec::new();
    let mut pending: Option<(usize, Labels, Vec<Option<i64>>)> = None;
    while let Some((line, text)) = lines.next_in_block() {
        if let Some((metric, values)) = split_starts(text) {
            if let Some((line, ..)) = pending {
                return Err(error(line, "@st line has no following sample line"));
            }
            let labels = describe(line, metric)?.labels;
            pending = Some((line, labels, starts::parse(line, values)?));
            continue;
        }
        let SeriesDescription { labels, values } = describe(line, text)?;
        let starts = match pending.take() {
            None => Vec::new(),
            Some((line, of, _)) if of != labels => {
                return Err(error(line, "@st metric does not match the following sample line metric"));
            }
            Some((line, _, starts)) => {
                let (given, wanted) =
                    (starts.len() as u64, values.iter().map(SeriesValue::count).sum::<u64>());
                if given != wanted {
                    let message = format!("@st line has {given} values but sample line has {wanted}");
                    return Err(error(line, message));
                }
                starts
            }
        };
        series.retain(|earlier| earlier.labels != labels);
        series.push(LoadSeries { labels, values, starts });
    }
    match pending {
        Some((line, ..)) => Err(error(line, "@st line has no following sample line")),
        None => Ok(Load { step, with_nhcb, series }),
    }
}

/// The metric and the values of a line `metric{...}@st values`.
fn split_starts(text: &str) -> Option<(&str, &str)> {
    let (metric, values) = text.split_once([' ', '\t'])?;
    Some((metric.strip_suffix("@st")?, values))
}

/// Most values that one series description may stand for.
const MAX_VALUES: u64 = 1_000_000;

/// A value at one step; `None` for no sample.
pub type Step = Option<Value>;

/// The values of a description, one per step.
pub fn expand(values: &[SeriesValue]) -> Result<Vec<Step>, String> {
    let total = values.iter().map(SeriesValue::count).fold(0_u64, u64::saturating_add);
    if total > MAX_VALUES {
        return Err(format!("{total} values in one series, at most {MAX_VALUES} are allowed"));
    }
    let mut steps = Vec::new();
    for value in values {
        match value {
            SeriesValue::Omitted(count) => steps.extend((0..*count).map(|_| None)),
            SeriesValue::Float { first, step, times } => {
                let mut next = *first;
                for i in 0..=*times {
                    if i > 0 && *step != 0.0 {
                        next += step;
                    }
                    steps.push(Some(Value::Float(next)));
                }
            }
            SeriesValue::Histogram { first, step: None, times, .. } => {
                let shared = Arc::new(FloatHistogram::clone(first));
                steps.extend((0..=*times).map(|_| Some(Value::Histogram(Arc::clone(&shared)))));
            }
            SeriesValue::Histogram { first, step: Some((op, by)), times, .. } => {
                let mut next = FloatHistogram::clone(first);
                for i in 0..=*times {
                    if i > 0 {
                        next = combined(&next, *op, by)?;
                    }
                    steps.push(Some(Value::Histogram(Arc::new(next.clone()))));
                }
            }
        }
    }
    Ok(steps)
}

fn combined(h: &FloatHistogram, op: UnaryOp, by: &FloatHistogram) -> Result<FloatHistogram, String> {
    if h.schema > by.schema {
        let (from, to) = (by.schema, h.schema);
        return Err(format!("error combining histograms: cannot merge from schema {from} to {to}"));
    }
    let mut sum = h.clone();
    let combined = match op {
        UnaryOp::Plus => sum.add(by),
        UnaryOp::Minus => sum.sub(by),
    };
    combined.map(|_| sum).map_err(|e| e.to_string())
}

/// The series of a `load` command with their samples, those of native histograms made of classic ones included.
/// `start` is the time of the first step.
pub fn series(load: &Load, start: i64) -> Result<Vec<LoadedSeries>, String> {
    let mut loaded = Vec::with_capacity(load.series.len());
    for LoadSeries { labels, values, starts } in &load.series {
        let mut samples = Vec::new();
        for (i, step) in expand(values)?.into_iter().enumerate() {
            let t = start + load.step * i64::try_from(i).unwrap_or(i64::MAX);
            let start_t = starts.get(i).copied().flatten().map_or(0, |relative| t + relative);
            samples.extend(step.map(|value| LoadedSample { t, start_t, value }));
        }
        loaded.push(LoadedSeries { labels: labels.clone(), samples });
    }
    if load.with_nhcb {
        let converted = nhcb::convert(&loaded)?;
        loaded.extend(converted);
    }
    Ok(loaded)
}
