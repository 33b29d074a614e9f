//! What a redirect makes of a request, and whom credentials are for. Source: Go's `net/http` client and Prometheus's
//! `common/config`.

use config::url::GoUrl;
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE, HeaderMap,
    HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, REFERER, WWW_AUTHENTICATE,
};
use hyper::{Method, StatusCode};

use super::proxy::ascii;

/// Headers that are for the server that was asked first, and for those below its domain.
const SENSITIVE: [HeaderName; 6] = [
    AUTHORIZATION,
    WWW_AUTHENTICATE,
    COOKIE,
    HeaderName::from_static("cookie2"),
    PROXY_AUTHORIZATION,
    PROXY_AUTHENTICATE,
];
/// Headers about a body.
const OF_BODY: [HeaderName; 4] = [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE];

/// Whether a status sends the client on.
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The method after a redirect, and whether the body is sent again.
pub(super) fn method_after(status: StatusCode, method: Method) -> (Method, bool) {
    match status.as_u16() {
        307 | 308 => (method, true),
        _ if method == Method::GET || method == Method::HEAD => (method, false),
        _ => (Method::GET, false),
    }
}

/// Whether credentials for `first` may be sent to `url`: the same host or one below it, whatever the port.
pub(super) fn is_at_home(first: &GoUrl, url: &GoUrl) -> bool {
    let (parent, sub) =
        (ascii(first.hostname()).to_ascii_lowercase(), ascii(url.hostname()).to_ascii_lowercase());
    if sub == parent {
        return true;
    }
    // Addresses have nothing below them.
    !parent.is_empty()
        && !sub.contains([':', '%'])
        && sub.strip_suffix(&parent).is_some_and(|rest| rest.ends_with('.'))
}

/// Removes what is only for the server that was asked first.
pub(super) fn strip_sensitive(headers: &mut HeaderMap) {
    for name in SENSITIVE {
        headers.remove(name);
    }
}

/// Removes what is about a body that is not sent.
pub(super) fn strip_body(headers: &mut HeaderMap) {
    for name in OF_BODY {
        headers.remove(name);
    }
}

/// Says where the client comes from, without credentials, and never from TLS to plain text.
pub(super) fn set_referer(headers: &mut HeaderMap, from: &GoUrl, to: &GoUrl) {
    if from.scheme() == "https" && to.scheme() == "http" || headers.contains_key(REFERER) {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&from.clone().without_userinfo().reveal()) {
        headers.insert(REFERER, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_credentials_are_for() {
        for (first, url, want) in [
            ("http://a.example/", "http://a.example:81/x", true),
            ("http://a.example/", "https://A.EXAMPLE/", true),
            ("http://example.com/", "http://sub.example.com/", true),
            ("http://example.com/", "http://notexample.com/", false),
            ("http://sub.example.com/", "http://example.com/", false),
            ("http://example.com/", "http://[::1%25.example.com]/", false),
            ("http://10.0.0.1/", "http://10.0.0.1:9/", true),
            ("http://10.0.0.1/", "http://1.10.0.0.1/", true),
            ("http://[::1]/", "http://[::1]:1/", true),
            ("http://[::1]/", "http://[::2]/", false),
            ("http://bücher.example/", "http://xn--bcher-kva.example/", true),
        ] {
            let parse = |text: &str| GoUrl::parse(text).unwrap();
            assert_eq!(is_at_home(&parse(first), &parse(url)), want, "{first} {url}");
        }
    }

    #[test]
    fn methods() {
        for (status, method, want) in [
            (301, Method::POST, (Method::GET, false)),
            (302, Method::HEAD, (Method::HEAD, false)),
            (303, Method::PUT, (Method::GET, false)),
            (303, Method::GET, (Method::GET, false)),
            (307, Method::POST, (Method::POST, true)),
            (308, Method::GET, (Method::GET, true)),
        ] {
            assert_eq!(method_after(StatusCode::from_u16(status).unwrap(), method), want, "{status}");
        }
    }
}
