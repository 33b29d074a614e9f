//! Reading: from a selection to series, of head and blocks together.

pub mod head_view;
pub mod read_only;
mod search;
pub mod selected;
pub mod series_cursor;
pub mod snapshot;
