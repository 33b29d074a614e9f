//! Relabelling: rules that rewrite a label set or drop what it belongs to. Source: Prometheus `model/relabel`.
//!
//! A [`Spec`] is a rule as configured, a [`Rule`] one that has been checked and compiled.

use std::fmt;
use std::str::FromStr;

use crate::LabelsBuilder;
use crate::go_case::{to_lower, to_upper};
use crate::labels::is_classic_label_name;
use crate::md5::md5;
use crate::regexp::{Regexp, RegexpError};

/// What a rule does. "The source" is the source labels' values, joined by the separator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Sets the target label to the replacement, if the source matches.
    #[default]
    Replace,
    /// Drops unless the source matches.
    Keep,
    /// Drops if the source matches.
    Drop,
    /// Drops unless the source equals the target label's value.
    KeepEqual,
    /// Drops if the source equals the target label's value.
    DropEqual,
    /// Sets the target label to the source's hash modulo the modulus.
    HashMod,
    /// Copies labels whose names match to the names that the replacement makes of them.
    LabelMap,
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
    /// Sets the target label to the source in lower case.
    Lowercase,
    /// Sets the target label to the source in upper case.
    Uppercase,
}

const ACTIONS: [(Action, &str); 11] = [
    (Action::Replace, "replace"),
    (Action::Keep, "keep"),
    (Action::Drop, "drop"),
    (Action::KeepEqual, "keepequal"),
    (Action::DropEqual, "dropequal"),
    (Action::HashMod, "hashmod"),
    (Action::LabelMap, "labelmap"),
    (Action::LabelDrop, "labeldrop"),
    (Action::LabelKeep, "labelkeep"),
    (Action::Lowercase, "lowercase"),
    (Action::Uppercase, "uppercase"),
];

/// The name in lower case.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ACTIONS.iter().find(|(action, _)| action == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// In upper or lower case.
impl FromStr for Action {
    type Err = RelabelError;

    fn from_str(text: &str) -> Result<Self, RelabelError> {
        let known = ACTIONS.iter().find(|(_, name)| text.eq_ignore_ascii_case(name));
        known.map(|(action, _)| *action).ok_or_else(|| RelabelError::UnknownAction(text.to_owned()))
    }
}

/// Why a rule cannot be; texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    /// No such action.
    #[error("unknown relabel action {0:?}")]
    UnknownAction(String),
    /// `hashmod` without modulus.
    #[error("relabel configuration for hashmod requires non-zero modulus")]
    NoModulus,
    /// An action that sets a label without the label.
    #[error("relabel configuration for {0} action requires 'target_label' value")]
    NoTarget(Action),
    /// Not a label name, nor a template that could give one.
    #[error("{target:?} is invalid 'target_label' for {action} action")]
    InvalidTarget {
        /// The target label.
        target: String,
        /// The rule's action.
        action: Action,
    },
    /// Not a template that could give a label name.
    #[error("{replacement:?} is invalid 'replacement' for labelmap action")]
    InvalidReplacement {
        /// The replacement.
        replacement: String,
    },
    /// A replacement for an action that has its own.
    #[error("'replacement' can not be set for {0} action")]
    ReplacementSet(Action),
    /// `keepequal` or `dropequal` with other fields.
    #[error("{0} action requires only 'source_labels' and `target_label`, and no other fields")]
    OnlySourceAndTarget(Action),
    /// `labeldrop` or `labelkeep` with other fields.
    #[error("{0} action requires only 'regex', and no other fields")]
    OnlyRegex(Action),
    /// An expression that does not compile.
    #[error(transparent)]
    Regex(#[from] RegexpError),
}

/// A rule as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// Between joined values.
    pub separator: String,
    /// Before anchoring.
    pub regex: String,
    /// Of `hashmod`.
    pub modulus: u64,
    /// The label that is set; a template for `replace`.
    pub target_label: String,
    /// A template.
    pub replacement: String,
    /// What is done.
    pub action: Action,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: Action::Replace,
        }
    }
}

/// A rule that can be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    spec: Spec,
    regex: Regexp,
    legacy_names: bool,
}

