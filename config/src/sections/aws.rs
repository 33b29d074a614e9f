//! AWS: keys, and how requests are signed.

use crate::sections::http_client::Secret;
use crate::sections::table::{Checked, boolean, refuse, secret, section, text};

section! {
    /// The `sigv4` of Alertmanagers and remote write.
    pub struct Sigv4, check => {
        region: String = "region", text("");
        access_key: String = "access_key", text("");
        secret_key: Secret = "secret_key", secret();
        profile: String = "profile", text("");
        role_arn: String = "role_arn", text("");
        external_id: String = "external_id", text("");
        use_fips_sts_endpoint: bool = "use_fips_sts_endpoint", boolean(false);
        /// "" for Amazon Managed Service for Prometheus.
        service_name: String = "service_name", text("");
    }
}

fn check(s: &Sigv4) -> Checked {
    if s.access_key.is_empty() != s.secret_key.is_empty() {
        return refuse(
            if s.secret_key.is_empty() { "access_key" } else { "secret_key" },
            "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config",
        );
    }
    if !s.external_id.is_empty() && s.role_arn.is_empty() {
        return refuse("external_id", "external_id can only be used with role_arn");
    }
    Ok(())
}

/// Where the keys for AWS come from, and for which region they sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsAccess {
    /// As `eu-central-1`; "" means that of the environment.
    pub region: String,
    /// An access key and its secret; without them the environment is asked.
    pub keys: Option<(String, Secret)>,
    /// A profile of AWS's own configuration files; "" for none in particular.
    pub profile: String,
    /// A role to assume with these keys; "" for none.
    pub role_arn: String,
    /// What the role's owner wants to hear; "" for nothing.
    pub external_id: String,
    /// Whether roles are asked for at the endpoint that is validated for FIPS 140.
    pub use_fips_sts_endpoint: bool,
}

impl AwsAccess {
    /// Keys, if both parts are given.
    pub fn keys(access_key: &str, secret_key: &Secret) -> Option<(String, Secret)> {
        let is_given = !access_key.is_empty() && !secret_key.is_empty();
        is_given.then(|| (access_key.to_owned(), secret_key.clone()))
    }
}

impl Sigv4 {
    /// Keys and region.
    pub fn access(&self) -> AwsAccess {
        AwsAccess {
            region: self.region.clone(),
            keys: AwsAccess::keys(&self.access_key, &self.secret_key),
            profile: self.profile.clone(),
            role_arn: self.role_arn.clone(),
            external_id: self.external_id.clone(),
            use_fips_sts_endpoint: self.use_fips_sts_endpoint,
        }
    }
}
