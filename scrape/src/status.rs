//! What is known of a target at this moment, for people and for the API.

use std::sync::Arc;

use model::labels::Labels;
use parking_lot::Mutex;

use super::metadata::MetadataCache;
use super::target::Target;

/// How the last scrape of a target went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    /// It went well.
    Up,
    /// It failed.
    Down,
}

impl Health {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The last scrape of a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastScrape {
    /// How it went.
    pub health: Health,
    /// Why it failed, else "".
    pub error: String,
    /// When it started, in milliseconds; `None` before the first.
    pub start_ms: Option<i64>,
    /// How long it took.
    pub seconds: f64,
}

/// A target that is scraped.
#[derive(Clone, Debug)]
pub struct ActiveTarget {
    /// The job.
    pub pool: String,
    /// Labels and URL.
    pub target: Arc<Target>,
    /// The last scrape.
    pub last: LastScrape,
    /// What it says about its metrics.
    pub metadata: Arc<MetadataCache>,
}

/// The dropped targets of a job.
#[derive(Clone, Debug, Default)]
pub struct DroppedTargets {
    /// Labels before relabelling of those that are remembered.
    pub discovered_labels: Vec<Labels>,
    /// All of them.
    pub count: usize,
}

/// What a loop and its readers share.
#[derive(Debug, Default)]
pub(super) struct TargetStatus {
    pub last: Mutex<LastScrape>,
    pub metadata: Mutex<Arc<MetadataCache>>,
}
