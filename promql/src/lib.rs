//! PromQL: parser, checker, columnar engine, test script language. Knows no store, no HTTP, no clock.

mod annotations;
pub mod ast;
mod check;
mod context;
pub mod durations;
mod engine;
mod eval;
pub mod functions;
pub mod json;
mod lex;
mod options;
pub mod parse;
pub mod print;
pub mod script;
mod stats;
pub mod text;

pub use context::QueryContext;
pub use engine::{Engine, Prepared, QueryResult};
pub use options::{DEFAULT_LOOKBACK_DELTA_MS, EngineOptions};
pub use parse::{Features, ParseError, ParseErrors, parse, parse_metric, parse_selector, parse_series};
pub use stats::{QueryStats, SampleStats, StepCount, Timings};
