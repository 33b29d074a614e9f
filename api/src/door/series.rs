//! Series, names of labels and their values.
//!
//! What was found counts against the budget of all readers until it is written. Selections that say the same are
//! answered once.

use std::collections::BTreeSet;

use model::Labels;
use model::read::{ReadError, Selection, SeriesSource, Watch};
use parking_lot::Mutex;
use query::Hold;
use storage::Storage;

use super::{Bounds, Door, DoorError, Tenant};

const DOING: &str = "reading labels";

/// What was found, and what may be missing from it.
#[derive(Debug)]
pub struct Listing<T> {
    /// In ascending order, each once.
    pub items: Vec<T>,
    /// Such as a quarantined block.
    pub warnings: Vec<String>,
    /// What the items take. To be dropped after them.
    pub held: Hold,
}

/// Counts what a look-up takes, and ends it when its client has gone.
struct Counted<'b> {
    bounds: &'b Bounds,
    held: Mutex<Hold>,
    /// Why the look-up was ended.
    ended: Mutex<Option<DoorError>>,
}

impl<'b> Counted<'b> {
    fn new(bounds: &'b Bounds, held: Hold) -> Self {
        Self { bounds, held: Mutex::new(held), ended: Mutex::default() }
    }

    fn try_grown(&self, bytes: usize) -> Result<(), DoorError> {
        self.bounds.check()?;
        self.held.lock().take(bytes).map_err(DoorError::Memory)
    }

    /// What an error of the store means.
    fn error(&self, e: ReadError) -> DoorError {
        self.ended.lock().take().unwrap_or_else(|| e.into())
    }
}

impl Watch for Counted<'_> {
    fn grown(&self, bytes: usize) -> Result<(), ReadError> {
        self.try_grown(bytes).map_err(|e| {
            self.ended.lock().get_or_insert(e);
            ReadError::Cancelled
        })
    }
}

/// Each selection once. They differ in matchers alone.
fn distinct(mut selections: Vec<Selection>) -> Vec<Selection> {
    let mut seen = BTreeSet::new();
    selections.retain(|selection| {
        let mut matchers: Vec<_> = selection.matchers.iter().map(ToString::to_string).collect();
        matchers.sort_unstable();
        matchers.dedup();
        seen.insert(matchers)
    });
    selections
}

fn bytes_of_texts(texts: &[String]) -> usize {
    texts.iter().map(|text| size_of::<String>() + text.len()).sum()
}

fn bytes_of_labels(labels: &[Labels]) -> usize {
    labels.iter().map(|labels| size_of::<Labels>() + labels.packed().len()).sum()
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
        self.list(
            tenant,
            selections,
            move |source, selection, counted| {
                let found = read(source, selection)?;
                counted.try_grown(bytes_of_texts(&found))?;
                Ok(found)
            },
            bytes_of_texts,
        )
        .await
    }

    /// Labels of series that any selection chooses.
    pub async fn series(
        &self,
        tenant: Tenant,
        selections: Vec<Selection>,
    ) -> Result<Listing<Labels>, DoorError> {
        self.list(
            tenant,
            selections,
            |source, selection, counted| {
                let set = source.select_watched(selection, counted).map_err(|e| counted.error(e))?;
                Ok(set.series.iter().map(|series| series.labels().clone()).collect())
            },
            bytes_of_labels,
        )
        .await
    }

    /// What `read` gives for any selection. `bytes` is what the items take.
    async fn list<T: Ord + Send + 'static>(
        &self,
        tenant: Tenant,
        selections: Vec<Selection>,
        read: impl Fn(&dyn SeriesSource, &Selection, &Counted<'_>) -> Result<Vec<T>, DoorError> + Send + 'static,
        bytes: fn(&[T]) -> usize,
    ) -> Result<Listing<T>, DoorError> {
        let held = self.core.quota(tenant).limits.memory.hold(0);
        let look_up = move |storage: &Storage, bounds: &Bounds| {
            let source = &*storage.snapshot();
            let counted = Counted::new(bounds, held);
            let mut items: Vec<T> = Vec::new();
            for selection in distinct(selections) {
                bounds.check()?;
                let found = read(source, &selection, &counted)?;
                if items.is_empty() {
                    items = found;
                } else {
                    // Two ascending runs are merged, not sorted.
                    items.extend(found);
                    items.sort();
                    items.dedup();
                }
                // The rest was needed on the way only.
                counted.held.lock().keep(bytes(&items));
            }
            Ok(Listing { items, warnings: source.warnings(), held: counted.held.into_inner() })
        };
        self.core.look_up(tenant, DOING, look_up).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use model::Matcher;
    use model::read::Hints;
    use query::MemoryBudget;

    use super::*;

    #[test]
    fn a_selection_that_was_asked_twice_is_answered_once() {
        let of = |values: &[&str]| Selection {
            matchers: values.iter().map(|value| Matcher::equal("l", *value)).collect(),
            min_t: 0,
            max_t: 1,
            limit: 0,
            hints: Hints::default(),
        };
        let kept = distinct(vec![of(&["a", "b"]), of(&["b", "a"]), of(&["a"]), of(&["a", "a"])]);
        assert_eq!(kept.len(), 2);
        assert_eq!(distinct(vec![of(&[]), of(&[])]).len(), 1);
    }

    #[test]
    fn a_look_up_ends_with_its_client_and_its_memory() {
        let budget = Arc::new(MemoryBudget::new(100));
        let bounds = Bounds::unqueued(Duration::MAX);
        let counted = Counted::new(&bounds, budget.hold(0));
        assert!(counted.grown(60).is_ok());
        assert_eq!(counted.grown(60), Err(ReadError::Cancelled));
        assert!(matches!(counted.error(ReadError::Cancelled), DoorError::Memory(_)));
        bounds.cancel.store(true, Ordering::Relaxed);
        assert!(counted.grown(0).is_err());
        assert_eq!(counted.error(ReadError::Cancelled), DoorError::Cancelled);
        drop(counted);
        assert_eq!(budget.taken(), 0);
    }
}
