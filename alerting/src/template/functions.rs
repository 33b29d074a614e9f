//! The functions that Prometheus adds to Go's. Source: Prometheus `template/template.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::case::{to_lower, to_upper};
use model::labels::Quoted;
use model::regexp::Regexp;
use model::time::{DurationError, parse_duration};

use super::builtins::{count, url_query, wrong_type};
use super::printf::float_g;
use super::value::Value;
use super::{Environment, links};

/// Their names.
pub(super) const NAMES: [&str; 29] = [
    "args",
    "externalURL",
    "first",
    "graphLink",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "label",
    "match",
    "now",
    "parseDuration",
    "pathPrefix",
    "query",
    "reReplaceAll",
    "safeHtml",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "urlQueryEscape",
    "value",
];

/// Calls a function by its name, which is one of [`NAMES`].
pub(super) fn call(name: &str, args: &[Value], environment: &Environment<'_>) -> Result<Value, String> {
    let arity = match name {
        "args" => args.len(),
        "externalURL" | "now" | "pathPrefix" => 0,
        "label" | "match" | "sortByLabel" => 2,
        "reReplaceAll" => 3,
        _ => 1,
    };
    count(name, args, arity)?;
    match (name, args) {
        ("args", args) => {
            let named = args.iter().enumerate().map(|(i, value)| (format!("arg{i}"), value.clone()));
            Ok(Value::Map(Arc::new(named.collect::<BTreeMap<_, _>>())))
        }
        ("externalURL", _) => Ok(Value::text(environment.external_url)),
        ("pathPrefix", _) => Ok(Value::text(environment.path_prefix)),
        ("now", _) => Ok(Value::Float(environment.now_ms as f64 / 1000.0)),
        ("query", [query]) => (environment.query)(text(query)?).map(|samples| Value::Samples(samples.into())),
        ("first", [Value::Samples(samples)]) => match samples.first() {
            Some(sample) => Ok(sample.clone()),
            None => Err("first() called on vector with no elements".to_owned()),
        },
        ("first", [other]) => Err(wrong_type("template.queryResult", other)),
        ("label", [label, Value::Sample(sample)]) => {
            Ok(Value::text(sample.labels.get(text(label)?).unwrap_or("")))
        }
        ("value", [Value::Sample(sample)]) => Ok(sample.value.clone().into()),
        ("strvalue", [Value::Sample(sample)]) => {
            Ok(Value::text(sample.labels.get("__value__").unwrap_or("")))
        }
        ("label", [_, other]) | ("value" | "strvalue", [other]) => Err(wrong_type("*template.sample", other)),
        ("sortByLabel", [label, Value::Samples(samples)]) => {
            let label = text(label)?;
            let mut sorted = samples.to_vec();
            sorted.sort_by(|a, b| label_of(a, label).cmp(label_of(b, label)));
            Ok(Value::Samples(sorted.into()))
        }
        ("sortByLabel", [_, other]) => Err(wrong_type("template.queryResult", other)),
        ("reReplaceAll", [pattern, replacement, subject]) => {
            let (pattern, replacement, subject) = (text(pattern)?, text(replacement)?, text(subject)?);
            let regexp = Regexp::new(pattern).map_err(|e| format!("regexp: Compile(`{pattern}`): {e}"))?;
            Ok(Value::text(regexp.replace_all(subject, replacement)))
        }
        ("match", [pattern, subject]) => {
            let regexp = Regexp::new(text(pattern)?).map_err(|e| e.to_string())?;
            Ok(Value::Bool(regexp.is_match(text(subject)?)))
        }
        ("humanize", [value]) => float(value).map(|v| Value::text(humanize(v))),
        ("humanize1024", [value]) => float(value).map(|v| Value::text(humanize_1024(v))),
        ("humanizeDuration", [value]) => float(value).map(|v| Value::text(humanize_duration(v))),
        ("humanizePercentage", [value]) => float(value).map(|v| Value::text(float_g(v * 100.0, 4) + "%")),
        ("humanizeTimestamp", [value]) => {
            let v = float(value)?;
            if v.is_finite() {
                to_time(v).map(|t| Value::text(t.to_string()))
            } else {
                Ok(Value::text(float_g(v, 4)))
            }
        }
        ("toTime", [value]) => match float(value)? {
            v if v.is_finite() => to_time(v),
            _ => Err("value is NaN or Inf".to_owned()),
        },
        ("toDuration", [value]) => float(value).map(|v| Value::Duration((v * 1e9) as i64)),
        ("parseDuration", [duration]) => {
            let duration = text(duration)?;
            let (sign, unsigned) = match duration.strip_prefix('-') {
                Some(unsigned) => (-1.0, unsigned),
                None => (1.0, duration),
            };
            let ms = parse_duration(unsigned).map_err(|e| match e {
                DurationError::Syntax(_) => format!("not a valid duration string: {}", Quoted(duration)),
                e => e.to_string(),
            })?;
            Ok(Value::Float(sign * ms as f64 / 1000.0))
        }
        (name, [value]) => {
            let text = text(value)?;
            Ok(Value::text(match name {
                "title" => title(text),
                "toUpper" => to_upper(text),
                "toLower" => to_lower(text),
                "graphLink" => links::graph(text),
                "tableLink" => links::table(text),
                "stripPort" => strip_port(text),
                "stripDomain" => strip_domain(text),
                "urlQueryEscape" => url_query(text),
                // safeHtml only matters where HTML is escaped.
                _ => text.to_owned(),
            }))
        }
        (name, _) => Err(format!("wrong number of args for {name}")),
    }
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(wrong_type("string", other)),
    }
}

