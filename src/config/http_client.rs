//! How to talk to an HTTP server: credentials, TLS, proxy, headers. One checked type for scraping, HTTP-based
//! discovery, Alertmanagers and remote storage; it appears inline in each of their sections.

use std::fmt;
use std::path::PathBuf;

/// Text that must not be shown. Prints as `<secret>`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where a secret text comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// Written in the configuration.
    Inline(Secret),
    /// In a file, read again for each request, white space at both ends removed.
    File(PathBuf),
    /// By name in a secret manager (`*_ref`). Prometheus itself has none configured: use fails.
    Reference(String),
}

/// How an HTTP client behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpClientConfig {
    /// Who we say we are.
    pub auth: Auth,
    /// Certificates and TLS versions.
    pub tls: TlsConfig,
    /// Follow 3xx answers (never taking credentials to another host). Default true.
    pub follow_redirects: bool,
    /// Offer HTTP/2 over TLS. Default true, except for remote write.
    pub enable_http2: bool,
    /// Proxy to go through.
    pub proxy: ProxyConfig,
    /// Extra request headers, sorted by name; none of the reserved ones.
    pub headers: Vec<Header>,
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            auth: Auth::None,
            tls: TlsConfig::default(),
            follow_redirects: true,
            enable_http2: true,
            proxy: ProxyConfig::default(),
            headers: Vec::new(),
        }
    }
}

/// The one way of authentication that a client uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Auth {
    /// None.
    #[default]
    None,
    /// `basic_auth`.
    Basic(BasicAuth),
    /// `authorization`, also what `bearer_token` and `bearer_token_file` mean.
    Authorization(Authorization),
    /// `oauth2`.
    OAuth2(Box<OAuth2>),
}

/// HTTP basic authentication. A part that is not given is sent empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasicAuth {
    /// User name; not secret when inline.
    pub username: Option<SecretSource>,
    /// Password.
    pub password: Option<SecretSource>,
}

/// `Authorization: <scheme> <credentials>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// `Bearer` unless given; never `basic`.
    pub scheme: String,
    /// What follows the scheme; empty when not given.
    pub credentials: Option<SecretSource>,
}

/// OAuth 2.0 client: client credentials, or a signed assertion (RFC 7523).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OAuth2 {
    /// Required.
    pub client_id: String,
    /// Shared secret of the client credentials grant.
    pub client_secret: Option<SecretSource>,
    /// `kid` of the assertion.
    pub client_certificate_key_id: String,
    /// PEM private key that signs the assertion.
    pub client_certificate_key: Option<SecretSource>,
    /// "" or `client_credentials`, or `urn:ietf:params:oauth:grant-type:jwt-bearer`.
    pub grant_type: String,
    /// "", `RS256`, `RS384` or `RS512`.
    pub signature_algorithm: String,
    /// Issuer of the assertion; "" means the client id.
    pub iss: String,
    /// Audience of the assertion; "" means the token URL.
    pub audience: String,
    /// Further claims of the assertion.
    pub claims: Vec<(String, serde_json::Value)>,
    /// Requested scopes.
    pub scopes: Vec<String>,
    /// Where tokens come from; required.
    pub token_url: String,
    /// Further form parameters of the token request, sorted by name.
    pub endpoint_params: Vec<(String, String)>,
    /// TLS of the token endpoint.
    pub tls: TlsConfig,
    /// Proxy to the token endpoint.
    pub proxy: ProxyConfig,
}

/// The grant type that signs an assertion.
pub const GRANT_TYPE_JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

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
    /// PEM text or file (never a `Reference` that works) of the authorities to trust instead of the system's.
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

/// Proxy settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxyConfig {
    /// `proxy_url`.
    pub url: Option<super::url::GoUrl>,
    /// `no_proxy`: comma separated hosts, domains, addresses, CIDRs, each with an optional port.
    pub no_proxy: String,
    /// Use HTTP_PROXY, HTTPS_PROXY, NO_PROXY; excludes the two above.
    pub from_environment: bool,
    /// Headers sent to the proxy with CONNECT, sorted by name.
    pub connect_header: Vec<(String, Vec<Secret>)>,
}

/// One extra request header. Values go first, then secrets, then files' contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Name as written.
    pub name: String,
    /// Values in the open.
    pub values: Vec<String>,
    /// Secret values.
    pub secrets: Vec<Secret>,
    /// Files that hold a value each, read for each request, trimmed.
    pub files: Vec<PathBuf>,
}
