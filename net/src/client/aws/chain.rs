//! Where keys and region come from, in the order in which AWS's own clients look: the configuration, a profile that it
//! names, the environment, the default profile, the container, the instance. Source: "Standardized credential providers"
//! of the AWS SDKs and Tools Reference Guide.

use std::pin::Pin;
use std::sync::Arc;

use config::aws::AwsAccess;
use config::http_client::Secret;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::profile::{Profile, default_name, read_profiles};
use super::sts::{Role, TokenService};
use super::{Credentials, Variables, metadata, process};
use crate::client::auth::read_secret;
use crate::client::{HttpClient, HttpError};

/// Keys are renewed this long before they end.
const EXPIRY_MARGIN: SignedDuration = SignedDuration::from_secs(30);
/// Profiles that lead to one another.
const MAX_PROFILES: usize = 8;

/// Finds keys and region, and keeps them while they are valid.
pub(super) struct Chain {
    access: AwsAccess,
    client: HttpClient,
    variables: Variables,
    region: Mutex<Option<String>>,
    credentials: Mutex<Option<Credentials>>,
}

type Found<'a> = Pin<Box<dyn Future<Output = Result<Credentials, HttpError>> + Send + 'a>>;

impl Chain {
    pub fn new(access: AwsAccess, client: HttpClient, variables: Variables) -> Self {
        Self { access, client, variables, region: Mutex::default(), credentials: Mutex::default() }
    }

    /// The region.
    pub async fn region(&self) -> Result<String, HttpError> {
        if !self.access.region.is_empty() {
            return Ok(self.access.region.clone());
        }
        let mut known = self.region.lock().await;
        if let Some(region) = &*known {
            return Ok(region.clone());
        }
        let region = match self.variable("AWS_REGION").or_else(|| self.variable("AWS_DEFAULT_REGION")) {
            Some(region) => region,
            None => {
                let profiles = read_profiles(&self.variables).await?;
                match profiles.get(&self.profile_name()).and_then(|profile| profile.get("region")) {
                    Some(region) if !region.is_empty() => region.clone(),
                    _ => metadata::instance_region(&self.client, &self.variables).await.map_err(|error| {
                        HttpError::Aws(format!(
                            "no region is configured, in the environment or in the profile, and the instance names \
                             none: {error}"
                        ))
                    })?,
                }
            }
        };
        Ok(known.insert(region).clone())
    }

    /// Keys that are valid now.
    pub async fn credentials(&self) -> Result<Credentials, HttpError> {
        // Held while asking: many requests at once need the keys only once.
        let mut kept = self.credentials.lock().await;
        // Keys without end are looked for again: who changes them changes the file that they are in.
        if let Some(credentials) = &*kept
            && credentials.expires.is_some_and(|end| end > Timestamp::now() + EXPIRY_MARGIN)
        {
            return Ok(credentials.clone());
        }
        let mut credentials =
            self.find().await.map_err(|error| error.within("cannot get AWS credentials"))?;
        if !self.access.role_arn.is_empty() {
            let role = Role {
                arn: self.access.role_arn.clone(),
                session_name: session_name(),
                external_id: self.access.external_id.clone(),
            };
            let service = self.token_service().await?;
            credentials = service.assume_role(&self.client, &role, &credentials).await?;
        }
        Ok(kept.insert(credentials).clone())
    }

    async fn find(&self) -> Result<Credentials, HttpError> {
        if let Some((access_key, secret_key)) = &self.access.keys {
            return Ok(lasting(access_key.clone(), secret_key.reveal().to_owned(), None));
        }
        if self.access.profile.is_empty() {
            if let Some(credentials) = self.in_environment() {
                return Ok(credentials);
            }
            if let Some(file) = self.variable("AWS_WEB_IDENTITY_TOKEN_FILE") {
                let arn = self.variable("AWS_ROLE_ARN").unwrap_or_default();
                let name = self.variable("AWS_ROLE_SESSION_NAME");
                return self.with_web_identity(&file, arn, name).await;
            }
        }
        let profiles = read_profiles(&self.variables).await?;
        let name = self.profile_name();
        if !profiles.contains_key(&name) && name != "default" {
            return Err(HttpError::Aws(format!(
                "there is no profile {name:?} in AWS's configuration files (~/.aws/config, ~/.aws/credentials)"
            )));
        }
        self.of_profile(&Arc::new(profiles), name, MAX_PROFILES).await
    }

