//! Extra request headers.

use std::path::PathBuf;

use crate::context::Context;
use crate::secret::{Secret, read_secrets};
use crate::yaml::Fault;
use crate::yaml::fields::Fields;

/// One extra request header. Values go first, then secrets, then files' contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Name as written.
    pub name: String,
    /// Values in the open.
    pub values: Vec<String>,
    /// Secret values.
    pub secrets: Vec<Secret>,
    /// Files that hold a value each, read for each request, trimmed.
    pub files: Vec<PathBuf>,
}

/// Headers that requests set by themselves.
pub(super) const RESERVED_HEADERS: [&str; 18] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "user-agent",
    "www-authenticate",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
];

pub(super) fn read_headers(f: &mut Fields<'_>, cx: &Context<'_>) -> Result<Vec<Header>, Fault> {
    let headers = f.map("http_headers", |node, path| {
        let mut f = Fields::new(node, path)?;
        let header = Header {
            name: String::new(),
            values: f.texts("values")?,
            secrets: match f.node("secrets") {
                Some(node) => read_secrets(node, &f.path_of("secrets"))?,
                None => Vec::new(),
            },
            files: f.texts("files")?.iter().map(|file| cx.path(file).into()).collect(),
        };
        let pos = f.pos();
        f.finish()?;
        Ok((header, pos))
    })?;
    let named = |(name, (header, pos)): (String, (Header, _))| {
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(Fault::new(pos, format!("setting header {name:?} is not allowed")));
        }
        Ok(Header { name, ..header })
    };
    headers.into_iter().map(named).collect()
}

/// Checks the `headers` of remote write, remote read and tracing.
pub fn check_plain_headers(
    f: &Fields<'_>,
    headers: &[(String, String)],
    authorization_message: &str,
) -> Result<(), Fault> {
    for (name, _) in headers {
        let lower = name.to_ascii_lowercase();
        if lower == "authorization" {
            return Err(f.fault("headers", authorization_message));
        }
        // The scrape timeout header is reserved for scraping only.
        if RESERVED_HEADERS.contains(&lower.as_str()) && !lower.starts_with("x-prometheus-scrape") {
            return Err(f.fault("headers", format!("{name} is a reserved header. It must not be changed")));
        }
    }
    Ok(())
}
