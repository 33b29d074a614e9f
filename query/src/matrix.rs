//! Matrices under evaluation: a row for each series, with a place for each step of the grid.

use std::collections::HashMap;
use std::sync::Arc;

use model::histogram::FloatHistogram;
use model::{Labels, Value};

use crate::QueryError;
use crate::label_subset::KeyHasher;
use crate::value::{ABSENT, is_absent};

/// A native histogram as queries share it.
pub type SharedHistogram = Arc<FloatHistogram>;

/// One series over the steps of a grid. Steps before `first` and after the column's end have no sample.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its labels.
    pub labels: Labels,
    /// The name (and type and unit) must go; at once or at the very end, see [`Row::settle_name`].
    pub drop_name: bool,
    /// The step of the first place.
    pub first: usize,
    /// Floats; absent where the step has no sample or a histogram.
    pub values: Vec<f64>,
    /// Histograms, as long as `values`; `None` for a series of floats only.
    pub histograms: Option<Vec<Option<SharedHistogram>>>,
}

impl Row {
    /// A series of floats.
    #[inline]
    pub fn floats(labels: Labels, values: Vec<f64>) -> Self {
        Self { labels, drop_name: false, first: 0, values, histograms: None }
    }

    /// A column to be filled by [`Row::set`], starting at step 0.
    #[inline]
    pub fn blank(labels: Labels, steps: usize) -> Self {
        Self::floats(labels, vec![ABSENT; steps])
    }

    /// The float at a step, or the absent mark.
    #[inline]
    pub fn float(&self, step: usize) -> f64 {
        match step.checked_sub(self.first).and_then(|at| self.values.get(at)) {
            Some(v) => *v,
            None => ABSENT,
        }
    }

    /// The histogram at a step.
    #[inline]
    pub fn histogram(&self, step: usize) -> Option<&SharedHistogram> {
        self.histograms.as_ref()?.get(step.checked_sub(self.first)?)?.as_ref()
    }

    /// Whether the step has a sample.
    #[inline]
    pub fn has(&self, step: usize) -> bool {
        !is_absent(self.float(step)) || self.histogram(step).is_some()
    }

    /// The sample at a step.
    #[inline]
    pub fn value(&self, step: usize) -> Option<Value> {
        let v = self.float(step);
        if !is_absent(v) {
            return Some(Value::Float(v));
        }
        self.histogram(step).map(|h| Value::Histogram(Arc::clone(h)))
    }

    /// Sets the sample at a step of a column that reaches there.
    #[inline]
    pub fn set(&mut self, step: usize, value: Value) {
        let at = step - self.first;
        match value {
            Value::Float(v) => self.values[at] = v,
            Value::Histogram(h) => {
                let len = self.values.len();
                self.histograms.get_or_insert_with(|| vec![None; len])[at] = Some(h);
            }
        }
    }

    /// Removes the sample at a step of a column that reaches there.
    #[inline]
    pub fn clear(&mut self, step: usize) {
        let at = step - self.first;
        self.values[at] = ABSENT;
        if let Some(histograms) = &mut self.histograms {
            histograms[at] = None;
        }
    }

    /// The steps the column has places for.
    #[inline]
    pub fn span(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.values.len()
    }

    /// The steps that have a sample.
    #[inline]
    pub fn present(&self) -> impl Iterator<Item = usize> + '_ {
        self.span().filter(|step| self.has(*step))
    }

    /// How many samples the row counts for.
    pub fn samples(&self) -> usize {
        let floats = self.values.iter().filter(|v| !is_absent(**v)).count();
        let histograms =
            self.histograms.as_ref().map_or(0, |hs| hs.iter().flatten().map(|h| sample_size(h)).sum());
        floats + histograms
    }

    /// Cuts absent places off both ends and gives back the memory when much was cut. False when nothing is left.
    pub fn trim(&mut self) -> bool {
        if self.histograms.as_ref().is_some_and(|hs| hs.iter().all(Option::is_none)) {
            self.histograms = None;
        }
        let used = |at: &usize| {
            !is_absent(self.values[*at]) || self.histograms.as_ref().is_some_and(|hs| hs[*at].is_some())
        };
        let Some(from) = (0..self.values.len()).find(used) else {
            return false;
        };
        let to = (from..self.values.len()).rev().find(used).map_or(from, |last| last + 1);
        if to - from < self.values.len() {
            self.values.truncate(to);
            self.values.drain(..from);
            if let Some(histograms) = &mut self.histograms {
                histograms.truncate(to);
                histograms.drain(..from);
            }
            self.first += from;
            if self.values.len() * 2 < self.values.capacity() {
                self.values.shrink_to_fit();
            }
        }
        true
    }

    /// About how many bytes the row takes. Labels count as its own, though rows and store may share them.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.labels.packed().len()
            + self.values.capacity() * size_of::<f64>()
            + self.histograms.as_ref().map_or(0, |hs| {
                hs.len() * size_of::<Option<SharedHistogram>>()
                    + hs.iter().flatten().map(|h| 16 * sample_size(h)).sum::<usize>()
            })
    }

    /// Takes the name off the labels if it must go.
    #[inline]
    pub fn settle_name(&mut self) {
        if self.drop_name {
            self.labels = without_metadata(&self.labels);
            self.drop_name = false;
        }
    }

    /// Takes over the samples of another row. False when both have a sample at a step.
    pub fn absorb(&mut self, other: &Self) -> bool {
        let (mine, theirs) = (self.span(), other.span());
        if theirs.start < mine.start || theirs.end > mine.end {
            let first = mine.start.min(theirs.start);
            let len = mine.end.max(theirs.end) - first;
            let lead = mine.start - first;
            let mut values = vec![ABSENT; len];
            values[lead..lead + self.values.len()].copy_from_slice(&self.values);
            self.values = values;
            if let Some(histograms) = self.histograms.take() {
                let mut wider = vec![None; len];
                for (place, h) in wider[lead..].iter_mut().zip(histograms) {
                    *place = h;
                }
                self.histograms = Some(wider);
            }
            self.first = first;
        }
        for step in other.span() {
            let Some(value) = other.value(step) else { continue };
            if self.has(step) {
                return false;
            }
            self.set(step, value);
        }
        true
    }
}

