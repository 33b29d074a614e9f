//! The functions that Prometheus adds to Go's: one table, each function bound to its code. Source: Prometheus
//! `template/template.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::go_case::{to_lower, to_upper};
use model::labels::Quoted;
use model::parse_float::parse_float;
use model::regexp::Regexp;
use model::time::{DurationError, parse_duration};

use super::builtins::{count, url_query, wrong_type};
use super::humanize::{humanize, humanize_1024, humanize_duration};
use super::printf::float_g;
use super::value::Value;
use super::{Environment, links};

/// What a function gives for its arguments, of which there are as many as it takes.
type Code = fn(&[Value], &Environment<'_>) -> Result<Value, String>;

/// A function that templates may call.
pub(super) struct TemplateFunction {
    name: &'static str,
    /// Number of arguments; `None` for any.
    arity: Option<usize>,
    code: Code,
}

const fn function(name: &'static str, arity: usize, code: Code) -> TemplateFunction {
    TemplateFunction { name, arity: Some(arity), code }
}

/// The names of all functions, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

/// Every function, by name.
static FUNCTIONS: [TemplateFunction; 29] = [
    TemplateFunction { name: "args", arity: None, code: args },
    function("externalURL", 0, |_, environment| Ok(Value::text(environment.external_url))),
    function("first", 1, first),
    function("graphLink", 1, |args, _| of_text(args, links::graph)),
    function("humanize", 1, |args, _| of_float(args, |v| Value::text(humanize(v)))),
    function("humanize1024", 1, |args, _| of_float(args, |v| Value::text(humanize_1024(v)))),
    function("humanizeDuration", 1, |args, _| of_float(args, |v| Value::text(humanize_duration(v)))),
    function("humanizePercentage", 1, |args, _| of_float(args, |v| Value::text(float_g(v * 100.0, 4) + "%"))),
    function("humanizeTimestamp", 1, humanize_timestamp),
    function("label", 2, label),
    function("match", 2, is_match),
    function("now", 0, |_, environment| Ok(Value::Float(environment.now_ms as f64 / 1000.0))),
    function("parseDuration", 1, parse_seconds),
    function("pathPrefix", 0, |_, environment| Ok(Value::text(environment.path_prefix))),
    function("query", 1, query),
    function("reReplaceAll", 3, replace_all),
    // It only matters where HTML is escaped.
    function("safeHtml", 1, |args, _| of_text(args, str::to_owned)),
    function("sortByLabel", 2, sort_by_label),
    function("stripDomain", 1, |args, _| of_text(args, strip_domain)),
    function("stripPort", 1, |args, _| of_text(args, strip_port)),
    function("strvalue", 1, string_value),
    function("tableLink", 1, |args, _| of_text(args, links::table)),
    function("title", 1, |args, _| of_text(args, title)),
    function("toDuration", 1, |args, _| of_float(args, |v| Value::Duration((v * 1e9) as i64))),
    function("toLower", 1, |args, _| of_text(args, to_lower)),
    function("toTime", 1, time_of),
    function("toUpper", 1, |args, _| of_text(args, to_upper)),
    function("urlQueryEscape", 1, |args, _| of_text(args, url_query)),
    function("value", 1, value),
];

/// The function of that name; names are case-sensitive.
pub(super) fn find(name: &str) -> Option<&'static TemplateFunction> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
}

impl TemplateFunction {
    /// Calls the function. The error is Go's text.
    pub(super) fn call(&self, args: &[Value], environment: &Environment<'_>) -> Result<Value, String> {
        if let Some(arity) = self.arity {
            count(self.name, args, arity)?;
        }
        (self.code)(args, environment)
    }
}

/// The arguments as an array. [`TemplateFunction::call`] has counted them.
fn exactly<const N: usize>(args: &[Value]) -> Result<&[Value; N], String> {
    args.try_into().map_err(|_| format!("wrong number of args: want {N} got {}", args.len()))
}

fn of_text(args: &[Value], f: impl Fn(&str) -> String) -> Result<Value, String> {
    let [value] = exactly(args)?;
    Ok(Value::text(f(text(value)?)))
}

fn of_float(args: &[Value], f: impl Fn(f64) -> Value) -> Result<Value, String> {
    let [value] = exactly(args)?;
    float(value).map(f)
}

