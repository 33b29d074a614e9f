//! The tree of an expression, and how it is written down for the `regex` crate.

use std::fmt::{self, Write};

use regex_syntax::hir::ClassUnicode;

/// A position that matches without consuming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// `^` or `\A`
    BeginText,
    /// `$` or `\z`
    EndText,
    /// `^` under `(?m)`
    BeginLine,
    /// `$` under `(?m)`
    EndLine,
    /// `\b`, ASCII
    Word,
    /// `\B`, ASCII
    NotWord,
}

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Text as it is, or in any case when `fold` is set.
    Literal { text: String, fold: bool },
    /// One character of a set. Case folding has been applied.
    Class(ClassUnicode),
    /// One character.
    Any,
    /// One character, but no newline.
    AnyNotNewline,
    /// A position.
    Look(Look),
    /// `node{min,max}`; without end if `max` is `None`.
    Repeat { node: Box<Node>, min: u32, max: Option<u32>, greedy: bool },
    /// One after the other. Empty: the empty text.
    Concat(Vec<Node>),
    /// The first that matches.
    Alternate(Vec<Node>),
    /// A group; groups are numbered by where they start.
    Capture(Box<Node>),
}

impl Node {
    pub(super) const EMPTY: Self = Self::Concat(Vec::new());

    /// The expression in the crate's syntax, with groups in the same order.
    pub(super) fn to_pattern(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        match self {
            Self::Literal { text, fold: false } => out.push_str(&regex_syntax::escape(text)),
            Self::Literal { text, fold: true } => write!(out, "(?i:{})", regex_syntax::escape(text))?,
            Self::Class(class) => write_class(class, out)?,
            Self::Any => out.push_str("(?s:.)"),
            Self::AnyNotNewline => out.push('.'),
            Self::Look(look) => out.push_str(match look {
                Look::BeginText => r"\A",
                Look::EndText => r"\z",
                Look::BeginLine => "(?m:^)",
                Look::EndLine => "(?m:$)",
                Look::Word => r"(?-u:\b)",
                Look::NotWord => r"(?-u:\B)",
            }),
            Self::Repeat { node, min, max, greedy } => {
                out.push_str("(?:");
                node.write(out)?;
                out.push(')');
                match (min, max) {
                    (0, None) => out.push('*'),
                    (1, None) => out.push('+'),
                    (0, Some(1)) => out.push('?'),
                    (min, None) => write!(out, "{{{min},}}")?,
                    (min, Some(max)) => write!(out, "{{{min},{max}}}")?,
                }
                if !greedy {
                    out.push('?');
                }
            }
            Self::Concat(nodes) => nodes.iter().try_for_each(|node| node.write(out))?,
            Self::Alternate(nodes) => {
                out.push_str("(?:");
                for (i, node) in nodes.iter().enumerate() {
                    if i > 0 {
                        out.push('|');
                    }
                    node.write(out)?;
                }
                out.push(')');
            }
            Self::Capture(node) => {
                out.push('(');
                node.write(out)?;
                out.push(')');
            }
        }
        Ok(())
    }

    /// Whether this and what it repeats makes at most `copies` copies of the innermost part.
    pub(super) fn repeats_at_most(&self, copies: u32) -> bool {
        match self {
            Self::Repeat { node, min, max, .. } => match max.unwrap_or(*min) {
                0 if *max == Some(0) => true,
                // `x*` and `x+` make no copies; nor do `x?` and `x{0,}`, but dividing by 1 does no harm.
                _ if max.is_none() && *min < 2 => node.repeats_at_most(copies),
                times => times <= copies && node.repeats_at_most(copies / times.max(1)),
            },
            Self::Concat(nodes) | Self::Alternate(nodes) => nodes.iter().all(|n| n.repeats_at_most(copies)),
            Self::Capture(node) => node.repeats_at_most(copies),
            _ => true,
        }
    }
}

fn write_class(class: &ClassUnicode, out: &mut String) -> fmt::Result {
    if class.ranges().is_empty() {
        out.push_str("[a&&b]");
        return Ok(());
    }
    out.push('[');
    for range in class.ranges() {
        write!(out, r"\x{{{:x}}}-\x{{{:x}}}", range.start() as u32, range.end() as u32)?;
    }
    out.push(']');
    Ok(())
}
