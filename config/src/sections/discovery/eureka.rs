//! `eureka_sd_configs`.

use crate::sections::http_client::HttpClientConfig;
use crate::sections::table::{Checked, check_server_url, http, refresh_interval, require, section, text};

section! {
    /// An entry of `eureka_sd_configs`.
    pub struct EurekaSd, check => {
        /// A URL.
        server: String = "server", text("");
        http: HttpClientConfig = "basic_auth and so on", http();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(30);
    }
}

fn check(sd: &EurekaSd) -> Checked {
    require("server", !sd.server.is_empty(), "eureka_sd: empty or null eureka server")?;
    check_server_url("server", &sd.server, "eureka_sd: invalid eureka server URL")
}
