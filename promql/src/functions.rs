//! The one table of PromQL's functions: name, signature, whether a feature flag guards it. Aggregations are operators,
//! not functions; see [`crate::ast::AggregateOp`]. Source: Prometheus 3.14 `promql/parser/functions.go`.

use query::ValueType;

use crate::ast::ValueType::{Matrix, Scalar, String, Vector};

/// A function's signature.
#[derive(Debug, PartialEq)]
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
}

/// The function of that name; names are case-sensitive.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
}

const fn new(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Function {
    Function { name, args, variadic: 0, returns, experimental: false }
}

const fn variadic(name: &'static str, args: &'static [ValueType], variadic: i32) -> Function {
    Function { name, args, variadic, returns: Vector, experimental: false }
}

const fn experimental(function: Function) -> Function {
    Function {
        name: function.name,
        args: function.args,
        variadic: function.variadic,
        returns: function.returns,
        experimental: true,
    }
}

/// Every function, by name.
pub static FUNCTIONS: [Function; 90] = [
    new("abs", &[Vector], Vector),
    new("absent", &[Vector], Vector),
    new("absent_over_time", &[Matrix], Vector),
    new("acos", &[Vector], Vector),
    new("acosh", &[Vector], Vector),
    new("asin", &[Vector], Vector),
    new("asinh", &[Vector], Vector),
    new("atan", &[Vector], Vector),
    new("atanh", &[Vector], Vector),
    new("avg_over_time", &[Matrix], Vector),
    new("ceil", &[Vector], Vector),
    new("changes", &[Matrix], Vector),
    new("clamp", &[Vector, Scalar, Scalar], Vector),
    new("clamp_max", &[Vector, Scalar], Vector),
    new("clamp_min", &[Vector, Scalar], Vector),
    new("cos", &[Vector], Vector),
    new("cosh", &[Vector], Vector),
    new("count_over_time", &[Matrix], Vector),
    variadic("day_of_month", &[Vector], 1),
    variadic("day_of_week", &[Vector], 1),
    variadic("day_of_year", &[Vector], 1),
    variadic("days_in_month", &[Vector], 1),
    new("deg", &[Vector], Vector),
    new("delta", &[Matrix], Vector),
    new("deriv", &[Matrix], Vector),
    experimental(new("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Vector)),
    experimental(new("end", &[], Scalar)),
    new("exp", &[Vector], Vector),
    new("first_over_time", &[Matrix], Vector),
    new("floor", &[Vector], Vector),
    new("histogram_avg", &[Vector], Vector),
    new("histogram_count", &[Vector], Vector),
    new("histogram_fraction", &[Scalar, Scalar, Vector], Vector),
    new("histogram_quantile", &[Scalar, Vector], Vector),
    experimental(variadic("histogram_quantiles", &[Vector, String, Scalar, Scalar], 9)),
    new("histogram_stddev", &[Vector], Vector),
    new("histogram_stdvar", &[Vector], Vector),
    new("histogram_sum", &[Vector], Vector),
    variadic("hour", &[Vector], 1),
    new("idelta", &[Matrix], Vector),
    new("increase", &[Matrix], Vector),
    experimental(variadic("info", &[Vector, Vector], 1)),
    new("irate", &[Matrix], Vector),
    variadic("label_join", &[Vector, String, String, String], -1),
    new("label_replace", &[Vector, String, String, String, String], Vector),
    new("last_over_time", &[Matrix], Vector),
    new("ln", &[Vector], Vector),
    new("log10", &[Vector], Vector),
    new("log2", &[Vector], Vector),
    experimental(new("mad_over_time", &[Matrix], Vector)),
    experimental(new("max_of", &[Scalar, Scalar], Scalar)),
    new("max_over_time", &[Matrix], Vector),
    experimental(new("min_of", &[Scalar, Scalar], Scalar)),
    new("min_over_time", &[Matrix], Vector),
    variadic("minute", &[Vector], 1),
    variadic("month", &[Vector], 1),
    new("pi", &[], Scalar),
    new("predict_linear", &[Matrix, Scalar], Vector),
    new("present_over_time", &[Matrix], Vector),
    new("quantile_over_time", &[Scalar, Matrix], Vector),
    new("rad", &[Vector], Vector),
    experimental(new("range", &[], Scalar)),
    new("rate", &[Matrix], Vector),
    new("resets", &[Matrix], Vector),
    variadic("round", &[Vector, Scalar], 1),
    new("scalar", &[Vector], Scalar),
    new("sgn", &[Vector], Vector),
    new("sin", &[Vector], Vector),
    new("sinh", &[Vector], Vector),
    new("sort", &[Vector], Vector),
    experimental(variadic("sort_by_label", &[Vector, String], -1)),
    experimental(variadic("sort_by_label_desc", &[Vector, String], -1)),
    new("sort_desc", &[Vector], Vector),
    new("sqrt", &[Vector], Vector),
    experimental(new("start", &[], Scalar)),
    experimental(new("start_timestamp", &[Vector], Vector)),
    new("stddev_over_time", &[Matrix], Vector),
    new("stdvar_over_time", &[Matrix], Vector),
    experimental(new("step", &[], Scalar)),
    new("sum_over_time", &[Matrix], Vector),
    new("tan", &[Vector], Vector),
    new("tanh", &[Vector], Vector),
    new("time", &[], Scalar),
    new("timestamp", &[Vector], Vector),
    experimental(new("ts_of_first_over_time", &[Matrix], Vector)),
    experimental(new("ts_of_last_over_time", &[Matrix], Vector)),
    experimental(new("ts_of_max_over_time", &[Matrix], Vector)),
    experimental(new("ts_of_min_over_time", &[Matrix], Vector)),
    new("vector", &[Scalar], Vector),
    variadic("year", &[Vector], 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_searchable() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for function in &FUNCTIONS {
            assert_eq!(find(function.name), Some(function));
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
