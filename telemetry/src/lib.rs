//! What the server says of itself: figures under Prometheus's names, and the text formats of `/metrics`.
//!
//! A component owns its numbers ([`Counter`], [`Gauge`], [`Histogram`], [`Summary`], alone or [`Labeled`]) and
//! implements [`Collect`], most simply with [`figures!`], where each has its name and help beside its counter. The
//! [`Registry`] asks every component when `/metrics` is read. Knows no HTTP, no log and no environment, so that stores
//! can keep their figures in it.

pub mod exposition;
pub mod figures;
pub mod metric;
pub mod registry;

pub use figures::Figure;
pub use metric::{Counter, Gauge, Histogram, IntGauge, Labeled, Summary};
pub use registry::{Collect, Gather, Registry};
