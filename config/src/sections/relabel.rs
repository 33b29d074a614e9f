//! Reads `*relabel_configs` lists into rules, pointing at the field that a rule's error is about.

use std::sync::Arc;

use model::relabel::{Action, RelabelError, Rule, Spec};

use crate::sections::global::NameValidation;
use crate::yaml::fields::Fields;
use crate::yaml::{Fault, Node};

const ACTIONS: [&str; 11] = [
    "replace",
    "keep",
    "drop",
    "keepequal",
    "dropequal",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
];

/// Reads a list of rules out of the section that holds it. `what` names an entry in the message about an empty one.
pub fn read_rules(
    f: &mut Fields<'_>,
    name: &'static str,
    names: NameValidation,
    what: &str,
) -> Result<Arc<[Rule]>, Fault> {
    let rules = f.list(name, |node, path| {
        if node.is_null() {
            return Err(Fault::new(node.pos, format!("empty or null {what}")));
        }
        read_rule(node, path, names)
    })?;
    Ok(rules.into())
}

fn read_rule(node: &Node, path: &str, names: NameValidation) -> Result<Rule, Fault> {
    let mut f = Fields::new(node, path)?;
    let default = Spec::default();
    let spec = Spec {
        action: read_action(&mut f)?,
        source_labels: f.texts("source_labels")?,
        separator: f.text("separator", &default.separator)?,
        regex: f.text("regex", &default.regex)?,
        modulus: f.uint("modulus", default.modulus)?,
        target_label: f.text("target_label", &default.target_label)?,
        replacement: f.text("replacement", &default.replacement)?,
    };
    f.finish()?;
    if spec.source_labels.iter().any(String::is_empty) {
        return Err(f.fault("source_labels", "\"\" is not a valid label name"));
    }
    let action = spec.action;
    let rule =
        Rule::new(spec.clone(), names == NameValidation::Legacy).map_err(|e| at_field(&f, &spec, e))?;
    // Written with its default value is written all the same.
    if matches!(action, Action::KeepEqual | Action::DropEqual) && f.has("regex") {
        return Err(f.fault("regex", RelabelError::OnlySourceAndTarget(action).to_string()));
    }
    if matches!(action, Action::LabelDrop | Action::LabelKeep) && f.is_written("source_labels") {
        return Err(f.fault("source_labels", RelabelError::OnlyRegex(action).to_string()));
    }
    Ok(rule)
}

fn read_action(f: &mut Fields<'_>) -> Result<Action, Fault> {
    let Some(node) = f.node("action") else { return Ok(Action::Replace) };
    if node.is_null() {
        return Err(f.fault("action", "relabel action cannot be empty"));
    }
    let text = node.scalar().map_or("", |s| s.text.as_str());
    text.parse().map_err(|e: RelabelError| {
        let hint = match crate::suggestion::closest(&text.to_lowercase(), ACTIONS) {
            Some(near) => format!("; did you mean {near:?}?"),
            None => format!(" (expected one of {})", ACTIONS.join(", ")),
        };
        f.fault("action", format!("{e}{hint}"))
    })
}

