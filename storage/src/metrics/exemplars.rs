//! The newest exemplars of all series, in one ring.

use model::Labels;
use model::sample::Exemplar;

/// Which exemplars: of series that match any of the matcher sets, within bounds.
#[derive(Clone, Debug)]
pub struct ExemplarQuery {
    /// A series is chosen when all matchers of one set match it.
    pub matchers: Vec<Vec<model::Matcher>>,
    /// First millisecond, inclusive.
    pub min_t: i64,
    /// Last millisecond, inclusive.
    pub max_t: i64,
}

/// One series' exemplars, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// The series.
    pub labels: Labels,
    /// Its exemplars.
    pub exemplars: Vec<Exemplar>,
}
