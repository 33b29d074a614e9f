//! A signed JWT that identifies the client in place of a secret (RFC 7523).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use config::http_client::OAuth2;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rand::rand_bytes;
use openssl::sign::Signer;
use serde_json::Value;

/// How long an assertion is valid.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The assertion, signed with an RSA key in PEM. Claims of the configuration replace those that are set here.
pub(super) fn sign(config: &OAuth2, key: &str) -> Result<String, String> {
    let (name, digest) = match config.signature_algorithm.as_str() {
        "RS384" => ("RS384", MessageDigest::sha384()),
        "RS512" => ("RS512", MessageDigest::sha512()),
        _ => ("RS256", MessageDigest::sha256()),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    let failed = |error: ErrorStack| format!("cannot sign: {error}");
    let mut claims: BTreeMap<&str, Value> = BTreeMap::from([
        ("iss", or(&config.iss, &config.client_id).into()),
        ("sub", config.client_id.clone().into()),
        ("aud", or(&config.audience, &config.token_url).into()),
        ("iat", now.as_secs().into()),
        ("exp", (now + LIFETIME).as_secs().into()),
        ("jti", random_uuid().map_err(failed)?.into()),
    ]);
    if !config.scopes.is_empty() {
        claims.insert("scope", config.scopes.join(" ").into());
    }
    claims.extend(config.claims.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let mut head: BTreeMap<&str, &str> = BTreeMap::from([("alg", name), ("typ", "JWT")]);
    if !config.client_certificate_key_id.is_empty() {
        head.insert("kid", &config.client_certificate_key_id);
    }
    let json = |error: serde_json::Error| format!("cannot write claims: {error}");
    let head = serde_json::to_vec(&head).map_err(json)?;
    let claims = serde_json::to_vec(&claims).map_err(json)?;
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(&head), encode(&claims));
    let invalid = || "invalid key: Key must be a PEM encoded PKCS1 or PKCS8 RSA private key".to_owned();
    // OpenSSL would ask for the passphrase.
    if key.contains("ENCRYPTED") {
        return Err(format!("{}, not an encrypted one", invalid()));
    }
    let key = PKey::private_key_from_pem(key.as_bytes()).map_err(|_| invalid())?;
    key.rsa().map_err(|_| invalid())?;
    let mut signer = Signer::new(digest, &key).map_err(failed)?;
    let signature = signer.sign_oneshot_to_vec(message.as_bytes()).map_err(failed)?;
    Ok(format!("{message}.{}", encode(&signature)))
}

/// A random UUID, version 4.
fn random_uuid() -> Result<String, ErrorStack> {
    let mut bytes = [0; 16];
    rand_bytes(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::rsa::Rsa;
    use openssl::sign::Verifier;

    #[test]
    fn assertions() {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let pem = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let pkcs8 = pem(key.private_key_to_pem_pkcs8().unwrap());
        let pkcs1 = pem(key.rsa().unwrap().private_key_to_pem().unwrap());
        let mut config = OAuth2 {
            client_id: "id".to_owned(),
            token_url: "http://t/".to_owned(),
            scopes: vec!["a".to_owned(), "b".to_owned()],
            client_certificate_key_id: "k".to_owned(),
            claims: vec![("sub".to_owned(), "me".into()), ("n".to_owned(), 1.into())],
            ..OAuth2::default()
        };
        for (algorithm, digest, pem) in [
            ("", MessageDigest::sha256(), &pkcs8),
            ("RS384", MessageDigest::sha384(), &pkcs1),
            ("RS512", MessageDigest::sha512(), &pkcs8),
        ] {
            config.signature_algorithm = algorithm.to_owned();
            let assertion = sign(&config, pem).unwrap();
            let parts: Vec<&str> = assertion.split('.').collect();
            let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
            let mut verifier = Verifier::new(digest, &key).unwrap();
            let message = format!("{}.{}", parts[0], parts[1]);
            assert!(verifier.verify_oneshot(&decode(parts[2]), message.as_bytes()).unwrap());
            let head: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
            let name = if algorithm.is_empty() { "RS256" } else { algorithm };
            assert_eq!(head, serde_json::json!({"alg": name, "kid": "k", "typ": "JWT"}));
            let claims: Value = serde_json::from_slice(&decode(parts[1])).unwrap();
            assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 600);
            let text = |name: &str| claims[name].as_str().unwrap_or_default();
            let got = [text("iss"), text("sub"), text("aud"), text("scope")];
            assert_eq!((got, claims["n"].as_u64()), (["id", "me", "http://t/", "a b"], Some(1)));
            assert_eq!(text("jti").len(), 36);
        }
        assert!(sign(&config, "nonsense").unwrap_err().starts_with("invalid key: "));
    }
}
