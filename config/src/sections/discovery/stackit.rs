//! `stackit_sd_configs`.

use crate::sections::http_client::{HttpClientConfig, Secret};
use crate::sections::table::{
    Checked, check_url, http, int, refresh_interval, refuse, secret, section, text,
};

section! {
    /// An entry of `stackit_sd_configs`.
    pub struct StackitSd, check => {
        http: HttpClientConfig = "basic_auth and so on", http();
        project: String = "project", text("").always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
        /// Of all targets.
        port: i64 = "port", int(80);
        region: String = "region", text("eu01");
        /// A URL; "" for that of the region.
        endpoint: String = "endpoint", text("");
        /// A key in JSON.
        service_account_key: Secret = "service_account_key", secret();
        /// In PEM, if it is not in the key.
        private_key: Secret = "private_key", secret();
        service_account_key_path: String = "service_account_key_path", text("");
        private_key_path: String = "private_key_path", text("");
        /// A file that names the others.
        credentials_file_path: String = "credentials_file_path", text("");
    }
}

fn check(sd: &StackitSd) -> Checked {
    if sd.endpoint.is_empty() && sd.region.is_empty() {
        return refuse("region", "stackit_sd: endpoint and region missing");
    }
    check_url("endpoint", &sd.endpoint)
}
