//! Errors of configuration files: one message with file, line and column, and where it helps the field with a caret.
//!
//! A line of a file may hold a secret in any of YAML's styles: in a flow mapping, a block scalar, behind an anchor, as the
//! value of a field whose name is misspelt. So of the file no more is shown than the name of the field that is wrong, and
//! readers of values say themselves what they found where that cannot be a secret.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::yaml::{self, Fault, Node, Pos, Value};

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A file cannot be read, or a glob not be listed.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A place in a file is wrong.
    At {
        /// The file, as given or as found by a glob.
        path: PathBuf,
        /// Where and what.
        fault: Fault,
        /// The line up to the end of the field's name; empty where no field begins the line.
        line: String,
    },
}

impl ConfigError {
    /// Adds file and line to a fault.
    pub fn at(path: &Path, text: &str, fault: Fault) -> Self {
        let line = shown_line(text, fault.pos).unwrap_or_default();
        Self::At { path: path.to_owned(), fault, line }
    }

    /// From an error of reading a file.
    pub fn read(path: &Path, error: &std::io::Error) -> Self {
        Self::Read { path: path.to_owned(), reason: error.to_string() }
    }

    /// The message without the line: `prometheus.yml:12:5: unknown field ...`.
    pub fn summary(&self) -> String {
        match self {
            Self::Read { path, reason } => format!("{}: cannot read: {reason}", path.display()),
            Self::At { path, fault, .. } => format!("{}:{}: {}", path.display(), fault.pos, fault.message),
        }
    }

    /// Where in the file.
    pub fn pos(&self) -> Option<Pos> {
        match self {
            Self::Read { .. } => None,
            Self::At { fault, .. } => Some(fault.pos),
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        if let Self::At { fault, line, .. } = self
            && !line.trim().is_empty()
        {
            let number = fault.pos.line.to_string();
            let gutter = " ".repeat(number.len());
            // Tabs are kept so that the caret stands under its character.
            let before: String = line
                .chars()
                .chain(std::iter::repeat(' '))
                .take(fault.pos.column as usize - 1)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            write!(f, "\n {number} | {line}\n {gutter} | {before}^")?;
        }
        Ok(())
    }
}

/// Fields that never hold a secret, and are easier to mend when the whole line is seen.
const PUBLIC_FIELDS: [&str; 1] = ["expr"];

/// The line of a place up to the end of the name of the field that stands there, or whose value does. `None` for a text
/// that is no YAML, and for fields before which there is anything but an indentation and the dashes of lists.
fn shown_line(text: &str, pos: Pos) -> Option<String> {
    let root = yaml::parse(text).ok()?;
    let (key, at) = field_at(&root, pos)?;
    let line = text.lines().nth(at.line as usize - 1)?;
    let before: String = line.chars().take(at.column as usize - 1).collect();
    let after = line.get(before.len()..)?;
    let is_first = before.chars().all(|c| matches!(c, ' ' | '\t' | '-'));
    // Quoted names and names with escapes are left out: nothing is gained by showing them.
    let is_shown = is_first && at.line == pos.line && after.starts_with(key);
    is_shown.then(|| if PUBLIC_FIELDS.contains(&key) { line.to_owned() } else { format!("{before}{key}:") })
}

/// The field whose name or value stands at a place.
fn field_at(node: &Node, pos: Pos) -> Option<(&str, Pos)> {
    match &node.value {
        Value::Scalar(_) => None,
        Value::Sequence(items) => items.iter().find_map(|item| field_at(item, pos)),
        Value::Mapping(entries) => entries.iter().find_map(|entry| {
            let value = &entry.value;
            let is_in_value = value.pos.line == pos.line && value.pos.column <= pos.column;
            let here = entry.pos == pos || (is_in_value && value.scalar().is_some());
            if here { Some((entry.key.as_str(), entry.pos)) } else { field_at(value, pos) }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_line_with_a_caret() {
        let text = "global:\n  scrape_intervall: 5s\n";
        let fault = Fault::new(Pos { line: 2, column: 3 }, "unknown field");
        let error = ConfigError::at(Path::new("p.yml"), text, fault);
        assert_eq!(error.to_string(), "p.yml:2:3: unknown field\n 2 |   scrape_intervall:\n   |   ^");
    }

    #[test]
    fn shows_no_more_of_a_line_than_the_fields_name() {
        for (text, line, column, want) in [
            ("a:\n  pasword: hunter2", 2, 3, "  pasword:"),
            ("a:\n  pasword: hunter2", 2, 12, "  pasword:"),
            ("- - pasword: hunter2", 1, 5, "- - pasword:"),
            ("a: {password: hunter2, nope: 1}", 1, 24, ""),
            ("a: {password: hunter2, nope: 1}", 1, 4, ""),
            ("a: &x {password: hunter2}\nb: *x", 1, 8, ""),
            ("'pasword': hunter2", 1, 1, ""),
            ("- expr: sum(x", 1, 9, "- expr: sum(x"),
            ("- expr: sum(x", 1, 12, "- expr: sum(x"),
            ("- {password: hunter2, expr: x}", 1, 29, ""),
            ("a: |\n  hunter2\nb: [", 2, 3, ""),
            ("password: hunter2\n  x: y", 2, 4, ""),
        ] {
            let fault = Fault::new(Pos { line, column }, "wrong");
            let error = ConfigError::at(Path::new("p.yml"), text, fault);
            assert!(!error.to_string().contains("hunter2"), "{error}");
            let ConfigError::At { line, .. } = error else { panic!() };
            assert_eq!(line, want, "{text}");
        }
    }
}
