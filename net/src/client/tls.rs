//! TLS: which versions, suites and certificates are offered, and whom a server must prove to be. What Go's
//! `crypto/tls` reaches is reached; OpenSSL speaks the protocol, [`crate::x509`] judges certificates.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use config::http_client::{SecretSource, TlsConfig, TlsVersion};
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    self, ErrorCode, Ssl, SslContext, SslMethod, SslMode, SslOptions, SslRef, SslVerifyMode, SslVersion,
};
use openssl::x509::{X509, X509StoreContext, X509StoreContextRef};
use tokio_openssl::SslStream;

use super::auth;
use super::error::{ReadError, io_text};
use super::stream::{FirstBytes, Stream};
use super::{HttpError, SetupError};
use crate::x509::{Certificate, Roots, certificates_in_pem, verify};

/// The suites of TLS 1.2 and below, in Go's order: with forward secrecy only, CBC last. Level 0 leaves the strength of
/// keys to [`crate::x509`].
const SUITES: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
                      ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
                      ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:\
                      @SECLEVEL=0";
const GROUPS: &str = "X25519MLKEM768:X25519:P-256:P-384:P-521";
const SIGNATURES: &str = "rsa_pss_rsae_sha256:ECDSA+SHA256:ed25519:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:\
                          RSA+SHA256:RSA+SHA384:RSA+SHA512:ECDSA+SHA384:ECDSA+SHA512";
/// Servers of TLS 1.0 and 1.1 sign with nothing better.
const OLD_SIGNATURES: &str = ":RSA+SHA1:ECDSA+SHA1";
/// Connects to servers that do not know RFC 5746. Nothing is renegotiated, so nothing is lost.
const LEGACY_SERVER_CONNECT: u64 = 1 << 2;

/// What tells whether certificate files are still those that were read: time and size of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TlsFiles(Vec<Option<(SystemTime, u64)>>);

impl TlsFiles {
    /// Looks at the files of a configuration.
    pub async fn stat(config: &TlsConfig) -> Self {
        let mut files = Vec::new();
        for source in [&config.ca, &config.cert, &config.key] {
            if let Some(SecretSource::File(path)) = source {
                files.push(stat(path).await);
            }
        }
        Self(files)
    }
}

