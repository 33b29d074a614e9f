//! AWS Signature Version 4, in headers. Source: "Create a signed AWS API request" of the IAM User Guide.

use std::fmt::Write as _;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use jiff::Timestamp;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::sign::Signer;

use super::Credentials;
use crate::client::auth::sensitive;
use crate::client::{HttpError, Request};

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// Proxies and tracers on the way may change these, so AWS's own clients do not sign them.
const UNSIGNED: [HeaderName; 6] = [
    AUTHORIZATION,
    USER_AGENT,
    HeaderName::from_static("x-amzn-trace-id"),
    HeaderName::from_static("uber-trace-id"),
    hyper::header::EXPECT,
    hyper::header::TRANSFER_ENCODING,
];

/// What a signature is good for, besides the one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    /// As `eu-central-1`.
    pub region: &'a str,
    /// As `ec2`.
    pub service: &'a str,
}

/// The headers that make a request a signed one: its date, the session's token, and the signature over these, `host` as
/// it is sent, the headers of the request and its body.
pub(super) fn sign(
    request: &Request,
    host: &str,
    credentials: &Credentials,
    scope: Scope<'_>,
    now: Timestamp,
) -> Result<HeaderMap, HttpError> {
    let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut added = HeaderMap::new();
    added.insert(DATE, HeaderValue::from_str(&date).map_err(|_| HttpError::Header(DATE.to_string()))?);
    if let Some(token) = &credentials.session_token {
        let mut value = HeaderValue::from_str(token.reveal())
            .map_err(|_| HttpError::Header(SECURITY_TOKEN.to_string()))?;
        value.set_sensitive(true);
        added.insert(SECURITY_TOKEN, value);
    }
    let (canonical, names) = canonical_request(request, host, &added);
    let day = date.get(..8).unwrap_or_default();
    let credential_scope = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let text =
        format!("AWS4-HMAC-SHA256\n{date}\n{credential_scope}\n{}", hex(&sha256(canonical.as_bytes())));
    let signature = signature(credentials.secret_key.reveal(), day, scope, &text)
        .map_err(|error| HttpError::Aws(format!("cannot sign the request: {error}")))?;
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{credential_scope}, SignedHeaders={names}, Signature={}",
        credentials.access_key,
        hex(&signature)
    );
    added.insert(AUTHORIZATION, sensitive(authorization)?);
    Ok(added)
}

fn signature(secret: &str, day: &str, scope: Scope<'_>, text: &str) -> Result<Vec<u8>, ErrorStack> {
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, scope.region, scope.service, "aws4_request"] {
        key = hmac(&key, part)?;
    }
    hmac(&key, text)
}

fn hmac(key: &[u8], text: &str) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(key)?;
    Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        _ = write!(out, "{byte:02x}");
        out
    })
}

/// The request in the one form that both sides hash, and the names of the headers in it.
fn canonical_request(request: &Request, host: &str, added: &HeaderMap) -> (String, String) {
    let mut target = String::new();
    request.url.write_request_target(&mut target);
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers: Vec<(&str, String)> = vec![("host", trim(host.as_bytes()))];
    if !request.body.is_empty() {
        headers.push(("content-length", request.body.len().to_string()));
    }
    let is_signed = |name: &HeaderName| {
        !UNSIGNED.contains(name) && name != hyper::header::HOST && name != hyper::header::CONTENT_LENGTH
    };
    let own = request.headers.keys().filter(|name| is_signed(name) && !added.contains_key(*name));
    for (name, map) in own.map(|name| (name, &request.headers)).chain(added.keys().map(|name| (name, added)))
    {
        let values: Vec<String> = map.get_all(name).iter().map(|value| trim(value.as_bytes())).collect();
        headers.push((name.as_str(), values.join(",")));
    }
    headers.sort_unstable();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let mut out = format!("{}\n{}\n{}\n", request.method, canonical_path(path), canonical_query(query));
    for (name, value) in &headers {
        _ = writeln!(out, "{name}:{value}");
    }
    _ = write!(out, "\n{names}\n{}", hex(&sha256(&request.body)));
    (out, names)
}

