//! Recording rules: a query's result under another name.

use std::collections::HashSet;

use model::labels::METRIC_NAME;
use query::VectorSample;

use super::file::RuleSpec;

/// Why a rule's result was refused; texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Two series would be one.
    #[error("vector contains metrics with the same labelset after applying rule labels")]
    DuplicateLabels,
    /// More series than the group allows.
    #[error("exceeded limit of {limit} with {series} series")]
    Limit {
        /// The group's limit.
        limit: usize,
        /// Series in the result.
        series: usize,
    },
}

/// Gives a query's result the rule's name and labels. `limit` 0 is none.
pub fn rename(
    rule: &RuleSpec,
    result: Vec<VectorSample>,
    limit: usize,
) -> Result<Vec<VectorSample>, RecordError> {
    let mut seen = HashSet::with_capacity(result.len());
    let mut samples = Vec::with_capacity(result.len());
    for sample in result {
        let mut labels = sample.labels.to_builder();
        labels.set(METRIC_NAME, &rule.name);
        for (name, value) in &rule.labels {
            labels.set(name, value);
        }
        let labels = labels.finish();
        if !seen.insert(labels.clone()) {
            return Err(RecordError::DuplicateLabels);
        }
        samples.push(VectorSample { labels, ..sample });
    }
    if limit > 0 && samples.len() > limit {
        return Err(RecordError::Limit { limit, series: samples.len() });
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use config::global::NameValidation;
    use model::{Labels, Value};
    use promql::parse::Features;

    use super::super::file::read_file;
    use super::*;

    #[test]
    fn renaming() {
        let text =
            "groups:\n- name: g\n  rules:\n  - record: new\n    expr: old\n    labels: {a: x, b: ''}\n";
        let file = read_file(Path::new("r"), text, NameValidation::Utf8, &Features::default()).unwrap();
        let rule = &file.groups[0].rules[0];
        let sample = |pairs: &[(&str, &str)]| VectorSample {
            labels: Labels::from_pairs(pairs.iter().copied()),
            t: 0,
            value: Value::Float(1.0),
        };
        let old = sample(&[("__name__", "old"), ("a", "1"), ("b", "2"), ("c", "3")]);
        let other = sample(&[("__name__", "old"), ("c", "4")]);
        let renamed = rename(rule, vec![old.clone(), other.clone()], 2).unwrap();
        assert_eq!(renamed[0], sample(&[("__name__", "new"), ("a", "x"), ("c", "3")]));
        assert_eq!(renamed[1], sample(&[("__name__", "new"), ("a", "x"), ("c", "4")]));
        let error = rename(rule, vec![old.clone(), other], 1).unwrap_err();
        assert_eq!(error.to_string(), "exceeded limit of 1 with 2 series");
        let same = sample(&[("a", "9"), ("b", "8"), ("c", "3")]);
        assert_eq!(rename(rule, vec![old, same], 0), Err(RecordError::DuplicateLabels));
    }
}
