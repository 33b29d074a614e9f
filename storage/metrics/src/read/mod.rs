//! Reading: from a selection to series, of head and blocks together.

pub mod read_only;
mod search;
pub mod select;
pub mod series_cursor;
