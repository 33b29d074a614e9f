//! Selectors and subqueries with their modifiers.

use model::Matcher;

use super::{Duration, Expr, Pos};

/// `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// `@ 1234.5`, in milliseconds
    Timestamp(i64),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// `anchored` or `smoothed`, after a selector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeMode {
    /// Neither.
    #[default]
    Plain,
    /// `anchored`
    Anchored,
    /// `smoothed`
    Smoothed,
}

/// An instant selector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The metric name written before the braces; empty for none. Its matcher is among `matchers` too.
    pub name: String,
    /// All conditions in the order of the text, the name's own one last as Prometheus appends it.
    pub matchers: Vec<Matcher>,
    /// `offset`; `Millis(0)` for none.
    pub offset: Duration,
    /// `@`.
    pub at: Option<At>,
    /// `anchored`, `smoothed`.
    pub mode: RangeMode,
}

/// A range selector.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// Which series; carries `offset`, `@` and mode.
    pub vector: VectorSelector,
    /// Where the instant selector part stands.
    pub vector_pos: Pos,
    /// Width of the window, positive.
    pub range: Duration,
}

/// A subquery.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated at every step.
    pub expr: Expr,
    /// Width of the window.
    pub range: Duration,
    /// Distance of steps; `None` for the default evaluation interval.
    pub step: Option<Duration>,
    /// `offset`; `Millis(0)` for none.
    pub offset: Duration,
    /// `@`.
    pub at: Option<At>,
}
