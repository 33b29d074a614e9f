//! `tls_server_config`: the listener's certificate, versions and suites, and what it asks of clients.

use std::path::PathBuf;

use crate::context::Context;
use crate::secret::Secret;
use crate::sections::http_client::TlsVersion;
use crate::yaml::Fault;
use crate::yaml::fields::{Fields, text};

/// Go's names of the suites that may be chosen. Those of TLS 1.3 may be written and have no effect, as in Go.
const SUITES: [&str; 13] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// A group for the exchange of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// `CurveP256`
    P256,
    /// `CurveP384`
    P384,
    /// `CurveP521`
    P521,
    /// `X25519`
    X25519,
}

const CURVES: [(&str, Curve); 4] = [
    ("CurveP256", Curve::P256),
    ("CurveP384", Curve::P384),
    ("CurveP521", Curve::P521),
    ("X25519", Curve::X25519),
];

/// What is asked of a client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `NoClientCert`, or nothing.
    None,
    /// `RequestClientCert`: asked for, neither required nor verified.
    Request,
    /// `RequireAnyClientCert`, formerly `RequireClientCert`: required, not verified.
    RequireAny,
    /// `VerifyClientCertIfGiven`
    VerifyIfGiven,
    /// `RequireAndVerifyClientCert`
    RequireAndVerify,
}

const CLIENT_AUTH: [(&str, ClientAuth); 7] = [
    ("", ClientAuth::None),
    ("NoClientCert", ClientAuth::None),
    ("RequestClientCert", ClientAuth::Request),
    ("RequireAnyClientCert", ClientAuth::RequireAny),
    ("RequireClientCert", ClientAuth::RequireAny),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
];

/// PEM text: in the configuration, or in a file that counts more when both are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PemSource {
    /// Written in the configuration.
    Inline(Secret),
    /// A file, read again for new connections.
    File(PathBuf),
}

/// TLS of the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// Its certificate, with those that lead to its authority.
    pub cert: PemSource,
    /// The certificate's private key.
    pub key: PemSource,
    /// Authorities of clients' certificates.
    pub client_ca: Option<PemSource>,
    /// What clients must show.
    pub client_auth: ClientAuth,
    /// Alternative names of which a client's certificate must have one; `None` for any.
    pub client_allowed_sans: Option<Vec<String>>,
    /// Go's names of the suites of TLS 1.2 and below; none are Go's defaults.
    pub cipher_suites: Vec<String>,
    /// Groups in order; none are Go's defaults.
    pub curve_preferences: Vec<Curve>,
    /// Lowest version.
    pub min_version: TlsVersion,
    /// Highest version.
    pub max_version: TlsVersion,
}

impl ServerTls {
    /// `None` when the section has neither certificates nor client authentication, as exporter-toolkit judges it.
    pub(super) fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Option<Self>, Fault> {
        let mut pem = |inline, file| -> Result<Option<PemSource>, Fault> {
            let (inline, file) = (f.secret(inline)?, f.text(file, "")?);
            Ok(match file.is_empty() {
                false => Some(PemSource::File(cx.path(&file).into())),
                true => Some(inline).filter(|text| !text.is_empty()).map(PemSource::Inline),
            })
        };
        let cert = pem("cert", "cert_file")?;
        let key = pem("key", "key_file")?;
        let client_ca = pem("client_ca", "client_ca_file")?;
        let auth_type = f.text("client_auth_type", "")?;
        let min_version = version(&mut f, "min_version", TlsVersion::Tls12)?;
        let max_version = version(&mut f, "max_version", TlsVersion::Tls13)?;
        let cipher_suites = f.list("cipher_suites", |node, path| {
            let name = text(node).map_err(|e| Fault::new(node.pos, format!("{path}: {e}")))?;
            match SUITES.contains(&name.as_str()) {
                true => Ok(name),
                false => Err(Fault::new(node.pos, format!("{path}: unknown cipher: {name}"))),
            }
        })?;
        let curve_preferences = f.list("curve_preferences", |node, path| {
            let name = text(node).map_err(|e| Fault::new(node.pos, format!("{path}: {e}")))?;
            let known = CURVES.iter().find(|(known, _)| *known == name);
            known
                .map(|(_, curve)| *curve)
                .ok_or_else(|| Fault::new(node.pos, format!("{path}: unknown curve: {name}")))
        })?;
        // Go's library ignores it and so does this one: the server's order always counts.
        f.bool("prefer_server_cipher_suites", true)?;
        let has_sans = f.is_written("client_allowed_sans");
        let sans = f.texts("client_allowed_sans")?;
        f.finish()?;
        if cert.is_none() && key.is_none() && client_ca.is_none() && auth_type.is_empty() {
            return Ok(None);
        }
        let missing = |what: &str| f.fault_here(format!("tls_server_config: missing one of {what}"));
        let cert = cert.ok_or_else(|| missing("cert or cert_file"))?;
        let key = key.ok_or_else(|| missing("key or key_file"))?;
        let client_auth = CLIENT_AUTH.iter().find(|(name, _)| *name == auth_type).map(|(_, auth)| *auth);
        let client_auth = client_auth.ok_or_else(|| {
            f.fault("client_auth_type", format!("tls_server_config: invalid ClientAuth: {auth_type}"))
        })?;
        if client_ca.is_some() && client_auth == ClientAuth::None {
            return Err(f.fault_here(
                "tls_server_config: client CA's have been configured without a Client Auth Policy",
            ));
        }
        Ok(Some(Self {
            cert,
            key,
            client_ca,
            client_auth,
            client_allowed_sans: has_sans.then_some(sans),
            cipher_suites,
            curve_preferences,
            min_version,
            max_version,
        }))
    }
}

fn version(f: &mut Fields<'_>, name: &'static str, default: TlsVersion) -> Result<TlsVersion, Fault> {
    let path = f.path_of(name);
    // Null is as good as nothing.
    let Some(node) = f.node(name).filter(|node| !node.is_null()) else { return Ok(default) };
    let found = text(node).map_err(|e| Fault::new(node.pos, format!("{path}: {e}")))?;
    let known = TlsVersion::ALL.iter().find(|(known, _)| *known == found);
    known
        .map(|(_, version)| *version)
        .ok_or_else(|| Fault::new(node.pos, format!("{path}: unknown TLS version: {found}")))
}