/// The field that an error is about.
fn at_field(f: &Fields<'_>, spec: &Spec, error: RelabelError) -> Fault {
    let default = Spec::default();
    let field = match &error {
        RelabelError::UnknownAction(_) => "action",
        RelabelError::NoModulus => "modulus",
        RelabelError::NoTarget(_) | RelabelError::InvalidTarget { .. } => "target_label",
        RelabelError::InvalidReplacement { .. } | RelabelError::ReplacementSet(_) => "replacement",
        RelabelError::Regex(_) => "regex",
        RelabelError::OnlySourceAndTarget(_) | RelabelError::OnlyRegex(_) => {
            if spec.modulus != default.modulus {
                "modulus"
            } else if spec.separator != default.separator {
                "separator"
            } else if spec.replacement != default.replacement {
                "replacement"
            } else if matches!(error, RelabelError::OnlySourceAndTarget(_)) {
                "regex"
            } else if spec.source_labels.is_empty() {
                "target_label"
            } else {
                "source_labels"
            }
        }
    };
    f.fault(field, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn read(text: &str, names: NameValidation) -> Result<Rule, Fault> {
        read_rule(&parse(text).unwrap(), "r[0]", names)
    }

    #[test]
    fn defaults() {
        let rule = read("target_label: a", NameValidation::Utf8).unwrap();
        assert_eq!(*rule.spec(), Spec { target_label: "a".to_owned(), ..Spec::default() });
        let rule =
            read("{source_labels: [a], action: KEEP, regex: , separator: }", NameValidation::Utf8).unwrap();
        let spec = rule.spec();
        assert_eq!((spec.separator.as_str(), spec.regex.as_str(), spec.action), ("", "", Action::Keep));
    }

    #[test]
    fn every_action_is_offered() {
        for name in ACTIONS {
            assert_eq!(name.parse::<Action>().map(|a| a.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn refusals() {
        use NameValidation::{Legacy, Utf8};
        let only_regex = "action requires only 'regex', and no other fields";
        let only_two = "action requires only 'source_labels' and `target_label`, and no other fields";
        for (text, names, place, message) in [
            ("{}", Utf8, "1:1", "relabel configuration for replace action requires 'target_label' value"),
            ("{action: }", Utf8, "1:2", "relabel action cannot be empty"),
            ("{action: kep}", Utf8, "1:10", "unknown relabel action \"kep\"; did you mean \"keep\"?"),
            (
                "{action: frobnicate}",
                Utf8,
                "1:10",
                "unknown relabel action \"frobnicate\" (expected one of replace, keep, drop, keepequal, dropequal, hashmod, \
                 labelmap, labeldrop, labelkeep, lowercase, uppercase)",
            ),
            (
                "{action: hashmod, target_label: a}",
                Utf8,
                "1:1",
                "relabel configuration for hashmod requires non-zero modulus",
            ),
            ("{target_label: a.b}", Legacy, "1:16", "\"a.b\" is invalid 'target_label' for replace action"),
            (
                "{action: uppercase, target_label: a, replacement: b}",
                Utf8,
                "1:51",
                "'replacement' can not be set for uppercase action",
            ),
            (
                "{action: labelmap, replacement: 'a-$1'}",
                Legacy,
                "1:33",
                "\"a-$1\" is invalid 'replacement' for labelmap action",
            ),
            ("{action: labeldrop, source_labels: [a]}", Utf8, "1:36", &format!("labeldrop {only_regex}")),
            ("{action: labeldrop, source_labels: []}", Utf8, "1:36", &format!("labeldrop {only_regex}")),
            ("{action: labeldrop, target_label: a}", Utf8, "1:35", &format!("labeldrop {only_regex}")),
            ("{action: labelkeep, separator: x}", Utf8, "1:32", &format!("labelkeep {only_regex}")),
            (
                "{action: keepequal, target_label: a, regex: (.*)}",
                Utf8,
                "1:45",
                &format!("keepequal {only_two}"),
            ),
            (
                "{action: dropequal, target_label: a, modulus: 1}",
                Utf8,
                "1:47",
                &format!("dropequal {only_two}"),
            ),
            ("{source_labels: [''], target_label: a}", Utf8, "1:17", "\"\" is not a valid label name"),
            (
                "{regex: '(', target_label: a}",
                Utf8,
                "1:9",
                "error parsing regexp: missing closing ): `^(?s:()$`",
            ),
            (
                "{target_label: a, modulus: -1}",
                Utf8,
                "1:28",
                "r[0].modulus: expected a whole number of at least 0, found \"-1\"",
            ),
            ("{target: a}", Utf8, "1:2", "unknown field \"target\" in r[0]; did you mean \"target_label\"?"),
        ] {
            let fault = read(text, names).unwrap_err();
            assert_eq!((fault.pos.to_string().as_str(), fault.message.as_str()), (place, message), "{text}");
        }
    }
}
