//! Whether a certificate is for a host. Source: Go's `Certificate.VerifyHostname`. The subject's common name does not
//! count, a wildcard stands for the whole first label, addresses match addresses only.

use std::net::IpAddr;

use super::certificate::{AlternativeNames, Certificate};

/// Messages list at most this number of names.
const MAX_NAMES_SHOWN: usize = 100;

/// Checks the name; the error lists what the certificate is for.
pub(super) fn verify_hostname(certificate: &Certificate, host: &str) -> Result<(), String> {
    let none = AlternativeNames::default();
    let names = certificate.names.as_ref().unwrap_or(&none);
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).filter(|host| !host.is_empty());
    let bare = bare.unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        let ip = ip.to_canonical();
        if names.addresses.iter().any(|candidate| candidate.to_canonical() == ip) {
            return Ok(());
        }
        return Err(address_mismatch(certificate, names, bare));
    }
    let lower = host.to_ascii_lowercase();
    let is_valid = valid_hostname(&lower, false);
    let matches = |name: &String| {
        if is_valid && valid_hostname(name, true) {
            matches_pattern(&name.to_ascii_lowercase(), lower.strip_suffix('.').unwrap_or(&lower))
        } else {
            !matches!(name.as_str(), "" | ".")
                && !matches!(lower.as_str(), "" | ".")
                && name.eq_ignore_ascii_case(&lower)
        }
    };
    if names.dns.iter().any(matches) { Ok(()) } else { Err(name_mismatch(certificate, names, host)) }
}

fn address_mismatch(certificate: &Certificate, names: &AlternativeNames, host: &str) -> String {
    if let Some(legacy) = legacy_name(certificate, host) {
        return legacy;
    }
    if names.addresses.is_empty() {
        return format!(
            "x509: cannot validate certificate for {host} because it doesn't contain any IP SANs"
        );
    }
    if names.addresses.len() >= MAX_NAMES_SHOWN {
        let count = names.addresses.len();
        return format!("x509: certificate is valid for {count} IP SANs, but none matched {host}");
    }
    let valid: Vec<String> = names.addresses.iter().map(IpAddr::to_string).collect();
    format!("x509: certificate is valid for {}, not {host}", valid.join(", "))
}

fn name_mismatch(certificate: &Certificate, names: &AlternativeNames, host: &str) -> String {
    if let Some(legacy) = legacy_name(certificate, host) {
        return legacy;
    }
    if names.dns.len() >= MAX_NAMES_SHOWN {
        let count = names.dns.len();
        return format!("x509: certificate is valid for {count} names, but none matched {host}");
    }
    if names.dns.iter().all(String::is_empty) {
        return format!("x509: certificate is not valid for any names, but wanted to match {host}");
    }
    format!("x509: certificate is valid for {}, not {host}", names.dns.join(", "))
}

fn legacy_name(certificate: &Certificate, host: &str) -> Option<String> {
    let common_name = certificate.common_name().to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    (certificate.names.is_none() && matches_pattern(&common_name, host))
        .then(|| "x509: certificate relies on legacy Common Name field, use SANs instead".to_owned())
}

/// Both in lower case.
fn matches_pattern(pattern: &str, host: &str) -> bool {
    if pattern.is_empty() || host.is_empty() {
        return false;
    }
    let mut host = host.split('.');
    for (i, want) in pattern.split('.').enumerate() {
        match host.next() {
            Some(_) if i == 0 && want == "*" => {}
            Some(label) if label == want => {}
            _ => return false,
        }
    }
    host.next().is_none()
}

/// What is not such a name matches only itself.
fn valid_hostname(host: &str, is_pattern: bool) -> bool {
    let host = if is_pattern { host } else { host.strip_suffix('.').unwrap_or(host) };
    if host.is_empty() || host == "*" {
        return false;
    }
    host.split('.').enumerate().all(|(i, label)| {
        if is_pattern && i == 0 && label == "*" {
            return true;
        }
        let allowed = |(j, b): (usize, u8)| b.is_ascii_alphanumeric() || b == b'_' || (b == b'-' && j != 0);
        !label.is_empty() && label.bytes().enumerate().all(allowed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, host, want) in [
            ("example.com", "example.com", true),
            ("EXAMPLE.com", "example.COM", true),
            ("example.com", "example.com.", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.com", "example.com", true),
            ("*", "localhost", false),
            ("a*.example.com", "ab.example.com", false),
            ("a.*.com", "a.b.com", false),
            ("-odd.example", "-odd.example", true),
            ("a_b.example", "a_b.example", true),
            ("example.com.", "example.com", false),
            ("", "", false),
        ] {
            let lower = host.to_ascii_lowercase();
            let got = if valid_hostname(&lower, false) && valid_hostname(pattern, true) {
                matches_pattern(&pattern.to_ascii_lowercase(), lower.strip_suffix('.').unwrap_or(&lower))
            } else {
                !pattern.is_empty() && pattern.eq_ignore_ascii_case(&lower)
            };
            assert_eq!(got, want, "{pattern} {host}");
        }
    }
}
