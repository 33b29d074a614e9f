//! How to talk to an HTTP server: credentials, TLS, proxy, headers. One checked type for scraping, HTTP-based
//! discovery, Alertmanagers and remote storage; it appears inline in each of their sections.

mod auth;
mod headers;
mod proxy;
mod tls;

use crate::context::Context;
use crate::yaml::Fault;
use crate::yaml::fields::Fields;
use headers::read_headers;

pub use crate::secret::{Secret, SecretSource};
pub use auth::{Auth, Authorization, BasicAuth, GRANT_TYPE_JWT_BEARER, OAuth2};
pub use headers::{Header, check_plain_headers};
pub use proxy::ProxyConfig;
pub use tls::{TlsConfig, TlsVersion};

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
