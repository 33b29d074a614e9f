//! How to talk to an HTTP server: credentials, TLS, proxy, headers. One checked type for scraping, HTTP-based
//! discovery, Alertmanagers and remote storage; it appears inline in each of their sections.

use std::fmt;
use std::path::PathBuf;

use super::context::Context;
use super::fields::{Fields, Number, boolean, number};
use super::url::GoUrl;
use super::yaml::{Fault, Node, Value};

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
    /// The credentials that it sends.
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

/// Proxy settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxyConfig {
    /// `proxy_url`.
    pub url: Option<GoUrl>,
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

/// Headers that requests set by themselves.
const RESERVED_HEADERS: [&str; 18] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "user-agent",
    "www-authenticate",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
];

impl HttpClientConfig {
    /// Reads the client's fields out of the section in which they stand inline.
    pub fn read(f: &mut Fields<'_>, cx: &Context<'_>, http2_by_default: bool) -> Result<Self, Fault> {
        let basic = f.section("basic_auth", |f| BasicAuth::read(f, cx))?;
        let authorization = f.section("authorization", |f| Authorization::read(f, cx))?;
        let oauth2 = f.section("oauth2", |f| OAuth2::read(f, cx))?;
        let bearer_token = f.secret("bearer_token")?;
        let bearer_token_file = f.text("bearer_token_file", "")?;
        let bearer = match (bearer_token.is_empty(), bearer_token_file.is_empty()) {
            (true, true) => None,
            (false, true) => Some(SecretSource::Inline(bearer_token)),
            (true, false) => Some(SecretSource::File(cx.path(&bearer_token_file).into())),
            (false, false) => {
                return Err(f.fault(
                    "bearer_token_file",
                    "at most one of bearer_token & bearer_token_file must be configured",
                ));
            }
        };
        let auth = match (basic, authorization, oauth2, bearer) {
            (None, None, None, None) => Auth::None,
            (Some(basic), None, None, None) => Auth::Basic(basic),
            (None, Some(authorization), None, None) => Auth::Authorization(authorization),
            (None, None, Some(oauth2), None) => Auth::OAuth2(Box::new(oauth2)),
            (None, None, None, Some(credentials)) => Auth::Authorization(Authorization {
                scheme: "Bearer".to_owned(),
                credentials: Some(credentials),
            }),
            (_, Some(_), _, Some(_)) => {
                return Err(f.fault(
                    "authorization",
                    "authorization is not compatible with bearer_token & bearer_token_file",
                ));
            }
            (_, _, _, Some(_)) => {
                let field = if f.has("bearer_token") { "bearer_token" } else { "bearer_token_file" };
                return Err(f.fault(
                    field,
                    "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
                ));
            }
            _ => {
                let field = if f.has("authorization") { "authorization" } else { "oauth2" };
                return Err(
                    f.fault(field, "at most one of basic_auth, oauth2 & authorization must be configured")
                );
            }
        };
        Ok(Self {
            auth,
            tls: TlsConfig::read(f, cx)?,
            follow_redirects: f.bool("follow_redirects", true)?,
            enable_http2: f.bool("enable_http2", http2_by_default)?,
            proxy: ProxyConfig::read(f)?,
            headers: read_headers(f, cx)?,
        })
    }
}

