//! One window of one series, and what each function over ranges makes of it.

use std::sync::Arc;

use model::histogram::FloatHistogram;
use model::labels::METRIC_NAME;
use model::{Labels, Value};
use query::matrix::SharedHistogram;
use query::{Annotations, Pos, QueryError};

use super::plan::Extent;
use super::range::RangeFn;
use super::samples::{Floats, Histograms};
use super::{over_time, rate, regression, transitions};

/// One window of one series: the samples after `start` up to `end`, and for extended modes those around them.
pub(crate) struct Window<'a> {
    /// The step's time.
    pub(crate) t: i64,
    /// Start of the range, exclusive.
    pub(crate) start: i64,
    /// End of the range, inclusive.
    pub(crate) end: i64,
    pub(crate) floats: Floats<'a>,
    pub(crate) histograms: Histograms<'a>,
}

/// What a function needs beside the window.
pub(crate) struct WindowContext<'a> {
    pub(crate) func: RangeFn,
    pub(crate) labels: &'a Labels,
    pub(crate) pos: Pos,
    /// Width of the range in milliseconds.
    pub(crate) range: i64,
    pub(crate) extent: Extent,
}

impl<'a> WindowContext<'a> {
    pub(crate) fn metric_name(&self) -> &'a str {
        self.labels.get(METRIC_NAME).unwrap_or("")
    }

    /// The function's result for a window that holds a sample. `param` gives the scalar arguments at the step.
    pub(crate) fn evaluate(
        &self,
        window: &Window<'_>,
        param: impl Fn(usize) -> f64,
        annotations: &mut Annotations,
    ) -> Result<Option<Value>, QueryError> {
        let context = self;
        Ok(match context.func {
            RangeFn::Rate | RangeFn::Increase | RangeFn::Delta => rate::rate(context, window, annotations),
            RangeFn::Irate | RangeFn::Idelta => rate::instant_rate(context, window, annotations),
            RangeFn::Deriv => regression::deriv(context, window, annotations),
            RangeFn::PredictLinear => regression::predict_linear(context, window, param(0), annotations),
            RangeFn::DoubleExponentialSmoothing => {
                regression::double_exponential_smoothing(context, window, param(0), param(1), annotations)?
            }
            RangeFn::Resets => transitions::resets(context, window),
            RangeFn::Changes => transitions::changes(context, window),
            RangeFn::Sum => over_time::sum(context, window, annotations),
            RangeFn::Avg => over_time::avg(context, window, annotations),
            RangeFn::Min => over_time::of_floats(context, window, annotations, over_time::min),
            RangeFn::Max => over_time::of_floats(context, window, annotations, over_time::max),
            RangeFn::Stddev => over_time::of_floats(context, window, annotations, over_time::stddev),
            RangeFn::Stdvar => over_time::of_floats(context, window, annotations, over_time::stdvar),
            RangeFn::Mad => over_time::of_floats(context, window, annotations, over_time::median_deviation),
            RangeFn::TimeOfMin => over_time::of_floats(context, window, annotations, over_time::time_of_min),
            RangeFn::TimeOfMax => over_time::of_floats(context, window, annotations, over_time::time_of_max),
            RangeFn::Quantile => over_time::quantile(context, window, param(0), annotations),
            RangeFn::Count => Some(Value::Float((window.floats.len() + window.histograms.len()) as f64)),
            RangeFn::Present | RangeFn::Absent => Some(Value::Float(1.0)),
            RangeFn::First => Some(over_time::first(window)),
            RangeFn::Last => Some(over_time::last(window)),
            RangeFn::TimeOfFirst => Some(over_time::time_of_first(window)),
            RangeFn::TimeOfLast => Some(over_time::time_of_last(window)),
        })
    }
}

/// A histogram of its own, ready to be changed.
pub(crate) fn owned(h: &SharedHistogram) -> FloatHistogram {
    FloatHistogram::clone(h)
}

/// Wraps a histogram as a result.
pub(crate) fn histogram_value(h: FloatHistogram) -> Value {
    Value::Histogram(Arc::new(h))
}
