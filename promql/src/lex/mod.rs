//! Splits query text into tokens with their byte ranges.
//!
//! The meaning of a character depends on where it stands: within braces every word is an identifier, within brackets
//! only durations and their arithmetic are allowed, and series descriptions (the input language of test scripts) have
//! value sequences and histogram literals. [`scan`] is that state machine; [`number`] and [`text`] are the literals it
//! uses. Source: Prometheus `promql/parser/lex.go`.

pub(crate) mod number;
mod scan;
mod series;
pub(crate) mod text;
mod token;

pub(crate) use scan::{Lexed, scan};
pub(crate) use token::{Descriptor, Kind, Token};