async fn stat(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = tokio::fs::metadata(path).await.ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Refuses version bounds that leave nothing.
pub(super) fn check_versions(config: &TlsConfig) -> Result<(), SetupError> {
    match (config.min_version, config.max_version) {
        (Some(min), Some(max)) if min > max => Err(SetupError::TlsRange),
        _ => Ok(()),
    }
}

/// One client's TLS settings, certificates read.
#[derive(Clone)]
pub(super) struct TlsSettings {
    context: SslContext,
    /// `None` for `insecure_skip_verify`.
    roots: Option<Arc<Roots>>,
    server_name: String,
    http2: bool,
    /// Version bounds that Go finds impossible, as max_version TLS11 without a min_version.
    has_versions: bool,
}

/// What the verification of one handshake needs, and what came of it.
struct Verification {
    roots: Arc<Roots>,
    host: String,
    verdict: OnceLock<Result<(), String>>,
}

/// Where a connection keeps its [`Verification`].
static VERIFICATION: LazyLock<Option<Index<Ssl, Verification>>> = LazyLock::new(|| Ssl::new_ex_index().ok());

/// The system's authorities, read once.
async fn system_roots() -> Arc<Roots> {
    static ROOTS: LazyLock<Arc<Roots>> =
        LazyLock::new(|| Arc::new(Roots::of_system(|name| std::env::var(name).ok())));
    let roots = tokio::task::spawn_blocking(|| ROOTS.clone()).await;
    roots.unwrap_or_else(|_| Arc::new(Roots::default()))
}

impl TlsSettings {
    /// Reads certificates. With `http2` that is offered beside HTTP/1.1.
    pub async fn read(config: &TlsConfig, http2: bool) -> Result<Self, HttpError> {
        let roots = match &config.ca {
            // Read even if nothing is verified: a file that is no certificate is a mistake.
            Some(ca) => {
                let pem = auth::resolve(ca).await.map_err(|error| error.within("unable to read CA cert"))?;
                let roots = Roots::from_pem(pem.as_bytes()).ok_or_else(|| {
                    HttpError::Tls(format!("unable to use specified CA cert {}", describe(ca)))
                })?;
                Some(Arc::new(roots)).filter(|_| !config.insecure_skip_verify)
            }
            None if config.insecure_skip_verify => None,
            None => Some(system_roots().await),
        };
        let identity = match (&config.cert, &config.key) {
            (Some(cert), Some(key)) => Some(read_identity(cert, key).await?),
            _ => None,
        };
        let failed = |error: ErrorStack| HttpError::Tls(format!("cannot set up TLS: {error}"));
        Ok(Self {
            context: context(config, identity, roots.is_some()).map_err(failed)?,
            roots,
            server_name: config.server_name.clone(),
            http2,
            has_versions: config.min_version.unwrap_or(TlsVersion::Tls12)
                <= config.max_version.unwrap_or(TlsVersion::Tls13),
        })
    }

    /// Begins TLS on a connection to `host`. A proxy is spoken to in HTTP/1.1 whatever the server behind it offers.
    pub async fn connect(&self, stream: Stream, host: &str, is_proxy: bool) -> Result<Stream, HttpError> {
        if !self.has_versions {
            return Err(HttpError::Tls(
                "tls: no supported versions satisfy MinVersion and MaxVersion".to_owned(),
            ));
        }
        let failed = |error: ErrorStack| HttpError::Tls(format!("cannot set up TLS: {error}"));
        let host = if self.server_name.is_empty() { host } else { &self.server_name };
        let ssl = self.session(host, is_proxy).map_err(failed)?;
        let mut tls = Box::new(SslStream::new(ssl, FirstBytes::new(stream)).map_err(failed)?);
        let connected = Pin::new(&mut *tls).connect().await;
        if let Some(Err(error)) = verdict(tls.ssl()) {
            return Err(HttpError::Tls(format!("tls: failed to verify certificate: {error}")));
        }
        if let Err(error) = connected {
            return Err(explain(&error, tls.get_ref()));
        }
        // The handshake ends only after the verification, but a mistake there must not open a door.
        if self.roots.is_some() && verdict(tls.ssl()).is_none() {
            return Err(HttpError::Tls("tls: failed to verify certificate: it was not judged".to_owned()));
        }
        Ok(Stream::Tls(tls))
    }

    fn session(&self, host: &str, is_proxy: bool) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        if self.http2 && !is_proxy {
            ssl.set_alpn_protos(b"\x02h2\x08http/1.1")?;
        }
        // Addresses are no names of servers.
        let name = host.strip_suffix('.').unwrap_or(host);
        let address = name.split_once('%').map_or(name, |(address, _)| address);
        if address.parse::<std::net::IpAddr>().is_err() && !name.is_empty() {
            ssl.set_hostname(name)?;
        }
        if let (Some(roots), Some(index)) = (&self.roots, *VERIFICATION) {
            let verification =
                Verification { roots: roots.clone(), host: host.to_owned(), verdict: OnceLock::new() };
            ssl.set_ex_data(index, verification);
        }
        Ok(ssl)
    }
}

fn verdict(ssl: &SslRef) -> Option<Result<(), String>> {
    ssl.ex_data((*VERIFICATION)?)?.verdict.get().cloned()
}

