//! `azure_sd_configs`.

use crate::sections::http_client::{HttpClientConfig, Secret};
use crate::sections::table::{
    Checked, choice, http, int, one_of, refresh_interval, require, secret, section, text,
};

choice! {
    /// How Azure is convinced of who asks.
    pub enum AzureAuthentication {
        /// The secret of a registered application.
        OAuth = "OAuth",
        /// The identity of this machine.
        ManagedIdentity = "ManagedIdentity",
        /// Whatever Azure's own clients find.
        Sdk = "SDK",
        /// A token that Kubernetes has put into a file.
        WorkloadIdentity = "WorkloadIdentity",
    }
}

section! {
    /// An entry of `azure_sd_configs`.
    pub struct AzureSd, check => {
        /// The name of a cloud.
        environment: String = "environment", text("AzurePublicCloud");
        /// Of all targets.
        port: i64 = "port", int(80).always();
        subscription_id: String = "subscription_id", text("").always();
        tenant_id: String = "tenant_id", text("");
        client_id: String = "client_id", text("");
        client_secret: Secret = "client_secret", secret();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(5 * 60);
        authentication: AzureAuthentication = "authentication_method", one_of(AzureAuthentication::OAuth);
        /// "" for all.
        resource_group: String = "resource_group", text("");
        http: HttpClientConfig = "basic_auth and so on", http();
    }
}

fn check(sd: &AzureSd) -> Checked {
    let set = |text: &str| !text.is_empty();
    require(
        "subscription_id",
        set(&sd.subscription_id),
        "azure SD configuration requires a subscription_id",
    )?;
    if sd.authentication != AzureAuthentication::OAuth {
        return Ok(());
    }
    require("tenant_id", set(&sd.tenant_id), "azure SD configuration requires a tenant_id")?;
    require("client_id", set(&sd.client_id), "azure SD configuration requires a client_id")?;
    require("client_secret", !sd.client_secret.is_empty(), "azure SD configuration requires a client_secret")
}
