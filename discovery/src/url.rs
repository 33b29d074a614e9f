//! URLs of APIs.

use std::fmt::Write as _;

use config::url::{GoUrl, UrlError};

use super::error::{RefreshError, StartError};

/// A part of a path, escaped: what holds a slash does not lead elsewhere.
pub fn segment(text: &str) -> String {
    escape(text, b"-_.~")
}

/// A part of a query, escaped as Go does.
fn component(text: &str) -> String {
    escape(text, b"-_.~").replace("%20", "+")
}

fn escape(text: &str, plain: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `a=1&b=2`, escaped as Go does.
pub fn query<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pair = |(name, value)| format!("{}={}", component(name), component(value));
    parameters.into_iter().map(pair).collect::<Vec<_>>().join("&")
}

/// The URL of a path below a base, whether the base ends with a slash or not; the path is escaped already.
pub fn join<'a>(
    base: &str,
    path: &str,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<GoUrl, RefreshError> {
    let url = format!("{}/{path}", base.trim_end_matches('/'));
    let parsed = GoUrl::parse(&url).map_err(|reason| RefreshError::Url { url, reason })?;
    let query = query(parameters);
    Ok(if query.is_empty() { parsed } else { parsed.with_query(&query) })
}

/// The URL of a field of the configuration.
pub fn of_field(field: &'static str, text: &str) -> Result<GoUrl, StartError> {
    GoUrl::parse(text).map_err(|reason: UrlError| StartError::Url { field, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_escaped() {
        let url = join("http://h/base/", &format!("a/{}", segment("b/../c d")), [("q", "x y&z"), ("r", "")]);
        assert_eq!(url.unwrap().to_string(), "http://h/base/a/b%2F..%2Fc%20d?q=x+y%26z&r=");
        assert_eq!(join("http://h", "p", []).unwrap().to_string(), "http://h/p");
        assert!(join("http://h:x", "p", []).is_err());
    }
}
