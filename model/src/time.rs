//! Timestamps and durations as text.

use std::fmt;

/// Tells the time. Passed in wherever time matters, so that tests own it.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch. May step backwards when the machine's clock is set.
    fn now_ms(&self) -> i64;
}

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("empty duration string")]
    Empty,
    /// Another shape.
    #[error(
        "not a valid duration string: {0:?} (expected numbers with units y, w, d, h, m, s, ms, largest first, such as 1h30m)"
    )]
    Syntax(String),
    /// More than about 292 years.
    #[error("duration out of range: {0:?}")]
    Range(String),
}

/// Parses a duration as Prometheus writes it (`1h30m`, `0`, `15s`, `100ms`): units in falling order, each at most
/// once. Returns milliseconds. Source: prometheus/common `model.ParseDuration`.
pub fn parse_duration(text: &str) -> Result<i64, DurationError> {
    match text {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(0),
        _ => {}
    }
    let syntax = || DurationError::Syntax(text.to_owned());
    let range = || DurationError::Range(text.to_owned());
    let mut rest = text;
    let mut next_unit = 0;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit_len = rest[digits..].bytes().take_while(|b| b.is_ascii_alphabetic()).count();
        let (number, unit) = (&rest[..digits], &rest[digits..digits + unit_len]);
        let at = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(syntax)?;
        if digits == 0 || at < next_unit {
            return Err(syntax());
        }
        next_unit = at + 1;
        let number: i64 = number.parse().map_err(|_| range())?;
        total = number.checked_mul(UNITS[at].1).and_then(|ms| total.checked_add(ms)).ok_or_else(range)?;
        rest = &rest[digits + unit_len..];
    }
    // Prometheus keeps nanoseconds in 64 bits.
    if total > i64::MAX / 1_000_000 {
        return Err(range());
    }
    Ok(total)
}

/// Milliseconds as Prometheus prints a duration: `1h30m`, `15s`, `0s`; weeks and years only when they divide it.
pub struct DurationText(pub i64);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        if rest < 0 {
            f.write_str("-")?;
            rest = -rest;
        }
        for (unit, ms) in UNITS {
            let exact_only = matches!(unit, "y" | "w");
            if exact_only && rest % ms != 0 {
                continue;
            }
            if rest / ms > 0 {
                write!(f, "{}{unit}", rest / ms)?;
                rest %= ms;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, want) in [
            ("0", 0),
            ("0s", 0),
            ("324ms", 324),
            ("3s", 3_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("4d1h", 349_200_000),
            ("3w2d1h", 1_990_800_000),
            ("1y", 31_536_000_000),
            ("1h30m5s1ms", 5_405_001),
        ] {
            assert_eq!(parse_duration(text), Ok(want), "{text}");
        }
        for text in ["", "1", "-1m", "1.5d", "d", "1m1h", "1m1m", "5m ", "294y", "99999999999999999999y"] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
        for (ms, want) in [
            (0, "0s"),
            (324, "324ms"),
            (3_600_000, "1h"),
            (349_200_000, "4d1h"),
            (1_990_800_000, "23d1h"),
            (2 * 604_800_000, "2w"),
            (31_536_000_000, "1y"),
            (5_405_001, "1h30m5s1ms"),
            (-60_000, "-1m"),
        ] {
            assert_eq!(DurationText(ms).to_string(), want);
        }
    }
}
