//! `digitalocean_sd_configs`.

use crate::sections::http_client::HttpClientConfig;
use crate::sections::table::{choice, http, int, no_rules, one_of, refresh_interval, section};

choice! {
    /// What is a target.
    pub enum DigitalOceanRole {
        Droplets = "droplets",
        Databases = "databases",
    }
}

section! {
    /// An entry of `digitalocean_sd_configs`.
    pub struct DigitalOceanSd, no_rules => {
        http: HttpClientConfig = "basic_auth and so on", http();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60).always();
        /// Of all targets.
        port: i64 = "port", int(80).always();
        role: DigitalOceanRole = "role", one_of(DigitalOceanRole::Droplets).always();
    }
}
