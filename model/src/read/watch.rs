//! Who looks on while a store looks for series.

use super::ReadError;

/// Hears what an answer takes while it grows, and may end it: for want of memory, or because nobody waits for it.
pub trait Watch: Sync {
    /// `bytes` more were taken. An error ends the selection, which then fails with it.
    fn grown(&self, bytes: usize) -> Result<(), ReadError>;
}

/// Lets everything pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn grown(&self, _: usize) -> Result<(), ReadError> {
        Ok(())
    }
}
