//! Values of flags: text to number, duration or size, and back as Prometheus prints them.

use super::table::{Flag, Kind};
use crate::config::size::{SizeText, parse_size};
use model::time::{DurationText, parse_duration};

/// Checks a value's form; the error says what is wrong with it, not which flag it is.
pub(super) fn check(flag: &Flag, text: &str) -> Result<(), String> {
    match flag.kind {
        Kind::Text | Kind::Bool | Kind::Texts => Ok(()),
        Kind::Duration => duration(text).map(drop),
        Kind::GoDuration => go_duration_ns(text).map(drop),
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
    text.parse::<f64>()
        .ok()
        .filter(|n| {
            n.is_finite() || text.to_lowercase().contains("inf") || text.to_lowercase().contains("nan")
        })
        .ok_or_else(|| format!("{text:?} is not a number"))
}

/// A whole number; a fraction is cut off.
pub(super) fn integer(text: &str) -> Result<i64, String> {
    number(text).map(|n| n as i64)
}

/// A Go duration (`1h`, `1.5s`, `2ms`, `10us`) in nanoseconds.
pub(crate) fn go_duration_ns(text: &str) -> Result<i64, String> {
    let wrong = || {
        format!(
            "not a valid duration: {text:?} (expected numbers with units h, m, s, ms, us, ns, such as 2ms)"
        )
    };
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return Ok(0);
    }
    let mut rest = unsigned;
    let mut total = 0.0;
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (digits, after) = rest.split_at(at);
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(wrong()),
        };
        total += digits.parse::<f64>().map_err(|_| wrong())? * scale;
        rest = after;
    }
    if unsigned.is_empty() || total >= i64::MAX as f64 {
        return Err(wrong());
    }
    Ok(if text.starts_with('-') { -(total as i64) } else { total as i64 })
}

/// The values of a flag as `/api/v1/status/flags` shows them.
pub(super) fn shown(kind: Kind, values: &[&str]) -> String {
    let one = values.first().copied().unwrap_or("");
    match kind {
        Kind::Text | Kind::Bool | Kind::OneOf(_) => one.to_owned(),
        Kind::OneOfAnyCase(_) => one.to_lowercase(),
        Kind::Texts => values.join(","),
        Kind::Duration => DurationText(duration(one).unwrap_or(0)).to_string(),
        Kind::GoDuration => crate::text::go_duration(go_duration_ns(one).unwrap_or(0)),
        Kind::Int => integer(one).unwrap_or(0).to_string(),
        Kind::Float => number(one).unwrap_or(0.0).to_string(),
        Kind::Size => SizeText(size(one).unwrap_or(0)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        for (text, ns, shown) in [
            ("2ms", 2_000_000, "2ms"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("1m", 60_000_000_000, "1m0s"),
            ("1h1m1.001s", 3_661_001_000_000, "1h1m1.001s"),
            ("1500us", 1_500_000, "1.5ms"),
            ("-10ns", -10, "-10ns"),
            ("0", 0, "0s"),
        ] {
            assert_eq!(go_duration_ns(text), Ok(ns), "{text}");
            assert_eq!(crate::text::go_duration(ns), shown, "{text}");
        }
        for text in ["", "1", "s", "1x", "1.1.1s", "-"] {
            assert!(go_duration_ns(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(integer("5e7"), Ok(50_000_000));
        assert_eq!(integer("1.9"), Ok(1));
        assert_eq!(integer("-1"), Ok(-1));
        assert!(number("1e400").is_err());
        assert!(number("x").is_err());
    }
}
