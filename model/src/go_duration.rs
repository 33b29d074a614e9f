//! Durations as Go reads and prints them (`time.ParseDuration`, `time.Duration.String`): `1h0m0.5s`, `15ms`. Where
//! Prometheus takes or shows such a one, and not its own kind ([`crate::time`]).

/// A Go duration (`1h`, `1.5s`, `2ms`, `10us`) in nanoseconds.
pub fn parse_go_duration(text: &str) -> Result<i64, String> {
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

/// Nanoseconds as Go prints a duration: `1h0m0.5s`, `15ms`, `0s`.
pub fn go_duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    let decimal = |unit: u64, name: &str| {
        let fraction = format!("{:0width$}", ns % unit, width = unit.ilog10() as usize);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() || unit == 1 { "" } else { "." };
        let fraction = if unit == 1 { "" } else { fraction };
        format!("{sign}{}{point}{fraction}{name}", ns / unit)
    };
    match ns {
        0 => "0s".to_owned(),
        1..1_000 => decimal(1, "ns"),
        1_000..1_000_000 => decimal(1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(1_000_000, "ms"),
        _ => {
            let seconds = ns / 1_000_000_000;
            let fraction = format!("{:09}", ns % 1_000_000_000);
            let fraction = fraction.trim_end_matches('0');
            let point = if fraction.is_empty() { "" } else { "." };
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let mut text = sign.to_owned();
            if hours > 0 {
                text.push_str(&format!("{hours}h"));
            }
            if seconds >= 60 {
                text.push_str(&format!("{minutes}m"));
            }
            text.push_str(&format!("{}{point}{fraction}s", seconds % 60));
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go() {
        for (ns, want) in [
            (0, "0s"),
            (1_500, "1.5µs"),
            (15_000_000, "15ms"),
            (7_199_999_000_000, "1h59m59.999s"),
            (-7_200_000_000_000, "-2h0m0s"),
        ] {
            assert_eq!(go_duration(ns), want);
        }
    }

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
            assert_eq!(parse_go_duration(text), Ok(ns), "{text}");
            assert_eq!(go_duration(ns), shown, "{text}");
        }
        for text in ["", "1", "s", "1x", "1.1.1s", "-"] {
            assert!(parse_go_duration(text).is_err(), "{text:?}");
        }
    }
}
