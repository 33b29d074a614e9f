//! Relabel rules as configured: what is written, defaults, and what an action refuses.

use super::fields::Fields;
use super::global::NameValidation;
use super::yaml::{Fault, Node};

/// One entry of a `*relabel_configs` list, defaults applied and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RelabelConfig {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// Between joined values. Default `;`.
    pub separator: String,
    /// As written, before anchoring. Default `(.*)`.
    pub regex: String,
    /// Of `hashmod`.
    pub modulus: u64,
    /// What is set.
    pub target_label: String,
    /// Default `$1`.
    pub replacement: String,
    /// What is done.
    pub action: Action,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the configuration")]
pub enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

impl Action {
    /// All actions with their names.
    pub const ALL: [(&str, Self); 11] = [
        ("replace", Self::Replace),
        ("keep", Self::Keep),
        ("drop", Self::Drop),
        ("keepequal", Self::KeepEqual),
        ("dropequal", Self::DropEqual),
        ("hashmod", Self::HashMod),
        ("labelmap", Self::LabelMap),
        ("labeldrop", Self::LabelDrop),
        ("labelkeep", Self::LabelKeep),
        ("lowercase", Self::Lowercase),
        ("uppercase", Self::Uppercase),
    ];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, a)| *a == self).map_or("", |(name, _)| name)
    }
}

const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_REPLACEMENT: &str = "$1";

impl RelabelConfig {
    /// Reads a list of rules out of the section that holds it. `what` names the list in the message about an empty
    /// entry.
    pub fn read_list(
        f: &mut Fields<'_>,
        name: &'static str,
        names: NameValidation,
        what: &str,
    ) -> Result<Vec<Self>, Fault> {
        f.list(name, |node, path| {
            if node.is_null() {
                return Err(Fault::new(node.pos, format!("empty or null {what}")));
            }
            Self::read(node, path, names)
        })
    }

    fn read(node: &Node, path: &str, names: NameValidation) -> Result<Self, Fault> {
        let mut f = Fields::new(node, path)?;
        let action = match f.node("action") {
            None => Action::Replace,
            Some(node) if node.is_null() => {
                return Err(f.fault("action", "relabel action cannot be empty"));
            }
            Some(node) => {
                let text = node.scalar().map_or("", |s| s.text.as_str());
                let lower = text.to_lowercase();
                match Action::ALL.iter().find(|(name, _)| *name == lower) {
                    Some((_, action)) => *action,
                    None => {
                        let hint = match crate::text::closest(&lower, Action::ALL.map(|(name, _)| name)) {
                            Some(near) => format!("; did you mean {near:?}?"),
                            None => {
                                format!(" (expected one of {})", Action::ALL.map(|(name, _)| name).join(", "))
                            }
                        };
                        return Err(f.fault("action", format!("unknown relabel action {text:?}{hint}")));
                    }
                }
            }
        };
        let rule = Self {
            source_labels: f.texts("source_labels")?,
            separator: f.text("separator", DEFAULT_SEPARATOR)?,
            regex: f.text("regex", DEFAULT_REGEX)?,
            modulus: f.uint("modulus", 0)?,
            target_label: f.text("target_label", "")?,
            replacement: f.text("replacement", DEFAULT_REPLACEMENT)?,
            action,
        };
        f.finish()?;
        if rule.source_labels.iter().any(String::is_empty) {
            return Err(f.fault("source_labels", "\"\" is not a valid label name"));
        }
        if let Err(e) = regex::Regex::new(&format!("^(?s:{})$", rule.regex)) {
            let reason = e.to_string();
            let reason = reason.lines().last().unwrap_or("").trim_start_matches("error: ");
            return Err(f.fault("regex", format!("invalid regular expression {:?}: {reason}", rule.regex)));
        }
        rule.check(&f, names)?;
        Ok(rule)
    }

