//! Where targets come from. A mechanism, such as [`http`], reports the whole set of its [`TargetGroup`]s; most of them
//! are asked again and again by the one loop in [`poll`]. The [`Manager`] runs one per section of the configuration
//! ([`start`]), shares it among jobs that say the same, and hands the sets of all jobs ([`TargetSets`]) to scraping or
//! to notification, not more often than it is told to.

mod aws;
mod error;
mod file;
mod gce;
mod groups;
mod http;
mod json;
mod labels;
mod manager;
mod metrics;
mod poll;
mod rest;
mod start;
#[cfg(test)]
mod testing;
mod url;
mod xml;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;

pub use manager::{Manager, TargetUpdates};
pub use metrics::Metrics;

/// Where to connect: the label that every target has.
pub const ADDRESS_LABEL: &str = "__address__";

/// Targets that a mechanism found together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetGroup {
    /// Names the group within its mechanism, such as a file's path with the group's place in it.
    pub source: String,
    /// Labels of all targets; a target's own win.
    pub labels: Labels,
    /// Labels of each target, with [`ADDRESS_LABEL`].
    pub targets: Vec<Labels>,
}

/// The groups of every job, by the job's name. A job without targets has an empty list.
pub type TargetSets = Arc<BTreeMap<String, Vec<Arc<TargetGroup>>>>;
