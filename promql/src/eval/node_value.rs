//! What the nodes of a plan give, and scalars among it as operands.

use query::matrix::Row;
use query::value::Series;

use super::plan::ScalarRef;
use super::result;

/// What a node gave.
#[derive(Default)]
pub(crate) enum NodeValue {
    /// Not evaluated yet, or taken by the node above.
    #[default]
    None,
    /// One float for each step.
    Scalar(Vec<f64>),
    /// Series; with how many samples they count for.
    Rows(Vec<Row>, usize),
    /// A string.
    Text(String),
    /// Series with samples of their own times, as the result.
    Matrix(Vec<Series>),
}

impl NodeValue {
    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Scalar(values) => size_of_val(values.as_slice()),
            Self::Rows(rows, _) => rows.iter().map(Row::bytes).sum(),
            Self::Text(text) => text.len(),
            Self::Matrix(series) => series.iter().map(result::series_bytes).sum(),
        }
    }
}

/// The values of a scalar operand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ScalarColumn<'a> {
    Const(f64),
    Steps(&'a [f64]),
}

impl<'a> ScalarColumn<'a> {
    pub(crate) fn new(scalar: ScalarRef, values: &'a [NodeValue]) -> Self {
        match scalar {
            ScalarRef::Const(v) => Self::Const(v),
            ScalarRef::Node(id) => match &values[id] {
                NodeValue::Scalar(steps) => Self::Steps(steps),
                _ => Self::Const(f64::NAN),
            },
        }
    }

    /// The value at a step.
    #[inline]
    pub(crate) fn at(&self, step: usize) -> f64 {
        match self {
            Self::Const(v) => *v,
            Self::Steps(values) => values.get(step).copied().unwrap_or(f64::NAN),
        }
    }

    /// The values of all steps.
    pub(crate) fn values(&self, steps: usize) -> Vec<f64> {
        (0..steps).map(|step| self.at(step)).collect()
    }
}

/// What scalar operands of an operation count for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScalarSamples {
    /// Beside those counted as held already: constants over all steps, and all of them once more at a step.
    pub(crate) more: usize,
    /// WindowSizes already, to be given back.
    pub(crate) held: usize,
}

impl ScalarSamples {
    pub(crate) fn new(scalars: &[ScalarRef], values: &[NodeValue], steps: usize) -> Self {
        let mut samples = Self { more: scalars.len(), held: 0 };
        for scalar in scalars {
            match scalar {
                ScalarRef::Const(_) => samples.more += steps,
                ScalarRef::Node(id) => {
                    if let NodeValue::Scalar(values) = &values[*id] {
                        samples.held += values.len();
                    }
                }
            }
        }
        samples
    }
}
