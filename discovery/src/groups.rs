//! Target groups as texts: in the configuration, in discovery files, in answers of HTTP servers.

use std::collections::BTreeMap;

use config::discovery::StaticGroup;
use config::fields::Fields;
use config::yaml::{self, Fault, Value};
use model::{Labels, LabelsBuilder};

use super::json::{self, Object};
use super::{ADDRESS_LABEL, TargetGroup};

/// Reads a JSON list of groups; `null` is an empty list, as is `null` for anything in a group.
pub fn from_json(text: &[u8]) -> Result<Vec<StaticGroup>, String> {
    let groups: Option<Vec<Option<Object>>> = json::read(text)?;
    let mut read = Vec::new();
    for (i, group) in groups.unwrap_or_default().into_iter().enumerate() {
        let Some(Object(fields)) = group else { return Err(format!("target group {i} is null")) };
        let mut group = StaticGroup::default();
        for (key, value) in fields {
            let path = format!("target group {i}: {key}");
            // A field that is written again replaces the one before.
            if json::names(&key, "targets") {
                group.targets = targets(value, &path)?;
            } else if json::names(&key, "labels") {
                group.labels = labels(value, &path)?;
            } else {
                return Err(format!(
                    "target group {i}: unknown field {key:?}; known are \"targets\" and \"labels\""
                ));
            }
        }
        read.push(group);
    }
    Ok(read)
}

fn targets(value: serde_json::Value, path: &str) -> Result<Vec<String>, String> {
    match value {
        serde_json::Value::Null => Ok(Vec::new()),
        serde_json::Value::Array(targets) => {
            targets.into_iter().map(|target| json::string(target, path)).collect()
        }
        other => Err(format!("{path}: expected a list, found {}", json::kind(&other))),
    }
}

fn labels(value: serde_json::Value, path: &str) -> Result<Vec<(String, String)>, String> {
    let labels = match value {
        serde_json::Value::Null => return Ok(Vec::new()),
        serde_json::Value::Object(labels) => labels,
        other => return Err(format!("{path}: expected an object, found {}", json::kind(&other))),
    };
    let mut read = BTreeMap::new();
    for (name, value) in labels {
        if name.is_empty() {
            return Err(format!("{path}: \"\" is not a valid label name"));
        }
        let value = json::string(value, &format!("{path}.{name}"))?;
        read.insert(name, value);
    }
    Ok(read.into_iter().collect())
}

/// Reads a YAML list of groups; an empty text is an empty list.
pub fn from_yaml(text: &str) -> Result<Vec<StaticGroup>, Fault> {
    let root = yaml::parse(text)?;
    let items = match &root.value {
        _ if root.is_null() => return Ok(Vec::new()),
        Value::Sequence(items) => items,
        Value::Scalar(_) | Value::Mapping(_) => {
            return Err(Fault::new(
                root.pos,
                format!("expected a list of target groups, found {}", root.describe()),
            ));
        }
    };
    let mut read = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        if item.is_null() {
            return Err(Fault::new(item.pos, format!("target group {i} is null")));
        }
        read.push(StaticGroup::read(Fields::new(item, format!("[{i}]"))?)?.0);
    }
    Ok(read)
}

/// Makes the groups of one origin; their sources are the origin and the place in it. `extra` is a label that tells
/// where they come from.
pub fn groups(origin: &str, groups: &[StaticGroup], extra: Option<(&str, &str)>) -> Vec<TargetGroup> {
    let group = |(i, group): (usize, &StaticGroup)| {
        let mut labels = LabelsBuilder::new();
        for (name, value) in &group.labels {
            labels.set(name, value);
        }
        if let Some((name, value)) = extra {
            labels.set(name, value);
        }
        TargetGroup {
            source: if origin.is_empty() { i.to_string() } else { format!("{origin}:{i}") },
            labels: labels.finish(),
            targets: group.targets.iter().map(|t| Labels::from_pairs([(ADDRESS_LABEL, t)])).collect(),
        }
    };
    groups.iter().enumerate().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_read_alike() {
        let json = br#"[{"targets": ["a:1", "b:2"], "labels": {"env": "x", "n": ""}}, {}]"#;
        let yaml = "- targets: ['a:1', b:2]\n  labels: {env: x, n: ''}\n- {}\n";
        let read = from_json(json).unwrap();
        assert_eq!(read, from_yaml(yaml).unwrap());
        let made = groups("f.yml", &read, Some(("__meta_filepath", "f.yml")));
        assert_eq!(made[0].source, "f.yml:0");
        assert_eq!(made[0].labels.to_string(), "{__meta_filepath=\"f.yml\", env=\"x\"}");
        assert_eq!(made[0].targets[1].to_string(), "{__address__=\"b:2\"}");
        assert_eq!((made[1].source.as_str(), made[1].targets.len()), ("f.yml:1", 0));
        assert_eq!(from_json(b"null"), Ok(Vec::new()));
        assert_eq!(from_yaml(""), Ok(Vec::new()));
    }

    #[test]
    fn json_is_read_as_go_reads_it() {
        let json = b"[{\"Targets\": [\"a\"], \"TARGETS\": [\"b\", null], \"labels\": {\"x\": \"1\"}, \"Labels\": \
                     {\"a\": null, \"b\": \"\xff\", \"c\": \"\\ud800\", \"d\": \"1\", \"d\": \"2\"}}, {\"targets\": null, \"labels\": null}]";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let first = StaticGroup {
            targets: vec!["b".to_owned(), String::new()],
            labels: vec![pair("a", ""), pair("b", "\u{fffd}"), pair("c", "\u{fffd}"), pair("d", "2")],
        };
        assert_eq!(from_json(json), Ok(vec![first, StaticGroup::default()]));
    }

    #[test]
    fn refusals() {
        for (text, message) in [
            ("[null]", "target group 0 is null"),
            ("[{\"target\": []}]", "unknown field \"target\""),
            ("[{\"targets\": [1]}]", "target group 0: targets: expected a string, found a number"),
            ("[{\"targets\": \"a\"}]", "target group 0: targets: expected a list, found a string"),
            ("[{\"labels\": {\"a\": 1}}]", "target group 0: labels.a: expected a string, found a number"),
            ("[{\"labels\": []}]", "target group 0: labels: expected an object, found a list"),
            ("[] []", "trailing characters"),
            ("[{\"labels\": {\"\": \"x\"}}]", "\"\" is not a valid label name"),
            ("{}", "expected a sequence"),
            ("[", "EOF"),
        ] {
            let error = from_json(text.as_bytes()).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
        for (text, message) in [
            ("- null", "1:3: target group 0 is null"),
            ("- target: [a]", "1:3: unknown field \"target\" in [0]; did you mean \"targets\"?"),
            ("a: b", "1:1: expected a list of target groups, found a mapping"),
            (
                "- targets: a",
                "1:12: [0].targets: expected a list (items that start with \"- \"), found a text",
            ),
        ] {
            let fault = from_yaml(text).unwrap_err();
            assert_eq!(format!("{}: {fault}", fault.pos), message);
        }
    }
}
