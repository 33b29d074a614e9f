//! Rule files: YAML in, checked groups out. The first fault is reported with file, line and column.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::error::ConfigError;
use config::fields::Fields;
use config::global::NameValidation;
use config::yaml::{self, Fault, Node};
use promql::ast::Expr;
use promql::parse::{Features, parse};

use crate::template::Template;

/// A checked rule file.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// As found by the configuration's globs.
    pub path: PathBuf,
    /// In the order of the file; names are unique.
    pub groups: Vec<GroupSpec>,
}

/// A group as written.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    /// Not empty.
    pub name: String,
    /// Between two evaluations in milliseconds; `None` for the configuration's default.
    pub interval_ms: Option<i64>,
    /// How far before the time of evaluation to query, in milliseconds; `None` for the configuration's default.
    pub query_offset_ms: Option<i64>,
    /// Series or alerts that a rule may give; 0 for any number.
    pub limit: usize,
    /// The rules, in order.
    pub rules: Vec<Arc<RuleSpec>>,
}

/// A rule as written.
#[derive(Debug)]
pub struct RuleSpec {
    /// The metric that it records, or the alert.
    pub name: String,
    /// What it evaluates.
    pub expr: Expr,
    /// Labels of the group and of the rule, sorted; those of an alert are templates. An empty value removes a label.
    pub labels: Vec<(String, String)>,
    /// What it does with the result.
    pub action: Action,
}

/// What a rule does with its result.
#[derive(Debug)]
pub enum Action {
    /// Records it.
    Record,
    /// Raises alerts.
    Alert(AlertSpec),
}

/// The part of an alerting rule that a recording rule has not.
#[derive(Debug)]
pub struct AlertSpec {
    /// `for` in milliseconds.
    pub hold_ms: i64,
    /// `keep_firing_for` in milliseconds.
    pub keep_firing_ms: i64,
    /// Templates, sorted by name.
    pub annotations: Vec<(String, String)>,
    /// [`RuleSpec::labels`] parsed, in the same order.
    pub label_templates: Vec<Template>,
    /// [`Self::annotations`] parsed, in the same order.
    pub annotation_templates: Vec<Template>,
}

/// By what is written; parsed forms follow from it.
impl PartialEq for RuleSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.labels == other.labels
            && self.expr.to_string() == other.expr.to_string()
            && match (&self.action, &other.action) {
                (Action::Record, Action::Record) => true,
                (Action::Alert(a), Action::Alert(b)) => {
                    a.hold_ms == b.hold_ms
                        && a.keep_firing_ms == b.keep_firing_ms
                        && a.annotations == b.annotations
                }
                _ => false,
            }
    }
}

/// Reads and checks the text of a rule file. Only its first document counts; an empty file has no groups.
pub fn read_file(
    path: &Path,
    text: &str,
    names: NameValidation,
    features: &Features,
) -> Result<RuleFile, ConfigError> {
    let reader = Reader { text, names, features };
    let groups = yaml::parse(text).and_then(|root| reader.groups(&root));
    let groups = groups.map_err(|fault| ConfigError::at(path, text, fault))?;
    Ok(RuleFile { path: path.to_owned(), groups })
}

struct Reader<'a> {
    text: &'a str,
    names: NameValidation,
    features: &'a Features,
}

