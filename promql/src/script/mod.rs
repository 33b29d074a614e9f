//! Scripts that test a query language: `load` series, `eval` queries, compare with what the script expects. The
//! language is that of Prometheus's `promqltest`.
//!
//! [`parse`] reads a script into commands; [`load`] turns a `load` command's descriptions into samples and hands them
//! to a [`Store`]; [`run`] has an [`Evaluator`] answer the `eval` commands and [`compare`]s. The store may be
//! [`memory`] with the engine on it ([`target`]), or a whole server. [`random`] makes data and queries instead of reading
//! them. Source: Prometheus `promql/promqltest`.

pub mod compare;
pub mod expect;
pub mod invariant;
pub mod load;
pub mod memory;
mod nhcb;
pub mod parse;
pub mod random;
pub mod run;
pub mod target;

pub use load::{LoadedSample, LoadedSeries, Store};
pub use memory::MemoryStore;
pub use parse::{Command, Script, ScriptError};
pub use run::{Answer, Evaluator, Failure, Report, run};
pub use target::EngineTarget;
