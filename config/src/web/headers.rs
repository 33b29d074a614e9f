//! `http_server_config.headers`: the few headers that may be set on every answer.

use crate::yaml::Fault;
use crate::yaml::fields::{Fields, text};

/// Names with the values that they may have; none are any.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

pub(super) fn read(f: &mut Fields<'_>) -> Result<Vec<(String, String)>, Fault> {
    let headers = f.map("headers", |node, path| {
        let value = match node.is_null() {
            true => String::new(),
            false => text(node).map_err(|e| Fault::new(node.pos, format!("{path}: {e}")))?,
        };
        Ok((node.pos, value))
    })?;
    let check = |(name, (pos, value)): (String, (_, String))| {
        let Some((_, allowed)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            return Err(Fault::new(pos, format!("HTTP header {name:?} can not be configured")));
        };
        if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
            let expected = allowed.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(" ");
            return Err(Fault::new(
                pos,
                format!("invalid value for {name}. Expected one of: [{expected}], but got: {value:?}"),
            ));
        }
        Ok((name, value))
    };
    headers.into_iter().map(check).collect()
}
