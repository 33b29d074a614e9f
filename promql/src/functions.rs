//! The one table of PromQL's functions: name, signature, whether a feature flag guards it.

use crate::ast::ValueType;

/// A function's signature.
#[derive(Debug, PartialEq)]
pub struct Function {
    /// Name in queries.
    pub name: &'static str,
    /// Types of the arguments; the last `variadic` rule applies beyond or below them.
    pub args: &'static [ValueType],
    /// 0: exactly `args`; n > 0: the last n may be left out; -1: the last may be left out or repeated.
    pub variadic: i32,
    /// Type of the result.
    pub returns: ValueType,
    /// Needs `--enable-feature=promql-experimental-functions`.
    pub experimental: bool,
}
