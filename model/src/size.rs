//! Sizes in bytes as text, in powers of 1024: `512MB`, `1GiB512MiB`.

use std::fmt;

/// Text that is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Another shape.
    #[error(
        "not a valid size: {0:?} (expected a number with a unit B, KB, MB, GB, TB, PB or EB, such as 512MB)"
    )]
    Syntax(String),
    /// No unit, or one that is not known.
    #[error("unknown unit {unit:?} in size {text:?} (expected B, KB, MB, GB, TB, PB or EB)")]
    Unit {
        /// What stands in the unit's place.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// More than 63 bits.
    #[error("size out of range: {0:?}")]
    Range(String),
}

const PREFIXES: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];

/// Parses a size: numbers, possibly with a fraction, each followed by a unit; `KB` and `KiB` are both 1024 bytes;
/// "0" needs no unit; a sign is allowed. All units of one text are of one family, as in alecthomas/units.
pub fn parse_size(text: &str) -> Result<i64, SizeError> {
    parse_with(text, "iB").or_else(|_| parse_with(text, "B"))
}

fn parse_with(text: &str, suffix: &str) -> Result<i64, SizeError> {
    let syntax = || SizeError::Syntax(text.to_owned());
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return Ok(0);
    }
    if unsigned.is_empty() {
        return Err(syntax());
    }
    let mut total = 0.0f64;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let number_len = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, after) = rest.split_at(number_len);
        if !number.bytes().any(|b| b.is_ascii_digit()) || number.matches('.').count() > 1 {
            return Err(syntax());
        }
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let scale = scale_of(unit, suffix)
            .ok_or_else(|| SizeError::Unit { unit: unit.to_owned(), text: text.to_owned() })?;
        // The digits were checked above; a missing integer part (`.5`) is read as 0.
        total += format!("0{number}").parse::<f64>().map_err(|_| syntax())? * scale;
        rest = after;
    }
    if total >= i64::MAX as f64 {
        return Err(SizeError::Range(text.to_owned()));
    }
    let total = total as i64;
    Ok(if text.starts_with('-') { -total } else { total })
}

fn scale_of(unit: &str, suffix: &str) -> Option<f64> {
    if unit == "B" {
        return Some(1.0);
    }
    let prefix = unit.strip_suffix(suffix)?;
    PREFIXES.iter().skip(1).position(|p| *p == prefix).map(|power| 1024f64.powi(power as i32 + 1))
}

/// Bytes as Prometheus prints a size: `0B`, `512MiB`, `1GiB1KiB`.
pub struct SizeText(pub i64);

impl fmt::Display for SizeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0B");
        }
        for power in (0..PREFIXES.len()).rev() {
            let scale = 1i64 << (10 * power);
            let digits = if power + 1 == PREFIXES.len() { self.0 / scale } else { self.0 / scale % 1024 };
            if digits != 0 {
                write!(f, "{digits}{}{}", PREFIXES[power], if power == 0 { "B" } else { "iB" })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes, shown) in [
            ("0", 0, "0B"),
            ("0B", 0, "0B"),
            ("10B", 10, "10B"),
            ("1KB", 1024, "1KiB"),
            ("1KiB", 1024, "1KiB"),
            ("1.5MB", 1_572_864, "1MiB512KiB"),
            ("1GiB1KiB", 1_073_742_848, "1GiB1KiB"),
            (".5KB", 512, "512B"),
            ("7EB", 7 << 60, "7EiB"),
            ("-1GB", -(1 << 30), "-1GiB"),
            ("2048B", 2048, "2KiB"),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            assert_eq!(SizeText(bytes).to_string(), shown, "{text}");
        }
        for text in ["", "1", "MB", "1 MB", "1kB", "1XB", "1.2.3MB", "-", "9EB", "1KiB1KB"] {
            assert!(parse_size(text).is_err(), "{text:?}");
        }
    }
}
