//! What the server says of itself: metrics under Prometheus's names, and a structured log.
//!
//! A component owns its numbers ([`Counter`], [`Gauge`], [`Histogram`], [`Summary`], alone or [`Labeled`]) and
//! implements [`Collect`]; the [`Registry`] asks every component when `/metrics` is read.

pub mod exposition;
pub mod log;
pub mod metric;
pub mod process;
pub mod registry;
pub mod store;

pub use metric::{Counter, Gauge, Histogram, Labeled, Summary};
pub use registry::{Collect, Gather, Registry};
