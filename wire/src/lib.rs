//! Bytes of outside formats to model and back. Pure: no I/O, no clock; every input is hostile.

pub mod compress;
pub mod exposition;
pub mod protobuf;
