//! Bytes of samples: bit streams, and the chunk encodings built of them.
//!
//! [`chunk`] is the entry: an [`chunk::Encoding`] and the bytes of one chunk become columns. Each encoding has a file
//! with its appender (which builds a chunk sample by sample, and can go on with existing bytes) and its decoder:
//! [`gorilla`] and [`xor2`] for floats, [`histogram`]. Everything is Prometheus's format, bit for bit; nothing here
//! touches a disk.
//!
//! Decoders take hostile bytes: they return an error and never panic, and allocate no more than the input allows.

pub mod bits;
pub mod chunk;
pub mod gorilla;
pub mod histogram;
mod start_t;
pub mod varbit;
pub mod xor2;
pub mod xor_value;

#[cfg(test)]
mod vectors;
