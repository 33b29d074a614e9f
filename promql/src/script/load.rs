//! From series descriptions to samples.

use std::sync::Arc;

use model::histogram::FloatHistogram;
use model::{Labels, Value};

use crate::ast::UnaryOp;
use crate::parse::SeriesValue;
use crate::script::nhcb;
use crate::script::parse::{Load, LoadSeries};

/// What takes a script's samples: memory or a server.
pub trait Store {
    /// Forgets everything.
    fn clear(&mut self) -> Result<(), String>;

    /// Adds samples, in ascending time for each series, to what is there.
    fn load(&mut self, series: Vec<LoadedSeries>) -> Result<(), String>;
}

/// A series with its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its samples, ascending in time.
    pub samples: Vec<LoadedSample>,
}

/// A sample of either kind.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedSample {
    /// Milliseconds since the Unix epoch.
    pub t: i64,
    /// Start timestamp in milliseconds, 0 for unknown.
    pub start_t: i64,
    /// The value.
    pub value: Value,
}

/// Most values that one series description may stand for.
const MAX_VALUES: u64 = 1_000_000;

impl SeriesValue {
    /// How many steps it covers.
    pub fn count(&self) -> u64 {
        match self {
            Self::Omitted(count) => *count,
            Self::Float { times, .. } | Self::Histogram { times, .. } => times.saturating_add(1),
        }
    }
}

/// A value at one step; `None` for no sample.
pub(super) type Step = Option<Value>;

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
