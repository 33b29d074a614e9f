//! On whose behalf the store is read.

/// A client, as far as clients are told apart. There is one as yet; every request carries it, so that limits, admission
/// and, one day, data are looked up by it in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tenant;
