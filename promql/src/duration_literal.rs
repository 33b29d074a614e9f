//! Durations in queries: `5m`, `1h30m`, and what they are as seconds and milliseconds. Source: prometheus/common
//! `model.ParseDuration`, whose errors are part of PromQL's parse errors.

use model::labels::Quoted;

/// Units in falling order with their nanoseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400 * 1_000_000_000),
    ("w", 7 * 86_400 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// The longest duration: 64-bit nanoseconds, about 292 years. In seconds.
pub const MAX_SECONDS: f64 = (1_u64 << 63) as f64 / 1e9;

/// Parses a duration literal of a query; the result is in seconds. The error is Prometheus's text.
pub fn parse_seconds(text: &str) -> Result<f64, String> {
    let invalid = || format!("not a valid duration string: {}", Quoted(text));
    if text == "0" {
        return Ok(0.0);
    }
    if text.is_empty() {
        return Err("empty duration string".to_owned());
    }
    let (mut rest, mut next_unit, mut nanos) = (text, 0, 0_u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit_end = rest.bytes().position(|b| b.is_ascii_digit()).unwrap_or(rest.len());
        if unit_end == 0 {
            return Err(invalid());
        }
        let unit = &rest[..unit_end];
        rest = &rest[unit_end..];
        let at = UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(|| format!("unknown unit {} in duration {}", Quoted(unit), Quoted(text)))?;
        if at < next_unit {
            return Err(invalid());
        }
        next_unit = at + 1;
        nanos = number
            .checked_mul(UNITS[at].1)
            .and_then(|add| nanos.checked_add(add))
            .filter(|sum| i64::try_from(*sum).is_ok())
            .ok_or("duration out of range")?;
    }
    Ok((nanos / 1_000_000_000) as f64 + (nanos % 1_000_000_000) as f64 / 1e9)
}

/// Seconds as the milliseconds that evaluation uses: rounded to nanoseconds, then cut, as Prometheus does.
pub fn seconds_to_millis(seconds: f64) -> i64 {
    to_i64((seconds * 1e9).round()) / 1_000_000
}

/// A float as Go converts it to a 64-bit integer: what does not fit becomes the smallest.
pub(crate) fn to_i64(value: f64) -> i64 {
    let fits = value >= i64::MIN as f64 && value < i64::MAX as f64;
    if fits { value as i64 } else { i64::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds() {
        for (text, want) in
            [("0", 0.0), ("5m", 300.0), ("1h30m", 5400.0), ("1y1w1d", 32_227_200.0), ("1s500ms", 1.5)]
        {
            assert_eq!(parse_seconds(text), Ok(want), "{text}");
        }
        for (text, want) in [
            ("5", "not a valid duration string: \"5\""),
            ("m", "not a valid duration string: \"m\""),
            ("1m1h", "not a valid duration string: \"1m1h\""),
            ("1m1m", "not a valid duration string: \"1m1m\""),
            ("5hs", "unknown unit \"hs\" in duration \"5hs\""),
            ("293y", "duration out of range"),
            ("99999999999999999999s", "not a valid duration string: \"99999999999999999999s\""),
        ] {
            assert_eq!(parse_seconds(text), Err(want.to_owned()), "{text}");
        }
    }

    #[test]
    fn millis() {
        for (seconds, want) in [(1.5, 1500), (-0.001, -1), (0.0005, 0), (1e30, i64::MIN / 1_000_000)] {
            assert_eq!(seconds_to_millis(seconds), want, "{seconds}");
        }
    }
}
