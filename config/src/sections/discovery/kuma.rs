//! `kuma_sd_configs`.

use crate::sections::http_client::HttpClientConfig;
use crate::sections::table::{
    Checked, check_server_url, duration, http, refresh_interval, require, section, text,
};

section! {
    /// An entry of `kuma_sd_configs`.
    pub struct KumaSd, check => {
        http: HttpClientConfig = "basic_auth and so on", http();
        /// The least time between two questions.
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(15);
        /// How long the server may wait for a change.
        fetch_timeout_ms: i64 = "fetch_timeout", duration(2 * 60);
        /// The URL of the monitoring assignment server.
        server: String = "server", text("");
        /// "" for this machine's name.
        client_id: String = "client_id", text("");
    }
}

fn check(sd: &KumaSd) -> Checked {
    require("server", !sd.server.is_empty(), "kuma SD server must not be empty")?;
    check_server_url("server", &sd.server, "kuma SD server must not be empty and have a scheme")
}
