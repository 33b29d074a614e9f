//! Reading: from a selection to series, of head and blocks together.

mod find;
pub mod pieces;
pub mod read_only;
pub mod select;
