//! Scraping: the [`Manager`] holds a pool per job, a pool the loops of its targets. A loop fetches a target's metrics
//! ([`fetch`]) and stores them ([`append`]) through a cache ([`cache`]) that knows which text is which series.
//!
//! Discovery feeds targets in ([`Manager::update_targets`]), the configuration jobs ([`Manager::apply`]); the API reads
//! what is scraped ([`Manager::active_targets`]).

pub mod append;
pub mod cache;
mod failure_log;
mod fetch;
mod manager;
pub mod metadata;
pub mod metrics;
mod pool;
pub mod report;
pub mod sample_labels;
mod start_synthesis;
mod status;
pub mod target;
mod target_loop;

pub use append::AppendOptions;
pub use config::scrape::ScrapeJob;
pub use manager::{ApplyError, Manager, Options, PreparedJobs};
pub use metadata::MetadataCache;
pub use metrics::ScrapeMetrics;
pub use status::{ActiveTarget, DroppedTargets, Health, LastScrape};
pub use target::Target;

#[cfg(test)]
mod tests;
