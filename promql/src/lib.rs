//! PromQL: parser, checker, columnar engine, test script language. Knows no store, no HTTP, no clock.

pub mod annotations;
pub mod ast;
mod check;
pub mod durations;
pub mod engine;
mod eval;
pub mod functions;
pub mod json;
mod lex;
mod limits;
pub mod memory;
pub mod parse;
pub mod print;
pub mod script;
pub mod text;
pub mod value;

pub use parse::{Features, ParseError, ParseErrors, parse, parse_metric, parse_selector, parse_series};
