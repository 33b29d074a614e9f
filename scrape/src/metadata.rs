//! What a target says about its metric families, kept for the API while the target says it and ten scrapes longer.

use std::borrow::Cow;
use std::collections::HashMap;

use model::metadata::{Metadata, MetricType};
use parking_lot::Mutex;

/// Scrapes that a family's metadata outlives it.
const KEPT_SCRAPES: u64 = 10;

/// Metadata by metric family.
#[derive(Debug, Default)]
pub struct MetadataCache {
    families: Mutex<HashMap<String, Family>>,
}

#[derive(Debug, Default)]
struct Family {
    metadata: Metadata,
    seen: u64,
    changed: u64,
}

impl MetadataCache {
    /// Notes a family's type in scrape number `scrape`.
    pub fn set_kind(&self, scrape: u64, family: &str, kind: MetricType) {
        self.update(scrape, family, |metadata| std::mem::replace(&mut metadata.kind, kind) != kind);
    }

    /// Notes a family's help text.
    pub fn set_help(&self, scrape: u64, family: &str, help: Cow<'_, str>) {
        self.update(scrape, family, |metadata| replace(&mut metadata.help, help));
    }

    /// Notes a family's unit.
    pub fn set_unit(&self, scrape: u64, family: &str, unit: &str) {
        self.update(scrape, family, |metadata| replace(&mut metadata.unit, unit.into()));
    }

    fn update(&self, scrape: u64, family: &str, change: impl FnOnce(&mut Metadata) -> bool) {
        let mut families = self.families.lock();
        let entry = match families.get_mut(family) {
            Some(entry) => entry,
            None => families.entry(family.to_owned()).or_default(),
        };
        entry.seen = scrape;
        if change(&mut entry.metadata) {
            entry.changed = scrape;
        }
    }

    /// A family's metadata, and whether it changed in scrape number `scrape`.
    pub fn get(&self, family: &str, scrape: u64) -> Option<(Metadata, bool)> {
        let families = self.families.lock();
        families.get(family).map(|entry| (entry.metadata.clone(), entry.changed == scrape))
    }

    /// Calls `each` with every family, in no order.
    pub fn for_each(&self, mut each: impl FnMut(&str, &Metadata)) {
        for (family, entry) in &*self.families.lock() {
            each(family, &entry.metadata);
        }
    }

    /// Forgets what was not said for ten scrapes before scrape number `scrape`.
    pub fn expire(&self, scrape: u64) {
        self.families.lock().retain(|_, entry| scrape - entry.seen <= KEPT_SCRAPES);
    }

    /// How many families there are.
    pub fn count(&self) -> usize {
        self.families.lock().len()
    }

    /// Bytes of all texts.
    pub fn bytes(&self) -> usize {
        let size = |m: &Metadata| m.help.len() + m.unit.len() + m.kind.as_str().len();
        self.families.lock().values().map(|entry| size(&entry.metadata)).sum()
    }
}

fn replace(text: &mut String, new: Cow<'_, str>) -> bool {
    let changed = *text != new;
    if changed {
        *text = new.into_owned();
    }
    changed
}
