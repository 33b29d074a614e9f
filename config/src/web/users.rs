//! `basic_auth_users`: names with bcrypt hashes. Messages never quote a hash: it may be a password by mistake.
//! Source: golang.org/x/crypto `bcrypt.Cost`.

use crate::secret::Secret;
use crate::yaml::fields::Fields;
use crate::yaml::{Fault, Value};

/// Characters of the shortest hash, one without a minor version.
const MIN_LEN: usize = 59;
/// Rounds as powers of two.
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;

pub(super) fn read(f: &mut Fields<'_>) -> Result<Vec<(String, Secret)>, Fault> {
    if let Some(node) = f.node("basic_auth_users")
        && !node.is_null()
        && !matches!(node.value, Value::Mapping(_))
    {
        let message = "basic_auth_users: expected a mapping of names to bcrypt hashes";
        return Err(Fault::new(node.pos, message));
    }
    f.map("basic_auth_users", |node, path| {
        let fault = |why: &str| Fault::new(node.pos, format!("{path}: {why}"));
        let Some(scalar) = node.scalar() else {
            return Err(fault(&format!("expected a text, found {}", node.describe())));
        };
        check_hash(&scalar.text).map_err(|why| {
            fault(&format!("not a bcrypt hash: {why}; make one with htpasswd -nBC 10 \"\""))
        })?;
        Ok(Secret::new(&scalar.text))
    })
}

fn check_hash(hash: &str) -> Result<(), String> {
    let bytes = hash.as_bytes();
    if bytes.len() < MIN_LEN {
        return Err("it is too short".to_owned());
    }
    let [b'$', version, rest @ ..] = bytes else { return Err("it must start with '$'".to_owned()) };
    if *version > b'2' {
        return Err("its version is newer than 2".to_owned());
    }
    // `$2$10$` or `$2y$10$`.
    let cost = if rest.first() == Some(&b'$') { rest.get(1..3) } else { rest.get(2..4) };
    let cost = cost.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|d| d.parse::<u32>().ok());
    match cost {
        Some(cost) if COSTS.contains(&cost) => Ok(()),
        Some(cost) => Err(format!("cost {cost} is outside allowed inclusive range 4..31")),
        None => Err("its cost is not a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_judged_as_by_bcrypt() {
        let rest = "QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
        for (prefix, want) in [
            ("$2y$10$", None),
            ("$2a$04$", None),
            ("$2b$31$", None),
            ("$2x$10$", None),
            ("$2$10$", None),
            ("$2y$99$", Some("cost 99 is outside allowed inclusive range 4..31")),
            ("$2y$03$", Some("cost 3 is outside allowed inclusive range 4..31")),
            ("$2y$xx$", Some("its cost is not a number")),
            ("$3y$10$", Some("its version is newer than 2")),
            ("x2y$10$", Some("it must start with '$'")),
            ("", Some("it is too short")),
        ] {
            let found = check_hash(&format!("{prefix}{rest}"));
            assert_eq!(found.err().as_deref(), want, "{prefix}");
        }
    }
}