fn context(config: &TlsConfig, identity: Option<Identity>, verified: bool) -> Result<SslContext, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    let min = config.min_version.unwrap_or(TlsVersion::Tls12);
    let max = config.max_version.unwrap_or(TlsVersion::Tls13);
    context.set_min_proto_version(Some(version(min)))?;
    context.set_max_proto_version(Some(version(max)))?;
    context.set_cipher_list(SUITES)?;
    context.set_groups_list(GROUPS)?;
    let old = if min < TlsVersion::Tls12 { OLD_SIGNATURES } else { "" };
    context.set_sigalgs_list(&format!("{SIGNATURES}{old}"))?;
    // A stream that ends without close_notify ends all the same: HTTP says whether its message is whole.
    context.set_options(
        SslOptions::IGNORE_UNEXPECTED_EOF
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::from_bits_retain(LEGACY_SERVER_CONNECT),
    );
    // Connections that are idle keep no buffers.
    context.set_mode(SslMode::RELEASE_BUFFERS);
    if let Some(identity) = identity {
        let mut chain = identity.chain.into_iter();
        if let Some(leaf) = chain.next() {
            context.set_certificate(&leaf)?;
        }
        for certificate in chain {
            context.add_extra_chain_cert(certificate)?;
        }
        context.set_private_key(&identity.key)?;
    }
    if verified {
        context.set_verify_callback(SslVerifyMode::PEER, |_, store| judge(store));
    } else {
        context.set_verify(SslVerifyMode::NONE);
    }
    Ok(context.build())
}

/// Called several times in a handshake, once for every certificate and fault that OpenSSL sees; what it thinks of them
/// does not count.
fn judge(store: &mut X509StoreContextRef) -> bool {
    let (Ok(ssl_index), Some(index)) = (X509StoreContext::ssl_idx(), *VERIFICATION) else { return false };
    let Some(ssl) = store.ex_data(ssl_index) else { return false };
    let Some(verification) = ssl.ex_data(index) else { return false };
    verification.verdict.get_or_init(|| verification.judge(ssl)).is_ok()
}

impl Verification {
    fn judge(&self, ssl: &SslRef) -> Result<(), String> {
        let sent = ssl.peer_cert_chain().into_iter().flatten();
        let chain: Vec<Certificate> =
            sent.map(|x509| Certificate::from_x509(x509.to_owned())).collect::<Result<_, _>>()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        verify(&chain, &self.roots, &self.host, i64::try_from(now).unwrap_or(i64::MAX))
    }
}

fn version(version: TlsVersion) -> SslVersion {
    match version {
        TlsVersion::Tls10 => SslVersion::TLS1,
        TlsVersion::Tls11 => SslVersion::TLS1_1,
        TlsVersion::Tls12 => SslVersion::TLS1_2,
        TlsVersion::Tls13 => SslVersion::TLS1_3,
    }
}

/// A client's own certificate, with those that lead to its authority.
struct Identity {
    chain: Vec<X509>,
    key: PKey<Private>,
}

async fn read_identity(cert: &SecretSource, key: &SecretSource) -> Result<Identity, HttpError> {
    let chain = auth::resolve(cert).await.map_err(|e| e.within("unable to read specified client cert"))?;
    let pem = auth::resolve(key).await.map_err(|e| e.within("unable to read specified client key"))?;
    let (cert, key) = (describe(cert), describe(key));
    let refuse = |why: &str| {
        HttpError::Tls(format!("unable to use specified client cert ({cert}) & key ({key}): tls: {why}"))
    };
    let chain: Vec<X509> =
        certificates_in_pem(chain.as_bytes()).iter().filter_map(|der| X509::from_der(der).ok()).collect();
    let leaf = chain.first().ok_or_else(|| refuse("failed to find any PEM data in certificate input"))?;
    // An encrypted key would make OpenSSL ask for its passphrase.
    if pem.contains("ENCRYPTED") {
        return Err(refuse("the private key is encrypted; store it without a passphrase"));
    }
    let key = PKey::private_key_from_pem(pem.as_bytes())
        .map_err(|_| refuse("failed to find or parse the PEM private key in key input"))?;
    if !leaf.public_key().is_ok_and(|public| public.public_eq(&key)) {
        return Err(refuse("private key does not match public key"));
    }
    Ok(Identity { chain, key })
}

