//! `linode_sd_configs`.

use crate::sections::http_client::HttpClientConfig;
use crate::sections::table::{http, int, no_rules, refresh_interval, section, text};

section! {
    /// An entry of `linode_sd_configs`.
    pub struct LinodeSd, no_rules => {
        http: HttpClientConfig = "basic_auth and so on", http();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60).always();
        /// Of all targets.
        port: i64 = "port", int(80).always();
        /// Around and between tags and addresses.
        tag_separator: String = "tag_separator", text(",");
        /// "" for all.
        region: String = "region", text("");
    }
}
