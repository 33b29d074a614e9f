//! Numbers and times as Go writes them, beyond the forms of [`model::go_float`].

use model::go_float::FloatG;

use super::date::Date;

/// `%.2g`: two significant digits.
pub(crate) fn format_g2(v: f64) -> String {
    if !v.is_finite() || v == 0.0 {
        return FloatG(v).to_string();
    }
    // Rounded to two digits, the shortest form has no more than those.
    let rounded: f64 = format!("{v:.1e}").parse().unwrap_or(v);
    if (1e-4..1e2).contains(&rounded.abs()) {
        return FloatG(rounded).to_string();
    }
    let text = format!("{rounded:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

/// OpenMetrics: `%g` with `.0` when neither point nor exponent would show.
pub(crate) fn format_open_metrics(v: f64) -> String {
    let text = FloatG(v).to_string();
    if !v.is_finite() || text.contains(['.', 'e']) { text } else { format!("{text}.0") }
}

/// RFC 3339 in UTC to the second; `t` in milliseconds.
pub(crate) fn format_rfc3339(t: i64) -> String {
    let Date { year, month, day, hour, minute, second, .. } = Date::of_seconds(t / 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_writes_them() {
        for (v, want) in [
            (3.25, "3.2"),
            (100.0, "1e+02"),
            (10.0, "10"),
            (0.001234, "0.0012"),
            (99.7, "1e+02"),
            (5.0, "5"),
            (1.25e-7, "1.2e-07"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(format_g2(v), want);
        }
        for (v, want) in [(1.0, "1.0"), (0.0, "0.0"), (0.99, "0.99"), (f64::INFINITY, "+Inf"), (1e7, "1e+07")]
        {
            assert_eq!(format_open_metrics(v), want);
        }
        assert_eq!(format_rfc3339(1_700_000_000_999), "2023-11-14T22:13:20Z");
    }
}
