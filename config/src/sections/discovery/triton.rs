//! `triton_sd_configs`.

use crate::sections::http_client::TlsConfig;
use crate::sections::table::{
    Checked, choice, int, one_of, refresh_interval, require, section, text, texts, tls,
};

choice! {
    /// What is a target.
    pub enum TritonRole {
        Container = "container",
        /// Compute nodes.
        ComputeNode = "cn",
    }
}

section! {
    /// An entry of `triton_sd_configs`.
    pub struct TritonSd, check => {
        account: String = "account", text("").always();
        role: TritonRole = "role", one_of(TritonRole::Container).always();
        /// Behind the id of a target.
        dns_suffix: String = "dns_suffix", text("").always();
        /// A host, without scheme and port.
        endpoint: String = "endpoint", text("").always();
        /// Empty for all; for containers only.
        groups: Vec<String> = "groups", texts();
        /// Of the endpoint and all targets.
        port: i64 = "port", int(9163).always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
        tls: TlsConfig = "tls_config", tls();
        /// Of the API.
        version: i64 = "version", int(1).always();
    }
}

fn check(sd: &TritonSd) -> Checked {
    require("account", !sd.account.is_empty(), "triton SD configuration requires an account")?;
    require("dns_suffix", !sd.dns_suffix.is_empty(), "triton SD configuration requires a dns_suffix")?;
    require("endpoint", !sd.endpoint.is_empty(), "triton SD configuration requires an endpoint")
}
