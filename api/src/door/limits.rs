//! What a tenant may ask of the store.

use std::sync::Arc;
use std::time::Duration;

use query::MemoryBudget;

use super::admission::Gate;

/// Lookups (series, labels, exemplars, figures of the index) at once. Many more than cores, so that one that waits for a
/// disk holds up no other, and few enough to leave blocking threads for queries. They do not share the queries' gate:
/// a cheap lookup, as for a dashboard's variables, must not wait behind heavy queries; it would not in Prometheus.
const MAX_LOOKUPS: usize = 64;

/// Limits of one tenant.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `--query.timeout`: within which a query or lookup is answered, the time that it waits for admission included.
    pub timeout: Duration,
    /// `--query.max-concurrency`: queries that run at once.
    pub max_queries: usize,
    /// Bytes that all queries may take together.
    pub memory: Arc<MemoryBudget>,
}

/// The limits of one tenant and what is in use of them.
pub(super) struct Quota {
    pub(super) limits: Limits,
    pub(super) queries: Gate,
    pub(super) lookups: Gate,
    /// The store does administrators' work one after the other; here it waits without holding a thread.
    pub(super) admin: Gate,
}

impl Quota {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            queries: Gate::new(limits.max_queries),
            lookups: Gate::new(MAX_LOOKUPS),
            admin: Gate::new(1),
            limits,
        }
    }
}
