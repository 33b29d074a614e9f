//! What the scanner cuts the text into.

use model::histogram::ResetHint;
use model::labels::Quoted;
use query::Pos;

use crate::ast::{AggregateOp, BinaryOp};

/// A token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub pos: Pos,
}

/// The kinds of tokens. Keywords are recognised in any case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// The text ends here.
    Eof,
    /// The scanner could not go on; always the last token.
    Error,
    Identifier,
    /// An identifier with a colon.
    MetricIdentifier,
    Number,
    Duration,
    /// A literal in any of the three quotes, quotes included.
    String,
    Comma,
    Colon,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    /// `=`
    Assign,
    /// `=~`
    MatchRegex,
    /// `!~`
    MatchNotRegex,
    /// `@`
    At,
    /// A binary operator; `!=` and the signs are among them.
    Op(BinaryOp),
    Aggregate(AggregateOp),
    Bool,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Offset,
    Anchored,
    Smoothed,
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
    /// Spaces between the values of a series description.
    Space,
    /// `_`, a missing value
    Blank,
    /// `x`, the repetition of a value
    Times,
    /// `{{`
    OpenHistogram,
    /// `}}`
    CloseHistogram,
    /// A key of a histogram literal.
    Descriptor(Descriptor),
    /// A value of `counter_reset_hint`.
    Hint(ResetHint),
}

/// Keys of histogram literals in series descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Descriptor {
    Sum,
    Count,
    Schema,
    Offset,
    NegativeOffset,
    Buckets,
    NegativeBuckets,
    ZeroBucket,
    ZeroBucketWidth,
    CustomValues,
    CounterResetHint,
}

impl Descriptor {
    /// The key of that name in lower case.
    pub(crate) fn find(word: &str) -> Option<Self> {
        Some(match word {
            "sum" => Self::Sum,
            "count" => Self::Count,
            "schema" => Self::Schema,
            "offset" => Self::Offset,
            "n_offset" => Self::NegativeOffset,
            "buckets" => Self::Buckets,
            "n_buckets" => Self::NegativeBuckets,
            "z_bucket" => Self::ZeroBucket,
            "z_bucket_w" => Self::ZeroBucketWidth,
            "custom_values" => Self::CustomValues,
            "counter_reset_hint" => Self::CounterResetHint,
            _ => return None,
        })
    }

    /// The key as scripts write it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Count => "count",
            Self::Schema => "schema",
            Self::Offset => "offset",
            Self::NegativeOffset => "n_offset",
            Self::Buckets => "buckets",
            Self::NegativeBuckets => "n_buckets",
            Self::ZeroBucket => "z_bucket",
            Self::ZeroBucketWidth => "z_bucket_w",
            Self::CustomValues => "custom_values",
            Self::CounterResetHint => "counter_reset_hint",
        }
    }
}

impl Kind {
    /// The keyword of that name in lower case; `inf` and `nan` are numbers.
    pub(crate) fn keyword(word: &str) -> Option<Self> {
        Some(match word {
            "and" => Self::Op(BinaryOp::And),
            "or" => Self::Op(BinaryOp::Or),
            "unless" => Self::Op(BinaryOp::Unless),
            "atan2" => Self::Op(BinaryOp::Atan2),
            "offset" => Self::Offset,
            "smoothed" => Self::Smoothed,
            "anchored" => Self::Anchored,
            "by" => Self::By,
            "without" => Self::Without,
            "on" => Self::On,
            "ignoring" => Self::Ignoring,
            "group_left" => Self::GroupLeft,
            "group_right" => Self::GroupRight,
            "fill" => Self::Fill,
            "fill_left" => Self::FillLeft,
            "fill_right" => Self::FillRight,
            "bool" => Self::Bool,
            "start" => Self::Start,
            "end" => Self::End,
            "inf" | "nan" => Self::Number,
            _ => {
                if let Some(found) = Self::duration_keyword(word) {
                    return Some(found);
                }
                return AggregateOp::ALL.into_iter().find(|op| op.as_str() == word).map(Self::Aggregate);
            }
        })
    }

    /// The keywords allowed within brackets, in lower case.
    pub(crate) fn duration_keyword(word: &str) -> Option<Self> {
        Some(match word {
            "step" => Self::Step,
            "range" => Self::Range,
            "max_of" => Self::MaxOf,
            "min_of" => Self::MinOf,
            _ => return None,
        })
    }

