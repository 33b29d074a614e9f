//! When a query is evaluated, and by which threads.

/// Start, end and step of a range query, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeTimes {
    /// First step.
    pub start: i64,
    /// No step after this one.
    pub end: i64,
    /// Distance of steps, positive.
    pub step: i64,
}

/// When a query is evaluated, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub enum Times {
    /// At one time.
    Instant(i64),
    /// At every step of a range.
    Range(RangeTimes),
}

/// Which threads work on a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread and rayon's.
    All,
    /// The calling thread alone: for queries of little work.
    Calling,
}
