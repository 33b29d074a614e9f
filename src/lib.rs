//! Trivium's server: configuration, discovery, scraping, rules, the HTTP API and what wires them together. The binary
//! is a thin shell over this library, so that tests start the same server inside themselves.

pub mod api;
pub mod builtin;
pub mod log;
mod process_metrics;
pub mod query;
pub mod server;
mod store_metrics;
pub mod tool;
pub mod version;
