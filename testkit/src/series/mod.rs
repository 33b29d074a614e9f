//! Series with samples: how scripts and generators describe them, and a store in memory.

pub mod load;
pub mod memory;
mod nhcb;
mod starts;

use model::{Labels, Value};

pub use memory::MemoryStore;

/// What takes samples: memory or a server.
pub trait Store {
    /// Forgets everything.
    fn clear(&mut self) -> Result<(), String>;

    /// Adds samples, in ascending time for each series, to what is there.
    fn load(&mut self, series: Vec<LoadedSeries>) -> Result<(), String>;
}

/// A series with its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its samples, ascending in time.
    pub samples: Vec<LoadedSample>,
}

/// A sample of either kind.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedSample {
    /// Milliseconds since the Unix epoch.
    pub t: i64,
    /// Start timestamp in milliseconds, 0 for unknown.
    pub start_t: i64,
    /// The value.
    pub value: Value,
}