    fn of_profile(
        &self,
        profiles: &Arc<std::collections::BTreeMap<String, Profile>>,
        name: String,
        depth: usize,
    ) -> Found<'_> {
        let profiles = profiles.clone();
        Box::pin(async move {
            let none = Profile::new();
            let profile = profiles.get(&name).unwrap_or(&none);
            let setting = |key: &str| profile.get(key).filter(|text| !text.is_empty()).cloned();
            let keys = || {
                let (key, secret) = (setting("aws_access_key_id")?, setting("aws_secret_access_key")?);
                Some(lasting(key, secret, setting("aws_session_token")))
            };
            let source = setting("source_profile").filter(|_| setting("role_arn").is_some());
            let credentials = match (source, keys()) {
                (Some(source), own) if source == name => own.ok_or_else(|| {
                    HttpError::Aws(format!("profile {name:?} is its own source, but has no keys"))
                })?,
                (Some(source), _) => {
                    if depth == 0 || !profiles.contains_key(&source) {
                        return Err(HttpError::Aws(format!(
                            "profile {name:?} names source profile {source:?}, which does not exist or leads in a circle"
                        )));
                    }
                    self.of_profile(&profiles, source, depth - 1).await?
                }
                (None, Some(keys)) => keys,
                (None, None) => {
                    if let Some(source) = setting("credential_source") {
                        self.named_source(&source).await?
                    } else if let Some(file) = setting("web_identity_token_file") {
                        let arn = setting("role_arn").unwrap_or_default();
                        return self.with_web_identity(&file, arn, setting("role_session_name")).await;
                    } else if let Some(command) = setting("credential_process") {
                        process::credentials(&command).await?
                    } else if let Some(unknown) = ["sso_session", "sso_start_url", "login_session"]
                        .into_iter()
                        .find(|key| setting(key).is_some())
                    {
                        return Err(HttpError::Aws(format!(
                            "profile {name:?} uses {unknown}, from which Trivium cannot take keys; use keys, a role, a \
                             web identity token, credential_process or the instance's role"
                        )));
                    } else {
                        self.of_machine().await?
                    }
                }
            };
            let Some(arn) = setting("role_arn") else { return Ok(credentials) };
            let role = Role {
                arn,
                session_name: setting("role_session_name").unwrap_or_else(session_name),
                external_id: setting("external_id").unwrap_or_default(),
            };
            self.token_service().await?.assume_role(&self.client, &role, &credentials).await
        })
    }

    async fn named_source(&self, source: &str) -> Result<Credentials, HttpError> {
        match source {
            "Environment" => self
                .in_environment()
                .ok_or_else(|| HttpError::Aws("the environment has no AWS_ACCESS_KEY_ID".to_owned())),
            "Ec2InstanceMetadata" => metadata::instance_credentials(&self.client, &self.variables).await,
            "EcsContainer" => match metadata::container_credentials(&self.client, &self.variables).await {
                Some(found) => found,
                None => Err(HttpError::Aws(
                    "the environment has no AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI".to_owned(),
                )),
            },
            _ => Err(HttpError::Aws(
                "credential_source values must be EcsContainer, Ec2InstanceMetadata, or Environment"
                    .to_owned(),
            )),
        }
    }

    /// Of the container if there is one, else of the instance.
    async fn of_machine(&self) -> Result<Credentials, HttpError> {
        match metadata::container_credentials(&self.client, &self.variables).await {
            Some(found) => found,
            None => metadata::instance_credentials(&self.client, &self.variables).await,
        }
    }

    fn in_environment(&self) -> Option<Credentials> {
        let key = self.variable("AWS_ACCESS_KEY_ID").or_else(|| self.variable("AWS_ACCESS_KEY"))?;
        let secret = self.variable("AWS_SECRET_ACCESS_KEY").or_else(|| self.variable("AWS_SECRET_KEY"))?;
        Some(lasting(key, secret, self.variable("AWS_SESSION_TOKEN")))
    }

    async fn with_web_identity(
        &self,
        file: &str,
        arn: String,
        session: Option<String>,
    ) -> Result<Credentials, HttpError> {
        if arn.is_empty() {
            return Err(HttpError::Aws("role ARN is not set (AWS_ROLE_ARN)".to_owned()));
        }
        let token = read_secret(file.as_ref()).await?;
        let session_name = session.unwrap_or_else(session_name);
        let role = Role { arn, session_name, external_id: String::new() };
        self.token_service().await?.assume_role_with_web_identity(&self.client, &role, &token).await
    }

    async fn token_service(&self) -> Result<TokenService, HttpError> {
        let custom = self.custom_endpoint("sts");
        Ok(TokenService::new(&self.region().await?, self.access.use_fips_sts_endpoint, custom))
    }

    /// The URL that the environment has for a service.
    pub fn custom_endpoint(&self, service: &str) -> Option<String> {
        let own = format!("AWS_ENDPOINT_URL_{}", service.to_ascii_uppercase());
        self.variable(&own).or_else(|| self.variable("AWS_ENDPOINT_URL"))
    }

    fn profile_name(&self) -> String {
        match self.access.profile.as_str() {
            "" => default_name(&self.variables),
            name => name.to_owned(),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name)
    }
}

/// Keys without end.
fn lasting(access_key: String, secret_key: String, token: Option<String>) -> Credentials {
    Credentials {
        access_key,
        secret_key: Secret::new(secret_key),
        session_token: token.map(Secret::new),
        expires: None,
    }
}

/// Names sessions apart in AWS's logs.
fn session_name() -> String {
    format!("trivium-{}", Timestamp::now().as_millisecond())
}
