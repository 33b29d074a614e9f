//! What Go's server and mux judge of a request before any handler sees it: its Host header and the form of its path.
//! Source: Go `net/http` (`server.go`, `readRequest` and `cleanPath`), whose answers Prometheus 3.14 gives.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Middleware for everything: refuses requests without one Host, and redirects to the clean form of a path.
pub async fn check(request: Request, next: Next) -> Response {
    if let Err(refusal) = check_host(&request) {
        let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CONNECTION, "close")];
        return (StatusCode::BAD_REQUEST, headers, refusal).into_response();
    }
    if *request.method() != Method::CONNECT
        && let Some(location) = clean_target(request.uri().path(), request.uri().query())
        && let Ok(location) = HeaderValue::try_from(location)
    {
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response();
    }
    next.run(request).await
}

fn check_host(request: &Request) -> Result<(), &'static str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err("400 Bad Request");
    }
    match host {
        Some(host) if !host.as_bytes().iter().copied().all(is_host_byte) => {
            Err("400 Bad Request: malformed Host header")
        }
        // HTTP/2 names its host in the target, HTTP/1.0 need not name one.
        None if request.version() == Version::HTTP_11 && request.uri().host().is_none() => {
            Err("400 Bad Request: missing required Host header")
        }
        _ => Ok(()),
    }
}

/// Bytes that a Host may have: what RFC 3986 knows of names, addresses, zones and ports.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&()*+,-.:;='[]_~".contains(&byte)
}

/// Where a request for a path that is not clean is sent; `None` for clean ones.
fn clean_target(path: &str, query: Option<&str>) -> Option<String> {
    match clean_path(path) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => Some(match query {
            Some(query) => format!("{clean}?{query}"),
            None => clean,
        }),
    }
}

/// A path without empty, `.` and `..` segments; a slash at its end stays. Encoded dots are not looked at: they are
/// names to the router.
fn clean_path(path: &str) -> Cow<'_, str> {
    let Some(relative) = path.strip_prefix('/') else { return Cow::Borrowed(path) };
    let last = relative.split('/').count() - 1;
    let is_clean = relative.split('/').enumerate().all(|(i, segment)| match segment {
        "" => i == last,
        "." | ".." => false,
        _ => true,
    });
    if is_clean {
        return Cow::Borrowed(path);
    }
    let mut segments = Vec::new();
    for segment in relative.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut clean = format!("/{}", segments.join("/"));
    if path.ends_with('/') && clean != "/" {
        clean.push('/');
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn paths_are_cleaned() {
        for (path, want) in [
            ("/", None),
            ("/metrics", None),
            ("/api/v1/", None),
            ("/a/..b/.c", None),
            ("*", None),
            ("//api/v1/query", Some("/api/v1/query")),
            ("/api/../metrics", Some("/metrics")),
            ("/api//v1//", Some("/api/v1/")),
            ("/./metrics/.", Some("/metrics")),
            ("/../../etc/passwd", Some("/etc/passwd")),
            ("//", Some("/")),
            ("//evil.example/..", Some("/")),
        ] {
            assert_eq!(clean_target(path, None).as_deref(), want, "{path}");
        }
        let target = clean_target("//api/v1/query", Some("query=a//b"));
        assert_eq!(target.as_deref(), Some("/api/v1/query?query=a//b"));
    }

    #[test]
    fn a_request_names_one_host() {
        let missing = Err("400 Bad Request: missing required Host header");
        let malformed = Err("400 Bad Request: malformed Host header");
        for (version, hosts, want) in [
            (Version::HTTP_11, &["x"][..], Ok(())),
            (Version::HTTP_11, &["[fe80::1%25eth0]:9090"], Ok(())),
            (Version::HTTP_11, &[""], Ok(())),
            (Version::HTTP_10, &[], Ok(())),
            (Version::HTTP_11, &[], missing),
            (Version::HTTP_11, &["a b"], malformed),
            (Version::HTTP_11, &["a", "b"], Err("400 Bad Request")),
        ] {
            let mut request = Request::builder().version(version).uri("/-/healthy");
            for host in hosts {
                request = request.header(header::HOST, *host);
            }
            assert_eq!(check_host(&request.body(Body::empty()).unwrap()), want, "{hosts:?}");
        }
    }
}
