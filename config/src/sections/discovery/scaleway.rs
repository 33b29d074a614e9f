//! `scaleway_sd_configs`.

use std::path::PathBuf;

use crate::sections::http_client::{HttpClientConfig, Secret};
use crate::sections::table::{
    Checked, check_secret_key, choice, http, int, is_uuid, path, refresh_interval, refuse, require, required,
    secret, section, text, texts,
};

choice! {
    /// What is a target.
    pub enum ScalewayRole {
        Instance = "instance",
        BareMetal = "baremetal",
    }
}

section! {
    /// An entry of `scaleway_sd_configs`.
    pub struct ScalewaySd, check => {
        project_id: String = "project_id", text("").always();
        api_url: String = "api_url", text("https://api.scaleway.com");
        zone: String = "zone", text("fr-par-1").always();
        access_key: String = "access_key", text("").always();
        secret_key: Secret = "secret_key", secret().always();
        secret_key_file: Option<PathBuf> = "secret_key_file", path().always();
        /// "" for all.
        name_filter: String = "name_filter", text("");
        tags_filter: Vec<String> = "tags_filter", texts();
        http: HttpClientConfig = "basic_auth and so on", http();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60).always();
        /// Of all targets.
        port: i64 = "port", int(80).always();
        role: ScalewayRole = "role", required("role missing (one of: instance, baremetal)").always();
    }
}

fn check(sd: &ScalewaySd) -> Checked {
    require("project_id", !sd.project_id.is_empty(), "project_id is mandatory")?;
    check_secret_key(&sd.secret_key, sd.secret_key_file.as_deref())?;
    require("access_key", !sd.access_key.is_empty(), "access_key is mandatory")?;
    let key = sd.access_key.strip_prefix("SCW").unwrap_or("");
    if key.len() != 17 || !key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
        return refuse("access_key", "invalid access key format, expected SCWXXXXXXXXXXXXXXXXX");
    }
    require("project_id", is_uuid(&sd.project_id), "invalid project ID format, expected a UUID")?;
    let secret = &sd.secret_key;
    let fits = secret.is_empty() || is_uuid(secret.reveal());
    require("secret_key", fits, "invalid secret key format, expected a UUID")
}
