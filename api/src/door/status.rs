//! What the store says of itself.

use super::{Door, DoorError, Tenant};

pub use storage::{BlockInfo, Cardinality, Status};

impl Door {
    /// The store's repairs and limits. They are in memory, so nothing is waited for.
    pub fn status(&self, _: Tenant) -> Status {
        self.core.storage.status()
    }

    /// The blocks in use, ascending by time. As quick as [`Door::status`].
    pub fn blocks(&self, _: Tenant) -> Vec<BlockInfo> {
        self.core.storage.blocks()
    }

    /// The `limit` most frequent names, values and pairs of labels.
    pub async fn cardinality(&self, tenant: Tenant, limit: usize) -> Result<Cardinality, DoorError> {
        let look_up = move |storage: &storage::Storage, _: &_| Ok(storage.cardinality(limit));
        self.core.look_up(tenant, "counting series", look_up).await
    }
}
