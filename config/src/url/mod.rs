//! A URL as Go's `net/url` accepts it: more lenient than the WHATWG rules, and kept as written.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

mod escape;
mod resolve;

use escape::{Part, unescape};

/// A parsed URL. Prints with the scheme in lower case and the password replaced by `xxxxx`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct GoUrl {
    scheme: String,
    /// As written, escapes kept.
    userinfo: Option<(String, Option<String>)>,
    /// Without escapes: `[fe80::1%eth0]:80`.
    host: String,
    /// Escaped; what follows the scheme of `mailto:x`, which has no authority.
    path: String,
    query: Option<String>,
    /// Escaped.
    fragment: Option<String>,
    has_authority: bool,
    is_opaque: bool,
}

/// Text that Go does not accept as a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// A control character.
    #[error("net/url: invalid control character in URL")]
    ControlCharacter,
    /// Starts with a colon.
    #[error("missing protocol scheme")]
    MissingScheme,
    /// `a:b` that is neither scheme nor path.
    #[error("first path segment in URL cannot contain colon")]
    ColonInFirstSegment,
    /// Before the `@`.
    #[error("net/url: invalid userinfo")]
    UserInfo,
    /// A host such as `[::1`.
    #[error("missing ']' in host")]
    Bracket,
    /// What is in brackets is not an IPv6 address.
    #[error("invalid IP-literal")]
    IpLiteral,
    /// After the host.
    #[error("invalid port {0:?} after host")]
    Port(String),
    /// In the host.
    #[error("invalid character \"{0}\" in host name")]
    HostCharacter(char),
    /// Escapes in the host that do not make UTF-8.
    #[error("invalid host: {0:?} is not UTF-8")]
    HostEncoding(String),
    /// `%zz`
    #[error("invalid URL escape {0:?}")]
    Escape(String),
}

/// Why a text is no URL, for messages. Of one with an `@` nothing is quoted: what was taken for a port or an escape may
/// be part of a password whose special characters are not escaped.
pub(crate) fn refused(text: &str, error: &UrlError) -> String {
    let quotes = matches!(
        error,
        UrlError::Port(_) | UrlError::HostCharacter(_) | UrlError::HostEncoding(_) | UrlError::Escape(_)
    );
    match quotes && text.contains('@') {
        true => {
            "not a valid URL: escape special characters of user and password, such as / by %2F and @ by %40"
                .to_owned()
        }
        false => format!("not a valid URL: {error}"),
    }
}

impl GoUrl {
    /// Parses absolute and relative references alike; callers ask for scheme or host where they need them.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return Err(UrlError::ControlCharacter);
        }
        let (text, fragment) = match text.split_once('#') {
            Some((text, fragment)) => (text, Some(fragment).filter(|f| !f.is_empty())),
            None => (text, None),
        };
        let (scheme, after_scheme) = split_scheme(text)?;
        let (mut rest, query) = match after_scheme.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (after_scheme, None),
        };
        let fragment = match fragment {
            Some(f) => Some(escape::escape(&unescape(f, Part::Fragment)?, Part::Fragment).into_owned()),
            None => None,
        };
        let mut url = Self {
            scheme: scheme.to_ascii_lowercase(),
            userinfo: None,
            host: String::new(),
            path: String::new(),
            query,
            fragment,
            has_authority: false,
            is_opaque: false,
        };
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                rest.clone_into(&mut url.path);
                url.is_opaque = true;
                return Ok(url);
            }
            if rest.split('/').next().unwrap_or("").contains(':') {
                return Err(UrlError::ColonInFirstSegment);
            }
        }
        if let Some(after_slashes) = rest.strip_prefix("//")
            && (!url.scheme.is_empty() || !rest.starts_with("///"))
        {
            let end = after_slashes.find('/').unwrap_or(after_slashes.len());
            let (authority, after_authority) = after_slashes.split_at(end);
            rest = after_authority;
            url.has_authority = true;
            let (userinfo, host) = match authority.rsplit_once('@') {
                Some((userinfo, host)) => (Some(userinfo), host),
                None => (None, authority),
            };
            url.host = parse_host(host)?;
            url.userinfo = userinfo.map(parse_userinfo).transpose()?;
        }
        url.path = escape::path(rest)?;
        Ok(url)
    }

    /// Lower case, without the colon; "" for a relative reference.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Host with port, without escapes; "" when there is none.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host without port and brackets.
    pub fn hostname(&self) -> &str {
        let host = self.split_port().0;
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port as written; "" when there is none.
    pub fn port(&self) -> &str {
        self.split_port().1
    }

    /// Go takes the last colon for the port's whatever stands before it, so that `::1:9100` is port 9100 of `::1`.
    fn split_port(&self) -> (&str, &str) {
        match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
            _ => (&self.host, ""),
        }
    }

    /// User and password as written, percent escapes kept.
    pub fn userinfo(&self) -> Option<(&str, Option<&str>)> {
        self.userinfo.as_ref().map(|(user, password)| (user.as_str(), password.as_deref()))
    }

    /// User and password without escapes; the password is empty when there is none.
    pub fn credentials(&self) -> Option<(String, String)> {
        let decode = |text: &str| {
            let bytes = unescape(text, Part::UserInfo).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (user, password) = self.userinfo()?;
        Some((decode(user), decode(password.unwrap_or_default())))
    }

    /// The path, escaped.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What a request's first line names: path and query.
    pub fn write_request_target(&self, out: &mut String) {
        if self.path.is_empty() && !self.is_opaque {
            out.push('/');
        }
        out.push_str(&self.path);
        if let Some(query) = &self.query {
            out.push('?');
            out.push_str(query);
        }
    }

    /// The same without trailing slashes and with a leading slash in the path, without query and fragment.
    #[must_use]
    pub fn trim_path(mut self) -> Self {
        let path = self.path.trim_end_matches('/');
        self.path =
            if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        self.query = None;
        self.fragment = None;
        self
    }

    /// The same with another path, escaped as it is sent.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// The same with another query.
    #[must_use]
    pub fn with_query(mut self, query: &str) -> Self {
        self.query = Some(query.to_owned());
        self
    }

    /// The same without user and password.
    #[must_use]
    pub fn without_userinfo(mut self) -> Self {
        self.userinfo = None;
        self
    }

    /// The same without a colon that no port follows, as Go's client has it.
    #[must_use]
    pub fn without_empty_port(mut self) -> Self {
        if self.port().is_empty() && self.host.ends_with(':') {
            self.host.pop();
        }
        self
    }

    /// The whole, password included; for requests, never for display.
    pub fn reveal(&self) -> String {
        self.write(|password| password)
    }

    /// As Go's client names a URL in errors: the password is `***`.
    pub fn in_errors(&self) -> String {
        self.write(|_| "***")
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
        out.push_str(&escape::escape(self.host.as_bytes(), Part::Host));
        if !self.is_opaque && !self.path.is_empty() && !self.path.starts_with('/') && !self.host.is_empty() {
            out.push('/');
        }
        out.push_str(&self.path);
        for (mark, text) in [('?', &self.query), ('#', &self.fragment)] {
            if let Some(text) = text {
                out.push(mark);
                out.push_str(text);
            }
        }
        out
    }
}

