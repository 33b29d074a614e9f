//! Targets from AWS: what its roles have in common.

mod ec2;
mod lightsail;

use std::sync::Arc;

use config::discovery::AwsTargets;
use config::url::GoUrl;
use hyper::header::{HeaderName, HeaderValue};
use net::client::aws::{AwsSigner, refusal};
use net::client::{HttpClient, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{RefreshError, StartError};
use super::poll::interval;
use super::rest::{self, Answer, Api, USER_AGENT};
use super::url::query;
pub use ec2::Ec2;
pub use lightsail::Lightsail;

/// Stands around and between the values of a label that has several.
const SEPARATOR: &str = ",";
/// Names the operation of a request in JSON.
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// One API of AWS in one region.
struct Service {
    api: Api,
    signer: Arc<AwsSigner>,
    /// "" for that of the region.
    endpoint: String,
}

impl Service {
    /// `name` is how the service is called in signatures and URLs. Nothing is asked yet.
    fn new(config: &AwsTargets, name: &str) -> Result<Self, StartError> {
        let signer = Arc::new(AwsSigner::new(config.access.clone(), name, USER_AGENT)?);
        let client = HttpClient::new(&config.http, USER_AGENT)?.signed(signer.clone());
        let api = Api::with(client, interval(config.refresh_interval_ms));
        Ok(Self { api, signer, endpoint: config.endpoint.clone() })
    }

    async fn region(&self) -> Result<String, RefreshError> {
        let region = self.signer.region().await;
        region.map_err(|error| RefreshError::from(error).within("could not determine AWS region"))
    }

    async fn url(&self) -> Result<GoUrl, RefreshError> {
        let endpoint = match self.endpoint.as_str() {
            "" => self.signer.endpoint().await?,
            endpoint => endpoint.to_owned(),
        };
        GoUrl::parse(&endpoint).map_err(|reason| RefreshError::Url { url: endpoint, reason })
    }

    /// Asks by form; the answer is XML.
    async fn query(&self, version: &str, params: &[(String, String)]) -> Result<Answer, RefreshError> {
        let pairs = params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let form = query(pairs.chain([("Version", version)]));
        let content_type = "application/x-www-form-urlencoded; charset=utf-8";
        self.ask(&Request::post(self.url().await?, content_type, form)).await
    }

    /// Asks by JSON for the operation `target`.
    async fn json<T: DeserializeOwned>(
        &self,
        target: &'static str,
        body: &impl Serialize,
    ) -> Result<T, RefreshError> {
        // Plain structures are always JSON.
        let body = serde_json::to_vec(body).unwrap_or_default();
        let mut request = Request::post(self.url().await?, "application/x-amz-json-1.1", body);
        request.headers.insert(TARGET, HeaderValue::from_static(target));
        self.ask(&request).await?.json()
    }

    async fn ask(&self, request: &Request) -> Result<Answer, RefreshError> {
        let response = self.api.respond(request).await?;
        let (is_success, status) = (response.status.is_success(), response.status_text());
        let answer = rest::read(request, response).await?;
        if is_success { Ok(answer) } else { Err(answer.wrong(refusal(&status, &answer.body))) }
    }
}

#[cfg(test)]
pub mod tests {
    use config::aws::AwsAccess;
    use config::discovery::AwsRole;
    use config::http_client::{HttpClientConfig, Secret};

    use super::*;

    /// Asks this server, with keys.
    pub fn config(role: AwsRole, endpoint: &str) -> AwsTargets {
        AwsTargets {
            role,
            access: AwsAccess {
                region: "eu-west-1".to_owned(),
                keys: Some(("AK".to_owned(), Secret::new("hidden"))),
                ..AwsAccess::default()
            },
            endpoint: endpoint.to_owned(),
            http: HttpClientConfig::default(),
            filters: Vec::new(),
            clusters: Vec::new(),
            port: 80,
            refresh_interval_ms: 60_000,
            request_concurrency: 2,
        }
    }
}
