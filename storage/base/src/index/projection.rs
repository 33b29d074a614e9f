//! What a query wants to know of series beside their samples.

use model::labels::METADATA_LABELS;
use model::read::Hints;

/// Which labels of series are wanted, and in what order the series.
#[derive(Clone, Copy, Debug)]
pub struct Projection<'h> {
    /// The labels beside those that describe the metric; `None` for all.
    labels: Option<&'h [String]>,
    ordered: bool,
}

impl<'h> Projection<'h> {
    /// All labels, in order.
    pub const ALL: Self = Self { labels: None, ordered: true };

    /// No labels but those that describe the metric, in the order of all.
    pub const ORDER: Self = Self { labels: Some(&[]), ordered: true };

    /// What a query wants of the series of a single source.
    #[inline]
    pub fn of(hints: &'h Hints) -> Self {
        Self { labels: hints.labels.as_deref(), ordered: !hints.unordered }
    }

    /// The labels that are wanted beside those that describe the metric; `None` for all.
    #[inline]
    pub fn labels(&self) -> Option<&'h [String]> {
        self.labels
    }

    /// Whether series are to ascend by (all) labels.
    #[inline]
    pub fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// Whether a label is wanted.
    #[inline]
    pub fn has(&self, name: &str) -> bool {
        self.labels.is_none_or(|wanted| METADATA_LABELS.contains(&name) || wanted.iter().any(|of| of == name))
    }
}
