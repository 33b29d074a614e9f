//! Tokens for Google's APIs, from where Google's own clients look: a file that the environment names, gcloud's file, the
//! metadata server. Source: "How Application Default Credentials works" of Google Cloud's documentation.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::http_client::{
    Auth, GRANT_TYPE_JWT_BEARER, HttpClientConfig, OAuth2, ProxyConfig, Secret, SecretSource,
};
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use net::client::Request;
use serde::Deserialize;

use crate::error::RefreshError;
use crate::rest::{Answer, Api};
use crate::url::join;

const SCOPE: &str = "https://www.googleapis.com/auth/compute.readonly";
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
const METADATA_HOST: &str = "169.254.169.254";
const METADATA_FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
/// A token is renewed this long before it ends.
const EXPIRY_MARGIN: Duration = Duration::from_secs(225);

/// Looks up a variable of the environment.
pub type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A client of Google's APIs.
pub struct Authorized {
    api: Api,
    /// Where tokens come from, unless the client has its own.
    metadata: Option<Metadata>,
}

/// The server that knows what the instance may do.
struct Metadata {
    api: Api,
    request: Request,
    token: Option<(HeaderValue, Instant)>,
}

/// A file of credentials.
#[derive(Deserialize)]
struct Key {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    client_email: String,
    #[serde(default)]
    private_key: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(default)]
    token_uri: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
    #[serde(default)]
    refresh_token: String,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: u32,
}

impl Authorized {
    /// Finds out where tokens come from. A request may take as long as `timeout`.
    pub async fn find(variables: &Variables, timeout: Duration) -> Result<Self, RefreshError> {
        let in_file = match read_key(variables).await? {
            Some((path, text)) => Some(oauth2(&text).map_err(|reason| {
                RefreshError::Credentials(format!("Google credentials in {}: {reason}", path.display()))
            })?),
            None => None,
        };
        let metadata = match in_file {
            Some(_) => None,
            None => Some(Metadata::new(variables, timeout)?),
        };
        let auth = in_file.unwrap_or_default();
        // As Google's own clients, by the environment's proxy.
        let proxy = ProxyConfig { from_environment: true, ..ProxyConfig::default() };
        let config = HttpClientConfig { auth, proxy, ..HttpClientConfig::default() };
        Ok(Self { api: client(&config, timeout)?, metadata })
    }

    /// The answer, if it is a good one.
    pub async fn ask(&mut self, mut request: Request) -> Result<Answer, RefreshError> {
        if let Some(metadata) = &mut self.metadata {
            let token = metadata.token().await;
            let token = token.map_err(|error| {
                error.within(
                    "there is no file of credentials (GOOGLE_APPLICATION_CREDENTIALS), and the metadata server gives no \
                     token",
                )
            })?;
            request.headers.insert(AUTHORIZATION, token);
        }
        self.api.ask(&request).await
    }
}

impl Metadata {
    fn new(variables: &Variables, timeout: Duration) -> Result<Self, RefreshError> {
        let host = variables("GCE_METADATA_HOST").unwrap_or_else(|| METADATA_HOST.to_owned());
        let path = "computeMetadata/v1/instance/service-accounts/default/token";
        let mut request = Request::get(join(&format!("http://{host}"), path, [("scopes", SCOPE)])?);
        request.headers.insert(METADATA_FLAVOR, HeaderValue::from_static("Google"));
        Ok(Self { api: client(&HttpClientConfig::default(), timeout)?, request, token: None })
    }

    async fn token(&mut self) -> Result<HeaderValue, RefreshError> {
        if let Some((token, until)) = &self.token
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let answer = self.api.ask(&self.request).await?;
        // An error's text could quote the token.
        let token: Token = answer.json().map_err(|_| answer.wrong("the answer holds no token"))?;
        let mut header = HeaderValue::from_str(&format!("Bearer {}", token.access_token))
            .map_err(|_| answer.wrong("the token cannot be sent"))?;
        header.set_sensitive(true);
        let lifetime = Duration::from_secs(token.expires_in.into()).saturating_sub(EXPIRY_MARGIN);
        self.token = Some((header.clone(), Instant::now() + lifetime));
        Ok(header)
    }
}

