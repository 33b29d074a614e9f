//! The one table of PromQL's functions: for each its name, signature, a sentence of documentation, and its code.
//! Aggregations are operators, not functions; see [`crate::ast::AggregateOp`].
//! Source: Prometheus 3.14 `promql/parser/functions.go`.

use std::f64::consts::PI;
use std::fmt;

use model::histogram::FloatHistogram;
use query::QueryError;
use query::ValueType::{self, Matrix, Scalar, String, Vector};

use crate::ast::Call;
use crate::eval::build::{Builder, PlanPart, QueryTimes};
use crate::eval::call::CallSite;
use crate::eval::date::Date;
use crate::eval::range::RangeFn;
use crate::eval::{
    absent, clamp, classic, hyperbolic, info, label, math, power, sample_time, scalar, sort, trigonometry,
};

/// A function: how it is called and what it does.
pub struct Function {
    /// Name in queries.
    pub name: &'static str,
    /// Types of the arguments; the last `variadic` rule applies beyond or below them.
    pub args: &'static [ValueType],
    /// 0: exactly `args`. Otherwise the last of `args` may be left out, and may be repeated: n > 0 allows
    /// `args.len() - 1 + n` arguments at most, -1 any number.
    pub variadic: i32,
    /// Type of the result.
    pub returns: ValueType,
    /// Needs `--enable-feature=promql-experimental-functions`.
    pub experimental: bool,
    /// What it does, in a sentence for users.
    pub doc: &'static str,
    pub(crate) code: Code,
    pub(crate) step_time: StepTime,
    pub(crate) buckets: Buckets,
    /// Whether the second argument is a selector without a name, which may match every series.
    pub(crate) takes_label_selector: bool,
}

/// What a function does.
pub(crate) enum Code {
    /// Looks at windows of samples.
    Range(RangeFn),
    /// Changes each float by itself; histograms are left out.
    Float(fn(f64) -> f64),
    /// Gives a part of the date that each float means in seconds, or without an argument the step's.
    Date(fn(&Date) -> i64),
    /// Gives a figure of each histogram; floats are left out.
    Histogram(fn(&FloatHistogram) -> f64),
    /// Gives one of the query's times, in milliseconds.
    QueryTime(fn(QueryTimes) -> i64),
    /// Builds its own part of the plan.
    Build(fn(&mut Builder<'_>, &CallSite<'_>) -> Result<PlanPart, QueryError>),
}

/// Whether the result depends on the step even if the arguments do not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepTime {
    No,
    Yes,
    /// Unless the argument is a selector.
    UnlessSelector,
}

/// Whether a function looks at the buckets of the histograms below it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Buckets {
    /// As whatever stands above it.
    AsAbove,
    /// Count and sum are enough.
    Unneeded,
    Needed,
}

impl Function {
    /// The type wanted of the argument at `index`; `None` when a function of fixed arity has no such argument.
    pub fn arg_type(&self, index: usize) -> Option<ValueType> {
        match self.args.get(index) {
            Some(found) => Some(*found),
            None if self.variadic != 0 => self.args.last().copied(),
            None => None,
        }
    }

    /// Whether the result depends on when a query is evaluated even if the arguments do not.
    pub fn depends_on_time(&self) -> bool {
        self.step_time != StepTime::No || matches!(self.code, Code::QueryTime(_))
    }

    /// Whether the result of a call depends on the step even if its arguments do not.
    pub(crate) fn depends_on_step(&self, call: &Call) -> bool {
        match self.step_time {
            StepTime::No => false,
            StepTime::Yes => true,
            StepTime::UnlessSelector => {
                !call.args.iter().all(|arg| arg.without_parens().is_vector_selector())
            }
        }
    }

    const fn variadic(mut self, variadic: i32) -> Self {
        self.variadic = variadic;
        self
    }

    const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }

    const fn step_time(mut self, step_time: StepTime) -> Self {
        self.step_time = step_time;
        self
    }

    const fn buckets(mut self, buckets: Buckets) -> Self {
        self.buckets = buckets;
        self
    }

    const fn takes_label_selector(mut self) -> Self {
        self.takes_label_selector = true;
        self
    }
}

/// Names are unique.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.name).finish()
    }
}

/// The function of that name; names are case-sensitive.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
}

