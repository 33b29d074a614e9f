//! PromQL: parser, checker, columnar engine, test script language. Knows no store, no HTTP, no clock.

pub mod annotations;
pub mod ast;
pub mod engine;
mod eval;
pub mod functions;
mod limits;
pub mod value;
