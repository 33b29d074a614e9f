//! `oci_sd_configs`.

use std::path::PathBuf;

use crate::sections::http_client::{HttpClientConfig, Secret};
use crate::sections::table::{
    Checked, choice, http, int, one_of, path, refresh_interval, refuse, require, secret, section, text, texts,
};

choice! {
    /// How Oracle's cloud is convinced of who asks.
    pub enum OciAuth {
        ApiKey = "api_key",
        /// The certificate of this instance.
        InstancePrincipal = "instance_principal",
    }
}

section! {
    /// An entry of `oci_sd_configs`.
    pub struct OciSd, check => {
        auth: OciAuth = "auth", one_of(OciAuth::ApiKey);
        tenancy: String = "tenancy", text("");
        user: String = "user", text("");
        fingerprint: String = "fingerprint", text("");
        key_file: Option<PathBuf> = "key_file", path();
        key_passphrase: Secret = "key_passphrase", secret();
        key_passphrase_file: Option<PathBuf> = "key_passphrase_file", path();
        region: String = "region", text("").always();
        /// Empty for that of the tenancy.
        compartments: Vec<String> = "compartments", texts();
        http: HttpClientConfig = "basic_auth and so on", http();
        /// Of all targets.
        port: i64 = "port", int(80).always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60).always();
    }
}

fn check(sd: &OciSd) -> Checked {
    require("region", !sd.region.is_empty(), "oci_sd: region is required")?;
    let own = [
        ("tenancy", !sd.tenancy.is_empty()),
        ("user", !sd.user.is_empty()),
        ("fingerprint", !sd.fingerprint.is_empty()),
        ("key_file", sd.key_file.is_some()),
    ];
    let passphrases = [
        ("key_passphrase", !sd.key_passphrase.is_empty()),
        ("key_passphrase_file", sd.key_passphrase_file.is_some()),
    ];
    match sd.auth {
        OciAuth::ApiKey => {
            for (field, is_set) in own {
                require(field, is_set, &format!("oci_sd: api_key auth requires {field}"))?;
            }
            if passphrases.iter().all(|(_, is_set)| *is_set) {
                return refuse(
                    "key_passphrase_file",
                    "oci_sd: at most one of key_passphrase and key_passphrase_file must be configured",
                );
            }
        }
        OciAuth::InstancePrincipal => {
            if let Some((field, _)) = own.into_iter().chain(passphrases).find(|(_, is_set)| *is_set) {
                return refuse(
                    field,
                    "oci_sd: instance_principal auth must not have tenancy, user, fingerprint, key_file, \
                     key_passphrase, or key_passphrase_file set",
                );
            }
        }
    }
    match sd.compartments.iter().position(String::is_empty) {
        Some(i) => refuse("compartments", format!("oci_sd: compartments[{i}] must not be empty")),
        None => Ok(()),
    }
}
