//! Numbers and durations for people. Source: Prometheus `template/template.go`.

use super::printf::float_g;

/// Divides (or multiplies) into the range below (or from) a limit and names the factor.
fn scaled(
    v: f64,
    factor: f64,
    done: impl Fn(f64) -> bool,
    prefixes: [&'static str; 8],
) -> (f64, &'static str) {
    let (mut v, mut name) = (v, "");
    for prefix in prefixes {
        if done(v.abs()) {
            break;
        }
        name = prefix;
        v *= factor;
    }
    (v, name)
}

const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// With a prefix of the powers of 1000: `1.234k`.
pub(super) fn humanize(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return float_g(v, 4);
    }
    if v.abs() < 1.0 {
        let (v, prefix) = scaled(v, 1000.0, |v| v >= 1.0, SMALL);
        return float_g(v, 4) + prefix;
    }
    let mut v = v;
    let mut name = "";
    for prefix in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
        if v.abs() < 1000.0 {
            break;
        }
        name = prefix;
        v /= 1000.0;
    }
    float_g(v, 4) + name
}

/// With a prefix of the powers of 1024: `1.234ki`.
pub(super) fn humanize_1024(v: f64) -> String {
    if v.abs() <= 1.0 || !v.is_finite() {
        return float_g(v, 4);
    }
    // Dividing by a power of two is exact either way.
    let (v, prefix) =
        scaled(v, 1.0 / 1024.0, |v| v < 1024.0, ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]);
    float_g(v, 4) + prefix
}

/// Seconds as days, hours, minutes and seconds, or with a prefix: `1d 2h 3m 4s`, `12ms`.
pub(super) fn humanize_duration(v: f64) -> String {
    if !v.is_finite() {
        return float_g(v, 4);
    }
    if v == 0.0 {
        return float_g(v, 4) + "s";
    }
    if v.abs() < 1.0 {
        let (v, prefix) = scaled(v, 1000.0, |v| v >= 1.0, SMALL);
        return format!("{}{prefix}s", float_g(v, 4));
    }
    let sign = if v < 0.0 { "-" } else { "" };
    let v = v.abs();
    let whole = v as i64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", float_g(v, 4))
    }
}
