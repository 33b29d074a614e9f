//! A reference against the URL in whose answer it stands, as RFC 3986 has it in section 5.2. Source: Go's `net/url`.

use super::{GoUrl, UrlError};

impl GoUrl {
    /// What `reference` means to a client that got it from this URL.
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        let mut url = Self::parse(reference)?;
        let is_absolute = !url.scheme.is_empty() || !url.host.is_empty() || url.userinfo.is_some();
        if url.scheme.is_empty() {
            url.scheme.clone_from(&self.scheme);
        }
        if is_absolute {
            if !url.is_opaque {
                url.path = resolve_path(&url.path, "");
            }
            return Ok(url);
        }
        if url.path.is_empty() && url.query.is_none() {
            url.query.clone_from(&self.query);
            if url.fragment.is_none() {
                url.fragment.clone_from(&self.fragment);
            }
        }
        if url.path.is_empty() && self.is_opaque {
            url.path.clone_from(&self.path);
            url.is_opaque = true;
            return Ok(url);
        }
        url.host.clone_from(&self.host);
        url.userinfo.clone_from(&self.userinfo);
        url.has_authority = self.has_authority;
        url.path = resolve_path(&self.path, &url.path);
        Ok(url)
    }
}

fn resolve_path(base: &str, reference: &str) -> String {
    let full = if reference.is_empty() {
        base.to_owned()
    } else if reference.starts_with('/') {
        reference.to_owned()
    } else {
        let end = base.rfind('/').map_or(0, |slash| slash + 1);
        format!("{}{reference}", &base[..end])
    };
    if full.is_empty() {
        return full;
    }
    let mut out = "/".to_owned();
    let mut first = true;
    let mut last = "";
    for element in full.split('/') {
        last = element;
        match element {
            "." => first = false,
            ".." => {
                let end = out[1..].rfind('/').map_or(1, |slash| slash + 1);
                out.truncate(end);
                first = out.len() == 1;
            }
            element => {
                if !first {
                    out.push('/');
                }
                out.push_str(element);
                first = false;
            }
        }
    }
    if matches!(last, "." | "..") {
        out.push('/');
    }
    if out.starts_with("//") { out.split_off(1) } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        // From RFC 3986, section 5.4, as Go's own tests have them.
        for (base, reference, want) in [
            ("http://a/b/c/d;p?q", "g:h", "g:h"),
            ("http://a/b/c/d;p?q", "g", "http://a/b/c/g"),
            ("http://a/b/c/d;p?q", "./g", "http://a/b/c/g"),
            ("http://a/b/c/d;p?q", "g/", "http://a/b/c/g/"),
            ("http://a/b/c/d;p?q", "/g", "http://a/g"),
            ("http://a/b/c/d;p?q", "//g", "http://g"),
            ("http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"),
            ("http://a/b/c/d;p?q", "g?y", "http://a/b/c/g?y"),
            ("http://a/b/c/d;p?q", "#s", "http://a/b/c/d;p?q#s"),
            ("http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q"),
            ("http://a/b/c/d;p?q", ".", "http://a/b/c/"),
            ("http://a/b/c/d;p?q", "..", "http://a/b/"),
            ("http://a/b/c/d;p?q", "../g", "http://a/b/g"),
            ("http://a/b/c/d;p?q", "../../..", "http://a/"),
            ("http://a/b/c/d;p?q", "../../../g", "http://a/g"),
            ("http://a/b/c/d;p?q", "/../g", "http://a/g"),
            ("http://a/b/c/d;p?q", "g/./h", "http://a/b/c/g/h"),
            ("http://a/b/c/d;p?q", "g/../h", "http://a/b/c/h"),
            ("http://u:p@h:1/x", "y", "http://u:p@h:1/y"),
            ("http://h", "y z", "http://h/y%20z"),
            ("https://[fe80::1%25eth0]:1/x", "/y", "https://[fe80::1%25eth0]:1/y"),
        ] {
            let url = GoUrl::parse(base).unwrap().join(reference).unwrap();
            assert_eq!(url.reveal(), want, "{base} {reference}");
        }
    }
}
