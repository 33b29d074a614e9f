//! `marathon_sd_configs`.

use std::path::PathBuf;

use crate::sections::http_client::{Auth, HttpClientConfig, Secret};
use crate::sections::table::{
    Checked, http, path, refresh_interval, refuse, require, secret, section, texts,
};

section! {
    /// An entry of `marathon_sd_configs`.
    pub struct MarathonSd, check => {
        /// URLs; one of them is asked.
        servers: Vec<String> = "servers", texts();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(30);
        /// Sent as `Authorization: token=…`.
        auth_token: Secret = "auth_token", secret();
        auth_token_file: Option<PathBuf> = "auth_token_file", path();
        http: HttpClientConfig = "basic_auth and so on", http();
    }
}

fn check(sd: &MarathonSd) -> Checked {
    require("servers", !sd.servers.is_empty(), "marathon_sd: must contain at least one Marathon server")?;
    let token = !sd.auth_token.is_empty();
    if token && sd.auth_token_file.is_some() {
        return refuse(
            "auth_token_file",
            "marathon_sd: at most one of auth_token & auth_token_file must be configured",
        );
    }
    let token = token || sd.auth_token_file.is_some();
    match &sd.http.auth {
        Auth::Basic(_) if token => refuse(
            "basic_auth",
            "marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be configured",
        ),
        Auth::Authorization(_) if token => refuse(
            "authorization",
            "marathon_sd: at most one of auth_token, auth_token_file & authorization must be configured",
        ),
        _ => Ok(()),
    }
}
