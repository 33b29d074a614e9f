//! `label_replace` and `label_join`: they change labels and never look at samples.

use std::collections::HashMap;

use model::labels::METRIC_NAME;
use model::regexp::Regexp;
use query::label_subset::KeyHasher;
use query::matrix::{EqualLabels, Row, unite};
use query::{Interrupt, QueryError, ValueType};

use super::build::{Builder, PlanPart, wrong_type};
use super::call::{CallSite, VectorFn};
use super::plan::{Input, ScopeId};
use super::{Evaluator, NodeValue};
use crate::literal::{is_valid_name, lossy};

/// What a value made here may have, in bytes: values made of values could otherwise grow without end.
const MAX_VALUE: usize = 1 << 20;

/// `label_replace`, ready to be applied.
#[derive(Debug)]
struct LabelReplace {
    target: String,
    replacement: String,
    source: String,
    regex: Regexp,
}

impl LabelReplace {
    fn new(target: String, replacement: String, source: String, pattern: &str) -> Result<Self, QueryError> {
        let refuse = |text: String| QueryError::Execution(text);
        let regex = Regexp::anchored(pattern)
            .map_err(|_| refuse(format!("invalid regular expression in label_replace(): {pattern}")))?;
        if !is_valid_name(&target) {
            return Err(refuse(format!("invalid destination label name in label_replace(): {target}")));
        }
        // Values of labels are text; what is none is shown as Prometheus shows it.
        Ok(Self { target, replacement: lossy(&replacement).into_owned(), source, regex })
    }

    /// What the target becomes for a value of the source; `None` for a value that does not match.
    fn replaced(&self, value: &str) -> Result<Option<String>, QueryError> {
        let Some(captures) = self.regex.captures(value) else { return Ok(None) };
        let mut new = String::new();
        match self.regex.expand_within(&self.replacement, &captures, MAX_VALUE, &mut new) {
            true => Ok(Some(new)),
            false => Err(too_long("label_replace()", &self.target)),
        }
    }

    /// Applies it to a vector.
    fn apply(&self, mut rows: Vec<Row>, interrupt: &Interrupt<'_>) -> Result<Vec<Row>, QueryError> {
        // Series of several kinds share values. What is made of them is bounded with the labels that take it.
        let mut seen: HashMap<String, Option<String>, KeyHasher> = HashMap::with_hasher(KeyHasher);
        for row in &mut rows {
            let value = row.labels.get(&self.source).unwrap_or("");
            if !seen.contains_key(value) {
                seen.insert(value.to_owned(), self.replaced(value)?);
            }
            if let Some(Some(new)) = seen.get(value) {
                set(row, &self.target, new, interrupt)?;
            }
        }
        unite(rows, EqualLabels::Merge)
    }
}

/// `label_join`, ready to be applied.
#[derive(Debug)]
struct LabelJoin {
    target: String,
    separator: String,
    sources: Vec<String>,
}

impl LabelJoin {
    fn new(target: String, separator: String, sources: Vec<String>) -> Result<Self, QueryError> {
        let refuse = |what: &str, name: &str| {
            Err(QueryError::Execution(format!("invalid {what} label name in label_join(): {name}")))
        };
        if let Some(source) = sources.iter().find(|name| !is_valid_name(name)) {
            return refuse("source", source);
        }
        if !is_valid_name(&target) {
            return refuse("destination", &target);
        }
        Ok(Self { target, separator: lossy(&separator).into_owned(), sources })
    }

    /// Applies it to a vector.
    fn apply(&self, mut rows: Vec<Row>, interrupt: &Interrupt<'_>) -> Result<Vec<Row>, QueryError> {
        for row in &mut rows {
            let mut joined = String::new();
            for (n, name) in self.sources.iter().enumerate() {
                if n > 0 {
                    joined.push_str(&self.separator);
                }
                joined.push_str(row.labels.get(name).unwrap_or(""));
                if joined.len() > MAX_VALUE {
                    return Err(too_long("label_join()", &self.target));
                }
            }
            set(row, &self.target, &joined, interrupt)?;
        }
        unite(rows, EqualLabels::Merge)
    }
}

/// A call of either function.
#[derive(Debug)]
struct LabelCall {
    input: Input,
    change: LabelChange,
}

#[derive(Debug)]
enum LabelChange {
    Replace(LabelReplace),
    Join(LabelJoin),
}

/// Builds `label_replace`.
pub(crate) fn build_replace(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let vector = site.arg(0)?;
    let texts: Result<[String; 4], _> = site.texts(builder, 1)?.try_into();
    let [target, replacement, source, pattern] = texts.map_err(|_| wrong_type(vector, ValueType::String))?;
    let change = LabelChange::Replace(LabelReplace::new(target, replacement, source, &pattern)?);
    let input = builder.vector(vector)?;
    Ok(builder.vector_call(LabelCall { input, change }))
}

