//! Warnings and infos that accompany a result. Source: Prometheus `util/annotations`.
//!
//! Equal texts are kept once. The position in the query is added when they are shown. The words are the languages'.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::Pos;

/// How serious an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The result may be wrong or incomplete.
    Warning,
    /// The query may not be what was meant.
    Info,
}

/// What there is to tell beyond the text, gathered from equal annotations; shown behind it.
pub trait Detail: fmt::Display + fmt::Debug + Any + Send + Sync {
    /// Takes in the detail of an earlier annotation with the same text.
    fn absorb(&mut self, earlier: &dyn Any);

    /// A copy.
    fn boxed(&self) -> Box<dyn Detail>;
}

impl Clone for Box<dyn Detail> {
    fn clone(&self) -> Self {
        self.as_ref().boxed()
    }
}

#[derive(Clone, Debug)]
struct Entry {
    severity: Severity,
    /// `None` for warnings of the store.
    pos: Option<Pos>,
    detail: Option<Box<dyn Detail>>,
}

/// The annotations of one query.
#[derive(Clone, Debug, Default)]
pub struct Annotations {
    entries: BTreeMap<String, Entry>,
}

impl Annotations {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a warning of the store, in its own words.
    pub fn add_store_warning(&mut self, text: &str) {
        let entry = Entry { severity: Severity::Warning, pos: None, detail: None };
        self.entries.entry(text.to_owned()).or_insert(entry);
    }

    /// Takes over the annotations of a part of the query.
    pub fn merge(&mut self, other: Self) {
        if self.entries.is_empty() {
            self.entries = other.entries;
            return;
        }
        for (text, entry) in other.entries {
            self.insert(text, entry);
        }
    }

    /// The texts in a stable order, without positions.
    pub fn raw(&self) -> impl Iterator<Item = (Severity, &str)> {
        self.entries.iter().map(|(text, entry)| (entry.severity, text.as_str()))
    }

    /// Warnings and infos as shown to the user: with line and column, at most `max_warnings` and `max_infos` of them (0
    /// for all), followed by a line that counts the rest.
    pub fn strings(&self, query: &str, max_warnings: usize, max_infos: usize) -> (Vec<String>, Vec<String>) {
        let mut shown = [Vec::new(), Vec::new()];
        let mut omitted = [0usize; 2];
        for (text, entry) in &self.entries {
            let (at, max) = match entry.severity {
                Severity::Warning => (0, max_warnings),
                Severity::Info => (1, max_infos),
            };
            if max == 0 || shown[at].len() < max {
                shown[at].push(entry.show(text, query));
            } else {
                omitted[at] += 1;
            }
        }
        for (at, kind) in ["warning", "info"].into_iter().enumerate() {
            if omitted[at] > 0 {
                shown[at].push(format!("{} more {kind} annotations omitted", omitted[at]));
            }
        }
        let [warnings, infos] = shown;
        (warnings, infos)
    }

    /// Adds an annotation.
    pub fn add(&mut self, severity: Severity, text: String, pos: Pos) {
        self.insert(text, Entry { severity, pos: Some(pos), detail: None });
    }

    /// Adds an annotation with a detail.
    pub fn add_detailed(&mut self, severity: Severity, text: String, pos: Pos, detail: impl Detail) {
        self.insert(text, Entry { severity, pos: Some(pos), detail: Some(Box::new(detail)) });
    }

    fn insert(&mut self, text: String, mut entry: Entry) {
        match self.entries.entry(text) {
            std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(entry)),
            std::collections::btree_map::Entry::Occupied(mut place) => {
                if let Some(detail) = &mut entry.detail {
                    let earlier = place.get();
                    if let Some(earlier) = &earlier.detail {
                        let earlier: &dyn Any = earlier.as_ref();
                        detail.absorb(earlier);
                    }
                    entry.pos = earlier.pos;
                }
                place.insert(entry);
            }
        }
    }
}

impl Entry {
    fn show(&self, text: &str, query: &str) -> String {
        let mut shown = text.to_owned();
        let Some(pos) = self.pos.filter(|_| !query.is_empty()) else {
            return shown;
        };
        // Writing to a String cannot fail.
        if let Some(detail) = &self.detail {
            let _ = write!(shown, "{detail}");
        }
        let _ = write!(shown, " ({})", line_column(query, pos));
        shown
    }
}

/// `line:column` of a position's start, both from 1, columns in bytes.
fn line_column(query: &str, pos: Pos) -> String {
    let Some(before) = query.as_bytes().get(..pos.start) else {
        return "invalid position".to_owned();
    };
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    let column = pos.start - before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1) + 1;
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug)]
    struct Times(usize);

    impl fmt::Display for Times {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, ", {} times", self.0)
        }
    }

    impl Detail for Times {
        fn absorb(&mut self, earlier: &dyn Any) {
            self.0 += earlier.downcast_ref().map_or(0, |earlier: &Self| earlier.0);
        }

        fn boxed(&self) -> Box<dyn Detail> {
            Box::new(self.clone())
        }
    }

    fn at(start: usize) -> Pos {
        Pos { start, end: start + 1 }
    }

    #[test]
    fn shown_with_position_and_bound() {
        let mut annotations = Annotations::default();
        annotations.add(Severity::Info, "odd".to_owned(), at(5));
        annotations.add(Severity::Info, "odd".to_owned(), at(7));
        annotations.add(Severity::Warning, "a bad quantile".to_owned(), at(3));
        annotations.add_store_warning("block quarantined");
        let (warnings, infos) = annotations.strings("rate(\nup[5m])", 0, 0);
        assert_eq!(warnings, ["a bad quantile (1:4)", "block quarantined"]);
        assert_eq!(infos, ["odd (2:2)"]);
        let (warnings, _) = annotations.strings("x", 1, 0);
        assert_eq!(warnings[1], "1 more warning annotations omitted");
    }

    #[test]
    fn details_of_equal_texts_are_gathered() {
        let mut annotations = Annotations::default();
        for start in [0, 1] {
            let mut part = Annotations::default();
            part.add_detailed(Severity::Info, "again".to_owned(), at(start), Times(1));
            annotations.merge(part);
        }
        assert_eq!(annotations.clone().strings("query", 0, 0).1, ["again, 2 times (1:1)"]);
    }
}
