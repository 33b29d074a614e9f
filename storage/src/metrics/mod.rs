//! The metrics store.

pub mod exemplars;