/// Builds `label_join`.
pub(crate) fn build_join(builder: &mut Builder<'_>, site: &CallSite<'_>) -> Result<PlanPart, QueryError> {
    let vector = site.arg(0)?;
    let mut texts = site.texts(builder, 1)?.into_iter();
    let (Some(target), Some(separator)) = (texts.next(), texts.next()) else {
        return Err(wrong_type(vector, ValueType::String));
    };
    let input = builder.vector(vector)?;
    let change = LabelChange::Join(LabelJoin::new(target, separator, texts.collect())?);
    Ok(builder.vector_call(LabelCall { input, change }))
}

impl VectorFn for LabelCall {
    fn input(&self) -> &Input {
        &self.input
    }

    fn evaluate(&self, evaluator: &mut Evaluator<'_>, scope: ScopeId) -> Result<NodeValue, QueryError> {
        let (rows, held) = evaluator.collect_input(scope, &self.input)?;
        let rows = match &self.change {
            LabelChange::Replace(replace) => replace.apply(rows, evaluator.interrupt)?,
            LabelChange::Join(join) => join.apply(rows, evaluator.interrupt)?,
        };
        evaluator.replace(rows, held)
    }
}

fn set(row: &mut Row, name: &str, value: &str, interrupt: &Interrupt<'_>) -> Result<(), QueryError> {
    interrupt.allocated(value.len())?;
    // Work about in step with the bytes that are copied.
    interrupt.worked(100 + value.len() as u64)?;
    row.labels = row.labels.with(name, value);
    if name == METRIC_NAME {
        row.drop_name = false;
    }
    Ok(())
}

fn too_long(function: &str, target: &str) -> QueryError {
    QueryError::Execution(format!(
        "{function} makes a value of more than {MAX_VALUE} bytes for label {target:?}"
    ))
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use query::MemoryBudget;

    use super::*;

    fn unlimited<T>(run: impl FnOnce(&Interrupt<'_>) -> T) -> T {
        let (cancel, elapsed) = (Default::default(), || Default::default());
        run(&Interrupt::new(&cancel, &elapsed, None, usize::MAX, &MemoryBudget::new(usize::MAX)))
    }

    fn rows() -> Vec<Row> {
        vec![Row::floats(Labels::from_pairs([("a", "x-1"), ("b", "y")]), vec![1.0])]
    }

    #[test]
    fn replaces_and_joins() {
        let replace = |target: &str, replacement: &str, pattern: &str| {
            let replace = LabelReplace::new(target.into(), replacement.into(), "a".into(), pattern).unwrap();
            unlimited(|interrupt| replace.apply(rows(), interrupt)).unwrap()[0].labels.to_string()
        };
        assert_eq!(replace("c", "$2/${1}z", "(.*)-(.*)"), r#"{a="x-1", b="y", c="1/xz"}"#);
        assert_eq!(replace("c", "z", "x"), r#"{a="x-1", b="y"}"#);
        assert_eq!(replace("a", "", ".*"), r#"{b="y"}"#);
        let join = LabelJoin::new("c".into(), "-".into(), vec!["b".into(), "q".into(), "a".into()]).unwrap();
        assert_eq!(
            unlimited(|interrupt| join.apply(rows(), interrupt)).unwrap()[0].labels.get("c"),
            Some("y--x-1")
        );
        let bytes = crate::literal::from_bytes(b"-\xff".to_vec());
        assert_eq!(replace("c", &bytes, ".*"), "{a=\"x-1\", b=\"y\", c=\"-\u{fffd}\"}");
        let join = LabelJoin::new("c".into(), bytes, vec!["b".into(), "b".into()]).unwrap();
        let joined = unlimited(|interrupt| join.apply(rows(), interrupt)).unwrap();
        assert_eq!(joined[0].labels.get("c"), Some("y-\u{fffd}y"));
        assert!(LabelReplace::new("c".into(), "".into(), "a".into(), "(").is_err());
        assert!(LabelJoin::new("".into(), "".into(), vec![]).is_err());
    }

    #[test]
    fn values_have_an_end() {
        let mut rows = vec![Row::floats(Labels::from_pairs([("a", "x")]), vec![1.0])];
        let double = LabelReplace::new("a".into(), "$1$1".into(), "a".into(), "(.*)").unwrap();
        let join = LabelJoin::new("a".into(), "".into(), vec!["a".into(); 2]).unwrap();
        for _ in 0..20 {
            rows = unlimited(|interrupt| double.apply(rows, interrupt)).unwrap();
        }
        assert_eq!(rows[0].labels.get("a").map(str::len), Some(1 << 20));
        let refused = unlimited(|interrupt| join.apply(rows.clone(), interrupt)).unwrap_err();
        assert!(refused.to_string().contains("more than 1048576 bytes for label \"a\""), "{refused}");
        assert!(unlimited(|interrupt| double.apply(rows, interrupt)).is_err());
    }
}
