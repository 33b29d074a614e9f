//! The functions that Go's templates bring along, `and` and `or` aside, which the executor evaluates lazily.

use std::cmp::Ordering;
use std::sync::Arc;

use super::printf::{sprint, sprintf, sprintln};
use super::value::Value;

/// Their names.
pub(super) const NAMES: [&str; 19] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print",
    "printf", "println", "slice", "urlquery",
];

/// Calls a function by its name, which is one of [`NAMES`].
pub(super) fn call(name: &str, args: &[Value]) -> Result<Value, String> {
    match name {
        "eq" => {
            let (first, others) = args.split_first().ok_or("missing argument for comparison")?;
            if others.is_empty() {
                return Err("missing argument for comparison".to_owned());
            }
            for other in others {
                if equal(first, other)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        "ne" => compare_two(name, args, |a, b| Ok(!equal(a, b)?)),
        "lt" => compare_two(name, args, |a, b| Ok(order(a, b)? == Some(Ordering::Less))),
        "le" => {
            compare_two(name, args, |a, b| Ok(matches!(order(a, b)?, Some(Ordering::Less | Ordering::Equal))))
        }
        "gt" => compare_two(name, args, |a, b| Ok(order(a, b)? == Some(Ordering::Greater))),
        "ge" => compare_two(name, args, |a, b| {
            Ok(matches!(order(a, b)?, Some(Ordering::Greater | Ordering::Equal)))
        }),
        "not" => one(name, args).map(|value| Value::Bool(!value.is_true())),
        "len" => one(name, args).and_then(len),
        "index" => {
            let (first, keys) =
                args.split_first().ok_or("wrong number of args for index: want at least 1 got 0")?;
            keys.iter().try_fold(first.clone(), |value, key| index(&value, key))
        }
        "slice" => slice(args),
        "print" => Ok(Value::text(sprint(args))),
        "println" => Ok(Value::text(sprintln(args))),
        "printf" => match args.split_first() {
            Some((Value::Text(format), args)) => Ok(Value::text(sprintf(format, args))),
            Some((other, _)) => Err(wrong_type("string", other)),
            None => Err("wrong number of args for printf: want at least 1 got 0".to_owned()),
        },
        "html" => Ok(Value::text(html(&escapable(args)))),
        "js" => Ok(Value::text(js(&escapable(args)))),
        "urlquery" => Ok(Value::text(url_query(&escapable(args)))),
        _ => Err(match args.first() {
            Some(value) => format!("non-function {value} of type {}", value.type_name()),
            None => "wrong number of args for call: want at least 1 got 0".to_owned(),
        }),
    }
}

/// The message about an argument of the wrong type.
pub(super) fn wrong_type(want: &str, got: &Value) -> String {
    format!("wrong type for value; expected {want}; got {}", got.type_name())
}

/// Checks the number of arguments.
pub(super) fn count(name: &str, args: &[Value], want: usize) -> Result<(), String> {
    if args.len() == want {
        return Ok(());
    }
    Err(format!("wrong number of args for {name}: want {want} got {}", args.len()))
}

fn one<'a>(name: &str, args: &'a [Value]) -> Result<&'a Value, String> {
    count(name, args, 1)?;
    args.first().ok_or_else(String::new)
}

fn compare_two(
    name: &str,
    args: &[Value],
    compare: impl Fn(&Value, &Value) -> Result<bool, String>,
) -> Result<Value, String> {
    count(name, args, 2)?;
    match args {
        [a, b] => compare(a, b).map(Value::Bool),
        _ => Err(String::new()),
    }
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (Value::Labels(_) | Value::Map(_) | Value::Samples(_), _) => {
            Err(format!("non-comparable type {a}: {}", a.type_name()))
        }
        _ => Err(incompatible(a, b)),
    }
}

/// `None` when a NaN is compared.
fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        (
            Value::Int(_) | Value::Float(_) | Value::Text(_),
            Value::Int(_) | Value::Float(_) | Value::Text(_),
        ) => Err(incompatible(a, b)),
        _ => Err("invalid type for comparison".to_owned()),
    }
}

fn len(value: &Value) -> Result<Value, String> {
    let len = match value {
        Value::Text(text) => text.len(),
        Value::Labels(labels) => labels.len(),
        Value::Map(map) => map.len(),
        Value::Samples(samples) => samples.len(),
        Value::Nil => return Err("len of nil pointer".to_owned()),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(len as i64))
}

fn position(value: &Value, len: usize) -> Result<usize, String> {
    match value {
        Value::Int(n) if usize::try_from(*n).is_ok_and(|n| n < len) => Ok(*n as usize),
        Value::Int(n) => Err(format!("index out of range: {n}")),
        Value::Nil => Err("cannot index slice/array with nil".to_owned()),
        other => Err(format!("cannot index slice/array with type {}", other.type_name())),
    }
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Labels(_) | Value::Map(_), Value::Text(key)) => Ok(value.field(key).unwrap_or(Value::Nil)),
        (Value::Labels(_) | Value::Map(_), key) => {
            Err(format!("value has type {}; should be string", key.type_name()))
        }
        (Value::Samples(samples), key) => position(key, samples.len()).map(|at| samples[at].clone()),
        (Value::Text(text), key) => {
            position(key, text.len()).map(|at| Value::Int(text.as_bytes()[at].into()))
        }
        (Value::Nil, _) => Err("index of untyped nil".to_owned()),
        (other, _) => Err(format!("can't index item of type {}", other.type_name())),
    }
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let (value, bounds) =
        args.split_first().ok_or("wrong number of args for slice: want at least 1 got 0")?;
    let len = match value {
        Value::Text(text) => text.len(),
        Value::Samples(samples) => samples.len(),
        Value::Nil => return Err("slice of untyped nil".to_owned()),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let most = if matches!(value, Value::Text(_)) { 2 } else { 3 };
    if bounds.len() > most {
        return Err(format!("too many slice indexes: {}", bounds.len()));
    }
    let at = |n: usize, default: usize| bounds.get(n).map_or(Ok(default), |bound| position(bound, len + 1));
    let (start, end) = (at(0, 0)?, at(1, len)?);
    at(2, len)?;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match value {
        // Go would cut a character in two; there is no such text here.
        Value::Text(text) => match text.get(start..end) {
            Some(part) => Ok(Value::text(part)),
            None => Err("slice bounds within a character".to_owned()),
        },
        Value::Samples(samples) => Ok(Value::Samples(Arc::from(&samples[start..end]))),
        _ => Err(String::new()),
    }
}

/// What the escaping functions work on: one text as it is, else what `print` makes of the arguments.
fn escapable(args: &[Value]) -> String {
    match args {
        [Value::Nil] => "<no value>".to_owned(),
        args => sprint(args),
    }
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str(r"\\"),
            '\'' => out.push_str(r"\'"),
            '"' => out.push_str("\\\""),
            '<' => out.push_str(r"\u003C"),
            '>' => out.push_str(r"\u003E"),
            '&' => out.push_str(r"\u0026"),
            '=' => out.push_str(r"\u003D"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// Go's `url.QueryEscape`.
pub(super) fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(b as char),
            b' ' => out.push('+'),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}
