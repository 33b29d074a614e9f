//! PromQL: parser, checker, printer and columnar engine. Knows no store, no HTTP, no clock.

mod annotations;
pub mod ast;
mod check;
mod context;
pub mod duration_literal;
mod engine;
mod eval;
pub mod functions;
mod lex;
pub mod literal;
mod options;
pub mod parse;
pub mod print;
mod stats;

pub use context::QueryContext;
pub use engine::{Engine, Prepared, QueryResult};
pub use options::{DEFAULT_LOOKBACK_DELTA_MS, EngineOptions};
pub use parse::{Features, ParseError, ParseErrors, parse, parse_metric, parse_selector, parse_series};
pub use stats::{QueryStats, SampleStats, StepCount, Timings};
