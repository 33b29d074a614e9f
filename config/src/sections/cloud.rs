//! How remote write authenticates in clouds.

use crate::sections::aws::Sigv4;
use crate::sections::http_client::Secret;
use crate::sections::table::{
    Checked, Field, Section, boolean, choice, is_uuid, nested, no_rules, one_of, refuse, require, secret,
    section, text,
};

/// The one way of authentication, besides those of the HTTP client.
#[derive(Clone, Debug, PartialEq)]
pub enum CloudAuth {
    /// `sigv4`
    Sigv4(Box<Sigv4>),
    /// `azuread`
    AzureAd(Box<AzureAd>),
    /// `google_iam`
    GoogleIam(GoogleIam),
}

impl CloudAuth {
    /// The section in which it stands.
    pub fn section_name(&self) -> &'static str {
        match self {
            Self::Sigv4(_) => "sigv4",
            Self::AzureAd(_) => "azuread",
            Self::GoogleIam(_) => "google_iam",
        }
    }

    /// Its fields, for printing.
    pub fn fields(&self) -> Vec<Field<'_>> {
        match self {
            Self::Sigv4(section) => section.fields(),
            Self::AzureAd(section) => section.fields(),
            Self::GoogleIam(section) => section.fields(),
        }
    }
}

section! {
    /// Tokens of Google Cloud.
    pub struct GoogleIam, no_rules => {
        /// "" for what Google's own clients find.
        credentials_file: String = "credentials_file", text("");
    }
}

choice! {
    /// One of Azure's clouds.
    pub enum AzureCloud {
        Public = "AzurePublic",
        China = "AzureChina",
        Government = "AzureGovernment",
        /// The public one.
        Unnamed = "",
    }
}

section! {
    /// The identity of this machine.
    pub struct AzureManagedIdentity, no_rules => {
        client_id: String = "client_id", text("");
    }
}

section! {
    /// A token that Kubernetes has put into a file.
    pub struct AzureWorkloadIdentity, check_workload_identity => {
        client_id: String = "client_id", text("");
        tenant_id: String = "tenant_id", text("");
        token_file_path: String = "token_file_path", text("");
    }
}

fn check_workload_identity(s: &AzureWorkloadIdentity) -> Checked {
    let (client, tenant) = (&s.client_id, &s.tenant_id);
    let missing = "must provide an Azure Workload Identity client_id in the Azure AD config";
    require("client_id", !client.is_empty(), missing)?;
    let missing = "must provide an Azure Workload Identity tenant_id in the Azure AD config";
    require("tenant_id", !tenant.is_empty(), missing)?;
    require("client_id", is_uuid(client), "the provided Azure Workload Identity client_id is invalid")?;
    require("tenant_id", is_uuid(tenant), "the provided Azure Workload Identity tenant_id is invalid")
}

section! {
    /// The secret of a registered application.
    pub struct AzureOAuth, check_oauth => {
        client_id: String = "client_id", text("");
        client_secret: Secret = "client_secret", secret();
        tenant_id: String = "tenant_id", text("");
    }
}

fn check_oauth(s: &AzureOAuth) -> Checked {
    let missing = "must provide an Azure OAuth client_id in the Azure AD config";
    require("client_id", !s.client_id.is_empty(), missing)?;
    let missing = "must provide an Azure OAuth client_secret in the Azure AD config";
    require("client_secret", !s.client_secret.is_empty(), missing)?;
    let missing = "must provide an Azure OAuth tenant_id in the Azure AD config";
    require("tenant_id", !s.tenant_id.is_empty(), missing)?;
    require("client_id", is_uuid(&s.client_id), "the provided Azure OAuth client_id is invalid")
}

section! {
    /// Whatever Azure's own clients find.
    pub struct AzureSdk, no_rules => {
        tenant_id: String = "tenant_id", text("");
    }
}

section! {
    /// The certificate of a registered application.
    pub struct AzureCertificate, check_certificate => {
        client_id: String = "client_id", text("");
        tenant_id: String = "tenant_id", text("");
        certificate_path: String = "certificate_path", text("");
        certificate_key_path: String = "certificate_key_path", text("");
        certificate_password: Secret = "certificate_password", secret();
        send_certificate_chain: bool = "send_certificate_chain", boolean(false);
    }
}

fn check_certificate(s: &AzureCertificate) -> Checked {
    let missing = "must provide an Azure Certificate client_id in the Azure AD config";
    require("client_id", !s.client_id.is_empty(), missing)?;
    let missing = "must provide an Azure Certificate tenant_id in the Azure AD config";
    require("tenant_id", !s.tenant_id.is_empty(), missing)?;
    let missing = "must provide an Azure Certificate certificate_path in the Azure AD config";
    require("certificate_path", !s.certificate_path.is_empty(), missing)?;
    require("client_id", is_uuid(&s.client_id), "the provided Azure Certificate client_id is invalid")
}

section! {
    /// Tokens of Azure: exactly one of the ways.
    pub struct AzureAd, check_azure_ad => {
        managed_identity: Option<AzureManagedIdentity> = "managed_identity", nested();
        workload_identity: Option<AzureWorkloadIdentity> = "workload_identity", nested();
        oauth: Option<AzureOAuth> = "oauth", nested();
        sdk: Option<AzureSdk> = "sdk", nested();
        certificate: Option<AzureCertificate> = "certificate", nested();
        cloud: AzureCloud = "cloud", one_of(AzureCloud::Public);
        /// "" for that of Azure Monitor.
        scope: String = "scope", text("");
    }
}

fn check_azure_ad(s: &AzureAd) -> Checked {
    let methods = [
        ("managed_identity", s.managed_identity.is_some()),
        ("workload_identity", s.workload_identity.is_some()),
        ("oauth", s.oauth.is_some()),
        ("sdk", s.sdk.is_some()),
        ("certificate", s.certificate.is_some()),
    ];
    let mut given = methods.into_iter().filter(|(_, is_given)| *is_given);
    require(
        "",
        given.next().is_some(),
        "must provide an Azure Managed Identity, Azure Workload Identity, Azure OAuth, Azure Certificate or Azure SDK \
         in the Azure AD config",
    )?;
    if let Some((second, _)) = given.next() {
        return refuse(second, "cannot provide multiple authentication methods in the Azure AD config");
    }
    let client = s.managed_identity.as_ref().map_or("", |identity| &identity.client_id);
    let fits = client.is_empty() || is_uuid(client);
    require("managed_identity", fits, "the provided Azure Managed Identity client_id is invalid")?;
    let valid = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "_:/.-".contains(c);
    require("scope", s.scope.chars().all(valid), "the provided scope contains invalid characters")
}
