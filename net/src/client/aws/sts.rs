//! Roles: AWS's token service gives keys that end for keys, or for a token of another service. Source: the API
//! Reference of AWS STS, AssumeRole and AssumeRoleWithWebIdentity.

use std::time::Duration;

use config::http_client::Secret;
use config::url::GoUrl;
use jiff::Timestamp;

use super::{Credentials, Scope, endpoint, refusal, sign};
use crate::client::{HttpClient, HttpError, Request, form};

const VERSION: &str = "2011-06-15";
const DEADLINE: Duration = Duration::from_secs(30);
/// Of an answer this much is read.
const MAX_ANSWER: u64 = 1 << 20;

/// A role, and how to ask for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Role {
    pub arn: String,
    /// Shown in AWS's logs of who did what.
    pub session_name: String,
    /// "" for none.
    pub external_id: String,
}

/// Where roles are asked for.
#[derive(Clone, Debug)]
pub(super) struct TokenService {
    pub url: String,
    pub region: String,
}

impl TokenService {
    /// That of a region, unless the user has another URL for it.
    pub fn new(region: &str, is_fips: bool, custom: Option<String>) -> Self {
        let service = if is_fips { "sts-fips" } else { "sts" };
        Self { url: custom.unwrap_or_else(|| endpoint(service, region)), region: region.to_owned() }
    }

    /// The role's keys for keys that may have it.
    pub async fn assume_role(
        &self,
        client: &HttpClient,
        role: &Role,
        credentials: &Credentials,
    ) -> Result<Credentials, HttpError> {
        let mut params = vec![
            ("Action", "AssumeRole"),
            ("DurationSeconds", "900"),
            ("RoleArn", role.arn.as_str()),
            ("RoleSessionName", role.session_name.as_str()),
            ("Version", VERSION),
        ];
        if !role.external_id.is_empty() {
            params.insert(2, ("ExternalId", role.external_id.as_str()));
        }
        let mut request = self.request(&params)?;
        let scope = Scope { region: &self.region, service: "sts" };
        let host = request.url.host().to_owned();
        let added = sign::sign(&request, &host, credentials, scope, Timestamp::now())?;
        request.headers.extend(added);
        self.ask(client, &request, &role.arn).await
    }

    /// The role's keys for a token that its owner trusts.
    pub async fn assume_role_with_web_identity(
        &self,
        client: &HttpClient,
        role: &Role,
        token: &str,
    ) -> Result<Credentials, HttpError> {
        let request = self.request(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", role.arn.as_str()),
            ("RoleSessionName", role.session_name.as_str()),
            ("Version", VERSION),
            ("WebIdentityToken", token),
        ])?;
        self.ask(client, &request, &role.arn).await
    }

    fn request(&self, params: &[(&str, &str)]) -> Result<Request, HttpError> {
        let url = GoUrl::parse(&self.url).map_err(|_| HttpError::Url(self.url.clone()))?;
        let pairs: Vec<String> =
            params.iter().map(|(name, value)| format!("{name}={}", form::escape(value))).collect();
        Ok(Request::post(url, "application/x-www-form-urlencoded; charset=utf-8", pairs.join("&")))
    }

    async fn ask(&self, client: &HttpClient, request: &Request, arn: &str) -> Result<Credentials, HttpError> {
        let response = Box::pin(client.send(request, DEADLINE)).await?;
        let (is_success, status) = (response.status.is_success(), response.status_text());
        let body = response.read(MAX_ANSWER, Vec::new()).await?;
        let answer = if is_success { read(&body) } else { Err(refusal(&status, &body)) };
        answer
            .map_err(|reason| HttpError::Aws(format!("cannot assume role {arn:?} at {}: {reason}", self.url)))
    }
}

/// The keys in an answer.
fn read(body: &[u8]) -> Result<Credentials, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the answer is no UTF-8".to_owned())?;
    let document =
        roxmltree::Document::parse(text).map_err(|error| format!("the answer is no XML: {error}"))?;
    let field = |name: &str| {
        let credentials = document.descendants().find(|node| node.tag_name().name() == "Credentials")?;
        let text = credentials.children().find(|node| node.tag_name().name() == name)?.text()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let missing = |name: &str| format!("the answer has no {name}");
    let expires = field("Expiration").ok_or_else(|| missing("Expiration"))?;
    Ok(Credentials {
        access_key: field("AccessKeyId").ok_or_else(|| missing("AccessKeyId"))?,
        secret_key: Secret::new(field("SecretAccessKey").ok_or_else(|| missing("SecretAccessKey"))?),
        session_token: field("SessionToken").map(Secret::new),
        expires: Some(
            expires.parse().map_err(|error: jiff::Error| format!("Expiration {expires:?}: {error}"))?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
        <AssumedRoleUser><Arn>arn:x</Arn></AssumedRoleUser><Credentials><AccessKeyId>ASIA</AccessKeyId>\
        <SecretAccessKey>s/+=</SecretAccessKey><SessionToken> T </SessionToken>\
        <Expiration>2026-01-02T03:04:05Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

    #[test]
    fn answers() {
        let credentials = read(ANSWER.as_bytes()).unwrap();
        assert_eq!((credentials.access_key.as_str(), credentials.secret_key.reveal()), ("ASIA", "s/+="));
        assert_eq!(credentials.session_token.unwrap().reveal(), "T");
        assert_eq!(credentials.expires.unwrap().to_string(), "2026-01-02T03:04:05Z");
        let cut = ANSWER.replace("AccessKeyId", "Other");
        assert_eq!(read(cut.as_bytes()), Err("the answer has no AccessKeyId".to_owned()));
        assert!(read(b"{}").unwrap_err().starts_with("the answer is no XML"));
        assert!(read(ANSWER.replace("2026-", "x").as_bytes()).unwrap_err().starts_with("Expiration \"x01"));
    }

    #[test]
    fn refusals() {
        let body =
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        assert_eq!(refusal("403 Forbidden", body.as_bytes()), "403 Forbidden: AccessDenied: no");
        assert_eq!(refusal("502 Bad Gateway", b"oops"), "502 Bad Gateway: oops");
    }

    #[test]
    fn endpoints() {
        let url = |region, fips| TokenService::new(region, fips, None).url;
        assert_eq!(url("eu-west-1", false), "https://sts.eu-west-1.amazonaws.com");
        assert_eq!(url("us-east-1", true), "https://sts-fips.us-east-1.amazonaws.com");
        assert_eq!(url("cn-north-1", false), "https://sts.cn-north-1.amazonaws.com.cn");
    }
}