const fn function(
    name: &'static str,
    args: &'static [ValueType],
    returns: ValueType,
    code: Code,
    doc: &'static str,
) -> Function {
    let (step_time, buckets) = (StepTime::No, Buckets::AsAbove);
    let (variadic, experimental, takes_label_selector) = (0, false, false);
    Function {
        name,
        args,
        variadic,
        returns,
        experimental,
        doc,
        code,
        step_time,
        buckets,
        takes_label_selector,
    }
}

/// Over windows of samples.
const fn range(name: &'static str, func: RangeFn, doc: &'static str) -> Function {
    function(name, &[Matrix], Vector, Code::Range(func), doc)
}

/// Of one float.
const fn float(name: &'static str, f: fn(f64) -> f64, doc: &'static str) -> Function {
    function(name, &[Vector], Vector, Code::Float(f), doc)
}

const fn date(name: &'static str, part: fn(&Date) -> i64, doc: &'static str) -> Function {
    function(name, &[Vector], Vector, Code::Date(part), doc).variadic(1).step_time(StepTime::Yes)
}

/// Of one histogram.
const fn histogram(name: &'static str, f: fn(&FloatHistogram) -> f64, doc: &'static str) -> Function {
    function(name, &[Vector], Vector, Code::Histogram(f), doc)
}

const fn query_time(name: &'static str, time: fn(QueryTimes) -> i64, doc: &'static str) -> Function {
    function(name, &[], Scalar, Code::QueryTime(time), doc).experimental()
}

