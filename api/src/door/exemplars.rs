//! Exemplars.

use super::{Door, DoorError, Tenant};

pub use storage::{ExemplarQuery, SeriesExemplars};

impl Door {
    /// Exemplars of matching series, in the order of their labels.
    pub async fn exemplars(
        &self,
        tenant: Tenant,
        query: ExemplarQuery,
    ) -> Result<Vec<SeriesExemplars>, DoorError> {
        let look_up = move |storage: &storage::Storage, _: &_| Ok(storage.exemplars(&query)?);
        self.core.look_up(tenant, "reading exemplars", look_up).await
    }
}
