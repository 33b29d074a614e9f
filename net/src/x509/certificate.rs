//! What verification needs to know of a certificate. Source: RFC 5280 and Go's `crypto/x509`.

use std::fmt::Write as _;
use std::net::IpAddr;

use openssl::x509::X509;

use super::constraints::NameConstraints;
use super::der::{
    BIT_STRING, BMP_STRING, BOOLEAN, Der, GENERALIZED_TIME, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING,
    SEQUENCE, UTC_TIME, Value, context, context_constructed,
};

/// A parsed certificate.
pub struct Certificate {
    /// For its key, and to verify what the key signed.
    pub(super) x509: X509,
    pub(super) der: Vec<u8>,
    pub(super) version: u8,
    /// The serial number, for messages.
    serial: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) subject: Vec<u8>,
    /// Seconds since 1970, both included.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    /// The algorithm of its signature is broken: its name.
    pub(super) insecure_algorithm: Option<&'static str>,
    pub(super) is_ca: Option<bool>,
    pub(super) path_len: Option<u64>,
    /// Whether the key may sign certificates; `None` when nothing is said about what it may do.
    pub(super) may_sign: Option<bool>,
    pub(super) extended_key_usage: Vec<Vec<u8>>,
    pub(super) names: Option<AlternativeNames>,
    pub(super) constraints: Option<NameConstraints>,
    pub(super) has_unknown_critical: bool,
}

/// The subject's alternative names.
#[derive(Debug, Default)]
pub(super) struct AlternativeNames {
    pub dns: Vec<String>,
    pub addresses: Vec<IpAddr>,
    pub emails: Vec<String>,
    pub uris: Vec<String>,
}

const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANIZATION: &[u8] = &[0x55, 4, 10];

impl Certificate {
    /// Parses DER.
    pub fn from_der(der: &[u8]) -> Result<Self, String> {
        let malformed = || "x509: malformed certificate".to_owned();
        let x509 = X509::from_der(der).map_err(|_| malformed())?;
        parse(x509, der).ok_or_else(malformed)
    }

    /// Takes over what the TLS library parsed.
    pub fn from_x509(x509: X509) -> Result<Self, String> {
        let malformed = || "x509: malformed certificate".to_owned();
        let der = x509.to_der().map_err(|_| malformed())?;
        parse(x509, &der).ok_or_else(malformed)
    }

    /// The certificate as the TLS library has it.
    pub fn x509(&self) -> &X509 {
        &self.x509
    }

    /// The subject's common name, "" for none.
    pub(super) fn common_name(&self) -> String {
        attribute(&self.subject, COMMON_NAME).unwrap_or_default()
    }

    /// What messages call it: common name, organization or serial number.
    pub(super) fn display_name(&self) -> String {
        let name = self.common_name();
        if !name.is_empty() {
            return name;
        }
        attribute(&self.subject, ORGANIZATION).unwrap_or_else(|| {
            let mut text = "serial:".to_owned();
            for octet in &self.serial {
                // Writing to a string cannot fail.
                let _ = write!(text, "{octet:02x}");
            }
            text
        })
    }
}

fn attribute(name: &[u8], wanted: &[u8]) -> Option<String> {
    let mut sets = Der(name).expect(SEQUENCE)?.inside();
    let mut found = None;
    while let Some(set) = sets.value() {
        let mut pairs = set.inside();
        while let Some(pair) = pairs.expect(SEQUENCE) {
            let mut pair = pair.inside();
            if pair.expect(OBJECT_IDENTIFIER)?.content == wanted {
                found = Some(text(pair.value()?));
            }
        }
    }
    found
}

fn text(value: Value<'_>) -> String {
    if value.tag == BMP_STRING {
        let units: Vec<u16> =
            value.content.as_chunks::<2>().0.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
        return String::from_utf16_lossy(&units);
    }
    String::from_utf8_lossy(value.content).into_owned()
}

fn parse(x509: X509, der: &[u8]) -> Option<Certificate> {
    let mut outer = Der(der).expect(SEQUENCE)?.inside();
    let mut tbs = outer.expect(SEQUENCE)?.inside();
    let algorithm = outer.expect(SEQUENCE)?.inside().expect(OBJECT_IDENTIFIER)?.content;
    let version = match tbs.optional(context_constructed(0)) {
        Some(version) => version.inside().expect(INTEGER)?.content.last()?.checked_add(1)?,
        None => 1,
    };
    let serial = tbs.expect(INTEGER)?.content.to_vec();
    tbs.expect(SEQUENCE)?;
    let issuer = tbs.expect(SEQUENCE)?.whole.to_vec();
    let mut validity = tbs.expect(SEQUENCE)?.inside();
    let (not_before, not_after) = (time(validity.value()?)?, time(validity.value()?)?);
    let subject = tbs.expect(SEQUENCE)?.whole.to_vec();
    // The public key is the TLS library's business.
    tbs.expect(SEQUENCE)?;
    let mut certificate = Certificate {
        x509,
        der: der.to_vec(),
        version,
        serial,
        issuer,
        subject,
        not_before,
        not_after,
        insecure_algorithm: insecure(algorithm),
        is_ca: None,
        path_len: None,
        may_sign: None,
        extended_key_usage: Vec::new(),
        names: None,
        constraints: None,
        has_unknown_critical: false,
    };
    tbs.optional(context(1));
    tbs.optional(context(2));
    if let Some(extensions) = tbs.optional(context_constructed(3)) {
        let mut extensions = extensions.inside().expect(SEQUENCE)?.inside();
        while let Some(extension) = extensions.expect(SEQUENCE) {
            let mut extension = extension.inside();
            let id = extension.expect(OBJECT_IDENTIFIER)?.content;
            let critical = extension.optional(BOOLEAN).is_some_and(|flag| flag.content != [0]);
            let value = extension.expect(OCTET_STRING)?.content;
            let known = certificate.read_extension(id, value)?;
            certificate.has_unknown_critical |= critical && !known;
        }
    }
    Some(certificate)
}

