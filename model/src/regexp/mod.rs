//! Regular expressions in Go's syntax (RE2 with Perl flags), which Prometheus's users write.
//!
//! The `regex` crate matches; but its syntax differs from Go's in silent ways (Unicode `\d`, set operators in classes,
//! `\<`) and loud ones (`[[]`, `\Q..\E`, octal escapes). So [`parse`] reads an expression as Go does, with Go's errors,
//! into [`node::Node`], and [`node`] writes that down again in terms the crate cannot misread. [`fast`] recognises the
//! many expressions that need no regular expression at all.
//!
//! Limits: an expression nests at most 250 groups deep, repeats at most 1000 times (nested repeats multiplied, as in
//! Go), and compiles to at most 32 MiB.

mod class;
mod expand;
mod fast;
mod node;
mod parse;

pub use fast::FastMatcher;

use node::Node;
use parse::Mode;

/// Compiled size that an expression may have.
const SIZE_LIMIT: usize = 32 << 20;

/// What is wrong with an expression; texts are Go's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// `[b-a]`, `[[:nope:]]`, `\p{Nope}`
    InvalidCharRange,
    /// `\y`
    InvalidEscape,
    /// `(?P<n`
    InvalidNamedCapture,
    /// `(?=a)`
    InvalidPerlOp,
    /// `a**`
    InvalidRepeatOp,
    /// `a{1001}`
    InvalidRepeatSize,
    /// `[a`
    MissingBracket,
    /// `(a`
    MissingParen,
    /// `*a`
    MissingRepeatArgument,
    /// `a\`
    TrailingBackslash,
    /// `a)`
    UnexpectedParen,
    /// More than 250 nested groups.
    NestingDepth,
    /// Compiles to more than 32 MiB.
    Large,
}

impl ErrorKind {
    fn text(self) -> &'static str {
        match self {
            Self::InvalidCharRange => "invalid character class range",
            Self::InvalidEscape => "invalid escape sequence",
            Self::InvalidNamedCapture => "invalid named capture",
            Self::InvalidPerlOp => "invalid or unsupported Perl syntax",
            Self::InvalidRepeatOp => "invalid nested repetition operator",
            Self::InvalidRepeatSize => "invalid repeat count",
            Self::MissingBracket => "missing closing ]",
            Self::MissingParen => "missing closing )",
            Self::MissingRepeatArgument => "missing argument to repetition operator",
            Self::TrailingBackslash => "trailing backslash at end of expression",
            Self::UnexpectedParen => "unexpected )",
            Self::NestingDepth => "expression nests too deeply",
            Self::Large => "expression too large",
        }
    }
}

/// An expression that Go would not accept either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {}: `{part}`", .kind.text())]
pub struct RegexpError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// The part of the expression that is wrong.
    pub part: String,
}

/// A compiled expression with groups.
#[derive(Clone)]
pub struct Regexp {
    regex: regex::Regex,
    /// Names of the groups, the whole match first. Unlike in the crate, a name may occur twice.
    names: Vec<Option<String>>,
}

impl Regexp {
    /// Compiles an expression as Go's `regexp.Compile` does: it may match anywhere, and `.` does not match a newline.
    pub fn new(pattern: &str) -> Result<Self, RegexpError> {
        let (node, names) = parse::parse(pattern, Mode::PERL)?;
        Ok(Self { regex: compile(&node, pattern)?, names })
    }

    /// Compiles `^(?s:pattern)$`: it matches whole texts, and `.` matches a newline too. Errors quote the wrapped
    /// expression, as Prometheus's do.
    pub fn anchored(pattern: &str) -> Result<Self, RegexpError> {
        Self::new(&format!("^(?s:{pattern})$"))
    }

    /// Whether it matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The first match with its groups.
    pub fn captures<'t>(&self, text: &'t str) -> Option<regex::Captures<'t>> {
        self.regex.captures(text)
    }

    /// The range of the first match.
    pub fn find(&self, text: &str) -> Option<std::ops::Range<usize>> {
        self.regex.find(text).map(|found| found.range())
    }

    /// Number of groups, the whole match included.
    pub fn group_count(&self) -> usize {
        self.names.len()
    }

    /// Replaces every match by the expanded template; see [`Self::expand`].
    pub fn replace_all(&self, text: &str, template: &str) -> String {
        let replaced = self.regex.replace_all(text, |captures: &regex::Captures<'_>| {
            let mut out = String::new();
            self.expand(template, captures, &mut out);
            out
        });
        replaced.into_owned()
    }
}

/// Whether both match the same in the same way, as far as their text tells.
impl PartialEq for Regexp {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str() && self.names == other.names
    }
}

impl std::fmt::Debug for Regexp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Regexp").field(&self.regex.as_str()).finish()
    }
}

/// Compiles a tree. `pattern` is for the error.
fn compile(node: &Node, pattern: &str) -> Result<regex::Regex, RegexpError> {
    regex::RegexBuilder::new(&node.to_pattern())
        .size_limit(SIZE_LIMIT)
        // The parser has counted already; writing the tree down adds groups of its own.
        .nest_limit(4 * parse::MAX_DEPTH as u32)
        .build()
        .map_err(|_| RegexpError { kind: ErrorKind::Large, part: pattern.to_owned() })
}

#[cfg(test)]
mod tests;
