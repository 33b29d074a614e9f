//! The ways of authentication: basic, `Authorization`, OAuth 2.0.

use super::proxy::ProxyConfig;
use super::tls::TlsConfig;
use crate::context::Context;
use crate::secret::{SecretSource, read_source};
use crate::yaml::fields::{Fields, Number, boolean, number};
use crate::yaml::{Fault, Node, Value};

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

impl BasicAuth {
    pub(super) fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
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
    pub(super) fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
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
    pub(super) fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
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
