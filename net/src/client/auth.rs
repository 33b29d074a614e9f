//! Credentials: reading secrets, the Authorization header, OAuth 2.0 tokens.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use config::http_client::{Auth, GRANT_TYPE_JWT_BEARER, HttpClientConfig, OAuth2, SecretSource};
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::{HttpClient, HttpError, Request, SetupError};

/// A token is renewed this long before it ends.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);
/// Answers of token endpoints are small.
const MAX_TOKEN_BODY: u64 = 1 << 20;
/// Fetching a token ends with its request's deadline; this bounds a request that has a very long one.
const TOKEN_DEADLINE: Duration = Duration::from_secs(60);
/// How long a signed assertion is valid.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(3600);

/// The text of a secret, read now if it is in a file.
pub(super) async fn resolve(source: &SecretSource) -> Result<String, HttpError> {
    match source {
        SecretSource::Inline(secret) => Ok(secret.reveal().to_owned()),
        SecretSource::File(path) => read_secret(path).await,
        SecretSource::Reference(name) => Err(HttpError::SecretReference(name.clone())),
    }
}

async fn resolve_optional(source: Option<&SecretSource>) -> Result<String, HttpError> {
    match source {
        Some(source) => resolve(source).await,
        None => Ok(String::new()),
    }
}

/// A file's text without white space around it.
pub(super) async fn read_secret(path: &Path) -> Result<String, HttpError> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(HttpError::File { path: path.to_owned(), reason: super::error::io_text(&error) }),
    }
}

