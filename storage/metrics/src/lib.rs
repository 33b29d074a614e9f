//! The metrics store: the head, which holds recent samples in memory, and what reads and moves them.
//!
//! [`head`] takes samples and logs them; [`replay`] brings it back after a restart; [`blocks`] are read, written and
//! merged; [`read`] makes one source of head and blocks. [`record`] and [`codec`] are the bytes of logs and chunks.
//! [`store::MetricsStore`] puts them together and is driven through [`storage_base::Store`].

pub mod blocks;
pub mod codec;
pub mod exemplars;
pub mod format;
pub mod head;
pub mod options;
pub mod read;
pub mod record;
pub mod replay;
pub mod store;

#[cfg(test)]
#[path = "../../testing/files.rs"]
mod file_testing;
#[cfg(test)]
#[path = "../../testing/index.rs"]
mod index_testing;
#[cfg(test)]
mod testing;

pub use blocks::chunk_samples::{ChunkEncodings, samples as stored_samples};
pub use blocks::info::BlockInfo;
pub use exemplars::{ExemplarQuery, SeriesExemplars};
pub use options::{FloatEncoding, Limits, Options, XOR_WITHOUT_START_T};
pub use replay::progress::ReplayProgress;
pub use store::MetricsStore;
pub use store::cardinality::Cardinality;
