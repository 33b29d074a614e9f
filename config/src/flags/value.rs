//! Values of flags: text to number, duration or size, and back as Prometheus prints them.

use model::go_duration::{go_duration, parse_go_duration};
use model::parse_float::parse_float;
use model::time::{DurationText, parse_duration};

use super::parse::GivenFlags;
use super::table::{FLAGS, Flag, Kind};
use crate::size::{SizeText, parse_size};

/// Checks a value's form; the error says what is wrong with it, not which flag it is.
pub(super) fn check(flag: &Flag, text: &str) -> Result<(), String> {
    match flag.kind {
        Kind::Text | Kind::Bool | Kind::Texts => Ok(()),
        Kind::Duration => duration(text).map(drop),
        Kind::GoDuration => parse_go_duration(text).map(drop),
        Kind::Int | Kind::Float => number(text).map(drop),
        Kind::Size => size(text).map(drop),
        Kind::OneOf(values) => one_of(values, text, text),
        Kind::OneOfAnyCase(values) => one_of(values, &text.to_lowercase(), text),
    }
}

fn one_of(values: &[&str], folded: &str, text: &str) -> Result<(), String> {
    if values.contains(&folded) {
        return Ok(());
    }
    Err(format!("{text:?} is not one of {}", values.join(", ")))
}

/// Milliseconds; "" (no default) is 0.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    if text.is_empty() { Ok(0) } else { parse_duration(text).map_err(|e| e.to_string()) }
}

/// Bytes; "" (no default) is 0.
pub(super) fn size(text: &str) -> Result<i64, String> {
    if text.is_empty() { Ok(0) } else { parse_size(text).map_err(|e| e.to_string()) }
}

pub(super) fn number(text: &str) -> Result<f64, String> {
    parse_float(text).map_err(|_| format!("{text:?} is not a number"))
}

/// A whole number; a fraction is cut off.
pub(super) fn integer(text: &str) -> Result<i64, String> {
    number(text).map(|n| n as i64)
}

/// The values of a flag as `/api/v1/status/flags` shows them.
pub(super) fn shown(kind: Kind, values: &[&str]) -> String {
    let one = values.first().copied().unwrap_or("");
    match kind {
        Kind::Text | Kind::Bool | Kind::OneOf(_) => one.to_owned(),
        Kind::OneOfAnyCase(_) => one.to_lowercase(),
        Kind::Texts => values.join(","),
        Kind::Duration => DurationText(duration(one).unwrap_or(0)).to_string(),
        Kind::GoDuration => go_duration(parse_go_duration(one).unwrap_or(0)),
        Kind::Int => integer(one).unwrap_or(0).to_string(),
        Kind::Float => number(one).unwrap_or(0.0).to_string(),
        Kind::Size => SizeText(size(one).unwrap_or(0)).to_string(),
    }
}

/// Reads values that are known to be well formed.
pub(super) struct Values<'a> {
    pub(super) given: &'a GivenFlags,
}

impl Values<'_> {
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let flag = FLAGS.iter().find(|f| f.name == name);
        debug_assert!(flag.is_some(), "no flag {name}");
        flag.map(|f| self.given.values(f).into_iter().map(str::to_owned).collect()).unwrap_or_default()
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.texts(name).into_iter().next().unwrap_or_default()
    }

    pub(super) fn bool(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    pub(super) fn int(&self, name: &str) -> i64 {
        integer(&self.text(name)).unwrap_or(0)
    }

    pub(super) fn ms(&self, name: &str) -> i64 {
        duration(&self.text(name)).unwrap_or(0)
    }

    pub(super) fn bytes(&self, name: &str) -> i64 {
        size(&self.text(name)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(integer("5e7"), Ok(50_000_000));
        assert_eq!(integer("1.9"), Ok(1));
        assert_eq!(integer("-1"), Ok(-1));
        assert!(number("1e400").is_err());
        assert!(number("x").is_err());
    }
}