/// Basic credentials in a URL.
pub(super) fn from_url(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| {
        let bytes = form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
            .next()
            .map(|(_, value)| value.into_owned());
        bytes.unwrap_or_default()
    };
    basic(&decode(url.username()), &decode(url.password().unwrap_or_default())).ok()
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, HttpError> {
    sensitive(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

fn sensitive(text: String) -> Result<HeaderValue, HttpError> {
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| HttpError::Header("Authorization".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Makes the Authorization header of a client's requests.
pub(super) struct Authenticator {
    auth: Auth,
    tokens: Option<Tokens>,
}

impl Authenticator {
    pub fn new(auth: &Auth, user_agent: &str) -> Result<Self, SetupError> {
        let tokens = match auth {
            Auth::OAuth2(oauth2) => Some(Tokens::new(oauth2, user_agent)?),
            _ => None,
        };
        Ok(Self { auth: auth.clone(), tokens })
    }

    /// The header's value, if there is to be one.
    pub async fn header(&self) -> Result<Option<HeaderValue>, HttpError> {
        match &self.auth {
            Auth::None => Ok(None),
            Auth::Basic(credentials) => {
                let user = resolve_optional(credentials.username.as_ref()).await?;
                let password = resolve_optional(credentials.password.as_ref()).await?;
                basic(&user, &password).map(Some)
            }
            Auth::Authorization(authorization) => {
                let credentials = resolve_optional(authorization.credentials.as_ref()).await?;
                sensitive(format!("{} {credentials}", authorization.scheme)).map(Some)
            }
            Auth::OAuth2(_) => match &self.tokens {
                Some(tokens) => tokens.header().await.map(Some),
                None => Ok(None),
            },
        }
    }
}

/// Fetches tokens and keeps the last one while it is valid.
struct Tokens {
    config: OAuth2,
    url: Url,
    client: Box<HttpClient>,
    current: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    /// `None` for a token without end.
    until: Option<Instant>,
    /// The secret with which it was obtained; another one in the file makes the token void.
    secret: Arc<str>,
}

impl Tokens {
    fn new(config: &OAuth2, user_agent: &str) -> Result<Self, SetupError> {
        let http = HttpClientConfig {
            tls: config.tls.clone(),
            proxy: config.proxy.clone(),
            ..HttpClientConfig::default()
        };
        let url =
            Url::parse(&config.token_url).map_err(|_| SetupError::TokenUrl(config.token_url.clone()))?;
        let client = Box::new(HttpClient::new(&http, user_agent)?);
        Ok(Self { config: config.clone(), url, client, current: Mutex::new(None) })
    }

    async fn header(&self) -> Result<HeaderValue, HttpError> {
        let source = match self.config.grant_type.as_str() {
            GRANT_TYPE_JWT_BEARER => self.config.client_certificate_key.as_ref(),
            _ => self.config.client_secret.as_ref(),
        };
        let secret: Arc<str> = resolve_optional(source).await?.into();
        // Held while fetching: many requests at once need one token only.
        let mut current = self.current.lock().await;
        if let Some(token) = &*current
            && token.secret == secret
            && token.until.is_none_or(|until| Instant::now() < until)
        {
            return Ok(token.header.clone());
        }
        *current = None;
        let token = self.fetch(&secret).await?;
        Ok(current.insert(token).header.clone())
    }

    async fn fetch(&self, secret: &Arc<str>) -> Result<Token, HttpError> {
        if self.config.grant_type == GRANT_TYPE_JWT_BEARER {
            let assertion = self.assertion(secret)?;
            let form = [("grant_type", GRANT_TYPE_JWT_BEARER), ("assertion", &assertion)];
            return self.ask(&form, None, secret).await.map_err(|(_, error)| error);
        }
        let form = [("grant_type", "client_credentials")];
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let credentials = basic(&encode(&self.config.client_id), &encode(secret))?;
        match self.ask(&form, Some(credentials), secret).await {
            Ok(token) => Ok(token),
            // Some servers take the credentials in the form only.
            Err((Some(status), _)) if status.is_client_error() => {
                let form = [
                    ("grant_type", "client_credentials"),
                    ("client_id", self.config.client_id.as_str()),
                    ("client_secret", secret),
                ];
                self.ask(&form, None, secret).await.map_err(|(_, error)| error)
            }
            Err((_, error)) => Err(error),
        }
    }

    async fn ask(
        &self,
        form: &[(&str, &str)],
        authorization: Option<HeaderValue>,
        secret: &Arc<str>,
    ) -> Result<Token, (Option<StatusCode>, HttpError)> {
        // A serializer cannot be held while waiting.
        let body = {
            let mut body = form_urlencoded::Serializer::new(String::new());
            body.extend_pairs(form);
            if !self.config.scopes.is_empty() {
                body.append_pair("scope", &self.config.scopes.join(" "));
            }
            body.extend_pairs(&self.config.endpoint_params);
            body.finish()
        };
        let mut request = Request::post(self.url.clone(), "application/x-www-form-urlencoded", body);
        if let Some(value) = authorization {
            request.headers.insert(header::AUTHORIZATION, value);
        }
        // Boxed because a client holds an authenticator, which holds a client.
        let response = Box::pin(self.client.send(request, TOKEN_DEADLINE)).await.map_err(|e| (None, e))?;
        let status = response.status;
        let body = response.read(MAX_TOKEN_BODY, Vec::new()).await.map_err(|e| (Some(status), e))?;
        if !status.is_success() {
            let text: String = String::from_utf8_lossy(&body).chars().take(512).collect();
            let error = HttpError::Token(format!("cannot fetch token: {status}\nResponse: {text}"));
            return Err((Some(status), error));
        }
        parse_token(&body, secret).map_err(|error| (Some(status), error))
    }

    /// A signed JWT that identifies the client (RFC 7523).
    fn assertion(&self, key: &str) -> Result<String, HttpError> {
        let failed = |what: String| HttpError::Token(what);
        let (name, scheme) = match self.config.signature_algorithm.as_str() {
            "RS384" => ("RS384", SignatureScheme::RSA_PKCS1_SHA384),
            "RS512" => ("RS512", SignatureScheme::RSA_PKCS1_SHA512),
            _ => ("RS256", SignatureScheme::RSA_PKCS1_SHA256),
        };
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| failed(format!("private key: {error}")))?;
        let key = rustls::crypto::ring::sign::any_supported_type(&key)
            .map_err(|error| failed(format!("private key: {error}")))?;
        let signer =
            key.choose_scheme(&[scheme]).ok_or_else(|| failed(format!("private key cannot sign {name}")))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
        let mut claims = serde_json::Map::new();
        claims.extend(self.config.claims.iter().cloned());
        claims.insert("iss".to_owned(), or(&self.config.iss, &self.config.client_id).into());
        claims.insert("sub".to_owned(), self.config.client_id.clone().into());
        claims.insert("aud".to_owned(), or(&self.config.audience, &self.config.token_url).into());
        claims.insert("iat".to_owned(), now.as_secs().into());
        claims.insert("exp".to_owned(), (now + ASSERTION_LIFETIME).as_secs().into());
        claims.insert("jti".to_owned(), format!("{:x}", now.as_nanos()).into());
        let mut head = json!({"alg": name, "typ": "JWT"});
        if !self.config.client_certificate_key_id.is_empty() {
            head["kid"] = self.config.client_certificate_key_id.clone().into();
        }
        let claims = serde_json::Value::Object(claims);
        let encode = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&head), encode(&claims));
        let signature = signer.sign(message.as_bytes()).map_err(|error| failed(error.to_string()))?;
        Ok(format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn parse_token(body: &[u8], secret: &Arc<str>) -> Result<Token, HttpError> {
    let answer: serde_json::Value = serde_json::from_slice(body)
        .map_err(|error| HttpError::Token(format!("cannot parse json: {error}")))?;
    let token = answer["access_token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(HttpError::Token("server response missing access_token".to_owned()));
    }
    let kind = match answer["token_type"].as_str() {
        None | Some("") => "Bearer",
        Some(kind) if kind.eq_ignore_ascii_case("bearer") => "Bearer",
        Some(kind) => kind,
    };
    // Seconds; some servers send them as text.
    let seconds = match &answer["expires_in"] {
        serde_json::Value::String(text) => text.parse().unwrap_or(0),
        other => other.as_u64().unwrap_or(0),
    };
    let lifetime = Duration::from_secs(seconds.min(365 * 86_400)).saturating_sub(EXPIRY_MARGIN);
    Ok(Token {
        header: sensitive(format!("{kind} {token}"))?,
        until: (seconds > 0).then(|| Instant::now() + lifetime),
        secret: secret.clone(),
    })
}