/// Which of `name`, `name_file`, `name_ref` is given, if any; more than one is a fault with this message.
fn read_source(
    f: &mut Fields<'_>,
    cx: &Context<'_>,
    [inline, file, reference]: [&'static str; 3],
    message: &str,
) -> Result<Option<SecretSource>, Fault> {
    let sources = [
        Some(f.secret(inline)?).filter(|s| !s.is_empty()).map(SecretSource::Inline),
        Some(f.text(file, "")?)
            .filter(|s| !s.is_empty())
            .map(|path| SecretSource::File(cx.path(&path).into())),
        Some(f.text(reference, "")?).filter(|s| !s.is_empty()).map(SecretSource::Reference),
    ];
    let mut given = sources.into_iter().flatten();
    let first = given.next();
    if given.next().is_some() {
        return Err(f.fault(if f.has(file) { file } else { reference }, message));
    }
    if let Some(SecretSource::Reference(_)) = first {
        let pos = f.fault(reference, "").pos;
        cx.note(pos, f.path_of(reference), "there is no secret manager; requests that need it will fail");
    }
    Ok(first)
}

impl BasicAuth {
    fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
        let basic = Self {
            username: read_source(
                &mut f,
                cx,
                ["username", "username_file", "username_ref"],
                "at most one of basic_auth username, username_file & username_ref must be configured",
            )?,
            password: read_source(
                &mut f,
                cx,
                ["password", "password_file", "password_ref"],
                "at most one of basic_auth password, password_file & password_ref must be configured",
            )?,
        };
        f.finish()?;
        Ok(basic)
    }
}

impl Authorization {
    fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
        let scheme = f.text("type", "")?;
        let scheme = match scheme.trim() {
            "" => "Bearer".to_owned(),
            scheme if scheme.eq_ignore_ascii_case("basic") => {
                let message = "authorization type cannot be set to \"basic\", use \"basic_auth\" instead";
                return Err(f.fault("type", message));
            }
            scheme => scheme.to_owned(),
        };
        let credentials = read_source(
            &mut f,
            cx,
            ["credentials", "credentials_file", "credentials_ref"],
            "at most one of authorization credentials & credentials_file must be configured",
        )?;
        f.finish()?;
        Ok(Self { scheme, credentials })
    }
}

impl OAuth2 {
    fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
        let grant_type = f.text("grant_type", "")?;
        let jwt = grant_type == GRANT_TYPE_JWT_BEARER;
        let oauth2 = Self {
            client_id: f.text("client_id", "")?,
            client_secret: read_source(
                &mut f,
                cx,
                ["client_secret", "client_secret_file", "client_secret_ref"],
                "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured",
            )?,
            client_certificate_key_id: f.text("client_certificate_key_id", "")?,
            client_certificate_key: read_source(
                &mut f,
                cx,
                ["client_certificate_key", "client_certificate_key_file", "client_certificate_key_ref"],
                "at most one of oauth2 client_certificate_key, client_certificate_key_file & \
                 client_certificate_key_ref must be configured",
            )?,
            grant_type,
            signature_algorithm: f.text("signature_algorithm", "")?,
            iss: f.text("iss", "")?,
            audience: f.text("audience", "")?,
            claims: f.map("claims", |node, _| Ok(json(node)))?,
            scopes: f.texts("scopes")?,
            token_url: f.text("token_url", "")?,
            endpoint_params: f.text_map("endpoint_params")?,
            tls: TlsConfig::read(&mut f, cx)?,
            proxy: ProxyConfig::read(&mut f)?,
        };
        f.finish()?;
        if oauth2.client_id.is_empty() {
            return Err(f.fault("client_id", "oauth2 client_id must be configured"));
        }
        if oauth2.token_url.is_empty() {
            return Err(f.fault("token_url", "oauth2 token_url must be configured"));
        }
        if jwt && !["", "RS256", "RS384", "RS512"].contains(&oauth2.signature_algorithm.as_str()) {
            return Err(
                f.fault("signature_algorithm", "valid signature algorithms are RS256, RS384 and RS512")
            );
        }
        f.finish()?;
        Ok(oauth2)
    }
}

/// A value of any shape, for claims.
fn json(node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        _ if node.is_null() => Json::Null,
        Value::Sequence(items) => Json::Array(items.iter().map(json).collect()),
        Value::Mapping(entries) => {
            Json::Object(entries.iter().map(|e| (e.key.clone(), json(&e.value))).collect())
        }
        Value::Scalar(scalar) => match (number(node), boolean(node)) {
            (Some(Number::Int(n)), _) => Json::from(n),
            (Some(Number::Uint(n)), _) => Json::from(n),
            (Some(Number::Float(n)), _) => Json::from(n),
            (None, Ok(b)) => Json::from(b),
            (None, Err(_)) => Json::from(scalar.text.as_str()),
        },
    }
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

