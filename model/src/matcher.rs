//! Label matchers: `= != =~ !~`.

use std::fmt;
use std::sync::Arc;

use crate::labels::{Labels, Quoted, is_classic_label_name};
use crate::regexp::{FastMatcher, RegexpError};

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends
    Regex,
    /// `!~`, anchored at both ends
    NotRegex,
}

impl MatchOp {
    /// The operator as PromQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One condition on one label. A label that a series lacks counts as the empty string.
#[derive(Clone)]
pub struct Matcher {
    op: MatchOp,
    name: String,
    value: String,
    regexp: Option<Arc<FastMatcher>>,
}

impl Matcher {
    /// Makes a matcher; compiles the expression of the regex operators.
    pub fn new(op: MatchOp, name: impl Into<String>, value: impl Into<String>) -> Result<Self, RegexpError> {
        let value = value.into();
        let regexp = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Arc::new(FastMatcher::new(&value)?)),
        };
        Ok(Self { op, name: name.into(), value, regexp })
    }

    /// `name="value"`.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { op: MatchOp::Equal, name: name.into(), value: value.into(), regexp: None }
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The label it looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value or expression it compares with.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether the operator is `!=` or `!~`.
    pub fn is_negated(&self) -> bool {
        matches!(self.op, MatchOp::NotEqual | MatchOp::NotRegex)
    }

    /// Whether a label value satisfies the condition.
    pub fn matches(&self, value: &str) -> bool {
        self.compares(value) != self.is_negated()
    }

    /// Whether a label set satisfies the condition.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or(""))
    }

    /// Whether a series without the label satisfies the condition.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// Whether every value satisfies the condition, such as that of `=~".*"`.
    pub fn matches_all(&self) -> bool {
        !self.is_negated() && self.regexp.as_deref().is_some_and(FastMatcher::matches_all)
    }

    /// For a regex operator whose expression is a plain list such as `a|b` or `x[0-3]`: all texts it matches,
    /// ascending, each once. They are the values that satisfy `=~` and the ones that fail `!~`.
    pub fn set_matches(&self) -> Option<&[String]> {
        self.regexp.as_deref().and_then(FastMatcher::set)
    }

    /// For a regex operator: what all texts that its expression matches start with, unless that is nothing.
    pub fn prefix(&self) -> Option<&str> {
        self.regexp.as_deref().map(FastMatcher::prefix).filter(|prefix| !prefix.is_empty())
    }

    /// Whether a value equals the operand or matches the expression, negation aside.
    fn compares(&self, value: &str) -> bool {
        match &self.regexp {
            Some(regexp) => regexp.is_match(value),
            None => self.value == value,
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.name == other.name && self.value == other.value
    }
}

impl Eq for Matcher {}

/// Prometheus's form: `job=~"a|b"`.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_classic_label_name(&self.name) {
            write!(f, "{}{}{}", self.name, self.op.as_str(), Quoted(&self.value))
        } else {
            write!(f, "{}{}{}", Quoted(&self.name), self.op.as_str(), Quoted(&self.value))
        }
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching() {
        for (op, pattern, value, want) in [
            (MatchOp::Equal, "a", "a", true),
            (MatchOp::Equal, "", "a", false),
            (MatchOp::NotEqual, "a", "", true),
            (MatchOp::Regex, "a|b", "ab", false),
            (MatchOp::Regex, "a.b", "a\nb", true),
            (MatchOp::NotRegex, "a.*", "ba", true),
        ] {
            let matcher = Matcher::new(op, "l", pattern).unwrap();
            assert_eq!(matcher.matches(value), want, "{matcher} on {value:?}");
        }
        assert!(Matcher::new(MatchOp::Regex, "l", "(").is_err());
    }

    #[test]
    fn shortcuts() {
        let matcher = |op, pattern| Matcher::new(op, "l", pattern).unwrap();
        let set = matcher(MatchOp::NotRegex, "b|a|b");
        assert_eq!(set.set_matches(), Some(&["a".to_owned(), "b".to_owned()][..]));
        assert_eq!(set.prefix(), None);
        assert!(set.matches_empty() && !set.matches_all());
        assert_eq!(matcher(MatchOp::Regex, "foo.*").prefix(), Some("foo"));
        assert!(matcher(MatchOp::Regex, ".*").matches_all());
        assert!(!matcher(MatchOp::NotRegex, ".*").matches_all());
        assert_eq!(matcher(MatchOp::Equal, "a").set_matches(), None);
    }
}