fn args(args: &[Value], _: &Environment<'_>) -> Result<Value, String> {
    let named = args.iter().enumerate().map(|(i, value)| (format!("arg{i}"), value.clone()));
    Ok(Value::Map(Arc::new(named.collect::<BTreeMap<_, _>>())))
}

fn query(args: &[Value], environment: &Environment<'_>) -> Result<Value, String> {
    let [query] = exactly(args)?;
    (environment.query)(text(query)?).map(|samples| Value::Samples(samples.into()))
}

fn first(args: &[Value], _: &Environment<'_>) -> Result<Value, String> {
    match exactly(args)? {
        [Value::Samples(samples)] => match samples.first() {
            Some(sample) => Ok(sample.clone()),
            None => Err("first() called on vector with no elements".to_owned()),
        },
        [other] => Err(wrong_type("template.queryResult", other)),
    }
}

fn label(args: &[Value], _: &Environment<'_>) -> Result<Value, String> {
    match exactly(args)? {
        [label, Value::Sample(sample)] => Ok(Value::text(sample.labels.get(text(label)?).unwrap_or(""))),
        [_, other] => Err(wrong_type("*template.sample", other)),
    }
}

fn value(args: &[Value], _: &Environment<'_>) -> Result<Value, String> {
    match exactly(args)? {
        [Value::Sample(sample)] => Ok(sample.value.clone().into()),
        [other] => Err(wrong_type("*template.sample", other)),
    }
}

fn string_value(args: &[Value], _: &Environment<'_>) -> Result<Value, String> {
    match exactly(args)? {
        [Value::Sample(sample)] => Ok(Value::text(sample.labels.get("__value__").unwrap_or(""))),
        [other] => Err(wrong_type("*template.sample", other)),
    }
}

fn sort_by_label(args: &[Value], _: &Environment<'_>) -> Result<Value, String> {
    match exactly(args)? {
        [label, Value::Samples(samples)] => {
            let label = text(label)?;
            let mut sorted = samples.to_vec();
            sorted.sort_by(|a, b| label_of(a, label).cmp(label_of(b, label)));
            Ok(Value::Samples(sorted.into()))
        }
        [_, other] => Err(wrong_type("template.queryResult", other)),
    }
}

fn replace_all(args: &[Value], _: &Environment<'_>) -> Result<Value, String> {
    let [pattern, replacement, subject] = exactly(args)?;
    let (pattern, replacement, subject) = (text(pattern)?, text(replacement)?, text(subject)?);
    let regexp = Regexp::new(pattern).map_err(|e| format!("regexp: Compile(`{pattern}`): {e}"))?;
    Ok(Value::text(regexp.replace_all(subject, replacement)))
}

fn is_match(args: &[Value], _: &Environment<'_>) -> Result<Value, String> {
    let [pattern, subject] = exactly(args)?;
    let regexp = Regexp::new(text(pattern)?).map_err(|e| e.to_string())?;
    Ok(Value::Bool(regexp.is_match(text(subject)?)))
}

fn humanize_timestamp(args: &[Value], _: &Environment<'_>) -> Result<Value, String> {
    let [value] = exactly(args)?;
    let v = float(value)?;
    if v.is_finite() {
        to_time(v).map(|t| Value::text(t.to_string()))
    } else {
        Ok(Value::text(float_g(v, 4)))
    }
}

fn time_of(args: &[Value], _: &Environment<'_>) -> Result<Value, String> {
    let [value] = exactly(args)?;
    match float(value)? {
        v if v.is_finite() => to_time(v),
        _ => Err("value is NaN or Inf".to_owned()),
    }
}

/// `parseDuration`: a duration as PromQL writes it, in seconds.
fn parse_seconds(args: &[Value], _: &Environment<'_>) -> Result<Value, String> {
    let [duration] = exactly(args)?;
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
            parse_float(text).map_err(|e| format!("strconv.ParseFloat: parsing {}: {e}", Quoted(text)))
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

/// Unix seconds as a time, cut to milliseconds.
fn to_time(v: f64) -> Result<Value, String> {
    let ns = v * 1e9;
    if ns > i64::MAX as f64 || ns < i64::MIN as f64 {
        let v = model::go_float::FloatG(v);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_searchable() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(FUNCTIONS.iter().all(|function| find(function.name).is_some()));
        assert!(find("Humanize").is_none());
    }
}
