//! Which format a body has, by its Content-Type. Source: Prometheus `textparse.New` over Go's `mime.ParseMediaType`.

use super::quote::quoted;

/// A format that bodies come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The Prometheus text format.
    Text,
    /// OpenMetrics text.
    OpenMetrics,
    /// Delimited protobuf messages of `io.prometheus.client.MetricFamily`.
    Protobuf,
}

/// A Content-Type that names no known format; texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// None at all.
    #[error(
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
    )]
    Blank,
    /// Not a media type.
    #[error("cannot parse Content-Type {} and no fallback_scrape_protocol for target\nmime: {reason}", quoted(text.as_bytes()))]
    Malformed {
        /// The header.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something else.
    #[error("received unsupported Content-Type {} and no fallback_scrape_protocol specified for target", quoted(.0.as_bytes()))]
    Unsupported(String),
}

impl Format {
    /// The format that a Content-Type header names. Any version counts as the newest that is known.
    pub fn of(content_type: &str) -> Result<Self, FormatError> {
        if content_type.is_empty() {
            return Err(FormatError::Blank);
        }
        let media_type = media_type(content_type)
            .map_err(|reason| FormatError::Malformed { text: content_type.to_owned(), reason })?;
        match media_type.as_str() {
            "text/plain" => Ok(Self::Text),
            "application/openmetrics-text" => Ok(Self::OpenMetrics),
            "application/vnd.google.protobuf" => Ok(Self::Protobuf),
            _ => Err(FormatError::Unsupported(content_type.to_owned())),
        }
    }
}

/// The media type in lower case, if type and parameters are well-formed.
fn media_type(header: &str) -> Result<String, &'static str> {
    let (base, mut rest) = match header.find(';') {
        Some(at) => header.split_at(at),
        None => (header, ""),
    };
    let base = base.trim().to_ascii_lowercase();
    let (kind, subtype) = match base.split_once('/') {
        Some((kind, subtype)) => (kind, Some(subtype)),
        None => (base.as_str(), None),
    };
    if kind.is_empty() || !kind.bytes().all(is_token) {
        return Err(if kind.is_empty() { "no media type" } else { "expected slash after first token" });
    }
    if let Some(subtype) = subtype {
        let len = subtype.bytes().take_while(|b| is_token(*b)).count();
        if len == 0 {
            return Err("expected token after slash");
        }
        if len < subtype.len() {
            return Err("unexpected content after media subtype");
        }
    }
    let mut names: Vec<String> = Vec::new();
    while !rest.is_empty() {
        let Some((name, after)) = parameter(rest) else {
            // A trailing semicolon is common.
            return if rest.trim() == ";" { Ok(base) } else { Err("invalid media parameter") };
        };
        if names.contains(&name) {
            return Err("duplicate parameter name");
        }
        names.push(name);
        rest = after;
    }
    Ok(base)
}

/// `; name=value` from the start of `rest`; the name and what follows.
fn parameter(rest: &str) -> Option<(String, &str)> {
    let rest = rest.trim_start().strip_prefix(';')?.trim_start();
    let len = rest.bytes().take_while(|b| is_token(*b)).count();
    let name = rest[..len].to_ascii_lowercase();
    let rest = rest[len..].trim_start().strip_prefix('=')?.trim_start();
    let value_len = match rest.strip_prefix('"') {
        None => rest.bytes().take_while(|b| is_token(*b)).count(),
        Some(inside) => {
            let mut escaped = false;
            let end = inside.bytes().position(|b| {
                let closes = b == b'"' && !escaped;
                escaped = b == b'\\' && !escaped;
                closes
            });
            end? + 2
        }
    };
    (len > 0 && value_len > 0).then(|| (name, &rest[value_len..]))
}

fn is_token(b: u8) -> bool {
    b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        for (header, want) in [
            ("text/plain", Format::Text),
            ("Text/Plain; version=0.0.4; charset=utf-8", Format::Text),
            ("text/plain;", Format::Text),
            ("text/plain; a=\"x;\\\"y\"; b=c", Format::Text),
            ("application/openmetrics-text; version=1.0.0", Format::OpenMetrics),
            (
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
                Format::Protobuf,
            ),
        ] {
            assert_eq!(Format::of(header), Ok(want), "{header}");
        }
        assert_eq!(Format::of(""), Err(FormatError::Blank));
        for header in ["text/html", "text", "application/json"] {
            assert_eq!(Format::of(header), Err(FormatError::Unsupported(header.to_owned())));
        }
        for (header, reason) in [
            (";", "no media type"),
            ("text/", "expected token after slash"),
            ("text/plain/x", "unexpected content after media subtype"),
            ("te xt/plain", "expected slash after first token"),
            ("text/plain; a", "invalid media parameter"),
            ("text/plain; a=", "invalid media parameter"),
            ("text/plain; a=\"b", "invalid media parameter"),
            ("text/plain; a=b; A=c", "duplicate parameter name"),
        ] {
            assert_eq!(Format::of(header), Err(FormatError::Malformed { text: header.to_owned(), reason }));
        }
    }
}