    /// Whether a label may be called so without quotes in a grouping. `without` may not.
    pub(crate) fn is_label(self) -> bool {
        match self {
            Self::Op(op) => op.is_set() || op == BinaryOp::Atan2,
            Self::Identifier
            | Self::MetricIdentifier
            | Self::Aggregate(_)
            | Self::Bool
            | Self::By
            | Self::On
            | Self::Ignoring
            | Self::GroupLeft
            | Self::GroupRight
            | Self::Fill
            | Self::FillLeft
            | Self::FillRight
            | Self::Offset
            | Self::Anchored
            | Self::Smoothed => true,
            _ => self.is_preprocessor(),
        }
    }

    /// Whether a metric may be called so without quotes.
    pub(crate) fn is_metric_name(self) -> bool {
        match self {
            Self::Op(op) => op.is_set(),
            Self::Identifier
            | Self::MetricIdentifier
            | Self::Aggregate(_)
            | Self::By
            | Self::Without
            | Self::Fill
            | Self::FillLeft
            | Self::FillRight
            | Self::Offset
            | Self::Anchored
            | Self::Smoothed => true,
            _ => self.is_preprocessor(),
        }
    }

    /// Keywords that are also functions.
    pub(crate) fn is_preprocessor(self) -> bool {
        matches!(self, Self::Start | Self::End | Self::Step | Self::Range | Self::MaxOf | Self::MinOf)
    }
}

impl Token {
    /// The token's text.
    pub(crate) fn text<'a>(&self, query: &'a str) -> &'a str {
        query.get(self.pos.start..self.pos.end).unwrap_or_default()
    }

    /// The token as error messages name it.
    pub(crate) fn describe(&self, query: &str) -> String {
        let text = self.text(query);
        match self.kind {
            Kind::Eof => "end of input".to_owned(),
            Kind::Error => "error".to_owned(),
            Kind::Identifier => format!("identifier {}", Quoted(text)),
            Kind::MetricIdentifier => format!("metric identifier {}", Quoted(text)),
            Kind::Number => format!("number {}", shortened(text)),
            Kind::Duration => format!("duration {}", shortened(text)),
            Kind::String => format!("string {}", shortened(text)),
            Kind::Descriptor(_) | Kind::Hint(_) => format!("word {}", shortened(text)),
            Kind::Op(_) | Kind::MatchRegex | Kind::MatchNotRegex | Kind::At => format!("<op:{text}>"),
            Kind::Aggregate(_) => format!("<aggr:{text}>"),
            Kind::Bool
            | Kind::By
            | Kind::Without
            | Kind::On
            | Kind::Ignoring
            | Kind::GroupLeft
            | Kind::GroupRight
            | Kind::Fill
            | Kind::FillLeft
            | Kind::FillRight
            | Kind::Offset
            | Kind::Anchored
            | Kind::Smoothed => format!("<{text}>"),
            _ => shortened(text),
        }
    }
}

/// Quoted, and cut after ten characters.
fn shortened(text: &str) -> String {
    if text.len() <= 10 {
        return Quoted(text).to_string();
    }
    let end = text.char_indices().nth(10).map_or(text.len(), |(at, _)| at);
    format!("{}...", Quoted(&text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions() {
        for (text, kind, want) in [
            ("up", Kind::Identifier, r#"identifier "up""#),
            ("12345678901", Kind::Number, r#"number "1234567890"..."#),
            ("SUM", Kind::Aggregate(AggregateOp::Sum), "<aggr:SUM>"),
            ("Or", Kind::Op(BinaryOp::Or), "<op:Or>"),
            ("on", Kind::On, "<on>"),
            ("start", Kind::Start, r#""start""#),
            (")", Kind::RightParen, r#"")""#),
        ] {
            let token = Token { kind, pos: Pos { start: 0, end: text.len() } };
            assert_eq!(token.describe(text), want);
        }
    }

    #[test]
    fn words_that_may_be_names() {
        for (word, label, metric) in [
            ("sum", true, true),
            ("without", false, true),
            ("bool", true, false),
            ("on", true, false),
            ("group_left", true, false),
            ("atan2", true, false),
            ("and", true, true),
            ("offset", true, true),
            ("max_of", true, true),
            ("inf", false, false),
        ] {
            let kind = Kind::keyword(word).unwrap();
            assert_eq!((kind.is_label(), kind.is_metric_name()), (label, metric), "{word}");
        }
    }
}
