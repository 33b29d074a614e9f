//! `puppetdb_sd_configs`.

use super::http::check_http_url;
use crate::sections::http_client::HttpClientConfig;
use crate::sections::table::{Checked, boolean, http, int, refresh_interval, require, section, text};

section! {
    /// An entry of `puppetdb_sd_configs`.
    pub struct PuppetDbSd, check => {
        http: HttpClientConfig = "basic_auth and so on", http();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
        /// http or https, with a host.
        url: String = "url", text("").always();
        /// In PQL, for resources.
        query: String = "query", text("").always();
        /// Resources' parameters become labels; they may hold secrets.
        include_parameters: bool = "include_parameters", boolean(false).always();
        /// Of all targets.
        port: i64 = "port", int(80).always();
    }
}

fn check(sd: &PuppetDbSd) -> Checked {
    check_http_url(&sd.url).map_err(|message| ("url", message))?;
    require("query", !sd.query.is_empty(), "query missing")
}