/// What counts as a number: numbers, durations in seconds, and texts that are numbers.
fn float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(v) => Ok(*v),
        Value::Int(n) => Ok(*n as f64),
        Value::Text(text) => {
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let known = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
                || ["inf", "infinity", "nan"].iter().any(|name| digits.eq_ignore_ascii_case(name));
            match text.parse() {
                Ok(v) if known => Ok(v),
                _ => Err(format!("strconv.ParseFloat: parsing {}: invalid syntax", Quoted(text))),
            }
        }
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

fn label_of<'a>(sample: &'a Value, label: &str) -> &'a str {
    match sample {
        Value::Sample(sample) => sample.labels.get(label).unwrap_or(""),
        _ => "",
    }
}

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

fn humanize(v: f64) -> String {
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

fn humanize_1024(v: f64) -> String {
    if v.abs() <= 1.0 || !v.is_finite() {
        return float_g(v, 4);
    }
    // Dividing by a power of two is exact either way.
    let (v, prefix) =
        scaled(v, 1.0 / 1024.0, |v| v < 1024.0, ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]);
    float_g(v, 4) + prefix
}

fn humanize_duration(v: f64) -> String {
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

/// Unix seconds as a time, cut to milliseconds.
fn to_time(v: f64) -> Result<Value, String> {
    let ns = v * 1e9;
    if ns > i64::MAX as f64 || ns < i64::MIN as f64 {
        let v = model::float::FloatG(v);
        return Err(format!("{v} cannot be represented as a nanoseconds timestamp since it overflows int64"));
    }
    Ok(Value::Time(ns as i64 / 1_000_000 * 1_000_000))
}

/// The first letter of each word in upper case, the others as they are.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut within = false;
    for c in text.chars() {
        let word = c.is_alphanumeric() || (within && matches!(c, '\'' | '’' | '_' | '.' | ':' | '·'));
        if word && !within {
            out.push_str(&to_upper(c.encode_utf8(&mut [0; 4])));
        } else {
            out.push(c);
        }
        within = word;
    }
    out
}

/// Go's `net.SplitHostPort`; `None` where that is an error.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.contains(['[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

fn strip_port(text: &str) -> String {
    split_host_port(text).map_or(text, |(host, _)| host).to_owned()
}

fn strip_domain(text: &str) -> String {
    let (host, port) = split_host_port(text).unwrap_or((text, ""));
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let host = host.split('.').next().unwrap_or("");
    if port.is_empty() { host.to_owned() } else { format!("{host}:{port}") }
}
