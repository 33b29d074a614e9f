//! Credentials: reading secrets, and the Authorization header.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config::http_client::{Auth, SecretSource};
use config::url::GoUrl;
use hyper::header::HeaderValue;

use super::oauth2::Tokens;
use super::{HttpError, SetupError};

/// The text of a secret, read now if it is in a file.
pub(super) async fn resolve(source: &SecretSource) -> Result<String, HttpError> {
    match source {
        SecretSource::Inline(secret) => Ok(secret.reveal().to_owned()),
        SecretSource::File(path) => read_secret(path).await,
        SecretSource::Reference(name) => Err(HttpError::SecretReference(name.clone())),
    }
}

pub(super) async fn resolve_optional(source: Option<&SecretSource>) -> Result<String, HttpError> {
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
pub(super) fn from_url(url: &GoUrl) -> Option<HeaderValue> {
    let (user, password) = url.credentials()?;
    basic(&user, &password).ok()
}

pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue, HttpError> {
    sensitive(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

pub(super) fn sensitive(text: String) -> Result<HeaderValue, HttpError> {
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
                let user = resolve_optional(credentials.username.as_ref()).await;
                let user = user.map_err(|error| error.within("unable to read basic auth username"))?;
                let password = resolve_optional(credentials.password.as_ref()).await;
                let password =
                    password.map_err(|error| error.within("unable to read basic auth password"))?;
                basic(&user, &password).map(Some)
            }
            Auth::Authorization(authorization) => {
                let credentials = resolve_optional(authorization.credentials.as_ref()).await;
                let credentials =
                    credentials.map_err(|e| e.within("unable to read authorization credentials"))?;
                sensitive(format!("{} {credentials}", authorization.scheme)).map(Some)
            }
            Auth::OAuth2(_) => match &self.tokens {
                Some(tokens) => tokens.header().await.map(Some),
                None => Ok(None),
            },
        }
    }
}
