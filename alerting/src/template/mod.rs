//! Templates in Go's `text/template` language, with Prometheus's functions, for labels and annotations of alerts.
//!
//! The `gotmpl` crate parses. Execution is here ([`exec`]), because it must compute with Go's values ([`value`]) and
//! print them as Go does: floats as `1e+06`, a missing label as nothing, errors with Go's words.

mod builtins;
mod check;
mod exec;
mod functions;
mod humanize;
pub mod links;
mod printf;
mod time;
mod value;
mod verb;

use std::collections::HashMap;

use gotmpl::parse::{ListNode, Parser};

pub use functions::names as function_names;
pub use value::{AlertData, Value};

/// What functions reach outside of the template.
pub struct Environment<'a> {
    /// Time of the evaluation in milliseconds.
    pub now_ms: i64,
    /// `--web.external-url`.
    pub external_url: &'a str,
    /// Its path.
    pub path_prefix: &'a str,
    /// Answers `query`.
    pub query: &'a dyn Fn(&str) -> Result<Vec<Value>, String>,
}

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    name: String,
    source: String,
    tree: ListNode,
    defines: HashMap<String, ListNode>,
}

/// The variables that alert templates may use without a dot.
const ALERT_VARIABLES: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := \
                               .ExternalURL}}{{$value := .Value}}";

impl Template {
    /// Parses a template of an alert, in which `$labels`, `$value`, `$externalLabels` and `$externalURL` are set.
    /// Errors are Go's.
    pub fn alert(alert: &str, text: &str) -> Result<Self, String> {
        Self::parse(&format!("__alert_{alert}"), format!("{ALERT_VARIABLES}{text}"))
    }

    fn parse(name: &str, source: String) -> Result<Self, String> {
        check::check_blocks(name, &source)?;
        let (tree, defines) = Parser::with_name(Some(name), &source, "{{", "}}")
            .and_then(Parser::parse)
            .map_err(|e| without_column(name, &e.to_string()))?;
        check::check(name, &source, &tree)?;
        let mut bodies = HashMap::new();
        for define in defines {
            check::check(name, &source, &define.body)?;
            bodies.insert(define.name.to_string(), define.body);
        }
        Ok(Self { name: name.to_owned(), source, tree, defines: bodies })
    }

    /// Expands the template. Errors are Go's.
    pub fn expand(&self, data: Value, environment: &Environment<'_>) -> Result<String, String> {
        exec::Executor::run(&self.name, &self.source, &self.tree, &self.defines, environment, data)
    }

    /// The name that errors show.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Go's parser tells the line only.
fn without_column(name: &str, message: &str) -> String {
    let prefix = format!("template: {name}:");
    let message = message.replace("unterminated string", "unterminated quoted string");
    let shortened = message.strip_prefix(&prefix).and_then(|rest| {
        let (line, rest) = rest.split_once(':')?;
        let (column, reason) = rest.split_once(": ")?;
        column.bytes().all(|b| b.is_ascii_digit()).then(|| format!("{prefix}{line}: {reason}"))
    });
    shortened.unwrap_or(message)
}

#[cfg(test)]
mod tests;
