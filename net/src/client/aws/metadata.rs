//! What the instance or the container that Trivium runs in knows: its role's keys and its region. Source: "Use the
//! Instance Metadata Service" of the Amazon EC2 User Guide (version 2), "Container credential provider" of the AWS SDKs
//! and Tools Reference Guide.

use std::net::IpAddr;
use std::time::Duration;

use config::http_client::Secret;
use config::url::GoUrl;
use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Credentials, Variables};
use crate::client::auth::{read_secret, sensitive};
use crate::client::{HttpClient, HttpError, Request};

const DEADLINE: Duration = Duration::from_secs(5);
/// Of an answer this much is read.
const MAX_ANSWER: u64 = 1 << 20;
const INSTANCE: &str = "http://169.254.169.254";
const INSTANCE_IPV6: &str = "http://[fd00:ec2::254]";
const CONTAINER: &str = "http://169.254.170.2";
/// Where containers of ECS and EKS ask; others must be on this machine or encrypted, or keys could be read on the way.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
const TOKEN_LIFETIME: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "SessionToken")]
    token: Option<String>,
    expiration: Option<String>,
}

/// The keys of the role of the instance.
pub(super) async fn instance_credentials(
    client: &HttpClient,
    variables: &Variables,
) -> Result<Credentials, HttpError> {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    let token = instance_token(client, variables).await?;
    let roles = instance_text(client, variables, ROLES, &token).await?;
    let Some(role) = roles.lines().next().map(str::trim).filter(|role| !role.is_empty()) else {
        return Err(HttpError::Aws("the instance has no role".to_owned()));
    };
    let keys = instance_text(client, variables, &format!("{ROLES}{role}"), &token).await?;
    read(keys.as_bytes()).map_err(|reason| HttpError::Aws(format!("keys of the instance's role: {reason}")))
}

/// The region of the instance.
pub(super) async fn instance_region(client: &HttpClient, variables: &Variables) -> Result<String, HttpError> {
    let token = instance_token(client, variables).await?;
    let text = instance_text(client, variables, "/latest/meta-data/placement/region", &token).await?;
    Ok(text.trim().to_owned())
}

async fn instance_token(client: &HttpClient, variables: &Variables) -> Result<HeaderValue, HttpError> {
    if variables("AWS_EC2_METADATA_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Err(HttpError::Aws("access disabled to EC2 IMDS via AWS_EC2_METADATA_DISABLED".to_owned()));
    }
    let mut request =
        Request { method: Method::PUT, ..Request::get(instance_url(variables, "/latest/api/token")?) };
    request.headers.insert(TOKEN_LIFETIME, HeaderValue::from_static("300"));
    sensitive(ask(client, &request).await?.trim().to_owned())
}

async fn instance_text(
    client: &HttpClient,
    variables: &Variables,
    path: &str,
    token: &HeaderValue,
) -> Result<String, HttpError> {
    let mut request = Request::get(instance_url(variables, path)?);
    request.headers.insert(TOKEN, token.clone());
    ask(client, &request).await
}

fn instance_url(variables: &Variables, path: &str) -> Result<GoUrl, HttpError> {
    let is_ipv6 = variables("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
        .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
    let usual = if is_ipv6 { INSTANCE_IPV6 } else { INSTANCE };
    let base = variables("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| usual.to_owned());
    let url = format!("{}{path}", base.trim_end_matches('/'));
    GoUrl::parse(&url).map_err(|_| HttpError::Url(url))
}

/// The keys of the container's role, if the environment says where to ask.
pub(super) async fn container_credentials(
    client: &HttpClient,
    variables: &Variables,
) -> Option<Result<Credentials, HttpError>> {
    let url = match variables("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        Some(path) => format!("{CONTAINER}{path}"),
        None => variables("AWS_CONTAINER_CREDENTIALS_FULL_URI")?,
    };
    Some(ask_container(client, variables, url).await)
}

async fn ask_container(
    client: &HttpClient,
    variables: &Variables,
    url: String,
) -> Result<Credentials, HttpError> {
    let url = GoUrl::parse(&url).map_err(|_| HttpError::Url(url))?;
    if url.scheme() == "http" && !is_near(url.hostname()) {
        return Err(HttpError::Aws(format!(
            "invalid endpoint host, {:?}, only loopback/ecs/eks hosts are allowed",
            url.hostname()
        )));
    }
    let mut request = Request::get(url);
    let token = match variables("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => Some(read_secret(path.as_ref()).await?),
        None => variables("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    if let Some(token) = token {
        request.headers.insert(AUTHORIZATION, sensitive(token)?);
    }
    let body = ask(client, &request).await?;
    read(body.as_bytes()).map_err(|reason| HttpError::Aws(format!("keys of the container's role: {reason}")))
}

fn is_near(host: &str) -> bool {
    host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        || CONTAINER_HOSTS.contains(&host)
}

async fn ask(client: &HttpClient, request: &Request) -> Result<String, HttpError> {
    let response = Box::pin(client.send(request, DEADLINE)).await?;
    let (is_success, status) = (response.status.is_success(), response.status_text());
    let body = response.read(MAX_ANSWER, Vec::new()).await?;
    if is_success {
        return String::from_utf8(body).map_err(|_| HttpError::Body("the answer is no UTF-8".to_owned()));
    }
    // The answer itself may hold what must not be shown.
    Err(HttpError::Aws(format!("{} answered {status}", request.url)))
}

/// Keys in JSON, as the instance, the container and programs give them.
pub(super) fn read(body: &[u8]) -> Result<Credentials, String> {
    // The error's text could quote the keys.
    let keys: Keys = serde_json::from_slice(body)
        .map_err(|error| format!("the answer is not as expected, at column {}", error.column()))?;
    let expires = keys
        .expiration
        .map(|text| text.parse::<Timestamp>().map_err(|error| format!("Expiration {text:?}: {error}")));
    Ok(Credentials {
        access_key: keys.access_key_id,
        secret_key: Secret::new(keys.secret_access_key),
        session_token: keys.token.filter(|token| !token.is_empty()).map(Secret::new),
        expires: expires.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_json() {
        let keys = r#"{"Code":"Success","AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2026-01-02T03:04:05Z"}"#;
        let credentials = read(keys.as_bytes()).unwrap();
        assert_eq!((credentials.access_key.as_str(), credentials.secret_key.reveal()), ("A", "S"));
        assert!(credentials.session_token.is_some() && credentials.expires.is_some());
        let error = read(br#"{"AccessKeyId":"A","SecretAccessKey":7777}"#).unwrap_err();
        assert!(!error.contains("7777"), "{error}");
    }

    #[test]
    fn keys_do_not_travel_in_the_open() {
        for (host, want) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("169.254.170.23", true),
            ("10.0.0.1", false),
            ("a.b", false),
        ] {
            assert_eq!(is_near(host), want, "{host}");
        }
    }
}