impl Rule {
    /// Checks and compiles a rule. With `legacy_names` label names must be `[a-zA-Z_][a-zA-Z0-9_]*`, else they may be
    /// any text.
    pub fn new(spec: Spec, legacy_names: bool) -> Result<Self, RelabelError> {
        check(&spec, legacy_names)?;
        let regex = Regexp::anchored(&spec.regex)?;
        Ok(Self { spec, regex, legacy_names })
    }

    /// The rule as configured.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Applies the rule; false if it drops what the labels belong to.
    fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        let spec = &self.spec;
        let target = spec.target_label.as_str();
        match spec.action {
            Action::Keep => return self.regex.is_match(&self.source(labels)),
            Action::Drop => return !self.regex.is_match(&self.source(labels)),
            Action::KeepEqual => return labels.get(target) == self.source(labels),
            Action::DropEqual => return labels.get(target) != self.source(labels),
            Action::Replace => self.replace(labels),
            Action::Lowercase => drop(labels.set(target, &to_lower(&self.source(labels)))),
            Action::Uppercase => drop(labels.set(target, &to_upper(&self.source(labels)))),
            Action::HashMod => {
                let digest = md5(self.source(labels).as_bytes());
                let hash = digest[8..].iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte));
                labels.set(target, &(hash % spec.modulus.max(1)).to_string());
            }
            Action::LabelMap => {
                let copies: Vec<(String, String)> = labels
                    .iter()
                    .filter(|(name, _)| self.regex.is_match(name))
                    .map(|(name, value)| (self.regex.replace_all(name, &spec.replacement), value.to_owned()))
                    .collect();
                for (name, value) in copies {
                    labels.set(&name, &value);
                }
            }
            Action::LabelDrop => labels.retain(|name, _| !self.regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name, _| self.regex.is_match(name)),
        }
        true
    }

    fn source(&self, labels: &LabelsBuilder) -> String {
        let mut source = String::new();
        for (i, name) in self.spec.source_labels.iter().enumerate() {
            if i > 0 {
                source.push_str(&self.spec.separator);
            }
            source.push_str(labels.get(name));
        }
        source
    }

    fn replace(&self, labels: &mut LabelsBuilder) {
        let source = self.source(labels);
        let Some(captures) = self.regex.captures(&source) else { return };
        let expand = |template: &str| {
            let mut text = String::new();
            self.regex.expand(template, &captures, &mut text);
            text
        };
        let target = expand(&self.spec.target_label);
        if is_label_name(&target, self.legacy_names) {
            labels.set(&target, &expand(&self.spec.replacement));
        }
    }
}

/// Applies rules in order. False if one of them drops what the labels belong to; the labels are then left as they were
/// at that rule.
pub fn process(labels: &mut LabelsBuilder, rules: &[Rule]) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

fn check(spec: &Spec, legacy: bool) -> Result<(), RelabelError> {
    use Action::*;
    let action = spec.action;
    let default = Spec::default();
    let target = spec.target_label.as_str();
    if action == HashMod && spec.modulus == 0 {
        return Err(RelabelError::NoModulus);
    }
    let sets_target = matches!(action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual);
    if sets_target && target.is_empty() {
        return Err(RelabelError::NoTarget(action));
    }
    let valid_target = if action == Replace && target.contains('$') {
        is_name_template(target, legacy)
    } else {
        is_label_name(target, legacy)
    };
    if sets_target && !valid_target {
        return Err(RelabelError::InvalidTarget { target: target.to_owned(), action });
    }
    let own_replacement = matches!(action, Lowercase | Uppercase | KeepEqual | DropEqual);
    if own_replacement && spec.replacement != default.replacement {
        return Err(RelabelError::ReplacementSet(action));
    }
    if action == LabelMap && !is_name_template(&spec.replacement, legacy) {
        return Err(RelabelError::InvalidReplacement { replacement: spec.replacement.clone() });
    }
    let plain = spec.modulus == default.modulus
        && spec.separator == default.separator
        && spec.replacement == default.replacement;
    if matches!(action, KeepEqual | DropEqual) && !(plain && spec.regex == default.regex) {
        return Err(RelabelError::OnlySourceAndTarget(action));
    }
    if matches!(action, LabelDrop | LabelKeep)
        && !(plain && spec.source_labels.is_empty() && target.is_empty())
    {
        return Err(RelabelError::OnlyRegex(action));
    }
    Ok(())
}