impl ProxyConfig {
    fn read(f: &mut Fields<'_>) -> Result<Self, Fault> {
        let proxy = Self {
            url: f.url("proxy_url")?,
            no_proxy: f.text("no_proxy", "")?,
            from_environment: f.bool("proxy_from_environment", false)?,
            connect_header: f.map("proxy_connect_header", read_secrets)?,
        };
        let has_url = proxy.url.as_ref().is_some_and(|url| !url.reveal().is_empty());
        let fault = |field, message| Err(f.fault(field, message));
        if !proxy.connect_header.is_empty() && !proxy.from_environment && !has_url {
            return fault(
                "proxy_connect_header",
                "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
            );
        }
        if proxy.from_environment && has_url {
            return fault(
                "proxy_url",
                "if proxy_from_environment is configured, proxy_url must not be configured",
            );
        }
        if proxy.from_environment && !proxy.no_proxy.is_empty() {
            return fault(
                "no_proxy",
                "if proxy_from_environment is configured, no_proxy must not be configured",
            );
        }
        if proxy.url.is_none() && !proxy.no_proxy.is_empty() {
            return fault("no_proxy", "if no_proxy is configured, proxy_url must also be configured");
        }
        Ok(proxy)
    }
}

fn read_secrets(node: &Node, path: &str) -> Result<Vec<Secret>, Fault> {
    match &node.value {
        _ if node.is_null() => Ok(Vec::new()),
        Value::Sequence(items) => items
            .iter()
            .map(|item| match item.scalar() {
                Some(_) if item.is_null() => Ok(Secret::default()),
                Some(scalar) => Ok(Secret::new(&scalar.text)),
                None => {
                    Err(Fault::new(item.pos, format!("{path}: expected a text, found {}", item.describe())))
                }
            })
            .collect(),
        // What stands here may be a secret: do not repeat it.
        Value::Scalar(_) | Value::Mapping(_) => {
            Err(Fault::new(node.pos, format!("{path}: expected a list of texts")))
        }
    }
}

fn read_headers(f: &mut Fields<'_>, cx: &Context<'_>) -> Result<Vec<Header>, Fault> {
    let headers = f.map("http_headers", |node, path| {
        let mut f = Fields::new(node, path)?;
        let header = Header {
            name: String::new(),
            values: f.texts("values")?,
            secrets: match f.node("secrets") {
                Some(node) => read_secrets(node, &f.path_of("secrets"))?,
                None => Vec::new(),
            },
            files: f.texts("files")?.iter().map(|file| cx.path(file).into()).collect(),
        };
        let pos = f.pos();
        f.finish()?;
        Ok((header, pos))
    })?;
    let named = |(name, (header, pos)): (String, (Header, _))| {
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(Fault::new(pos, format!("setting header {name:?} is not allowed")));
        }
        Ok(Header { name, ..header })
    };
    headers.into_iter().map(named).collect()
}

/// Checks the `headers` of remote write, remote read and tracing.
pub fn check_plain_headers(
    f: &Fields<'_>,
    headers: &[(String, String)],
    authorization_message: &str,
) -> Result<(), Fault> {
    for (name, _) in headers {
        let lower = name.to_ascii_lowercase();
        if lower == "authorization" {
            return Err(f.fault("headers", authorization_message));
        }
        // The scrape timeout header is reserved for scraping only.
        if RESERVED_HEADERS.contains(&lower.as_str()) && !lower.starts_with("x-prometheus-scrape") {
            return Err(f.fault("headers", format!("{name} is a reserved header. It must not be changed")));
        }
    }
    Ok(())
}