fn client(config: &HttpClientConfig, timeout: Duration) -> Result<Api, RefreshError> {
    Api::new(config, timeout).map_err(|error| RefreshError::Credentials(error.to_string()))
}

/// The file of credentials. Only the one that the environment names must be there.
async fn read_key(variables: &Variables) -> Result<Option<(PathBuf, Vec<u8>)>, RefreshError> {
    if let Some(path) = variables("GOOGLE_APPLICATION_CREDENTIALS") {
        let path = PathBuf::from(path);
        return match tokio::fs::read(&path).await {
            Ok(text) => Ok(Some((path, text))),
            Err(error) => {
                let text = format!("GOOGLE_APPLICATION_CREDENTIALS: {}: {error}", path.display());
                Err(RefreshError::Credentials(text))
            }
        };
    }
    let Some(home) = variables("HOME") else { return Ok(None) };
    let path = Path::new(&home).join(".config/gcloud/application_default_credentials.json");
    match tokio::fs::read(&path).await {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(RefreshError::Credentials(format!("{}: {error}", path.display()))),
    }
}

/// How the client of these credentials gets its tokens.
fn oauth2(text: &[u8]) -> Result<Auth, String> {
    // The error's text could quote the key.
    let key: Key = serde_json::from_slice(text).map_err(|error| {
        format!("no such JSON as expected, line {}, column {}", error.line(), error.column())
    })?;
    let secret = |text: &str| Some(SecretSource::Inline(Secret::new(text)));
    let token_url = if key.token_uri.is_empty() { TOKEN_URL.to_owned() } else { key.token_uri.clone() };
    let oauth2 = match key.kind.as_str() {
        "service_account" => OAuth2 {
            client_id: key.client_email.clone(),
            client_certificate_key: secret(&key.private_key),
            client_certificate_key_id: key.private_key_id.clone(),
            grant_type: GRANT_TYPE_JWT_BEARER.to_owned(),
            scopes: vec![SCOPE.to_owned()],
            token_url,
            ..OAuth2::default()
        },
        "authorized_user" => OAuth2 {
            client_id: key.client_id.clone(),
            client_secret: secret(&key.client_secret),
            endpoint_params: vec![
                ("grant_type".to_owned(), "refresh_token".to_owned()),
                ("refresh_token".to_owned(), key.refresh_token.clone()),
            ],
            token_url,
            ..OAuth2::default()
        },
        kind => {
            return Err(format!(
                "type {kind:?} is not known; use the key of a service account, gcloud's application default \
                 credentials, or the instance's service account"
            ));
        }
    };
    Ok(Auth::OAuth2(Box::new(oauth2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_credentials() {
        let service =
            br#"{"type":"service_account","client_email":"a@b","private_key":"PEM","private_key_id":"k"}"#;
        let Ok(Auth::OAuth2(by_key)) = oauth2(service) else { panic!("no credentials") };
        assert_eq!((by_key.client_id.as_str(), by_key.token_url.as_str()), ("a@b", TOKEN_URL));
        assert_eq!(by_key.client_certificate_key, Some(SecretSource::Inline(Secret::new("PEM"))));
        let user = br#"{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r"}"#;
        let Ok(Auth::OAuth2(of_user)) = oauth2(user) else { panic!("no credentials") };
        assert_eq!(of_user.endpoint_params[1], ("refresh_token".to_owned(), "r".to_owned()));
        let error = oauth2(br#"{"type":"external_account"}"#).unwrap_err();
        assert!(error.starts_with("type \"external_account\" is not known"), "{error}");
        let error = oauth2(br#"{"private_key":77777}"#).unwrap_err();
        assert!(!error.contains("77777"), "{error}");
    }
}
