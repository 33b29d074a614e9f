//! `label_replace` and `label_join`: they change labels and never look at samples.

use model::Labels;
use model::labels::METRIC_NAME;
use model::regexp::Regexp;

use super::row::{Equals, Row, unite};
use crate::engine::QueryError;
use crate::text::is_valid_name;

/// `label_replace`, ready to be applied.
#[derive(Debug)]
pub(crate) struct LabelReplace {
    target: String,
    replacement: String,
    source: String,
    regex: Regexp,
}

impl LabelReplace {
    pub(crate) fn new(
        target: String,
        replacement: String,
        source: String,
        pattern: &str,
    ) -> Result<Self, QueryError> {
        let refuse = |text: String| QueryError::Execution(text);
        let regex = Regexp::anchored(pattern)
            .map_err(|_| refuse(format!("invalid regular expression in label_replace(): {pattern}")))?;
        if !is_valid_name(&target) {
            return Err(refuse(format!("invalid destination label name in label_replace(): {target}")));
        }
        Ok(Self { target, replacement, source, regex })
    }

    /// Applies it to a vector.
    pub(crate) fn apply(&self, mut rows: Vec<Row>) -> Result<Vec<Row>, QueryError> {
        for row in &mut rows {
            let value = row.labels.get(&self.source).unwrap_or("");
            if let Some(captures) = self.regex.captures(value) {
                let mut new = String::new();
                self.regex.expand(&self.replacement, &captures, &mut new);
                set(row, &self.target, &new);
            }
        }
        unite(rows, Equals::Merge)
    }
}

/// `label_join`, ready to be applied.
#[derive(Debug)]
pub(crate) struct LabelJoin {
    target: String,
    separator: String,
    sources: Vec<String>,
}

impl LabelJoin {
    pub(crate) fn new(target: String, separator: String, sources: Vec<String>) -> Result<Self, QueryError> {
        let refuse = |what: &str, name: &str| {
            Err(QueryError::Execution(format!("invalid {what} label name in label_join(): {name}")))
        };
        if let Some(source) = sources.iter().find(|name| !is_valid_name(name)) {
            return refuse("source", source);
        }
        if !is_valid_name(&target) {
            return refuse("destination", &target);
        }
        Ok(Self { target, separator, sources })
    }

    /// Applies it to a vector.
    pub(crate) fn apply(&self, mut rows: Vec<Row>) -> Result<Vec<Row>, QueryError> {
        for row in &mut rows {
            let values: Vec<&str> =
                self.sources.iter().map(|name| row.labels.get(name).unwrap_or("")).collect();
            let joined = values.join(&self.separator);
            set(row, &self.target, &joined);
        }
        unite(rows, Equals::Merge)
    }
}

fn set(row: &mut Row, name: &str, value: &str) {
    row.labels = with(&row.labels, name, value);
    if name == METRIC_NAME {
        row.drop_name = false;
    }
}

fn with(labels: &Labels, name: &str, value: &str) -> Labels {
    let mut labels = labels.to_builder();
    labels.set(name, value);
    labels.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        vec![Row::floats(Labels::from_pairs([("a", "x-1"), ("b", "y")]), vec![1.0])]
    }

    #[test]
    fn replaces_and_joins() {
        let replace = |target: &str, replacement: &str, pattern: &str| {
            LabelReplace::new(target.into(), replacement.into(), "a".into(), pattern)
                .unwrap()
                .apply(rows())
                .unwrap()[0]
                .labels
                .to_string()
        };
        assert_eq!(replace("c", "$2/${1}z", "(.*)-(.*)"), r#"{a="x-1", b="y", c="1/xz"}"#);
        assert_eq!(replace("c", "z", "x"), r#"{a="x-1", b="y"}"#);
        assert_eq!(replace("a", "", ".*"), r#"{b="y"}"#);
        let join = LabelJoin::new("c".into(), "-".into(), vec!["b".into(), "q".into(), "a".into()]).unwrap();
        assert_eq!(join.apply(rows()).unwrap()[0].labels.get("c"), Some("y--x-1"));
        assert!(LabelReplace::new("c".into(), "".into(), "a".into(), "(").is_err());
        assert!(LabelJoin::new("".into(), "".into(), vec![]).is_err());
    }
}
