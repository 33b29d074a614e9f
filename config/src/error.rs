//! Errors of configuration files: one message with file, line and column, and the line itself with a caret.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::yaml::{Fault, Pos};

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
        /// The line, secrets hidden.
        line: String,
    },
}

impl ConfigError {
    /// Adds file and line to a fault.
    pub fn at(path: &Path, text: &str, fault: Fault) -> Self {
        let line = text.lines().nth(fault.pos.line as usize - 1).unwrap_or("");
        let line = hide_secrets(line);
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

/// Field names whose values are never shown.
const SECRET_FIELDS: [&str; 14] = [
    "password",
    "secret",
    "secrets",
    "credentials",
    "bearer_token",
    "token",
    "key",
    "secret_key",
    "private_key",
    "client_secret",
    "passphrase",
    "consumer_key",
    "service_account_key",
    "application_credential_secret",
];

fn hide_secrets(line: &str) -> String {
    let hidden = match line.split_once(':') {
        Some((key, value)) if !value.trim().is_empty() => {
            let name = key.trim().trim_start_matches("- ").trim_matches(['"', '\'']);
            let secret = SECRET_FIELDS
                .iter()
                .any(|f| name == *f || name.strip_suffix(f).is_some_and(|p| p.ends_with('_')));
            secret.then(|| format!("{key}: <secret>"))
        }
        _ => None,
    };
    hidden.unwrap_or_else(|| hide_url_password(line))
}

/// `scheme://user:password@host` with the password as `xxxxx`.
fn hide_url_password(line: &str) -> String {
    let hide = || {
        let start = line.find("://")? + 3;
        let authority_len = line[start..].find(['/', ' ', '"', '\'']).unwrap_or(line.len() - start);
        let at = line[start..start + authority_len].rfind('@')?;
        let colon = line[start..start + at].find(':')?;
        Some(format!("{}xxxxx{}", &line[..start + colon + 1], &line[start + at..]))
    };
    hide().unwrap_or_else(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_line_with_a_caret() {
        let text = "global:\n  scrape_intervall: 5s\n";
        let fault = Fault::new(Pos { line: 2, column: 3 }, "unknown field");
        let error = ConfigError::at(Path::new("p.yml"), text, fault);
        assert_eq!(error.to_string(), "p.yml:2:3: unknown field\n 2 |   scrape_intervall: 5s\n   |   ^");
    }

    #[test]
    fn hides_secrets() {
        for (line, want) in [
            ("  password: hunter2", "  password: <secret>"),
            ("- client_secret: 'x'", "- client_secret: <secret>"),
            ("  \"bearer_token\": x", "  \"bearer_token\": <secret>"),
            ("  password:", "  password:"),
            ("  password_file: f", "  password_file: f"),
            ("  tokens: f", "  tokens: f"),
            ("url: http://u:p@h/x", "url: http://u:xxxxx@h/x"),
            ("url: http://h/x", "url: http://h/x"),
        ] {
            assert_eq!(hide_secrets(line), want);
        }
    }
}
