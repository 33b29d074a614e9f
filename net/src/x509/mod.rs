//! Whether a chain of certificates makes a server the one that was asked for, by the rules of Go's `crypto/x509` and
//! with its words. The TLS library verifies signatures; which certificates are tried, and what they may do, is decided
//! here, because its own rules refuse what Go accepts: a pinned leaf or intermediate, an authority that is its own
//! server, key identifiers that do not match, version 1.

mod certificate;
mod constraints;
mod der;
mod hostname;
mod roots;
mod verify;

pub use certificate::Certificate;
pub use roots::Roots;
pub(crate) use roots::certificates_in_pem;
pub use verify::verify;
