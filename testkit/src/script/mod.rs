//! Scripts that test a query language: load data, `eval` queries, compare with what the script expects.
//! Source: Prometheus `promql/promqltest`.
//!
//! [`parse`] reads a script into commands; [`run()`] has an [`Evaluator`] answer the `eval` commands and [`compare`]s. A
//! [`Language`] says what `load` commands are and what else must hold of its queries; a [`Target`] takes what they load.

pub mod compare;
pub mod expect;
pub mod parse;
pub mod run;

pub use parse::{Command, Eval, Script, ScriptError};
pub use run::{Answer, Evaluator, Failure, Report, run};

use parse::Lines;

/// What a query language brings to its scripts.
pub trait Language {
    /// The data of one `load` command.
    type Load;

    /// Reads a command that begins with `load`, and the lines of its block.
    fn parse_load(line: usize, command: &str, block: &mut Lines<'_>) -> Result<Self::Load, ScriptError>;

    /// Queries that must give, each at the time beside it in milliseconds, what the instant query gives at `t`.
    fn equivalents(query: &str, t: i64) -> Vec<(String, i64)>;

    /// Whether a query's answer may differ between an instant query and the same step of a range query.
    fn depends_on_range(query: &str) -> bool;
}

/// What the commands of a script run against: memory or a server.
pub trait Target<L: Language>: Evaluator {
    /// Forgets all data.
    fn clear(&mut self) -> Result<(), String>;

    /// Adds the data of a `load` command.
    fn load(&mut self, load: &L::Load) -> Result<(), String>;
}