/// How many rows have a sample at the last of `steps` steps.
pub fn count_last(rows: &[Row], steps: usize) -> usize {
    steps.checked_sub(1).map_or(0, |last| rows.iter().filter(|row| row.has(last)).count())
}

/// How many samples a histogram counts for: its bytes in Prometheus's memory, with the time, in units of 16.
#[inline]
pub fn sample_size(h: &FloatHistogram) -> usize {
    (h.size() + 8) / 16
}

/// The labels that describe a metric as such.
#[inline]
pub fn is_metadata_label(name: &str) -> bool {
    matches!(name, "__name__" | "__type__" | "__unit__")
}

/// The labels without name, type and unit.
#[inline]
pub fn without_metadata(labels: &Labels) -> Labels {
    if labels.iter().any(|(name, _)| is_metadata_label(name)) {
        Labels::from_sorted(labels.iter().filter(|(name, _)| !is_metadata_label(name)))
    } else {
        labels.clone()
    }
}

/// The error for two samples with the same labels at the same time.
pub fn same_labels_error() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}

/// What rows with equal labels mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EqualLabels {
    /// An error in any case, as after functions over ranges.
    Refuse,
    /// One series, unless both have a sample at a step.
    Merge,
}

/// Makes label sets unique.
pub fn unite(rows: Vec<Row>, equals: EqualLabels) -> Result<Vec<Row>, QueryError> {
    if rows.len() < 2 {
        return Ok(rows);
    }
    let mut places: HashMap<Labels, usize, KeyHasher> =
        HashMap::with_capacity_and_hasher(rows.len(), KeyHasher);
    let mut united: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        match places.entry(row.labels.clone()) {
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(united.len());
                united.push(row);
            }
            std::collections::hash_map::Entry::Occupied(place) => {
                if equals == EqualLabels::Refuse || !united[*place.get()].absorb(&row) {
                    return Err(same_labels_error());
                }
            }
        }
    }
    Ok(united)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(job: &str, first: usize, values: &[f64]) -> Row {
        let values = values.to_vec();
        Row { first, ..Row::floats(Labels::from_pairs([("job", job)]), values) }
    }

    #[test]
    fn trimming_keeps_samples_in_place() {
        let mut r = row("a", 2, &[ABSENT, 1.0, ABSENT, 2.0, ABSENT]);
        assert!(r.trim());
        assert_eq!((r.span(), r.float(3), r.float(5)), (3..6, 1.0, 2.0));
        assert!(!r.has(2) && !r.has(4) && !r.has(6));
        assert_eq!(r.present().collect::<Vec<_>>(), [3, 5]);
        assert!(!row("a", 0, &[ABSENT, ABSENT]).trim());
    }

    #[test]
    fn equal_labels_merge_or_clash() {
        let rows = vec![row("a", 3, &[3.0]), row("b", 0, &[9.0]), row("a", 0, &[0.0, ABSENT])];
        let united = unite(rows.clone(), EqualLabels::Merge).unwrap();
        assert_eq!(united.len(), 2);
        assert_eq!(united[0].present().collect::<Vec<_>>(), [0, 3]);
        assert!(unite(rows.clone(), EqualLabels::Refuse).is_err());
        let clash = [rows, vec![row("a", 2, &[1.0, 1.0])]].concat();
        assert!(unite(clash, EqualLabels::Merge).is_err());
    }
}
