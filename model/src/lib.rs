//! The words that every part of Trivium shares: labels and matchers, samples and histograms, time as text, and the
//! contracts by which a query language reads a store. No I/O, no clock, no environment, no response formats.

pub mod api_float;
pub mod append;
pub mod go_case;
pub mod go_duration;
pub mod go_float;
pub mod go_math;
pub mod histogram;
pub mod labels;
pub mod matcher;
mod md5;
pub mod metadata;
pub mod parse_float;
pub mod read;
pub mod regexp;
pub mod relabel;
pub mod rfc3339;
pub mod sample;
mod shortest;
pub mod size;
pub mod time;
pub mod value;

pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use sample::Sample;
pub use value::{HistogramValue, SampleValue, Value};