impl FromStr for GoUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
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

/// A host with port, which may have a zone or be written in any script, as it stands in a URL.
pub fn escape_host(host: &str) -> Cow<'_, str> {
    escape::escape(host.as_bytes(), Part::Host)
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
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:!$&'()*+,;=%@".contains(&b);
    if !userinfo.bytes().all(allowed) {
        return Err(UrlError::UserInfo);
    }
    unescape(userinfo, Part::UserInfo)?;
    Ok(match userinfo.split_once(':') {
        Some((user, password)) => (user.to_owned(), Some(password.to_owned())),
        None => (userinfo.to_owned(), None),
    })
}

fn parse_host(host: &str) -> Result<String, UrlError> {
    let text = |text: &str, part| {
        let bytes = unescape(text, part)?;
        String::from_utf8(bytes).map_err(|_| UrlError::HostEncoding(text.to_owned()))
    };
    let Some(bracket) = host.rfind('[') else {
        check_port(host.rfind(':').map_or("", |colon| &host[colon..]))?;
        return text(host, Part::Host);
    };
    if bracket > 0 {
        return Err(UrlError::IpLiteral);
    }
    let end = host.rfind(']').ok_or(UrlError::Bracket)?;
    check_port(&host[end + 1..])?;
    let inside = &host[1..end];
    let (address, zone) = inside.split_at(inside.find("%25").unwrap_or(inside.len()));
    let (address, zone) = (text(address, Part::Host)?, text(zone, Part::Zone)?);
    if address.parse::<std::net::Ipv6Addr>().is_err() || zone == "%" {
        return Err(UrlError::IpLiteral);
    }
    Ok(format!("[{address}{zone}{}", &host[end..]))
}

fn check_port(port: &str) -> Result<(), UrlError> {
    let digits = port.strip_prefix(':').unwrap_or(if port.is_empty() { "" } else { "x" });
    if digits.bytes().all(|b| b.is_ascii_digit()) { Ok(()) } else { Err(UrlError::Port(port.to_owned())) }
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
            ("http://::1:9100/m", "http://::1:9100/m", "::1:9100"),
            ("http://[fe80::1%25eth0]:80/", "http://[fe80::1%25eth0]:80/", "[fe80::1%eth0]:80"),
            ("http://:9100/", "http://:9100/", ":9100"),
            ("http://h/a b?c d", "http://h/a%20b?c d", "h"),
            ("http://h/(a)%2f!", "http://h/(a)%2f!", "h"),
            ("http://h?a#b c", "http://h?a#b%20c", "h"),
            ("http://bücher.example/", "http://b%C3%BCcher.example/", "bücher.example"),
            ("mailto:x@y?z", "mailto:x@y?z", ""),
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
            ("http://[1.2.3.4]/", UrlError::IpLiteral),
            ("http://a[::1]/", UrlError::IpLiteral),
            ("http://[::1%25]/", UrlError::IpLiteral),
            ("http://%41/", UrlError::Escape("%41".to_owned())),
        ] {
            assert_eq!(GoUrl::parse(text), Err(want), "{text}");
        }
    }

    #[test]
    fn hosts_and_ports() {
        for (text, hostname, port) in [
            ("http://h", "h", ""),
            ("http://h:", "h", ""),
            ("http://[::1]:80", "::1", "80"),
            ("http://[::1]", "::1", ""),
            ("http://::1:80", "::1", "80"),
            ("http://::1", ":", "1"),
            ("http://[fe80::1%25eth0]:80", "fe80::1%eth0", "80"),
            ("http://:80", "", "80"),
        ] {
            let url = GoUrl::parse(text).unwrap();
            assert_eq!((url.hostname(), url.port()), (hostname, port), "{text}");
        }
        let url = GoUrl::parse("http://u%40:p%3a@h").unwrap();
        assert_eq!(url.credentials(), Some(("u@".to_owned(), "p:".to_owned())));
    }
}