    fn check(&self, f: &Fields<'_>, names: NameValidation) -> Result<(), Fault> {
        use Action::{
            DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase,
        };
        let action = self.action.as_str();
        if self.action == HashMod && self.modulus == 0 {
            return Err(f.fault("modulus", "relabel configuration for hashmod requires non-zero modulus"));
        }
        let has_target =
            matches!(self.action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual);
        if has_target && self.target_label.is_empty() {
            return Err(f.fault(
                "target_label",
                format!("relabel configuration for {action} action requires 'target_label' value"),
            ));
        }
        let target_is_valid = match self.action {
            Replace if self.target_label.contains('$') => is_template(&self.target_label, names),
            _ => !has_target || names.is_label_name(&self.target_label),
        };
        if !target_is_valid {
            let message = format!("{:?} is invalid 'target_label' for {action} action", self.target_label);
            return Err(f.fault("target_label", message));
        }
        if matches!(self.action, Lowercase | Uppercase | KeepEqual | DropEqual)
            && self.replacement != DEFAULT_REPLACEMENT
        {
            return Err(f.fault("replacement", format!("'replacement' can not be set for {action} action")));
        }
        if self.action == LabelMap && !is_template(&self.replacement, names) {
            let message = format!("{:?} is invalid 'replacement' for {action} action", self.replacement);
            return Err(f.fault("replacement", message));
        }
        let other = |fields: &[&'static str]| fields.iter().find(|name| f.has(name)).copied();
        if matches!(self.action, DropEqual | KeepEqual)
            && let Some(field) = other(&["regex"])
                .or_else(|| (self.modulus != 0).then_some("modulus"))
                .or_else(|| (self.separator != DEFAULT_SEPARATOR).then_some("separator"))
        {
            let message = format!(
                "{action} action requires only 'source_labels' and `target_label`, and no other fields"
            );
            return Err(f.fault(field, message));
        }
        if matches!(self.action, LabelDrop | LabelKeep)
            && let Some(field) = other(&["source_labels"])
                .or_else(|| (!self.target_label.is_empty()).then_some("target_label"))
                .or_else(|| (self.modulus != 0).then_some("modulus"))
                .or_else(|| (self.separator != DEFAULT_SEPARATOR).then_some("separator"))
                .or_else(|| (self.replacement != DEFAULT_REPLACEMENT).then_some("replacement"))
        {
            return Err(f.fault(field, format!("{action} action requires only 'regex', and no other fields")));
        }
        Ok(())
    }

    /// Whether a field has its default, for printing.
    pub(super) fn has_default_regex(&self) -> bool {
        self.regex == DEFAULT_REGEX
    }
}

/// Whether a text may be a label name once its `$1` and `${name}` are filled in.
fn is_template(text: &str, names: NameValidation) -> bool {
    match names {
        NameValidation::Utf8 => !text.is_empty(),
        NameValidation::Legacy => is_legacy_template(text),
    }
}

/// `^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$`
fn is_legacy_template(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = text;
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '$' => {
                let (name, after) = match after.strip_prefix('{') {
                    Some(braced) => match braced.split_once('}') {
                        Some(parts) => parts,
                        None => return false,
                    },
                    None => after.split_at(after.find(|c| !word(c)).unwrap_or(after.len())),
                };
                if name.is_empty() || !name.chars().all(word) {
                    return false;
                }
                after
            }
            c if c.is_ascii_alphabetic() || c == '_' || (!first && c.is_ascii_digit()) => after,
            _ => return false,
        };
        first = false;
    }
    !first
}

#[cfg(test)]
mod tests {
    use super::super::yaml::parse;
    use super::*;

    fn read(text: &str, names: NameValidation) -> Result<RelabelConfig, Fault> {
        RelabelConfig::read(&parse(text).unwrap(), "r[0]", names)
    }

