//! Series, names of labels and their values.

use std::collections::BTreeSet;

use model::Labels;
use model::read::{ReadError, Selection, SeriesSource};

use super::{Bounds, Door, DoorError, Tenant};

const DOING: &str = "reading labels";

/// What was found, and what may be missing from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing<T> {
    /// In ascending order, each once.
    pub items: Vec<T>,
    /// Such as a quarantined block.
    pub warnings: Vec<String>,
}

impl Door {
    /// Names of the labels of series that any selection chooses.
    pub async fn label_names(
        &self,
        tenant: Tenant,
        selections: Vec<Selection>,
    ) -> Result<Listing<String>, DoorError> {
        self.texts(tenant, selections, |source, selection| source.label_names(selection)).await
    }

    /// Values of a label of series that any selection chooses.
    pub async fn label_values(
        &self,
        tenant: Tenant,
        name: String,
        selections: Vec<Selection>,
    ) -> Result<Listing<String>, DoorError> {
        self.texts(tenant, selections, move |source, selection| source.label_values(&name, selection)).await
    }

    async fn texts(
        &self,
        tenant: Tenant,
        selections: Vec<Selection>,
        read: impl Fn(&dyn SeriesSource, &Selection) -> Result<Vec<String>, ReadError> + Send + 'static,
    ) -> Result<Listing<String>, DoorError> {
        let look_up = move |storage: &storage::Storage, bounds: &Bounds| {
            let source = &*storage.snapshot();
            let items = match &selections[..] {
                [selection] => read(source, selection)?,
                selections => {
                    let mut all = BTreeSet::new();
                    for selection in selections {
                        bounds.check()?;
                        all.extend(read(source, selection)?);
                    }
                    all.into_iter().collect()
                }
            };
            Ok(Listing { items, warnings: source.warnings() })
        };
        self.core.look_up(tenant, DOING, look_up).await
    }

    /// Labels of series that any selection chooses.
    pub async fn series(
        &self,
        tenant: Tenant,
        selections: Vec<Selection>,
    ) -> Result<Listing<Labels>, DoorError> {
        let look_up = move |storage: &storage::Storage, bounds: &Bounds| {
            let source = &*storage.snapshot();
            let mut items = Vec::new();
            for selection in &selections {
                bounds.check()?;
                let set = source.select(selection)?;
                items.extend(set.series.iter().map(|series| series.labels().clone()));
            }
            if selections.len() > 1 {
                items.sort();
                items.dedup();
            }
            Ok(Listing { items, warnings: source.warnings() })
        };
        self.core.look_up(tenant, DOING, look_up).await
    }
}
