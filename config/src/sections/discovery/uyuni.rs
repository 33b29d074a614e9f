//! `uyuni_sd_configs`.

use crate::sections::http_client::{HttpClientConfig, Secret};
use crate::sections::table::{Checked, check_url, http, refresh_interval, require, secret, section, text};

section! {
    /// An entry of `uyuni_sd_configs`.
    pub struct UyuniSd, check => {
        /// A URL.
        server: String = "server", text("").always();
        username: String = "username", text("").always();
        password: Secret = "password", secret().always();
        http: HttpClientConfig = "basic_auth and so on", http();
        /// Systems have it.
        entitlement: String = "entitlement", text("monitoring_entitled");
        /// Between names of groups.
        separator: String = "separator", text(",");
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
    }
}

fn check(sd: &UyuniSd) -> Checked {
    require("server", !sd.server.is_empty(), "Uyuni SD configuration requires server host")?;
    check_url("server", &sd.server)?;
    require("username", !sd.username.is_empty(), "Uyuni SD configuration requires a username")?;
    require("password", !sd.password.is_empty(), "Uyuni SD configuration requires a password")
}
