//! Recording and alerting rules.
//!
//! Rule files are read by [`file`] and given to the [`Manager`], which runs one task for each [`group`]; a group
//! evaluates its rules one after the other ([`recording_rule`], [`alerting_rule`]), appends what they give and hands
//! alerts to an [`AlertSink`](crate::AlertSink). What a group knows between evaluations is its [`group::Group`]; the
//! API reads [`view`]s of it.
//!
//! Rules query through a [`Querier`] and write through [`model::append::Appendable`]; evaluation runs on blocking
//! threads, only the timers are tasks.

pub mod alerting_rule;
pub mod file;
pub mod group;
pub mod manager;
pub mod metrics;
pub mod recording_rule;
mod restore;
pub mod view;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use model::read::SeriesSource;
use promql::ast::Expr;
use query::VectorSample;

pub use file::{RuleFile, read_file};
pub use manager::{Manager, Options, RuleSettings};
pub use metrics::Metrics;
pub use view::{AlertView, GroupView, RuleView};

/// A query that gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryFailure {
    /// For the user.
    pub message: String,
    /// Whether it was given up on purpose, such as at shutdown: no reason for a warning.
    pub cancelled: bool,
}

/// Which group asks.
#[derive(Clone, Copy, Debug)]
pub struct GroupName<'a> {
    /// The rule file.
    pub file: &'a str,
    /// Its name there.
    pub name: &'a str,
}

/// Answers the queries of rules. Blocks; called on blocking threads only.
pub trait Querier: Send + Sync {
    /// Evaluates an expression at a time in milliseconds. A scalar is one sample without labels; any other type than
    /// vector and scalar is a failure.
    fn instant(&self, expr: &Expr, t: i64, group: GroupName<'_>) -> Result<Vec<VectorSample>, QueryFailure>;

    /// What is stored now, for restoring the state of alerts.
    fn snapshot(&self) -> Arc<dyn SeriesSource>;
}
