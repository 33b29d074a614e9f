//! `nomad_sd_configs`.

use crate::sections::http_client::HttpClientConfig;
use crate::sections::table::{Checked, boolean, http, refresh_interval, require, section, text};

section! {
    /// An entry of `nomad_sd_configs`.
    pub struct NomadSd, check => {
        /// Servers that are not the leader may answer.
        allow_stale: bool = "allow_stale", boolean(true).always();
        http: HttpClientConfig = "basic_auth and so on", http();
        namespace: String = "namespace", text("default").always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60).always();
        region: String = "region", text("global").always();
        /// A URL.
        server: String = "server", text("http://localhost:4646").always();
        /// Around and between tags.
        tag_separator: String = "tag_separator", text(",");
    }
}

fn check(sd: &NomadSd) -> Checked {
    let has_server = !sd.server.trim().is_empty();
    require("server", has_server, "nomad SD configuration requires a server address")
}
