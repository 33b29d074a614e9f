//! OAuth 2.0: tokens for the client itself, fetched when there is none or it ends. Source: `golang.org/x/oauth2` and
//! Prometheus's `common/config`.

mod answer;
mod assertion;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use config::http_client::{GRANT_TYPE_JWT_BEARER, HttpClientConfig, OAuth2};
use config::url::GoUrl;
use hyper::header::{AUTHORIZATION, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::auth::{basic, resolve_optional, sensitive};
use super::{HttpClient, HttpError, Request, SetupError, form};
use answer::Token;

/// A token is renewed this long before it ends.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);
/// Of a token endpoint's answer this much is read.
const MAX_ANSWER: u64 = 1 << 20;
/// Fetching a token ends with its request's deadline; this bounds a request that has a very long one.
const TOKEN_DEADLINE: Duration = Duration::from_secs(60);

/// Fetches tokens and keeps the last one while it is valid.
pub(super) struct Tokens {
    config: OAuth2,
    client: Box<HttpClient>,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    token: Option<Kept>,
    /// How the endpoint takes the client's credentials, once that is known.
    style: Option<Style>,
}

struct Kept {
    header: HeaderValue,
    /// `None` for a token without end.
    until: Option<Instant>,
    /// The secret with which it was obtained; another one in the file makes the token void.
    secret: Arc<str>,
}

/// Where the client's credentials go.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Style {
    Header,
    Form,
}

/// The parameters of a token request, sorted by name as they are sent.
type Form = BTreeMap<String, String>;

impl Tokens {
    pub fn new(config: &OAuth2, user_agent: &str) -> Result<Self, SetupError> {
        let http = HttpClientConfig {
            tls: config.tls.clone(),
            proxy: config.proxy.clone(),
            enable_http2: false,
            ..HttpClientConfig::default()
        };
        let client = Box::new(HttpClient::new(&http, user_agent)?);
        Ok(Self { config: config.clone(), client, current: Mutex::default() })
    }

    fn signs_assertions(&self) -> bool {
        self.config.grant_type == GRANT_TYPE_JWT_BEARER
    }

    /// The Authorization header with a token that is valid now.
    pub async fn header(&self) -> Result<HeaderValue, HttpError> {
        let source = if self.signs_assertions() {
            self.config.client_certificate_key.as_ref()
        } else {
            self.config.client_secret.as_ref()
        };
        let secret = resolve_optional(source).await;
        let secret: Arc<str> = secret.map_err(|e| e.within("unable to read oauth2 client secret"))?.into();
        // Held while fetching: many requests at once need one token only.
        let mut current = self.current.lock().await;
        if let Some(kept) = &current.token
            && kept.secret == secret
            && kept.until.is_none_or(|until| Instant::now() <= until)
        {
            return Ok(kept.header.clone());
        }
        current.token = None;
        let token = if self.signs_assertions() {
            self.fetch_with_assertion(&secret).await?
        } else {
            self.fetch_with_secret(&secret, &mut current.style).await?
        };
        let header = sensitive(format!("{} {}", token.kind(), token.access_token))?;
        let until = token.lifetime.map(|lifetime| Instant::now() + lifetime.saturating_sub(EXPIRY_MARGIN));
        current.token = Some(Kept { header: header.clone(), until, secret });
        Ok(header)
    }

    async fn fetch_with_assertion(&self, key: &str) -> Result<Token, HttpError> {
        let assertion = assertion::sign(&self.config, key).map_err(HttpError::Token)?;
        let form = self.form(GRANT_TYPE_JWT_BEARER, Some(assertion))?;
        self.ask(&form, None).await
    }

    async fn fetch_with_secret(&self, secret: &str, style: &mut Option<Style>) -> Result<Token, HttpError> {
        let form = self.form("client_credentials", None)?;
        if let Some(style) = *style {
            return self.ask_with_secret(&form, secret, style).await;
        }
        // Most servers take the credentials in the header, some in the form only; which one shows by trying.
        if let Ok(token) = self.ask_with_secret(&form, secret, Style::Header).await {
            *style = Some(Style::Header);
            return Ok(token);
        }
        let token = self.ask_with_secret(&form, secret, Style::Form).await?;
        *style = Some(Style::Form);
        Ok(token)
    }

    /// The parameters but for the client's credentials. Those of the configuration may only replace the grant type.
    fn form(&self, grant_type: &str, assertion: Option<String>) -> Result<Form, HttpError> {
        let mut form = Form::from([("grant_type".to_owned(), grant_type.to_owned())]);
        form.extend(assertion.map(|assertion| ("assertion".to_owned(), assertion)));
        if !self.config.scopes.is_empty() {
            form.insert("scope".to_owned(), self.config.scopes.join(" "));
        }
        for (name, value) in &self.config.endpoint_params {
            if form.insert(name.clone(), value.clone()).is_some() && name != "grant_type" {
                return Err(HttpError::Token(format!("cannot overwrite parameter {name:?}")));
            }
        }
        Ok(form)
    }

    async fn ask_with_secret(&self, form: &Form, secret: &str, style: Style) -> Result<Token, HttpError> {
        let id = &self.config.client_id;
        match style {
            Style::Header => self.ask(form, Some(basic(&form::escape(id), &form::escape(secret))?)).await,
            Style::Form => {
                let mut form = form.clone();
                let given = [("client_id", id.as_str()), ("client_secret", secret)];
                let given = given.into_iter().filter(|(_, value)| !value.is_empty());
                form.extend(given.map(|(name, value)| (name.to_owned(), value.to_owned())));
                self.ask(&form, None).await
            }
        }
    }

    async fn ask(&self, form: &Form, authorization: Option<HeaderValue>) -> Result<Token, HttpError> {
        let url = &self.config.token_url;
        let url = GoUrl::parse(url).map_err(|error| HttpError::Token(format!("parse {url:?}: {error}")))?;
        let mut request = Request::post(url, "application/x-www-form-urlencoded", form::encode(form));
        if let Some(value) = authorization {
            request.headers.insert(AUTHORIZATION, value);
        }
        // Boxed because a client holds tokens, which hold a client.
        let response = Box::pin(self.client.send(&request, TOKEN_DEADLINE)).await?;
        let status = response.status_text();
        let is_success = response.status.is_success();
        let content_type = response.headers.get(hyper::header::CONTENT_TYPE).cloned();
        let content_type = content_type.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
        let body = response.read(MAX_ANSWER, Vec::new()).await;
        let body = body.map_err(|error| HttpError::Token(format!("cannot fetch token: {error}")))?;
        answer::read(is_success, &status, content_type, &body).map_err(HttpError::Token)
    }
}
