//! TLS settings: certificates from text or files, versions, names.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use config::http_client::{SecretSource, TlsConfig, TlsVersion};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};

use super::auth;
use super::{HttpError, SetupError};

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
    if let Some(max @ (TlsVersion::Tls10 | TlsVersion::Tls11)) = config.max_version {
        return Err(SetupError::TlsVersion(max.as_str()));
    }
    match (config.min_version, config.max_version) {
        (Some(min), Some(max)) if min > max => Err(SetupError::TlsRange),
        _ => Ok(()),
    }
}

fn versions(config: &TlsConfig) -> Vec<&'static SupportedProtocolVersion> {
    let mut versions = Vec::new();
    if config.min_version != Some(TlsVersion::Tls13) {
        versions.push(&rustls::version::TLS12);
    }
    if config.max_version != Some(TlsVersion::Tls12) {
        versions.push(&rustls::version::TLS13);
    }
    versions
}

/// Reads certificates and builds what rustls needs. With `http2` both protocols are offered.
pub(super) async fn client_config(config: &TlsConfig, http2: bool) -> Result<Arc<ClientConfig>, HttpError> {
    let text = |error: rustls::Error| HttpError::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(config))
        .map_err(text)?;
    let builder = if config.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else {
        builder.with_root_certificates(roots(config).await?)
    };
    let mut tls = match (&config.cert, &config.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert, "client certificate").await?;
            let key = PrivateKeyDer::from_pem_slice(auth::resolve(key).await?.as_bytes())
                .map_err(|error| HttpError::Tls(format!("unable to use private key: {error}")))?;
            builder.with_client_auth_cert(chain, key).map_err(text)?
        }
        _ => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { Vec::new() };
    Ok(Arc::new(tls))
}

async fn roots(config: &TlsConfig) -> Result<RootCertStore, HttpError> {
    let mut roots = RootCertStore::empty();
    match &config.ca {
        Some(ca) => {
            for certificate in certificates(ca, "CA certificate").await? {
                roots.add(certificate).map_err(|error| HttpError::Tls(error.to_string()))?;
            }
        }
        None => {
            // Reads many files.
            let system = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
            let system = system.map_err(|error| HttpError::Tls(error.to_string()))?;
            roots.add_parsable_certificates(system.certs);
        }
    }
    Ok(roots)
}

async fn certificates(source: &SecretSource, what: &str) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let pem = auth::resolve(source).await?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| HttpError::Tls(format!("unable to use {what}: {error}")))?;
    if chain.is_empty() {
        return Err(HttpError::Tls(format!("unable to use {what}: no certificate found")));
    }
    Ok(chain)
}

/// `insecure_skip_verify`: the certificate is not verified; that the handshake belongs to it still is.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
