//! Numbers as the exposition formats write them: Go's `strconv` syntax, minus what Prometheus refuses, and the
//! canonical form of `le` and `quantile` values.

use model::go_float::FloatG;
use model::parse_float::FloatError;

use super::quote::quoted;

/// Parses a sample value or an OpenMetrics timestamp: decimal notation, `NaN`, `Inf`, `Infinity` in any case.
/// Hexadecimal digits, underscores and values beyond the range of a double are errors, a sign before `NaN` as well.
/// Source: Prometheus `textparse.parseFloat` over Go's `strconv.ParseFloat`.
///
/// The error is the text that Prometheus gives.
pub fn parse_float(text: &[u8]) -> Result<f64, String> {
    match short_integer(text) {
        Some(v) => Ok(v),
        None => parse_any_float(text),
    }
}

/// Up to 15 digits with an optional minus sign: exact in a double, and most of what exporters send.
fn short_integer(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut number: i64 = 0;
    for &b in digits {
        if !b.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(b - b'0');
    }
    let v = number as f64;
    Some(if negative { -v } else { v })
}

/// What `le` and `quantile` values may be: all that Go's `ParseFloat` reads. `None` for anything else and for values
/// out of range.
pub(super) fn parse_bound(text: &str) -> Option<f64> {
    match short_integer(text.as_bytes()) {
        Some(v) => Some(v),
        None => model::parse_float::parse_float(text).ok(),
    }
}

fn parse_any_float(text: &[u8]) -> Result<f64, String> {
    if text.iter().any(|b| matches!(b, b'p' | b'P' | b'_')) {
        return Err("unsupported character in float".to_owned());
    }
    let wrong = |error: FloatError| format!("strconv.ParseFloat: parsing {}: {error}", quoted(text));
    let text = str::from_utf8(text).map_err(|_| wrong(FloatError::Syntax))?;
    model::parse_float::parse_float(text).map_err(wrong)
}

/// The canonical form of a `le` or `quantile` value, as OpenMetrics writes floats: `1.0`, `0.5`, `1e+06`, `+Inf`.
/// Source: Prometheus `labels.FormatOpenMetricsFloat`.
pub fn openmetrics_float(v: f64) -> String {
    if v == 0.0 {
        return "0.0".to_owned();
    }
    let mut text = FloatG(v).to_string();
    if v.is_finite() && !text.contains(['.', 'e']) {
        text.push_str(".0");
    }
    text
}

/// Seconds as OpenMetrics writes timestamps, to milliseconds, rounded towards zero. Out of range saturates.
pub fn seconds_to_ms(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn floats_follow_go() {
        for (text, want) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("12", 12.0),
            ("+12", 12.0),
            ("-999999999999999", -999_999_999_999_999.0),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("1E+3", 1000.0),
            ("1e-400", 0.0),
            ("0e999999999999", 0.0),
            ("Inf", f64::INFINITY),
            ("+inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            let got = parse_float(text.as_bytes()).unwrap();
            assert_eq!(got.to_bits(), want.to_bits(), "{text}");
        }
        assert!(parse_float(b"NaN").unwrap().is_nan());
        for (text, error) in [
            ("", r#"strconv.ParseFloat: parsing "": invalid syntax"#),
            ("-", r#"strconv.ParseFloat: parsing "-": invalid syntax"#),
            ("+NaN", r#"strconv.ParseFloat: parsing "+NaN": invalid syntax"#),
            ("12a", r#"strconv.ParseFloat: parsing "12a": invalid syntax"#),
            ("infinit", r#"strconv.ParseFloat: parsing "infinit": invalid syntax"#),
            ("0x10", r#"strconv.ParseFloat: parsing "0x10": invalid syntax"#),
            ("1e999", r#"strconv.ParseFloat: parsing "1e999": value out of range"#),
            ("1_000", "unsupported character in float"),
            ("0x1p3", "unsupported character in float"),
        ] {
            assert_eq!(parse_float(text.as_bytes()), Err(error.to_owned()));
        }
        assert!(parse_float(b"\xff").is_err());
    }

    #[test]
    fn canonical_bounds() {
        for (v, want) in [
            (1.0, "1.0"),
            (-1.0, "-1.0"),
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (0.5, "0.5"),
            (1000.0, "1000.0"),
            (999999.0, "999999.0"),
            (1e6, "1e+06"),
            (123456.0, "123456.0"),
            (1234567.0, "1.234567e+06"),
            (1e20, "1e+20"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(openmetrics_float(v), want);
        }
    }

    #[test]
    fn bounds_are_gos_floats() {
        for (text, want) in [
            ("0x1p-2", Some(0.25)),
            ("-0X1.8P+1", Some(-3.0)),
            ("0x1", None),
            ("0x1p9999", None),
            ("1_0", Some(10.0)),
            ("1__0", None),
            ("2.5", Some(2.5)),
            ("12", Some(12.0)),
        ] {
            assert_eq!(parse_bound(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn canonical_form_reads_back(bits in any::<u64>()) {
            let v = f64::from_bits(bits);
            prop_assume!(v.is_finite());
            let text = openmetrics_float(v);
            prop_assert!(text.contains(['.', 'e']));
            prop_assert_eq!(parse_float(text.as_bytes()).unwrap(), v);
        }

        #[test]
        fn short_integers_agree_with_std(n in -999_999_999_999_999i64..=999_999_999_999_999) {
            let text = n.to_string();
            prop_assert_eq!(short_integer(text.as_bytes()), Some(n as f64));
        }
    }
}
