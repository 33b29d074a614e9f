//! Places in the text of a query.

/// Byte offsets into the query text, end exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pos {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}
