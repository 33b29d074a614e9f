//! Requests to AWS: signed, with keys from wherever AWS's own clients look for them.

mod chain;
mod metadata;
mod process;
mod profile;
mod sign;
mod sts;

use std::sync::Arc;

use config::aws::AwsAccess;
use config::http_client::{HttpClientConfig, Secret};
use hyper::header::HeaderMap;
use jiff::Timestamp;

use super::{HttpClient, HttpError, Request, SetupError};
use chain::Chain;
use sign::Scope;

/// Looks up a variable of the environment.
pub(super) type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Shown of an answer that cannot be read.
const MAX_SHOWN: usize = 512;

/// What a request is signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Credentials {
    access_key: String,
    secret_key: Secret,
    /// Sent with keys that end.
    session_token: Option<Secret>,
    /// `None` for keys without end.
    expires: Option<Timestamp>,
}

/// Signs the requests of one client for one service of AWS.
pub struct AwsSigner {
    chain: Chain,
    service: String,
}

impl AwsSigner {
    /// Signs for `service` with the keys that `access` leads to. Keys and region are looked for when the first request
    /// is sent. They are asked for at the instance, the container or AWS's token service by a client with this user
    /// agent.
    pub fn new(access: AwsAccess, service: &str, user_agent: &str) -> Result<Self, SetupError> {
        let client = HttpClient::new(&HttpClientConfig::default(), user_agent)?;
        let variables: Variables = Arc::new(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
        Ok(Self::with_variables(access, service, client, variables))
    }

    pub(super) fn with_variables(
        access: AwsAccess,
        service: &str,
        client: HttpClient,
        variables: Variables,
    ) -> Self {
        Self { chain: Chain::new(access, client, variables), service: service.to_owned() }
    }

    /// The region that requests are signed for: the configured one, or that of the environment, of the profile or of
    /// the instance.
    pub async fn region(&self) -> Result<String, HttpError> {
        self.chain.region().await
    }

    /// Where the service answers: the environment's URL for it, or that of the region.
    pub async fn endpoint(&self) -> Result<String, HttpError> {
        match self.chain.custom_endpoint(&self.service) {
            Some(url) => Ok(url),
            None => Ok(endpoint(&self.service, &self.region().await?)),
        }
    }

    pub(super) async fn sign(&self, request: &Request, host: &str) -> Result<HeaderMap, HttpError> {
        let region = self.chain.region().await?;
        let credentials = self.chain.credentials().await?;
        let scope = Scope { region: &region, service: &self.service };
        sign::sign(request, host, &credentials, scope, Timestamp::now())
    }
}

/// The domains of AWS's partitions, by how the names of their regions begin.
const DOMAINS: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eusc-", "amazonaws.eu"),
];

/// Where a service answers in a region, such as `https://ec2.eu-central-1.amazonaws.com`.
fn endpoint(service: &str, region: &str) -> String {
    let domain = DOMAINS.iter().find(|(start, _)| region.starts_with(start));
    format!("https://{service}.{region}.{}", domain.map_or("amazonaws.com", |(_, domain)| domain))
}

/// Code and message of an error, or the start of an answer that has none.
pub fn refusal(status: &str, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if let Ok(document) = roxmltree::Document::parse(&text) {
        let field = |name: &str| {
            document.descendants().find(|node| node.tag_name().name() == name).and_then(|node| node.text())
        };
        if let Some(code) = field("Code") {
            return format!("{status}: {code}: {}", field("Message").unwrap_or_default());
        }
    }
    format!("{status}: {}", text.chars().take(MAX_SHOWN).collect::<String>())
}
