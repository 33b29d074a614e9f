//! `http_sd_configs`.

use crate::sections::http_client::HttpClientConfig;
use crate::sections::table::{http, refresh_interval, section, text};
use crate::url::{GoUrl, refused};

section! {
    /// An entry of `http_sd_configs`.
    pub struct HttpSd, |sd| check_http_url(&sd.url).map_err(|message| ("url", message)) => {
        http: HttpClientConfig = "basic_auth and so on", http();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
        /// http or https, with a host.
        url: String = "url", text("").always();
    }
}

/// Checks that a URL is http or https and has a host.
pub fn check_http_url(url: &str) -> Result<(), String> {
    if url.is_empty() {
        return Err("URL is missing".to_owned());
    }
    let url = GoUrl::parse(url).map_err(|e| refused(url, &e))?;
    match url.scheme() {
        "http" | "https" if url.host().is_empty() => Err("host is missing in URL".to_owned()),
        "http" | "https" => Ok(()),
        _ => Err("URL scheme must be 'http' or 'https'".to_owned()),
    }
}
