//! What an exporter says about a metric family.

use std::fmt;

/// A metric family's kind, as the exposition formats name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricType {
    /// Not said, or `untyped`.
    #[default]
    Unknown,
    /// Counter.
    Counter,
    /// Gauge.
    Gauge,
    /// Histogram, classic or native.
    Histogram,
    /// OpenMetrics gauge histogram.
    GaugeHistogram,
    /// Summary.
    Summary,
    /// OpenMetrics info.
    Info,
    /// OpenMetrics state set.
    StateSet,
}

impl MetricType {
    /// The name used in exposition and in Prometheus's API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Type, unit and help text of a metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// The kind of the family.
    pub kind: MetricType,
    /// Unit, without underscore; often empty.
    pub unit: String,
    /// Help text, unescaped.
    pub help: String,
}