fn describe(source: &SecretSource) -> String {
    match source {
        SecretSource::Inline(_) => "inline".to_owned(),
        SecretSource::File(path) => format!("file {}", path.display()),
        SecretSource::Reference(name) => format!("ref {name}"),
    }
}

/// Alerts of TLS in Go's words.
const ALERTS: [(i32, &str); 32] = [
    (10, "unexpected message"),
    (20, "bad record MAC"),
    (21, "decryption failed"),
    (22, "record overflow"),
    (30, "decompression failure"),
    (40, "handshake failure"),
    (42, "bad certificate"),
    (43, "unsupported certificate"),
    (44, "revoked certificate"),
    (45, "expired certificate"),
    (46, "unknown certificate"),
    (47, "illegal parameter"),
    (48, "unknown certificate authority"),
    (49, "access denied"),
    (50, "error decoding message"),
    (51, "error decrypting message"),
    (60, "export restriction"),
    (70, "protocol version not supported"),
    (71, "insufficient security level"),
    (80, "internal error"),
    (86, "inappropriate fallback"),
    (90, "user canceled"),
    (100, "no renegotiation"),
    (109, "missing extension"),
    (110, "unsupported extension"),
    (111, "certificate unobtainable"),
    (112, "unrecognized name"),
    (113, "bad certificate status response"),
    (114, "bad certificate hash value"),
    (115, "unknown PSK identity"),
    (116, "certificate required"),
    (120, "no application protocol"),
];
/// OpenSSL numbers the alerts that it got from here.
const ALERT_REASONS: i32 = 1000;
const WRONG_VERSION_NUMBER: i32 = 267;
const UNSUPPORTED_PROTOCOL: i32 = 258;

/// A failed handshake in Go's words.
fn explain(error: &ssl::Error, stream: &FirstBytes) -> HttpError {
    if let Some(error) = error.io_error() {
        return HttpError::Connection(
            ReadError::Io { text: io_text(error), addresses: stream.addresses() }.to_string(),
        );
    }
    if let Some(stack) = error.ssl_error() {
        return explain_stack(stack, stream);
    }
    match error.code() {
        ErrorCode::SYSCALL | ErrorCode::ZERO_RETURN => HttpError::Connection("EOF".to_owned()),
        _ => HttpError::Tls(format!("tls: {error}")),
    }
}

fn explain_stack(stack: &ErrorStack, stream: &FirstBytes) -> HttpError {
    let Some(error) = stack.errors().first() else {
        return HttpError::Connection("EOF".to_owned());
    };
    let reason = error.reason_code();
    if let Some(text) = alert_text(reason) {
        return HttpError::Tls(format!("remote error: tls: {text}"));
    }
    HttpError::Tls(match reason {
        WRONG_VERSION_NUMBER if stream.first() == b"HTTP/" => {
            "http: server gave HTTP response to HTTPS client".to_owned()
        }
        WRONG_VERSION_NUMBER => "tls: first record does not look like a TLS handshake".to_owned(),
        UNSUPPORTED_PROTOCOL => "tls: server selected unsupported protocol version".to_owned(),
        _ => format!("tls: {}", error.reason().unwrap_or("handshake failed")),
    })
}

fn alert_text(reason: i32) -> Option<&'static str> {
    ALERTS.iter().find(|(alert, _)| ALERT_REASONS + alert == reason).map(|(_, text)| *text)
}

/// An error while reading or writing data after the handshake, as an alert that came instead of data.
pub(super) fn io_alert(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<ssl::Error>()?;
    let reason = error.ssl_error()?.errors().first()?.reason_code();
    alert_text(reason).map(|text| format!("remote error: tls: {text}"))
}