fn is_label_name(name: &str, legacy: bool) -> bool {
    if legacy { is_classic_label_name(name) } else { !name.is_empty() }
}

/// Whether a template may give a label name: variables count as letters.
fn is_name_template(template: &str, legacy: bool) -> bool {
    if !legacy {
        return !template.is_empty();
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        let first = rest.len() == template.len();
        rest = match rest.strip_prefix('$') {
            Some(variable) => {
                let (name, braced) = match variable.strip_prefix('{') {
                    Some(name) => (name, true),
                    None => (variable, false),
                };
                let after = name.trim_start_matches(word);
                match if braced { after.strip_prefix('}') } else { Some(after) } {
                    Some(rest) if after.len() < name.len() => rest,
                    _ => return false,
                }
            }
            None if word(c) && !(first && c.is_ascii_digit()) => &rest[1..],
            None => return false,
        };
    }
    !template.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;

    fn spec(action: Action) -> Spec {
        Spec { action, ..Spec::default() }
    }

    fn from(source: &[&str], action: Action) -> Spec {
        Spec { source_labels: source.iter().map(|s| s.to_string()).collect(), ..spec(action) }
    }

    #[test]
    fn actions() {
        let base = Labels::from_pairs([("a", "foo"), ("b", "bar"), ("c", "baz"), ("__meta_x", "X")]);
        let set = |target: &str, regex: &str, replacement: &str| Spec {
            target_label: target.into(),
            regex: regex.into(),
            replacement: replacement.into(),
            ..from(&["a"], Action::Replace)
        };
        let only_regex = |action, regex: &str| Spec { regex: regex.into(), ..spec(action) };
        let with_regex = |action, regex: &str| Spec { regex: regex.into(), ..from(&["a", "b"], action) };
        let with_target = |action, source: &[&str]| Spec { target_label: "b".into(), ..from(source, action) };
        for (rules, want) in [
            (vec![], Some("a=foo b=bar c=baz __meta_x=X")),
            (vec![set("d", "f(.*)", "ch${1}-ch${1}")], Some("a=foo b=bar c=baz d=choo-choo __meta_x=X")),
            (vec![set("d", "oo", "x")], Some("a=foo b=bar c=baz __meta_x=X")),
            (vec![set("${1}_x", "f(o+)", "$1")], Some("a=foo b=bar c=baz oo_x=oo __meta_x=X")),
            (vec![set("$2", "f(o+)", "$1")], Some("a=foo b=bar c=baz __meta_x=X")),
            (vec![set("b", ".*", "")], Some("a=foo c=baz __meta_x=X")),
            (vec![set("b", "(?P<n>.)oo", "${n}$$")], Some("a=foo b=f$ c=baz __meta_x=X")),
            (
                vec![Spec {
                    regex: "foo\nbar".into(),
                    separator: "\n".into(),
                    target_label: "d".into(),
                    replacement: "y".into(),
                    ..from(&["a", "b"], Action::Replace)
                }],
                Some("a=foo b=bar c=baz d=y __meta_x=X"),
            ),
            (
                vec![Spec { target_label: "d".into(), replacement: "static".into(), ..Spec::default() }],
                Some("a=foo b=bar c=baz d=static __meta_x=X"),
            ),
            (vec![with_regex(Action::Keep, "foo;bar")], Some("a=foo b=bar c=baz __meta_x=X")),
            (vec![with_regex(Action::Keep, "foo")], None),
            (vec![with_regex(Action::Drop, "fo.*")], None),
            (vec![with_regex(Action::Drop, "o+")], Some("a=foo b=bar c=baz __meta_x=X")),
            (vec![with_target(Action::KeepEqual, &["b"])], Some("a=foo b=bar c=baz __meta_x=X")),
            (vec![with_target(Action::KeepEqual, &["a"])], None),
            (vec![with_target(Action::DropEqual, &["b"])], None),
            (vec![with_target(Action::DropEqual, &["a"])], Some("a=foo b=bar c=baz __meta_x=X")),
            (
                vec![Spec { modulus: 1000, ..with_target(Action::HashMod, &["c"]) }],
                Some("a=foo b=976 c=baz __meta_x=X"),
            ),
            (
                vec![Spec {
                    regex: "__meta_(.+)".into(),
                    replacement: "m_$1".into(),
                    ..spec(Action::LabelMap)
                }],
                Some("a=foo b=bar c=baz m_x=X __meta_x=X"),
            ),
            (
                vec![Spec { regex: "[ab]".into(), replacement: "z".into(), ..spec(Action::LabelMap) }],
                Some("a=foo b=bar c=baz z=bar __meta_x=X"),
            ),
            (vec![only_regex(Action::LabelDrop, "[ab]|__.*")], Some("c=baz")),
            (vec![only_regex(Action::LabelKeep, "[ab]")], Some("a=foo b=bar")),
            (vec![with_target(Action::Uppercase, &["a", "c"])], Some("a=foo b=FOO;BAZ c=baz __meta_x=X")),
            (vec![with_target(Action::Lowercase, &["__meta_x"])], Some("a=foo b=x c=baz __meta_x=X")),
            (vec![set("d", "f.*", "1"), Spec { regex: "1".into(), ..from(&["d"], Action::Drop) }], None),
        ] {
            let mut labels = base.to_builder();
            let checked: Vec<Rule> = rules.iter().map(|s| Rule::new(s.clone(), false).unwrap()).collect();
            let kept = process(&mut labels, &checked);
            let want = want.map(|w| Labels::from_pairs(w.split(' ').map(|p| p.split_once('=').unwrap())));
            assert_eq!(kept.then(|| labels.finish()), want, "{rules:?}");
        }
    }

    #[test]
    fn errors() {
        let target = |action, target: &str| Spec { target_label: target.into(), ..spec(action) };
        for (spec, legacy, want) in [
            (
                spec(Action::Replace),
                false,
                "relabel configuration for replace action requires 'target_label' value",
            ),
            (
                target(Action::HashMod, "a"),
                false,
                "relabel configuration for hashmod requires non-zero modulus",
            ),
            (target(Action::Replace, "a.b"), true, "\"a.b\" is invalid 'target_label' for replace action"),
            (
                target(Action::Replace, "${1}.b"),
                true,
                "\"${1}.b\" is invalid 'target_label' for replace action",
            ),
            (target(Action::Lowercase, "$1"), true, "\"$1\" is invalid 'target_label' for lowercase action"),
            (
                Spec { replacement: "x".into(), ..target(Action::Uppercase, "a") },
                false,
                "'replacement' can not be set for uppercase action",
            ),
            (
                Spec { replacement: "a.b".into(), ..spec(Action::LabelMap) },
                true,
                "\"a.b\" is invalid 'replacement' for labelmap action",
            ),
            (
                Spec { regex: "x".into(), ..target(Action::KeepEqual, "a") },
                false,
                "keepequal action requires only 'source_labels' and `target_label`, and no other fields",
            ),
            (
                Spec { separator: ",".into(), ..target(Action::DropEqual, "a") },
                false,
                "dropequal action requires only 'source_labels' and `target_label`, and no other fields",
            ),
            (
                target(Action::LabelDrop, "a"),
                false,
                "labeldrop action requires only 'regex', and no other fields",
            ),
            (
                from(&["a"], Action::LabelKeep),
                false,
                "labelkeep action requires only 'regex', and no other fields",
            ),
            (
                Spec { regex: "(".into(), ..spec(Action::LabelDrop) },
                false,
                "error parsing regexp: missing closing ): `^(?s:()$`",
            ),
        ] {
            assert_eq!(Rule::new(spec, legacy).unwrap_err().to_string(), want);
        }
        assert_eq!("nope".parse::<Action>().unwrap_err().to_string(), "unknown relabel action \"nope\"");
        assert_eq!("LabelMap".parse(), Ok(Action::LabelMap));
        assert_eq!(Action::KeepEqual.to_string(), "keepequal");
        assert!(Rule::new(target(Action::Replace, "a.b"), false).is_ok());
    }

    #[test]
    fn name_templates() {
        for (template, want) in [
            ("a", true),
            ("$1", true),
            ("${1}_x9", true),
            ("a$n${b}c", true),
            ("", false),
            ("9a", false),
            ("$", false),
            ("${}", false),
            ("${1", false),
            ("a-$1", false),
            ("$1.", false),
        ] {
            assert_eq!(is_name_template(template, true), want, "{template}");
        }
    }
}
