//! The one door to the store: every read from outside passes here, of whatever signal and API.
//!
//! A [`Door`] knows whose request it is ([`tenant`]), what that client may ask and take ([`limits`]), lets it in when it is its
//! turn and ends it at its deadline or when the client goes away ([`admission`]), and decides on which thread it runs
//! ([`place`]). That core knows no language and no kind of data. On top of it stands one file for each kind of read:
//! [`promql`], [`series`], [`exemplars`], [`status`], [`admin`], and [`rules`] for those that come from inside.

pub mod active_queries;
pub mod admin;
mod admission;
pub mod error;
pub mod exemplars;
pub mod limits;
pub mod metrics;
pub mod place;
pub mod promql;
pub mod query_log;
pub mod rules;
pub mod series;
pub mod status;
pub mod tenant;

use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::Storage;

use active_queries::ActiveQueries;
use admission::{Bounds, Permit, Refused};
use limits::{Limits, Quota};
use metrics::QueryMetrics;

pub use error::DoorError;
pub use tenant::Tenant;

/// Answers whatever is asked of the store. Shared by the APIs and the rules.
pub struct Door {
    core: Core,
    promql: promql::PromQl,
}

impl Door {
    /// The door to a store. Queries that are more than small work are noted in `active` while they run.
    pub fn new(
        storage: Arc<Storage>,
        limits: Limits,
        promql: promql::Options,
        metrics: Arc<QueryMetrics>,
        active: Option<ActiveQueries>,
    ) -> Self {
        metrics.set_max_concurrent(limits.max_queries);
        let memory = limits.memory.clone();
        Self {
            core: Core { storage, quota: Quota::new(limits) },
            promql: promql::PromQl::new(promql, memory, metrics, active),
        }
    }
}

/// What all kinds of reads pass.
struct Core {
    storage: Arc<Storage>,
    quota: Quota,
}

impl Core {
    /// The limits of a tenant, and what is in use of them.
    fn quota(&self, _: Tenant) -> &Quota {
        &self.quota
    }

    /// Admits a query, within its tenant's timeout or a shorter one.
    async fn admit_query(
        &self,
        tenant: Tenant,
        timeout: Option<Duration>,
    ) -> Result<(Permit, Bounds), Refused> {
        let arrived = Instant::now();
        let quota = self.quota(tenant);
        let timeout = timeout.map_or(quota.limits.timeout, |timeout| timeout.min(quota.limits.timeout));
        let permit = quota.queries.enter(timeout).await?;
        Ok((permit, Bounds::since(arrived, timeout)))
    }

    /// The bounds of a query that comes from inside. It does not wait behind clients.
    fn admit_own_query(&self, tenant: Tenant) -> Bounds {
        Bounds::unqueued(self.quota(tenant).limits.timeout)
    }

    /// Looks something up on a blocking thread: an index may have to come from disk. `doing` names that in errors, as a
    /// gerund phrase. Dropping the future cancels the lookup.
    async fn look_up<T: Send + 'static>(
        &self,
        tenant: Tenant,
        doing: &'static str,
        look_up: impl FnOnce(&Storage, &Bounds) -> Result<T, DoorError> + Send + 'static,
    ) -> Result<T, DoorError> {
        let arrived = Instant::now();
        let quota = self.quota(tenant);
        let timeout = quota.limits.timeout;
        let timed_out = || DoorError::Timeout { doing, timeout };
        let permit = quota.lookups.enter(timeout).await.map_err(|refused| match refused {
            Refused::TimedOut => timed_out(),
            Refused::Closed => DoorError::Cancelled,
        })?;
        let bounds = Bounds::since(arrived, timeout);
        let _cancel_on_drop = bounds.cancel_on_drop();
        let left = timeout.saturating_sub(bounds.queue_time);
        let storage = self.storage.clone();
        let found = tokio::task::spawn_blocking(move || {
            let found = bounds.check().and_then(|()| look_up(&storage, &bounds));
            drop(permit);
            found
        });
        match tokio::time::timeout(left, found).await {
            Ok(Ok(found)) => found,
            Ok(Err(e)) => Err(DoorError::Ended { doing, reason: e.to_string() }),
            Err(_) => Err(timed_out()),
        }
    }
}

impl Bounds {
    /// An error when no client waits for the answer any more.
    fn check(&self) -> Result<(), DoorError> {
        if self.is_cancelled() { Err(DoorError::Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::mpsc;

    use model::time::Clock;
    use query::MemoryBudget;
    use storage::Options;
    use storage::fs::RealDisk;
    use storage::observer::Silent;

    use super::*;

    struct Epoch;

    impl Clock for Epoch {
        fn now_ms(&self) -> i64 {
            0
        }
    }

    fn core(dir: &tempfile::TempDir, timeout: Duration) -> Core {
        let disk = Arc::new(RealDisk::new(dir.path().to_owned()));
        let storage = Storage::open(disk, Arc::new(Epoch), Options::default(), Arc::new(Silent)).unwrap();
        let quota =
            Quota::new(Limits { timeout, max_queries: 1, memory: Arc::new(MemoryBudget::new(usize::MAX)) });
        Core { storage: Arc::new(storage), quota }
    }

    #[tokio::test]
    async fn lookups_end_at_their_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let core = core(&dir, Duration::from_millis(20));
        let until_cancelled = |_: &Storage, bounds: &Bounds| {
            while !bounds.is_cancelled() {
                std::thread::yield_now();
            }
            Ok(())
        };
        let late = core.look_up(Tenant, "waiting", until_cancelled).await;
        assert!(matches!(late, Err(DoorError::Timeout { doing: "waiting", .. })), "{late:?}");
    }

    #[tokio::test]
    async fn lookups_end_with_their_client() {
        let dir = tempfile::tempdir().unwrap();
        let core = core(&dir, Duration::from_secs(60));
        let (began, begun) = tokio::sync::oneshot::channel();
        let (ended, end) = mpsc::channel();
        let look_up = core.look_up(Tenant, "waiting", move |_, bounds| {
            let _ = began.send(());
            while !bounds.cancel.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            let _ = ended.send(());
            Ok(())
        });
        tokio::select! {
            _ = look_up => panic!("nothing was found"),
            _ = begun => {}
        }
        end.recv_timeout(Duration::from_secs(60)).unwrap();
    }

    #[tokio::test]
    async fn lookups_do_not_wait_behind_queries() {
        let dir = tempfile::tempdir().unwrap();
        let core = core(&dir, Duration::from_millis(20));
        let (_query, _) = core.admit_query(Tenant, None).await.unwrap();
        assert_eq!(core.admit_query(Tenant, None).await.err(), Some(Refused::TimedOut));
        assert_eq!(core.look_up(Tenant, "counting", |_, _| Ok(1)).await, Ok(1));
    }

    #[tokio::test]
    async fn a_lookup_that_panics_is_an_error_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let core = core(&dir, Duration::from_secs(60));
        let ended = core.look_up(Tenant, "breaking", |_, _| -> Result<(), _> { panic!("as tested") }).await;
        assert!(matches!(ended, Err(DoorError::Ended { doing: "breaking", .. })), "{ended:?}");
    }
}
