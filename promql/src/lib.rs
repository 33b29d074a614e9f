//! PromQL: parser, checker, columnar engine, test script language. Knows no store, no HTTP, no clock.

pub mod ast;
mod check;
pub mod durations;
pub mod functions;
pub mod json;
mod lex;
pub mod parse;
pub mod print;

pub use parse::{Features, ParseError, ParseErrors, parse, parse_metric, parse_selector, parse_series};