/// Without white space at the ends, and with one space for several.
fn trim(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Without empty parts and dots, and escaped once more than it is sent, as all services but S3 want it.
fn canonical_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut out = String::from("/");
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push('/');
        }
        escape(part.as_bytes(), &mut out);
    }
    if !parts.is_empty() && (path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..")) {
        out.push('/');
    }
    out
}

/// Sorted by name, then by value, and escaped in the one way.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (escape_again(name), escape_again(value))
        })
        .collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn escape_again(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push((high << 4) | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    let mut out = String::with_capacity(text.len());
    escape(&bytes, &mut out);
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn escape(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use config::http_client::Secret;
    use config::url::GoUrl;
    use hyper::Method;

    use super::*;

    /// The user, day and scope of AWS's Signature Version 4 test suite.
    fn signed(request: &Request, token: Option<&str>) -> String {
        let credentials = Credentials {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: token.map(Secret::new),
            expires: None,
        };
        let scope = Scope { region: "us-east-1", service: "service" };
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        let headers = sign(request, "example.amazonaws.com", &credentials, scope, now).unwrap();
        assert_eq!(headers[DATE], "20150830T123600Z");
        assert!(headers[AUTHORIZATION].is_sensitive());
        headers[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    fn request(method: Method, target: &str) -> Request {
        let url = GoUrl::parse(&format!("https://example.amazonaws.com{target}")).unwrap();
        Request { method, ..Request::get(url) }
    }

    /// The suite's cases by their names there.
    #[test]
    fn published_vectors() {
        for (name, method, target, want) in [
            (
                "get-vanilla",
                Method::GET,
                "/",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "get-vanilla-query-order-key-case",
                Method::GET,
                "/?Param2=value2&Param1=value1",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "post-vanilla",
                Method::POST,
                "/",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "normalize-path/get-relative",
                Method::GET,
                "/example/..",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "normalize-path/get-slash",
                Method::GET,
                "//",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
        ] {
            let want = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature={want}"
            );
            assert_eq!(signed(&request(method, target), None), want, "{name}");
        }
    }

    #[test]
    fn what_is_signed() {
        let plain = signed(&request(Method::GET, "/"), None);
        let with_token = signed(&request(Method::GET, "/"), Some("TOKEN"));
        assert!(with_token.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"), "{with_token}");
        let url = GoUrl::parse("https://example.amazonaws.com/").unwrap();
        let mut post = Request::post(url, "application/json", "[]");
        let first = signed(&post, None);
        assert!(first.contains("SignedHeaders=content-length;content-type;host;x-amz-date,"), "{first}");
        post.body = "{}".into();
        assert_ne!(signed(&post, None), first);
        let mut traced = request(Method::GET, "/");
        for name in ["user-agent", "uber-trace-id", "x-amzn-trace-id"] {
            traced.headers.insert(name, HeaderValue::from_static("x"));
        }
        assert_eq!(signed(&traced, None), plain);
    }

    #[test]
    fn canonical_forms() {
        for (path, want) in [
            ("", "/"),
            ("/./example", "/example"),
            ("//example//", "/example/"),
            ("/a%20b/%E1%88%B4", "/a%2520b/%25E1%2588%25B4"),
        ] {
            assert_eq!(canonical_path(path), want, "{path}");
        }
        for (query, want) in [
            ("b=2&a=1&a=0", "a=0&a=1&b=2"),
            ("q=a+b&r=%7e%2F", "q=a%20b&r=~%2F"),
            ("flag", "flag="),
            ("p=%zz%", "p=%25zz%25"),
        ] {
            assert_eq!(canonical_query(query), want, "{query}");
        }
        assert_eq!(trim(b"  a   b \t c "), "a b c");
    }
}
