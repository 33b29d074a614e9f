//! Certificates and TLS versions.

use crate::context::Context;
use crate::secret::{SecretSource, read_source};
use crate::yaml::Fault;
use crate::yaml::fields::Fields;

/// A TLS protocol version as `min_version` and `max_version` name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// `TLS10`
    Tls10,
    /// `TLS11`
    Tls11,
    /// `TLS12`
    Tls12,
    /// `TLS13`
    Tls13,
}

impl TlsVersion {
    /// All versions with their names.
    pub const ALL: [(&str, Self); 4] =
        [("TLS10", Self::Tls10), ("TLS11", Self::Tls11), ("TLS12", Self::Tls12), ("TLS13", Self::Tls13)];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls10 => "TLS10",
            Self::Tls11 => "TLS11",
            Self::Tls12 => "TLS12",
            Self::Tls13 => "TLS13",
        }
    }
}

/// Certificates and TLS versions of a client. Files are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// PEM text or file of the authorities to trust instead of the system's.
    pub ca: Option<SecretSource>,
    /// PEM client certificate. Given exactly when `key` is given.
    pub cert: Option<SecretSource>,
    /// PEM private key of the client certificate.
    pub key: Option<SecretSource>,
    /// Name to verify and send instead of the host; "" for the host.
    pub server_name: String,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Lowest version; the library's default when not given.
    pub min_version: Option<TlsVersion>,
    /// Highest version; the library's default when not given.
    pub max_version: Option<TlsVersion>,
}

impl TlsConfig {
    /// Reads `tls_config` out of the section that holds it.
    pub fn read(f: &mut Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
        Ok(f.section("tls_config", |f| Self::read_section(f, cx))?.unwrap_or_default())
    }

    fn read_section(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
        let version = |f: &mut Fields<'_>, name| -> Result<Option<TlsVersion>, Fault> {
            // Null is as good as nothing, an empty text is not a version.
            if !f.is_written(name) {
                return Ok(f.node(name).and(None));
            }
            f.choice(name, None, &TlsVersion::ALL.map(|(name, version)| (name, Some(version))))
        };
        let tls = Self {
            ca: read_source(
                &mut f,
                cx,
                ["ca", "ca_file", "ca_ref"],
                "at most one of ca, ca_file & ca_ref must be configured",
            )?,
            cert: read_source(
                &mut f,
                cx,
                ["cert", "cert_file", "cert_ref"],
                "at most one of cert, cert_file & cert_ref must be configured",
            )?,
            key: read_source(
                &mut f,
                cx,
                ["key", "key_file", "key_ref"],
                "at most one of key and key_file must be configured",
            )?,
            server_name: f.text("server_name", "")?,
            insecure_skip_verify: f.bool("insecure_skip_verify", false)?,
            min_version: version(&mut f, "min_version")?,
            max_version: version(&mut f, "max_version")?,
        };
        f.finish()?;
        match (&tls.cert, &tls.key) {
            (Some(_), None) => Err(f.fault_here(
                "exactly one of key or key_file must be configured when a client certificate is configured",
            )),
            (None, Some(_)) => Err(f.fault_here(
                "exactly one of cert or cert_file must be configured when a client key is configured",
            )),
            _ => Ok(tls),
        }
    }
}
