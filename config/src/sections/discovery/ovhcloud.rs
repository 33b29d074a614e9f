//! `ovhcloud_sd_configs`.

use crate::sections::http_client::Secret;
use crate::sections::table::{Checked, choice, refresh_interval, require, required, secret, section, text};

choice! {
    /// What is a target.
    pub enum OvhCloudService {
        DedicatedServer = "dedicated_server",
        Vps = "vps",
    }
}

section! {
    /// An entry of `ovhcloud_sd_configs`.
    pub struct OvhCloudSd, check => {
        /// The name of a region's API, or a URL.
        endpoint: String = "endpoint", text("ovh-eu").always();
        application_key: String = "application_key", text("").always();
        application_secret: Secret = "application_secret", secret().always();
        consumer_key: Secret = "consumer_key", secret().always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60).always();
        service: OvhCloudService = "service",
            required("unknown service: expected dedicated_server or vps").always();
    }
}

fn check(sd: &OvhCloudSd) -> Checked {
    require("endpoint", !sd.endpoint.is_empty(), "endpoint can not be empty")?;
    require("application_key", !sd.application_key.is_empty(), "application key can not be empty")?;
    let has_secret = !sd.application_secret.is_empty();
    require("application_secret", has_secret, "application secret can not be empty")?;
    require("consumer_key", !sd.consumer_key.is_empty(), "consumer key can not be empty")
}
