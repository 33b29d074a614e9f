//! Reading: from a selection to series, of head and blocks together.

pub mod head_view;
mod search;
pub mod selected;
pub mod series_cursor;
pub mod snapshot;