impl Reader<'_> {
    fn groups(&self, root: &Node) -> Result<Vec<GroupSpec>, Fault> {
        let mut f = Fields::new(root, "")?;
        let mut seen = HashMap::new();
        // Empty items count as not written, of groups as of rules.
        let groups = f.list("groups", |node, path| {
            if node.is_null() {
                return Ok(None);
            }
            let group = self.group(node, path)?;
            match seen.insert(group.name.clone(), node.pos) {
                Some(first) => Err(Fault::new(
                    node.pos,
                    format!(
                        "groupname: {:?} is repeated in the same file; it is first at {first}",
                        group.name
                    ),
                )),
                None => Ok(Some(group)),
            }
        })?;
        f.finish()?;
        Ok(groups.into_iter().flatten().collect())
    }

    fn group(&self, node: &Node, path: &str) -> Result<GroupSpec, Fault> {
        let mut f = Fields::new(node, path)?;
        let name = f.text("name", "")?;
        let interval_ms = f.duration("interval", 0)?;
        let query_offset_ms = match f.has("query_offset") {
            true => Some(f.duration("query_offset", 0)?),
            false => None,
        };
        let limit = usize::try_from(f.int("limit", 0)?).unwrap_or(0);
        let labels = f.text_map("labels")?;
        self.check_label_names(&f, "labels", &labels, "label")?;
        let rules = f.list("rules", |node, path| match node.is_null() {
            true => Ok(None),
            false => self.rule(node, path, &name, &labels).map(|rule| Some(Arc::new(rule))),
        })?;
        let rules = rules.into_iter().flatten().collect();
        f.finish()?;
        if name.is_empty() {
            return Err(f.fault("name", "Groupname must not be empty"));
        }
        Ok(GroupSpec {
            name,
            interval_ms: (interval_ms != 0).then_some(interval_ms),
            query_offset_ms,
            limit,
            rules,
        })
    }

    fn check_label_names(
        &self,
        f: &Fields<'_>,
        field: &str,
        labels: &[(String, String)],
        what: &str,
    ) -> Result<(), Fault> {
        let wrong = |name: &str| {
            !self.names.is_label_name(name) || (what == "label" && name == model::labels::METRIC_NAME)
        };
        match labels.iter().find(|(name, _)| wrong(name)) {
            Some((name, _)) => Err(f.fault(field, format!("invalid {what} name: {name}"))),
            None => Ok(()),
        }
    }

    fn rule(
        &self,
        node: &Node,
        path: &str,
        group: &str,
        group_labels: &[(String, String)],
    ) -> Result<RuleSpec, Fault> {
        let mut f = Fields::new(node, path)?;
        let record = f.text("record", "")?;
        let alert = f.text("alert", "")?;
        let name = if alert.is_empty() { &record } else { &alert };
        let expr = f.text("expr", "")?;
        let expr_node = f.node("expr");
        let hold_ms = f.duration("for", 0)?;
        let keep_firing_ms = f.duration("keep_firing_for", 0)?;
        let mut labels = f.text_map("labels")?;
        let annotations = f.text_map("annotations")?;
        f.finish()?;
        let of_rule = |fault: Fault| {
            Fault::new(fault.pos, format!("group {group:?}, rule {name:?}: {}", fault.message))
        };
        let fault = |field: &str, message: String| of_rule(f.fault(field, message));
        match (record.is_empty(), alert.is_empty()) {
            (false, false) => {
                return Err(fault("record", "only one of 'record' and 'alert' must be set".into()));
            }
            (true, true) => return Err(fault("record", "one of 'record' or 'alert' must be set".into())),
            _ => {}
        }
        let expr = match expr_node {
            Some(node) if !expr.is_empty() => self.expr(node, &expr).map_err(of_rule)?,
            _ => return Err(fault("expr", "field 'expr' must be set in rule".into())),
        };
        self.check_label_names(&f, "labels", &labels, "label").map_err(of_rule)?;
        self.check_label_names(&f, "annotations", &annotations, "annotation").map_err(of_rule)?;
        for (name, value) in group_labels {
            if let Err(at) = labels.binary_search_by(|(known, _)| known.cmp(name)) {
                labels.insert(at, (name.clone(), value.clone()));
            }
        }
        let action = if alert.is_empty() {
            let refused = [
                ("annotations", !annotations.is_empty()),
                ("for", hold_ms != 0),
                ("keep_firing_for", keep_firing_ms != 0),
            ];
            if let Some((field, _)) = refused.iter().find(|(_, set)| *set) {
                return Err(fault(field, format!("invalid field '{field}' in recording rule")));
            }
            if !self.names.is_metric_name(&record) {
                return Err(fault("record", format!("invalid recording rule name: {record}")));
            }
            if record.contains(['{', '}']) {
                let message = "braces present in the recording rule name; should it be in expr?: ";
                return Err(fault("record", format!("{message}{record}")));
            }
            Action::Record
        } else {
            let parse = |what: &str, templates: &[(String, String)]| -> Result<Vec<Template>, Fault> {
                templates
                    .iter()
                    .map(|(name, text)| {
                        Template::alert(&alert, text)
                            .map_err(|e| fault(&format!("{what}s"), format!("{what} {name:?}: {e}")))
                    })
                    .collect()
            };
            Action::Alert(AlertSpec {
                hold_ms,
                keep_firing_ms,
                label_templates: parse("label", &labels)?,
                annotation_templates: parse("annotation", &annotations)?,
                annotations: annotations.clone(),
            })
        };
        Ok(RuleSpec { name: name.clone(), expr, labels, action })
    }

    fn expr(&self, node: &Node, text: &str) -> Result<Expr, Fault> {
        parse(text, self.features).map_err(|errors| {
            let at = errors.all().first().map_or(0, |error| error.pos.start);
            Fault::new(node.place_of(at, self.text), format!("could not parse expression: {errors}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RuleFile, String> {
        read_file(Path::new("r.yml"), text, NameValidation::Utf8, &Features::default())
            .map_err(|e| e.summary())
    }

    #[test]
    fn a_whole_file() {
        let file = read(
            "groups:\n- name: g\n  interval: 30s\n  query_offset: 0s\n  limit: 10\n  labels: {team: a, severity: low}\n  \
             rules:\n  - record: job:up:sum\n    expr: sum by (job) (up)\n    labels: {severity: high}\n  \
             - alert: Down\n    expr: up == 0\n    for: 5m\n    keep_firing_for: 1m\n    annotations:\n      \
             summary: '{{ $labels.instance }} is down'\n---\nignored: true\n",
        )
        .unwrap();
        let [group] = file.groups.as_slice() else { panic!("{file:?}") };
        assert_eq!(
            (group.name.as_str(), group.interval_ms, group.query_offset_ms),
            ("g", Some(30_000), Some(0))
        );
        assert_eq!(group.limit, 10);
        let labels = |rule: &RuleSpec| {
            rule.labels.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(labels(&group.rules[0]), "severity=high team=a");
        assert_eq!(labels(&group.rules[1]), "severity=low team=a");
        assert_eq!(group.rules[0].expr.to_string(), "sum by (job) (up)");
        let Action::Alert(alert) = &group.rules[1].action else { panic!() };
        assert_eq!((alert.hold_ms, alert.keep_firing_ms), (300_000, 60_000));
        assert_eq!(alert.annotations, [("summary".into(), "{{ $labels.instance }} is down".into())]);
        assert_eq!(read("").unwrap().groups, []);
        assert_eq!(read("groups:").unwrap().groups, []);
        let with_empty_items =
            read("groups:\n-\n- name: g\n  rules:\n  -\n  - {record: r, expr: '1'}\n- null\n").unwrap();
        assert_eq!(with_empty_items.groups.len(), 1);
        assert_eq!(with_empty_items.groups[0].rules.len(), 1);
    }

    #[test]
    fn faults() {
        let rule =
            |lines: &str| format!("groups:\n- name: g\n  rules:\n  - {}\n", lines.replace('\n', "\n    "));
        for (text, want) in [
            (
                "groups: 1".to_owned(),
                "1:9: groups: expected a list (items that start with \"- \"), found a text",
            ),
            ("grups: []".to_owned(), "1:1: unknown field \"grups\"; did you mean \"groups\"?"),
            ("groups:\n- rules: []".to_owned(), "2:3: Groupname must not be empty"),
            (
                "groups:\n- name: a\n- name: a".to_owned(),
                "3:3: groupname: \"a\" is repeated in the same file; it is first at 2:3",
            ),
            ("groups:\n- name: a\n  labels: {__name__: x}".to_owned(), "3:11: invalid label name: __name__"),
            (
                rule("record: a\nalert: b\nexpr: c"),
                "4:13: group \"g\", rule \"b\": only one of 'record' and 'alert' must be set",
            ),
            (rule("expr: c"), "4:5: group \"g\", rule \"\": one of 'record' or 'alert' must be set"),
            (rule("record: a"), "4:5: group \"g\", rule \"a\": field 'expr' must be set in rule"),
            (
                rule("record: a\nexpr: c\nfor: 1m"),
                "6:10: group \"g\", rule \"a\": invalid field 'for' in recording rule",
            ),
            (
                rule("record: 'a{b=\"c\"}'\nexpr: c"),
                "4:13: group \"g\", rule \"a{b=\\\"c\\\"}\": braces present in the recording rule name; should it be in \
                 expr?: a{b=\"c\"}",
            ),
            (
                rule("alert: a\nexpr: c\nfor: x"),
                "6:10: groups[0].rules[0].for: not a valid duration string: \"x\" \
             (expected numbers with units y, w, d, h, m, s, ms, largest first, such as 1h30m)",
            ),
            (
                rule("alert: a\nexpr: c\nannotations: {s: '{{ nope }}'}"),
                "6:18: group \"g\", rule \"a\": annotation \"s\": template: __alert_a:1: function \"nope\" not defined",
            ),
            (
                rule("alert: a\nexpr: c\nlabels: {s: '{{ $nope }}'}"),
                "6:13: group \"g\", rule \"a\": label \"s\": template: __alert_a:1: undefined variable \"$nope\"",
            ),
            (
                rule("alert: a\nexpr: c\nannotatons: {}"),
                "6:5: unknown field \"annotatons\" in groups[0].rules[0]; did \
             you mean \"annotations\"?",
            ),
        ] {
            assert_eq!(read(&text).unwrap_err(), format!("r.yml:{want}"));
        }
        let broken = read(&rule("record: a\nexpr: sum(up")).unwrap_err();
        assert!(broken.starts_with("r.yml:5:"), "{broken}");
        assert!(broken.contains("group \"g\", rule \"a\": could not parse expression: 1:"), "{broken}");
    }
}
