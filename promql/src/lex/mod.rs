//! Splits query text into tokens with their byte ranges.
//!
//! The meaning of a character depends on where it stands: within braces every word is an identifier, within brackets
//! only durations and their arithmetic are allowed, and series descriptions (the input language of test scripts) have
//! value sequences and histogram literals. [`mod@scan`] is that state machine; [`number`] and [`string`] are the literals it
//! uses. Source: Prometheus `promql/parser/lex.go`.

mod number;
mod scan;
mod series;
mod string;
mod token;

pub use number::parse_number;
pub(crate) use scan::{Lexed, scan};
pub use string::unquote;
pub(crate) use token::{Descriptor, Kind, Token};
