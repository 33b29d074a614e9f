//! File patterns as Go's `filepath.Glob` reads them: `*`, `?`, `[a-z]`, `[^a-z]`, `\` within a path component.

use std::path::Path;

/// The pattern itself is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern {0:?}")]
pub struct BadPattern(pub String);

/// Existing paths that a pattern matches, sorted within each directory. Directories that cannot be read match nothing.
pub fn glob(pattern: &str) -> Result<Vec<String>, BadPattern> {
    // A malformed pattern is an error whether or not something is there to match.
    for component in pattern.split('/') {
        matches(component, "")?;
    }
    let mut found = vec![if pattern.starts_with('/') { "/".to_owned() } else { String::new() }];
    for component in pattern.split('/').filter(|c| !c.is_empty()) {
        let mut next = Vec::new();
        for base in &found {
            let join = |name: &str| match base.as_str() {
                "" | "/" => format!("{base}{name}"),
                base => format!("{base}/{name}"),
            };
            if has_meta(component) {
                let dir = if base.is_empty() { "." } else { base };
                let mut names: Vec<String> = std::fs::read_dir(dir)
                    .into_iter()
                    .flatten()
                    .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                    .filter(|name| matches(component, name) == Ok(true))
                    .collect();
                names.sort();
                next.extend(names.iter().map(|name| join(name)));
            } else if Path::new(&join(component)).symlink_metadata().is_ok() {
                next.push(join(component));
            }
        }
        found = next;
    }
    found.retain(|path| !path.is_empty());
    Ok(found)
}

fn has_meta(component: &str) -> bool {
    component.contains(['*', '?', '[', '\\'])
}

/// Whether a name matches one component of a pattern.
fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let tokens = tokens(pattern).ok_or_else(|| BadPattern(pattern.to_owned()))?;
    let name: Vec<char> = name.chars().collect();
    // Greedy with one point of return: where the last star stood and how far it had reached.
    let (mut t, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match tokens.get(t) {
            Some(Token::Star) => {
                star = Some((t, n));
                t += 1;
            }
            Some(token) if n < name.len() && token.takes(name[n]) => (t, n) = (t + 1, n + 1),
            None if n == name.len() => return Ok(true),
            _ => match star {
                Some((at, reached)) if reached < name.len() => {
                    star = Some((at, reached + 1));
                    (t, n) = (at + 1, reached + 1);
                }
                _ => return Ok(false),
            },
        }
    }
}

enum Token {
    Star,
    Any,
    Char(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => true,
            Self::Char(want) => *want == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut chars = pattern.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::Char(chars.next()?),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                loop {
                    if chars.peek() == Some(&']') && !ranges.is_empty() {
                        chars.next();
                        break;
                    }
                    let mut bound = || match chars.next()? {
                        '\\' => chars.next(),
                        '-' | ']' => None,
                        c => Some(c),
                    };
                    let low = bound()?;
                    let high = if chars.next_if_eq(&'-').is_some() {
                        match chars.next()? {
                            '\\' => chars.next()?,
                            '-' | ']' => return None,
                            c => c,
                        }
                    } else {
                        low
                    };
                    ranges.push((low, high));
                }
                Token::Class { negated, ranges }
            }
            c => Token::Char(c),
        });
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components() {
        for (pattern, name, want) in [
            ("*.yml", "a.yml", true),
            ("*.yml", "a.yaml", false),
            ("*.yml", ".yml", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[\\]]", "]", true),
            ("ä*", "äöü", true),
            ("", "", true),
            ("**", "anything", true),
        ] {
            assert_eq!(matches(pattern, name), Ok(want), "{pattern} {name}");
        }
        for pattern in ["[", "[]", "[a", "[a-", "[-]", "\\", "[^]"] {
            assert!(matches(pattern, "a").is_err(), "{pattern}");
        }
    }

    #[test]
    fn files() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["b.yml", "a.yml", "c.txt", "d1/x.yml", "d2/x.yml"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let root = dir.path().to_str().unwrap();
        let found = |pattern: &str| {
            let found = glob(&format!("{root}/{pattern}")).unwrap();
            found.iter().map(|f| f.strip_prefix(root).unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(found("*.yml"), ["/a.yml", "/b.yml"]);
        assert_eq!(found("c.txt"), ["/c.txt"]);
        assert_eq!(found("d?/x.yml"), ["/d1/x.yml", "/d2/x.yml"]);
        assert!(found("nope/*.yml").is_empty() && found("nope").is_empty());
        assert!(glob("[").is_err());
    }
}
