//! How many series and values the labels of an index have.

use super::{MemIndex, NameId, PairId};

/// Statistics of an index for `/api/v1/status/tsdb`. Each list is descending by count, then ascending by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Series by metric name.
    pub series_by_metric: Vec<(String, u64)>,
    /// Values by label name.
    pub values_by_name: Vec<(String, u64)>,
    /// Bytes of values by label name, each value counted once for each series that has it.
    pub value_bytes_by_name: Vec<(String, u64)>,
    /// Series by label pair, written `name=value`.
    pub series_by_pair: Vec<(String, u64)>,
    /// All label pairs.
    pub pairs: u64,
}

impl MemIndex {
    /// The `limit` greatest of each kind. Metrics are distinguished by the label `metric_label`, usually `__name__`.
    pub fn cardinality(&self, metric_label: &str, limit: usize) -> Cardinality {
        let metric_name = self.name_id(metric_label).map(|NameId(name)| name);
        let mut metrics = Top::new(limit);
        let mut series = Top::new(limit);
        let mut value_bytes = vec![0u64; self.names.end()];
        for (at, pair) in self.pairs.iter() {
            let count = pair.ids.len();
            series.offer(count, at);
            if Some(pair.name) == metric_name {
                metrics.offer(count, at);
            }
            if let Some(bytes) = value_bytes.get_mut(pair.name as usize) {
                *bytes += pair.value.len() as u64 * count;
            }
        }
        let mut values = Top::new(limit);
        let mut bytes = Top::new(limit);
        for (at, name) in self.names.iter() {
            let of_name = name.values.read();
            values.offer((of_name.sorted.len() + of_name.fresh.len()) as u64, at);
            bytes.offer(value_bytes.get(at as usize).copied().unwrap_or(0), at);
        }
        let name = |at| self.names.get(at).map_or(String::new(), |name| name.text.to_string());
        let value = |at| self.pairs.get(at).map_or(String::new(), |pair| pair.value.to_string());
        let pair = |at| self.pair(PairId(at)).map_or(String::new(), |(n, v)| format!("{n}={v}"));
        Cardinality {
            series_by_metric: metrics.finish(value),
            values_by_name: values.finish(name),
            value_bytes_by_name: bytes.finish(name),
            series_by_pair: series.finish(pair),
            pairs: self.pairs_by_text.len() as u64,
        }
    }
}

/// The greatest counts of many.
struct Top {
    limit: usize,
    entries: Vec<(u64, u32)>,
}

impl Top {
    fn new(limit: usize) -> Self {
        Self { limit, entries: Vec::new() }
    }

    fn offer(&mut self, count: u64, at: u32) {
        self.entries.push((count, at));
        if self.entries.len() >= 2 * self.limit + 1024 {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.0));
        // Keep what ties with the last, so that the names can decide.
        if let Some(&(least, _)) = self.limit.checked_sub(1).and_then(|last| self.entries.get(last)) {
            let ties = self.entries.iter().skip(self.limit).take_while(|(count, _)| *count == least).count();
            self.entries.truncate(self.limit + ties.min(1024));
        } else if self.limit == 0 {
            self.entries.clear();
        }
    }

    fn finish(mut self, text: impl Fn(u32) -> String) -> Vec<(String, u64)> {
        self.cut();
        let mut entries: Vec<_> = self.entries.iter().map(|&(count, at)| (text(at), count)).collect();
        entries.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        entries.truncate(self.limit);
        entries
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;

    #[test]
    fn cardinality_names_the_greatest() {
        let mut index = MemIndex::new();
        for id in 0..6 {
            let metric = if id < 4 { "many" } else { "few" };
            let pairs = [("__name__", metric), ("i", &id.to_string()), ("job", "long-job-name")];
            index.add(id, &Labels::from_pairs(pairs));
        }
        let text = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
            pairs.iter().map(|(name, count)| (name.to_string(), *count)).collect()
        };
        let want = Cardinality {
            series_by_metric: text(&[("many", 4), ("few", 2)]),
            values_by_name: text(&[("i", 6), ("__name__", 2)]),
            value_bytes_by_name: text(&[("job", 78), ("__name__", 22)]),
            series_by_pair: text(&[("job=long-job-name", 6), ("__name__=many", 4)]),
            pairs: 9,
        };
        assert_eq!(index.cardinality("__name__", 2), want);
        assert_eq!(index.cardinality("absent", 0), Cardinality { pairs: 9, ..Cardinality::default() });
    }
}
