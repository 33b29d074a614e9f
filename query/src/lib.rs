//! What query languages share: values, the grid of evaluation steps, aggregation, sliding windows, annotations, limits
//! and errors. Knows no language, no store, no HTTP, no clock.
//!
//! A language evaluates series by series into [`matrix::Row`]s, which have a place for each step of a [`grid::Grid`];
//! what it gives in the end is a [`value::QueryValue`]. While it works it heeds an [`interrupt::Interrupt`].

pub mod aggregate;
pub mod annotations;
mod error;
pub mod grid;
pub mod histogram_total;
pub mod in_order;
pub mod interrupt;
pub mod kahan;
pub mod label_subset;
pub mod matrix;
pub mod memory;
mod pos;
pub mod quantile;
pub mod sample_count;
pub mod sort;
mod times;
pub mod value;
pub mod window;

pub use annotations::Annotations;
pub use error::QueryError;
pub use grid::Grid;
pub use interrupt::Interrupt;
pub use memory::{Hold, MemoryBudget};
pub use pos::Pos;
pub use sample_count::SampleCount;
pub use times::{RangeTimes, Threads, Times};
pub use value::{QueryValue, ValueType, VectorSample};