impl Certificate {
    /// Whether the extension is one whose meaning is heeded; `None` if it is malformed.
    fn read_extension(&mut self, id: &[u8], value: &[u8]) -> Option<bool> {
        let der = || Der(value).expect(SEQUENCE).map(|value| value.inside());
        match id {
            // Key usage: bit 5 is keyCertSign.
            [0x55, 0x1d, 15] => {
                let (_, bits) = Der(value).expect(BIT_STRING)?.content.split_first()?;
                if bits.iter().any(|bits| *bits != 0) {
                    self.may_sign = Some(bits.first().is_some_and(|bits| bits & 0x04 != 0));
                }
            }
            [0x55, 0x1d, 17] => {
                let (names, is_understood) = alternative_names(der()?)?;
                self.names = Some(names);
                return Some(is_understood);
            }
            [0x55, 0x1d, 19] => {
                let mut der = der()?;
                self.is_ca = Some(der.optional(BOOLEAN).is_some_and(|flag| flag.content != [0]));
                self.path_len = der.optional(INTEGER).map(|n| {
                    n.content
                        .iter()
                        .fold(0_u64, |n, octet| n.saturating_mul(256).saturating_add(u64::from(*octet)))
                });
            }
            [0x55, 0x1d, 30] => {
                let (constraints, is_understood) = NameConstraints::read(der()?)?;
                self.constraints = Some(constraints);
                return Some(is_understood);
            }
            [0x55, 0x1d, 37] => {
                let mut der = der()?;
                while let Some(usage) = der.expect(OBJECT_IDENTIFIER) {
                    self.extended_key_usage.push(usage.content.to_vec());
                }
            }
            // Key identifiers, policies and what restricts them.
            [0x55, 0x1d, 14 | 32 | 33 | 35 | 36 | 54] => {}
            _ => return Some(false),
        }
        Some(true)
    }
}

/// The names, and whether there is one of a kind that is understood.
fn alternative_names(mut der: Der<'_>) -> Option<(AlternativeNames, bool)> {
    let mut names = AlternativeNames::default();
    let mut is_understood = false;
    while !der.is_empty() {
        let name = der.value()?;
        let text = || String::from_utf8_lossy(name.content).into_owned();
        is_understood |= matches!(name.tag, 0x81 | 0x82 | 0x86 | 0x87);
        match name.tag {
            0x81 => names.emails.push(text()),
            0x82 => names.dns.push(text()),
            0x86 => names.uris.push(text()),
            0x87 => names.addresses.push(address(name.content)?),
            _ => {}
        }
    }
    Some((names, is_understood))
}

/// Four or sixteen octets.
pub(super) fn address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// Signatures that can be forged: MD2, MD5 and SHA-1.
fn insecure(algorithm: &[u8]) -> Option<&'static str> {
    match algorithm {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 2] => Some("MD2-RSA"),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4] => Some("MD5-RSA"),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5] | [0x2b, 0x0e, 3, 2, 29] => Some("SHA1-RSA"),
        [0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3] => Some("DSA-SHA1"),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] => Some("ECDSA-SHA1"),
        _ => None,
    }
}

/// Seconds since 1970.
fn time(value: Value<'_>) -> Option<i64> {
    let digits = value.content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |text: &[u8]| text.iter().fold(0_i64, |n, digit| n * 10 + i64::from(digit - b'0'));
    let (year, rest) = match (value.tag, digits.len()) {
        (UTC_TIME, 10 | 12) => {
            let year = number(&digits[..2]);
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (GENERALIZED_TIME, 14) => (number(&digits[..4]), &digits[4..]),
        _ => return None,
    };
    let part = |i: usize| rest.get(2 * i..2 * i + 2).map_or(0, number);
    let (month, day) = (part(0), part(1));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days from the civil calendar, years beginning in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 719_469;
    Some(days * 86_400 + part(2) * 3600 + part(3) * 60 + part(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let at = |tag, content: &str| time(Value { tag, content: content.as_bytes(), whole: &[] });
        assert_eq!(at(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(at(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(at(UTC_TIME, "500101000000Z"), Some(-631_152_000));
        assert_eq!(at(GENERALIZED_TIME, "20240229120000Z"), Some(1_709_208_000));
        assert_eq!(at(GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799));
        assert_eq!(at(UTC_TIME, "7001010000Z"), Some(0));
        for bad in ["700101000000", "701301000000Z", "7001x1000000Z", ""] {
            assert_eq!(at(UTC_TIME, bad), None, "{bad}");
        }
    }
}
