//! What templates compute with: the Go values that Prometheus hands to its templates.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use model::Labels;
use model::go_float::FloatG;
use model::histogram::FloatHistogram;
use query::VectorSample;

use super::time;

/// A value in a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: `nil`, or a key that is not in a map of anything.
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// Labels; a label that is not there is the empty text.
    Labels(Labels),
    /// What `args` makes.
    Map(Arc<BTreeMap<String, Value>>),
    /// One element of a query's result.
    Sample(Arc<VectorSample>),
    /// A query's result.
    Samples(Arc<[Value]>),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
    /// What `.` is at first in an alert's templates.
    Alert(Arc<AlertData>),
    /// Nanoseconds since the Unix epoch.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
}

/// What an alert's templates know.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertData {
    /// Labels of the alert's expression, as the query gave them.
    pub labels: Labels,
    /// Of the configuration.
    pub external_labels: Labels,
    /// `--web.external-url`.
    pub external_url: Arc<str>,
    /// The alert's value.
    pub value: model::Value,
}

impl From<model::Value> for Value {
    fn from(value: model::Value) -> Self {
        match value {
            model::Value::Float(v) => Self::Float(v),
            model::Value::Histogram(h) => Self::Histogram(h),
        }
    }
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// Go's name of the type, for messages.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Labels(_) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Sample(_) => "*template.sample",
            Self::Samples(_) => "template.queryResult",
            Self::Histogram(_) => "*histogram.FloatHistogram",
            Self::Alert(_) => {
                "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value \
                 interface {} }"
            }
            Self::Time(_) => "*time.Time",
            Self::Duration(_) => "*time.Duration",
        }
    }

    /// What `if` makes of it: false is whatever is empty or zero.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(n) => *n != 0,
            Self::Float(v) => *v != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Samples(samples) => !samples.is_empty(),
            Self::Sample(_) | Self::Histogram(_) | Self::Alert(_) | Self::Time(_) | Self::Duration(_) => true,
        }
    }

    /// A field, key or method without arguments. `None` when the type has none of that name.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        match self {
            Self::Labels(labels) => Some(Self::text(labels.get(name).unwrap_or(""))),
            Self::Map(map) => Some(map.get(name).cloned().unwrap_or(Self::Nil)),
            Self::Sample(sample) => match name {
                "Labels" => Some(Self::Labels(sample.labels.clone())),
                "Value" => Some(sample.value.clone().into()),
                _ => None,
            },
            Self::Alert(data) => match name {
                "Labels" => Some(Self::Labels(data.labels.clone())),
                "ExternalLabels" => Some(Self::Labels(data.external_labels.clone())),
                "ExternalURL" => Some(Self::Text(data.external_url.clone())),
                "Value" => Some(data.value.clone().into()),
                _ => None,
            },
            Self::Histogram(h) => match name {
                "Count" => Some(Self::Float(h.count)),
                "Sum" => Some(Self::Float(h.sum)),
                "Schema" => Some(Self::Int(h.schema.into())),
                "ZeroCount" => Some(Self::Float(h.zero_count)),
                "ZeroThreshold" => Some(Self::Float(h.zero_threshold)),
                "String" => Some(Self::text(h.to_string())),
                _ => None,
            },
            Self::Time(ns) => time::time_field(*ns, name),
            Self::Duration(ns) => time::duration_field(*ns, name),
            _ => None,
        }
    }
}

/// As Go's `%v` prints it; nothing is `<nil>`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("<nil>"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(n) => write!(f, "{n}"),
            Self::Float(v) => write!(f, "{}", FloatG(*v)),
            Self::Text(text) => f.write_str(text),
            Self::Labels(labels) => map(f, labels.iter()),
            Self::Map(entries) => map(f, entries.iter()),
            Self::Sample(sample) => {
                write!(f, "&{{{} {}}}", Self::Labels(sample.labels.clone()), sample.value)
            }
            Self::Samples(samples) => {
                f.write_str("[")?;
                for (i, sample) in samples.iter().enumerate() {
                    write!(f, "{}{sample}", if i > 0 { " " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Histogram(h) => write!(f, "{h}"),
            Self::Alert(data) => write!(
                f,
                "{{{} {} {} {}}}",
                Self::Labels(data.labels.clone()),
                Self::Labels(data.external_labels.clone()),
                data.external_url,
                data.value
            ),
            Self::Time(ns) => f.write_str(&time::time_text(*ns)),
            Self::Duration(ns) => f.write_str(&model::go_duration::go_duration(*ns)),
        }
    }
}

fn map<K: fmt::Display, V: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    entries: impl Iterator<Item = (K, V)>,
) -> fmt::Result {
    f.write_str("map[")?;
    for (i, (key, value)) in entries.enumerate() {
        write!(f, "{}{key}:{value}", if i > 0 { " " } else { "" })?;
    }
    f.write_str("]")
}
