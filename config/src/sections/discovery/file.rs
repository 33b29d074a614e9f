//! `file_sd_configs`.

use crate::context::Context;
use crate::sections::table::{FieldValue, Line, Read, no_rules, refresh_interval, section};
use crate::yaml::fields::Fields;

section! {
    /// An entry of `file_sd_configs`.
    pub struct FileSd, no_rules => {
        /// Paths whose last part may hold `*`, `?`, `[...]`; already relative to the configuration's directory.
        files: Vec<String> = "files", files();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(5 * 60);
    }
}

fn files() -> Line<impl Read<Vec<String>>, Vec<String>> {
    let read = |f: &mut Fields<'_>, name, cx: &Context<'_>| {
        let files = f.texts(name)?;
        if files.is_empty() {
            return Err(f.fault(name, "file service discovery config must contain at least one path name"));
        }
        match files.iter().find(|file| !is_discovery_file(file)) {
            Some(file) => {
                let message = format!(
                    "path name {file:?} is not valid for file discovery (expected .json, .yml or .yaml, and * in the \
                     last part only)"
                );
                Err(f.fault(name, message))
            }
            None => Ok(files.iter().map(|file| cx.path(file)).collect()),
        }
    };
    Line { read, show: |value| FieldValue::Texts(value), always: false }
}

/// Whether a pattern has `*` in its last part only.
pub fn is_file_pattern(pattern: &str) -> bool {
    match pattern.split_once('*') {
        Some((_, after)) => !after.contains('/'),
        None => true,
    }
}

fn is_discovery_file(pattern: &str) -> bool {
    let endings = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"];
    endings.iter().any(|ending| pattern.strip_suffix(ending).is_some_and(is_file_pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, want) in
            [("a.yml", true), ("d/*.yml", true), ("d/*", true), ("*/a.yml", false), ("a*b*", true)]
        {
            assert_eq!(is_file_pattern(pattern), want, "{pattern}");
        }
        for (pattern, want) in [
            ("a.json", true),
            ("a.txt", false),
            ("d/*.yaml", true),
            ("d/*", false),
            ("*/a.yml", false),
            ("a.YML", true),
            ("a*b.yml", true),
        ] {
            assert_eq!(is_discovery_file(pattern), want, "{pattern}");
        }
    }
}