    #[test]
    fn defaults() {
        let rule = read("target_label: a", NameValidation::Utf8).unwrap();
        assert_eq!(
            (rule.separator.as_str(), rule.regex.as_str(), rule.replacement.as_str(), rule.action),
            (";", "(.*)", "$1", Action::Replace)
        );
        let rule =
            read("{source_labels: [a], action: KEEP, regex: , separator: }", NameValidation::Utf8).unwrap();
        assert_eq!((rule.separator.as_str(), rule.regex.as_str(), rule.action), ("", "", Action::Keep));
    }

    #[test]
    fn refusals() {
        use NameValidation::{Legacy, Utf8};
        for (text, names, message) in [
            ("{}", Utf8, "1:1: relabel configuration for replace action requires 'target_label' value"),
            ("{action: }", Utf8, "1:2: relabel action cannot be empty"),
            ("{action: kep}", Utf8, "1:10: unknown relabel action \"kep\"; did you mean \"keep\"?"),
            (
                "{action: frobnicate}",
                Utf8,
                "1:10: unknown relabel action \"frobnicate\" (expected one of replace, keep, drop, keepequal, dropequal, \
                 hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase)",
            ),
            (
                "{action: hashmod, target_label: a}",
                Utf8,
                "1:1: relabel configuration for hashmod requires non-zero modulus",
            ),
            (
                "{action: hashmod, modulus: 2}",
                Utf8,
                "1:1: relabel configuration for hashmod action requires 'target_label' value",
            ),
            ("{target_label: a.b}", Legacy, "1:16: \"a.b\" is invalid 'target_label' for replace action"),
            ("{target_label: 'a.$1'}", Legacy, "1:16: \"a.$1\" is invalid 'target_label' for replace action"),
            (
                "{action: hashmod, modulus: 2, target_label: 'a$1'}",
                Legacy,
                "1:45: \"a$1\" is invalid 'target_label' for hashmod action",
            ),
            (
                "{action: uppercase, target_label: a, replacement: b}",
                Utf8,
                "1:51: 'replacement' can not be set for uppercase action",
            ),
            (
                "{action: labelmap, replacement: ''}",
                Utf8,
                "1:33: \"\" is invalid 'replacement' for labelmap action",
            ),
            (
                "{action: labelmap, replacement: 'a-$1'}",
                Legacy,
                "1:33: \"a-$1\" is invalid 'replacement' for labelmap action",
            ),
            (
                "{action: labeldrop, source_labels: [a]}",
                Utf8,
                "1:36: labeldrop action requires only 'regex', and no other fields",
            ),
            (
                "{action: labelkeep, separator: x}",
                Utf8,
                "1:32: labelkeep action requires only 'regex', and no other fields",
            ),
            (
                "{action: keepequal, target_label: a, regex: (.*)}",
                Utf8,
                "1:45: keepequal action requires only 'source_labels' and `target_label`, and no other fields",
            ),
            ("{source_labels: [''], target_label: a}", Utf8, "1:17: \"\" is not a valid label name"),
            ("{regex: '(', target_label: a}", Utf8, "1:9: invalid regular expression \"(\": unclosed group"),
            (
                "{target_label: a, modulus: -1}",
                Utf8,
                "1:28: r[0].modulus: expected a whole number of at least 0, found \"-1\"",
            ),
            (
                "{target: a}",
                Utf8,
                "1:1: relabel configuration for replace action requires 'target_label' value",
            ),
            (
                "{target_label: a, regexp: b}",
                Utf8,
                "1:19: unknown field \"regexp\" in r[0]; did you mean \"regex\"?",
            ),
        ] {
            let fault = read(text, names).unwrap_err();
            assert_eq!(format!("{}: {fault}", fault.pos), message, "{text}");
        }
    }

    #[test]
    fn legacy_templates() {
        for (text, want) in [
            ("a", true),
            ("${1}_x", true),
            ("$1", true),
            ("a1", true),
            ("1a", false),
            ("", false),
            ("a-b", false),
            ("${}", false),
            ("${1", false),
            ("$", false),
            ("a$1b", true),
            ("$1.", false),
        ] {
            assert_eq!(is_legacy_template(text), want, "{text}");
        }
    }
}
