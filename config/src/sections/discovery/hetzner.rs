//! `hetzner_sd_configs`.

use crate::sections::http_client::HttpClientConfig;
use crate::sections::table::{choice, http, int, no_rules, refresh_interval, required, section, text};

choice! {
    /// What is a target.
    pub enum HetznerRole {
        /// Dedicated servers.
        Robot = "robot",
        /// Servers of the cloud.
        HCloud = "hcloud",
    }
}

section! {
    /// An entry of `hetzner_sd_configs`.
    pub struct HetznerSd, no_rules => {
        http: HttpClientConfig = "basic_auth and so on", http();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60).always();
        /// Of all targets.
        port: i64 = "port", int(80).always();
        role: HetznerRole = "role", required("role missing (one of: robot, hcloud)").always();
        /// Of servers of the cloud; "" for all.
        label_selector: String = "label_selector", text("");
    }
}
