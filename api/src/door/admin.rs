//! What administrators do to the store. One piece of work at a time, without a deadline: it goes on to its end even when
//! the client has gone, because half of it would be of no use.

use model::Matcher;
use storage::{Storage, StorageError};

use super::{Door, Tenant};

/// Why administrators' work was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The write-ahead log is being replayed: later it can be done.
    #[error("{0}")]
    Replaying(String),
    /// The store failed.
    #[error("{0}")]
    Failed(String),
    /// The work panicked, or was ended with the server.
    #[error("the store's work ended early: {0}")]
    Ended(String),
}

impl From<StorageError> for AdminError {
    fn from(e: StorageError) -> Self {
        match e {
            StorageError::Replaying(_) => Self::Replaying(e.to_string()),
            _ => Self::Failed(e.to_string()),
        }
    }
}

impl Door {
    /// Hides samples between two times, both inclusive, of series that all matchers of any of the sets match.
    pub async fn delete_series(
        &self,
        tenant: Tenant,
        selectors: Vec<Vec<Matcher>>,
        min_t: i64,
        max_t: i64,
    ) -> Result<(), AdminError> {
        let delete = move |storage: &Storage| {
            selectors.iter().try_for_each(|matchers| storage.delete_series(matchers, min_t, max_t))
        };
        self.administer(tenant, delete).await
    }

    /// Rewrites blocks without what was deleted.
    pub async fn clean_tombstones(&self, tenant: Tenant) -> Result<(), AdminError> {
        self.administer(tenant, Storage::clean_tombstones).await
    }

    /// Makes `snapshots/<name>` a data directory of its own, with the head in it when asked.
    pub async fn snapshot_to(&self, tenant: Tenant, name: String, with_head: bool) -> Result<(), AdminError> {
        self.administer(tenant, move |storage| storage.snapshot_to(&name, with_head)).await
    }

    async fn administer(
        &self,
        tenant: Tenant,
        work: impl FnOnce(&Storage) -> Result<(), StorageError> + Send + 'static,
    ) -> Result<(), AdminError> {
        let ended = |reason: &dyn std::fmt::Display| AdminError::Ended(reason.to_string());
        let permit = self.core.quota(tenant).admin.wait().await.map_err(|_| ended(&"the server ends"))?;
        let storage = self.core.storage.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&storage);
            drop(permit);
            done
        });
        Ok(done.await.map_err(|e| ended(&e))??)
    }
}
