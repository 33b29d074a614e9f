//! PromQL: parser, checker, columnar engine, test script language. Knows no store, no HTTP, no clock.

pub mod ast;
pub mod functions;
