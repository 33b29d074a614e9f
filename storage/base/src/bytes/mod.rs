//! Bytes that every file of the store is made of: integers of variable length, checksums, fields one after the other.
//!
//! Readers take hostile bytes: they return an error and never panic, and allocate no more than the input allows.

pub mod crc;
pub mod prefetch;
pub mod reader;
pub mod varint;
