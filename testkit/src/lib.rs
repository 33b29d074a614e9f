//! What tests of query languages share: never shipped, a dev-dependency only.
//!
//! [`script`] reads and runs test scripts in the language of Prometheus's `promqltest`: load data, evaluate queries,
//! compare with what the script expects. What belongs to one query language, such as what a `load` command means, is its
//! [`script::Language`]: [`PromQl`] loads [`series`]. [`engine_target`] is PromQL's engine on series in memory.
//! [`random`] makes data and queries instead of reading them.

pub mod engine_target;
mod pin;
mod promql_scripts;
pub mod random;
pub mod script;
pub mod series;

pub use engine_target::EngineTarget;
pub use promql_scripts::PromQl;
pub use series::{LoadedSample, LoadedSeries, MemoryStore, Store};
