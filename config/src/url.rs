//! A URL as Go's `net/url` accepts it: more lenient than the WHATWG rules, and kept as written.

use std::fmt;

/// A parsed URL. Prints as written, with the scheme in lower case and the password replaced by `xxxxx`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct GoUrl {
    scheme: String,
    userinfo: Option<(String, Option<String>)>,
    host: String,
    rest: String,
    has_authority: bool,
}

/// Text that Go does not accept as a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// A control character.
    #[error("invalid control character in URL")]
    ControlCharacter,
    /// Starts with a colon.
    #[error("missing protocol scheme")]
    MissingScheme,
    /// `a:b` that is neither scheme nor path.
    #[error("first path segment in URL cannot contain colon")]
    ColonInFirstSegment,
    /// Before the `@`.
    #[error("invalid user name or password")]
    UserInfo,
    /// A host such as `[::1`.
    #[error("missing ']' in host")]
    Bracket,
    /// After the host.
    #[error("invalid port {0:?} after host")]
    Port(String),
    /// In the host.
    #[error("invalid character {0:?} in host name")]
    HostCharacter(char),
    /// `%zz`
    #[error("invalid URL escape {0:?}")]
    Escape(String),
}

impl GoUrl {
    /// Parses absolute and relative references alike; callers ask for scheme or host where they need them.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return Err(UrlError::ControlCharacter);
        }
        let (scheme, after_scheme) = split_scheme(text)?;
        let mut url = Self {
            scheme: scheme.to_ascii_lowercase(),
            userinfo: None,
            host: String::new(),
            rest: after_scheme.to_owned(),
            has_authority: false,
        };
        if url.scheme.is_empty() && !after_scheme.starts_with('/') {
            let first = after_scheme.split(['/', '?', '#']).next().unwrap_or("");
            if first.contains(':') {
                return Err(UrlError::ColonInFirstSegment);
            }
        }
        if let Some(after_slashes) = after_scheme.strip_prefix("//")
            && (!url.scheme.is_empty() || !after_scheme.starts_with("///"))
        {
            let end = after_slashes.find(['/', '?', '#']).unwrap_or(after_slashes.len());
            let (authority, rest) = after_slashes.split_at(end);
            url.has_authority = true;
            url.rest = rest.to_owned();
            let host = match authority.rsplit_once('@') {
                Some((userinfo, host)) => {
                    url.userinfo = Some(parse_userinfo(userinfo)?);
                    host
                }
                None => authority,
            };
            check_host(host)?;
            url.host = host.to_owned();
        }
        let path = url.rest.split(['?', '#']).next().unwrap_or("");
        check_escapes(path)?;
        Ok(url)
    }

    /// Lower case, without the colon; "" for a relative reference.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Host with port, as written; "" when there is none.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// User and password as written, percent escapes kept.
    pub fn userinfo(&self) -> Option<(&str, Option<&str>)> {
        self.userinfo.as_ref().map(|(user, password)| (user.as_str(), password.as_deref()))
    }

    /// What follows the host: path, query and fragment as written.
    pub fn rest(&self) -> &str {
        &self.rest
    }

    /// The path as written, escapes kept.
    pub fn path(&self) -> &str {
        self.rest.split(['?', '#']).next().unwrap_or("")
    }

    /// The same without trailing slashes and with a leading slash in the path, without query and fragment.
    #[must_use]
    pub fn trim_path(mut self) -> Self {
        let path = self.path().trim_end_matches('/');
        self.rest =
            if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        self
    }

    /// The whole, password included; for requests, never for display.
    pub fn reveal(&self) -> String {
        self.write(|password| password)
    }

    fn write<'a>(&'a self, show: impl Fn(&'a str) -> &'a str) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.has_authority {
            out.push_str("//");
        }
        if let Some((user, password)) = &self.userinfo {
            out.push_str(user);
            if let Some(password) = password {
                out.push(':');
                out.push_str(show(password));
            }
            out.push('@');
        }
        out.push_str(&self.host);
        out.push_str(&self.rest);
        out
    }
}

impl fmt::Display for GoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.write(|_| "xxxxx"))
    }
}

impl fmt::Debug for GoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn split_scheme(text: &str) -> Result<(&str, &str), UrlError> {
    for (i, b) in text.bytes().enumerate() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b':' if i == 0 => return Err(UrlError::MissingScheme),
            b':' => return Ok((&text[..i], &text[i + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn parse_userinfo(userinfo: &str) -> Result<(String, Option<String>), UrlError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
    if !userinfo.bytes().all(allowed) {
        return Err(UrlError::UserInfo);
    }
    check_escapes(userinfo)?;
    Ok(match userinfo.split_once(':') {
        Some((user, password)) => (user.to_owned(), Some(password.to_owned())),
        None => (userinfo.to_owned(), None),
    })
}

fn check_host(host: &str) -> Result<(), UrlError> {
    let port = if host.starts_with('[') {
        let end = host.rfind(']').ok_or(UrlError::Bracket)?;
        &host[end + 1..]
    } else {
        host.rfind(':').map_or("", |colon| &host[colon..])
    };
    let digits = port.strip_prefix(':').unwrap_or(if port.is_empty() { "" } else { "x" });
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UrlError::Port(port.to_owned()));
    }
    let allowed =
        |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(c);
    match host.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(UrlError::HostCharacter(c)),
        None => Ok(()),
    }
}

fn check_escapes(text: &str) -> Result<(), UrlError> {
    let bytes = text.as_bytes();
    for (i, _) in text.match_indices('%') {
        let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
        if !(is_hex(i + 1) && is_hex(i + 2)) {
            return Err(UrlError::Escape(text[i..].chars().take(3).collect()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_go_accepts() {
        for (text, shown, host) in [
            ("http://localhost:9090/a?b=c", "http://localhost:9090/a?b=c", "localhost:9090"),
            ("HTTP://u:p%20w@h/x", "http://u:xxxxx@h/x", "h"),
            ("https://u@h", "https://u@h", "h"),
            ("relative/path", "relative/path", ""),
            ("", "", ""),
            ("http://[::1]:80", "http://[::1]:80", "[::1]:80"),
            ("http:///nohost", "http:///nohost", ""),
            ("unix:opaque", "unix:opaque", ""),
            ("/a:b", "/a:b", ""),
        ] {
            let url = GoUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.host(), host, "{text}");
        }
        assert_eq!(GoUrl::parse("http://u:p@h/x").unwrap().reveal(), "http://u:p@h/x");
    }

    #[test]
    fn refuses_what_go_refuses() {
        for (text, want) in [
            ("http://a b/", UrlError::HostCharacter(' ')),
            ("http://h:x1/", UrlError::Port(":x1".to_owned())),
            ("http://[::1/", UrlError::Bracket),
            (":80", UrlError::MissingScheme),
            ("1.2.3.4:80/x", UrlError::ColonInFirstSegment),
            ("http://h/%zz", UrlError::Escape("%zz".to_owned())),
            ("http://h/\n", UrlError::ControlCharacter),
            ("http://u^@h/", UrlError::UserInfo),
        ] {
            assert_eq!(GoUrl::parse(text), Err(want), "{text}");
        }
    }
}
