//! From labels as exposed to labels as stored: target labels added, conflicts renamed, rules applied, limits checked.

use std::borrow::Cow;

use config::global::{NameValidation, ScrapeLimits};
use model::LabelsBuilder;
use model::labels::{Labels, METRIC_NAME, Quoted};
use model::relabel::{Rule, process};

/// In front of an exposed label that a target label displaces.
const EXPORTED_PREFIX: &str = "exported_";

/// Why a sample's labels fail its scrape; texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleLabelsError {
    /// The same label twice.
    #[error("label name {0:?} is not unique: invalid sample")]
    Duplicate(String),
    /// Relabelling left no name.
    #[error("missing metric name (__name__ label)")]
    NoMetricName,
    /// Names that the configured validation refuses.
    #[error("invalid metric name or label names: {0}")]
    InvalidNames(String),
    /// One of the label limits, with what exceeds it.
    #[error("{0}")]
    Limit(String),
}

/// How labels become those of a stored series.
pub struct SampleLabels<'a> {
    /// The target's public labels.
    pub target: &'a Labels,
    /// The exposed labels win.
    pub honor_labels: bool,
    /// `metric_relabel_configs`.
    pub rules: &'a [Rule],
    /// How names are checked.
    pub validation: NameValidation,
    /// Label limits.
    pub limits: &'a ScrapeLimits,
}

impl SampleLabels<'_> {
    /// The stored labels; `None` when a rule drops the sample. `exposed` is sorted by name.
    pub fn apply(
        &self,
        exposed: &[(Cow<'_, str>, Cow<'_, str>)],
    ) -> Result<Option<Labels>, SampleLabelsError> {
        let find = |name: &str| exposed.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_ref());
        let mut labels = LabelsBuilder::new();
        for (name, value) in exposed {
            labels.set(name, value);
        }
        if self.honor_labels {
            for (name, value) in self.target.iter() {
                // An exposed empty value says that the label shall not be there.
                if find(name).is_none() {
                    labels.set(name, value);
                }
            }
        } else {
            let mut displaced = Vec::new();
            for (name, value) in self.target.iter() {
                if let Some(exposed) = find(name).filter(|exposed| !exposed.is_empty()) {
                    displaced.push((name, exposed));
                }
                labels.set(name, value);
            }
            rename(&mut labels, displaced);
        }
        if !process(&mut labels, self.rules) {
            return Ok(None);
        }
        let labels = labels.finish();
        if labels.is_empty() {
            return Ok(None);
        }
        if let Some(twice) = exposed.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(SampleLabelsError::Duplicate(twice[0].0.to_string()));
        }
        self.check(&labels)?;
        Ok(Some(labels))
    }

    fn check(&self, labels: &Labels) -> Result<(), SampleLabelsError> {
        let Some(metric) = labels.metric_name() else {
            return Err(SampleLabelsError::NoMetricName);
        };
        let valid = self.validation.is_metric_name(metric)
            && labels.iter().all(|(name, _)| self.validation.is_label_name(name));
        if !valid {
            return Err(SampleLabelsError::InvalidNames(labels.to_string()));
        }
        self.check_limits(labels, metric).map_err(SampleLabelsError::Limit)
    }

    fn check_limits(&self, labels: &Labels, metric: &str) -> Result<(), String> {
        let ScrapeLimits { labels: count, label_name_length, label_value_length, .. } = *self.limits;
        if count == 0 && label_name_length == 0 && label_value_length == 0 {
            return Ok(());
        }
        let metric = first_chars(metric);
        let len = labels.len();
        if count > 0 && len as u64 > count {
            return Err(format!(
                "label_limit exceeded (metric: {metric}, number of labels: {len}, limit: {count})"
            ));
        }
        for (name, value) in labels.iter() {
            if label_name_length > 0 && name.len() as u64 > label_name_length {
                return Err(format!(
                    "label_name_length_limit exceeded (metric: {metric}, label name: {}, length: {}, limit: {label_name_length})",
                    first_chars(name),
                    name.len(),
                ));
            }
            if label_value_length > 0 && value.len() as u64 > label_value_length {
                return Err(format!(
                    "label_value_length_limit exceeded (metric: {metric}, label name: {}, value: {}, length: {}, limit: {label_value_length})",
                    first_chars(name),
                    Quoted(first_chars(value)),
                    value.len(),
                ));
            }
        }
        Ok(())
    }
}

/// Gives displaced labels new names, the shortest first, each with as many prefixes as it takes to be free.
fn rename(labels: &mut LabelsBuilder, mut displaced: Vec<(&str, &str)>) {
    displaced.sort_by_key(|(name, _)| name.len());
    for (name, value) in displaced {
        let mut free = format!("{EXPORTED_PREFIX}{name}");
        while !labels.get(&free).is_empty() {
            free.insert_str(0, EXPORTED_PREFIX);
        }
        labels.set(&free, value);
    }
}

/// The labels of a series about the scrape itself.
pub fn report_labels(target: &Labels, metric: &str) -> Labels {
    let mut labels = target.to_builder();
    labels.set(METRIC_NAME, metric);
    labels.finish()
}

/// At most 50 characters.
fn first_chars(text: &str) -> &str {
    text.char_indices().nth(50).map_or(text, |(at, _)| &text[..at])
}
