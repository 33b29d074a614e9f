//! `ionos_sd_configs`.

use crate::sections::http_client::HttpClientConfig;
use crate::sections::table::{Checked, http, int, refresh_interval, require, section, text};

section! {
    /// An entry of `ionos_sd_configs`.
    pub struct IonosSd, check => {
        datacenter_id: String = "datacenter_id", text("").always();
        http: HttpClientConfig = "basic_auth and so on", http();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60).always();
        /// Of all targets.
        port: i64 = "port", int(80).always();
    }
}

fn check(sd: &IonosSd) -> Checked {
    require("datacenter_id", !sd.datacenter_id.is_empty(), "datacenter id can't be empty")
}