/// Every function, by name.
#[rustfmt::skip]
pub static FUNCTIONS: [Function; 90] = [
    float("abs", f64::abs, "The absolute value of each float."),
    function("absent", &[Vector], Vector, Code::Build(absent::build),
        "1 where the vector has no element, labelled as its selector fixes; nothing otherwise."),
    range("absent_over_time", RangeFn::Absent,
        "1 where the range has no sample, labelled as its selector fixes; nothing otherwise."),
    float("acos", trigonometry::acos, "The arccosine of each float, in radians."),
    float("acosh", hyperbolic::acosh, "The inverse hyperbolic cosine of each float."),
    float("asin", trigonometry::asin, "The arcsine of each float, in radians."),
    float("asinh", hyperbolic::asinh, "The inverse hyperbolic sine of each float."),
    float("atan", trigonometry::atan, "The arctangent of each float, in radians."),
    float("atanh", hyperbolic::atanh, "The inverse hyperbolic tangent of each float."),
    range("avg_over_time", RangeFn::Avg, "The average of each series' samples in the range."),
    float("ceil", f64::ceil, "Each float rounded up to an integer."),
    range("changes", RangeFn::Changes, "How often each series' value changed within the range."),
    function("clamp", &[Vector, Scalar, Scalar], Vector, Code::Build(clamp::build_clamp),
        "Each float, kept between a lower and an upper bound."),
    function("clamp_max", &[Vector, Scalar], Vector, Code::Build(clamp::build_clamp_max),
        "Each float, kept at or below an upper bound."),
    function("clamp_min", &[Vector, Scalar], Vector, Code::Build(clamp::build_clamp_min),
        "Each float, kept at or above a lower bound."),
    float("cos", trigonometry::cos, "The cosine of each float, which is in radians."),
    float("cosh", hyperbolic::cosh, "The hyperbolic cosine of each float."),
    range("count_over_time", RangeFn::Count, "How many samples each series has in the range."),
    date("day_of_month", |date| date.day, "The day of the month, 1 to 31, of each Unix timestamp, in UTC."),
    date("day_of_week", |date| date.weekday, "The day of the week, 0 for Sunday, of each Unix timestamp, in UTC."),
    date("day_of_year", |date| date.day_of_year, "The day of the year, 1 to 366, of each Unix timestamp, in UTC."),
    date("days_in_month", Date::days_in_month, "How many days the month of each Unix timestamp has, in UTC."),
    float("deg", |v| v * 180.0 / PI, "Each float from radians to degrees."),
    range("delta", RangeFn::Delta,
        "By how much each gauge changed between start and end of the range, extrapolated to its bounds."),
    range("deriv", RangeFn::Deriv, "The slope per second of each gauge in the range, by linear regression."),
    function("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Vector,
        Code::Range(RangeFn::DoubleExponentialSmoothing),
        "Each gauge in the range, smoothed with a smoothing factor and a trend factor.").experimental(),
    query_time("end", |times| times.end, "The end of the query, as a Unix timestamp in seconds."),
    float("exp", power::exp, "The exponential function of each float."),
    range("first_over_time", RangeFn::First, "The oldest sample of each series in the range."),
    float("floor", f64::floor, "Each float rounded down to an integer."),
    histogram("histogram_avg", |h| h.average(), "The average of the observations in each native histogram.")
        .buckets(Buckets::Unneeded),
    histogram("histogram_count", |h| h.count, "How many observations each native histogram has.")
        .buckets(Buckets::Unneeded),
    function("histogram_fraction", &[Scalar, Scalar, Vector], Vector, Code::Build(classic::call::build_fraction),
        "The share of observations between two bounds in each histogram, native or classic.")
        .buckets(Buckets::Needed),
    function("histogram_quantile", &[Scalar, Vector], Vector, Code::Build(classic::call::build_quantile),
        "A quantile of the observations in each histogram, native or classic.").buckets(Buckets::Needed),
    function("histogram_quantiles", &[Vector, String, Scalar, Scalar], Vector,
        Code::Build(classic::call::build_quantiles),
        "Several quantiles of the observations in each histogram, told apart by a label.")
        .variadic(9).experimental().buckets(Buckets::Needed),
    histogram("histogram_stddev", |h| h.deviation(),
        "The estimated standard deviation of the observations in each native histogram."),
    histogram("histogram_stdvar", |h| h.variance(),
        "The estimated variance of the observations in each native histogram."),
    histogram("histogram_sum", |h| h.sum, "The sum of the observations in each native histogram.")
        .buckets(Buckets::Unneeded),
    date("hour", |date| date.hour, "The hour, 0 to 23, of each Unix timestamp, in UTC."),
    range("idelta", RangeFn::Idelta, "The difference between the last two samples of each series in the range."),
    range("increase", RangeFn::Increase,
        "By how much each counter grew over the range, resets made good, extrapolated to its bounds."),
    function("info", &[Vector, Vector], Vector, Code::Build(info::build),
        "The vector, with labels added from matching info series.")
        .variadic(1).experimental().takes_label_selector(),
    range("irate", RangeFn::Irate, "The growth per second of each counter between its last two samples in the range."),
    function("label_join", &[Vector, String, String, String], Vector, Code::Build(label::build_join),
        "The vector, with a label set to the values of other labels, joined with a separator.").variadic(-1),
    function("label_replace", &[Vector, String, String, String, String], Vector, Code::Build(label::build_replace),
        "The vector, with a label set to a replacement where a regular expression matches another label."),
    range("last_over_time", RangeFn::Last, "The newest sample of each series in the range."),
    float("ln", power::ln, "The natural logarithm of each float."),
    float("log10", power::log10, "The decimal logarithm of each float."),
    float("log2", power::log2, "The binary logarithm of each float."),
    range("mad_over_time", RangeFn::Mad, "The median absolute deviation of each series' floats in the range.")
        .experimental(),
    function("max_of", &[Scalar, Scalar], Scalar, Code::Build(scalar::build_max_of), "The greater of two scalars.")
        .experimental(),
    range("max_over_time", RangeFn::Max, "The greatest float of each series in the range."),
    function("min_of", &[Scalar, Scalar], Scalar, Code::Build(scalar::build_min_of), "The lesser of two scalars.")
        .experimental(),
    range("min_over_time", RangeFn::Min, "The least float of each series in the range."),
    date("minute", |date| date.minute, "The minute, 0 to 59, of each Unix timestamp, in UTC."),
    date("month", |date| date.month, "The month, 1 to 12, of each Unix timestamp, in UTC."),
    function("pi", &[], Scalar, Code::Build(scalar::build_pi), "The number pi."),
    function("predict_linear", &[Matrix, Scalar], Vector, Code::Range(RangeFn::PredictLinear),
        "The value of each gauge a number of seconds from now, by linear regression over the range.")
        .step_time(StepTime::Yes),
    range("present_over_time", RangeFn::Present, "1 for each series that has a sample in the range."),
    function("quantile_over_time", &[Scalar, Matrix], Vector, Code::Range(RangeFn::Quantile),
        "A quantile of each series' floats in the range."),
    float("rad", |v| v * PI / 180.0, "Each float from degrees to radians."),
    query_time("range", |times| times.end - times.start, "The end of the query less its start, in seconds."),
    range("rate", RangeFn::Rate,
        "The growth per second of each counter over the range, resets made good, extrapolated to its bounds."),
    range("resets", RangeFn::Resets, "How often each counter was reset within the range."),
    function("round", &[Vector, Scalar], Vector, Code::Build(clamp::build_round),
        "Each float rounded to the nearest integer, or to the nearest multiple of the second argument.").variadic(1),
    function("scalar", &[Vector], Scalar, Code::Build(scalar::build_scalar),
        "The float of the vector's only element; NaN if it has none or several."),
    float("sgn", math::sign, "The sign of each float: 1, 0 or -1."),
    float("sin", trigonometry::sin, "The sine of each float, which is in radians."),
    float("sinh", hyperbolic::sinh, "The hyperbolic sine of each float."),
    function("sort", &[Vector], Vector, Code::Build(sort::build_ascending), "The vector, ascending by value."),
    function("sort_by_label", &[Vector, String], Vector, Code::Build(sort::build_by_label),
        "The vector, ascending by the values of labels in natural order.").variadic(-1).experimental(),
    function("sort_by_label_desc", &[Vector, String], Vector, Code::Build(sort::build_by_label_desc),
        "The vector, descending by the values of labels in natural order.").variadic(-1).experimental(),
    function("sort_desc", &[Vector], Vector, Code::Build(sort::build_descending), "The vector, descending by value."),
    float("sqrt", f64::sqrt, "The square root of each float."),
    query_time("start", |times| times.start, "The start of the query, as a Unix timestamp in seconds."),
    function("start_timestamp", &[Vector], Vector, Code::Build(sample_time::build_start_timestamp),
        "When the counting behind each sample began, as a Unix timestamp in seconds.").experimental(),
    range("stddev_over_time", RangeFn::Stddev, "The standard deviation of each series' floats in the range."),
    range("stdvar_over_time", RangeFn::Stdvar, "The variance of each series' floats in the range."),
    query_time("step", QueryTimes::step_of_range, "The step of the query in seconds; 0 for an instant query."),
    range("sum_over_time", RangeFn::Sum, "The sum of each series' samples in the range."),
    float("tan", trigonometry::tan, "The tangent of each float, which is in radians."),
    float("tanh", hyperbolic::tanh, "The hyperbolic tangent of each float."),
    function("time", &[], Scalar, Code::Build(scalar::build_time),
        "When the expression is evaluated, as a Unix timestamp in seconds.").step_time(StepTime::Yes),
    function("timestamp", &[Vector], Vector, Code::Build(sample_time::build_timestamp),
        "When each sample was taken, as a Unix timestamp in seconds.").step_time(StepTime::UnlessSelector),
    range("ts_of_first_over_time", RangeFn::TimeOfFirst,
        "When each series' oldest sample in the range was taken, as a Unix timestamp in seconds.").experimental(),
    range("ts_of_last_over_time", RangeFn::TimeOfLast,
        "When each series' newest sample in the range was taken, as a Unix timestamp in seconds.").experimental(),
    range("ts_of_max_over_time", RangeFn::TimeOfMax,
        "When each series last had its greatest float in the range, as a Unix timestamp in seconds.").experimental(),
    range("ts_of_min_over_time", RangeFn::TimeOfMin,
        "When each series last had its least float in the range, as a Unix timestamp in seconds.").experimental(),
    function("vector", &[Scalar], Vector, Code::Build(scalar::build_vector), "The scalar, as a vector without labels."),
    date("year", |date| date.year, "The year of each Unix timestamp, in UTC."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_searchable() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for function in &FUNCTIONS {
            assert_eq!(find(function.name), Some(function));
            assert!(function.doc.ends_with('.'), "{}", function.name);
        }
        assert_eq!(find("RATE"), None);
        assert_eq!(find("sum"), None);
    }

    #[test]
    fn argument_types_repeat_only_for_variadic_functions() {
        let types = |name: &str| (0..6).map(|i| find(name).unwrap().arg_type(i)).collect::<Vec<_>>();
        assert_eq!(types("rate"), [Some(Matrix), None, None, None, None, None]);
        assert_eq!(
            types("label_join"),
            [Some(Vector), Some(String), Some(String), Some(String), Some(String), Some(String)]
        );
    }
}
