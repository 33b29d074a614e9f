//! `outscale_sd_configs`.

use std::path::PathBuf;

use crate::sections::http_client::{HttpClientConfig, Secret};
use crate::sections::table::{
    Checked, check_secret_key, http, int, path, refresh_interval, require, secret, section, text,
};

section! {
    /// An entry of `outscale_sd_configs`.
    pub struct OutscaleSd, check => {
        /// A URL; "" for that of the region.
        endpoint: String = "endpoint", text("");
        region: String = "region", text("eu-west-2").always();
        access_key: String = "access_key", text("").always();
        secret_key: Secret = "secret_key", secret().always();
        secret_key_file: Option<PathBuf> = "secret_key_file", path().always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
        /// Of all targets.
        port: i64 = "port", int(80).always();
        http: HttpClientConfig = "basic_auth and so on", http();
    }
}

fn check(sd: &OutscaleSd) -> Checked {
    require("region", !sd.region.is_empty(), "outscale SD configuration requires a region")?;
    require("access_key", !sd.access_key.is_empty(), "outscale SD configuration requires access_key")?;
    check_secret_key(&sd.secret_key, sd.secret_key_file.as_deref())
}
