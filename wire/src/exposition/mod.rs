//! What exporters answer to a scrape: the Prometheus text format, OpenMetrics text and delimited protobuf, read into
//! one stream of entries.
//!
//! A [`Parser`] walks a body once and gives [`Entry`]s. A [`Series`] carries its key, the part of the body that names
//! it: a caller that scrapes every few seconds finds the key in a cache and never decodes labels again; only for an
//! unknown key [`Series::labels`] does the work. Bodies are hostile: nothing here panics on them, allocates more than in
//! proportion to them, or takes more than linear time.

mod classic;
mod cursor;
mod format;
mod nhcb;
mod number;
mod openmetrics;
mod protobuf;
mod quote;
mod series_text;
#[cfg(test)]
mod testing;
mod text;

use std::borrow::Cow;

use model::SampleValue;
use model::labels::Labels;
use model::metadata::MetricType;
use model::sample::Exemplar;

pub use format::{Format, FormatError};
pub use nhcb::NhcbParser;
pub use number::{openmetrics_float, parse_float};
pub use openmetrics::OpenMetricsParser;
pub use protobuf::ProtobufParser;
pub use series_text::{LabelsError, RawLabels, TYPE_LABEL, UNIT_LABEL};
pub use text::TextParser;

/// How to read a body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Find start timestamps. OpenMetrics `_created` lines are then no series of their own.
    pub start_timestamps: bool,
    /// Give native histograms; without, only their classic buckets.
    pub native_histograms: bool,
    /// Give classic buckets also where a native histogram stands for them.
    pub always_classic: bool,
    /// Give classic histograms as native ones with custom buckets.
    pub convert_to_nhcb: bool,
    /// Type and unit are part of what names a series. Formats whose keys are not text make other keys then; text
    /// has them by [`Series::labels`] alone, as in Prometheus.
    pub type_and_unit: bool,
}

/// Walks a body of any format.
pub enum Parser<'a> {
    /// The Prometheus text format.
    Text(TextParser<'a>),
    /// OpenMetrics text.
    OpenMetrics(OpenMetricsParser<'a>),
    /// Either of these with classic histograms converted.
    Nhcb(Box<NhcbParser<'a>>),
    /// Delimited protobuf.
    Protobuf(Box<ProtobufParser<'a>>),
}

impl<'a> Parser<'a> {
    /// A parser at the start of a body.
    pub fn new(body: &'a [u8], format: Format, options: &Options) -> Self {
        let keep = options.always_classic;
        match (format, options.convert_to_nhcb) {
            (Format::Protobuf, _) => Self::Protobuf(Box::new(ProtobufParser::new(body, *options))),
            (Format::Text, true) => Self::Nhcb(Box::new(NhcbParser::text(TextParser::new(body), keep))),
            (Format::OpenMetrics, true) => {
                let parser = OpenMetricsParser::new(body, options.start_timestamps);
                Self::Nhcb(Box::new(NhcbParser::openmetrics(parser, keep)))
            }
            (Format::Text, false) => Self::Text(TextParser::new(body)),
            (Format::OpenMetrics, false) => {
                Self::OpenMetrics(OpenMetricsParser::new(body, options.start_timestamps))
            }
        }
    }

    /// The next entry; after an error there is none. What it borrows lives until the next call.
    #[expect(
        clippy::should_implement_trait,
        reason = "entries borrow from the parser, which no Iterator allows"
    )]
    pub fn next(&mut self) -> Option<Result<Entry<'_>, ParseError>> {
        self.next_known(|_| None)
    }

    /// As [`Parser::next`]; where that is worth the while, labels are not read of a series whose key is `known`, as
    /// [`TextParser::next_known`] says.
    #[inline]
    pub fn next_known(
        &mut self,
        known: impl FnMut(&[u8]) -> Option<usize>,
    ) -> Option<Result<Entry<'_>, ParseError>> {
        match self {
            Self::Text(parser) => parser.next_known(known),
            Self::OpenMetrics(parser) => parser.next(),
            Self::Nhcb(parser) => parser.next(),
            Self::Protobuf(parser) => parser.next(),
        }
    }
}

/// A body that does not follow its format. The text is Prometheus's, and the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line})")]
pub struct ParseError {
    /// Counted from 1; for protobuf the number of the message.
    pub line: usize,
    /// What was expected and what was there.
    pub message: String,
}

/// One thing that a body says.
#[derive(Clone, Debug)]
pub enum Entry<'p> {
    /// A sample.
    Series(Series<'p>),
    /// The type of a metric family.
    Type {
        /// The family.
        family: Cow<'p, str>,
        /// Its type.
        kind: MetricType,
    },
    /// The help text of a metric family.
    Help {
        /// The family.
        family: Cow<'p, str>,
        /// The text, escapes resolved.
        text: Cow<'p, str>,
    },
    /// The unit of a metric family.
    Unit {
        /// The family.
        family: Cow<'p, str>,
        /// The unit; may be empty.
        unit: &'p str,
    },
    /// Text for people, with its `#`.
    Comment(&'p [u8]),
}

/// A sample with what names it.
#[derive(Clone, Debug)]
pub struct Series<'p> {
    /// Names the series within its target: equal keys are the same series. See [`Series::labels`].
    pub key: &'p [u8],
    /// Milliseconds since the Unix epoch, if the exporter gave a timestamp.
    pub t: Option<i64>,
    /// The value; a NaN is always the ordinary one.
    pub value: SampleValue,
    /// Start timestamp of a cumulative series in milliseconds, 0 when not known or not asked for.
    pub start_t: i64,
    /// Exemplars of the sample.
    pub exemplars: Exemplars<'p>,
    /// The type that was said last before the sample.
    pub kind: MetricType,
    /// The unit that was said last before the sample; often empty.
    pub unit: &'p str,
}

/// The exemplars of a sample.
#[derive(Clone, Debug, Default)]
pub enum Exemplars<'p> {
    /// None.
    #[default]
    None,
    /// As in text formats.
    One(RawExemplar<'p>),
    /// As native histograms may have.
    Many(&'p [RawExemplar<'p>]),
}

impl<'p> Exemplars<'p> {
    /// All of them.
    pub fn as_slice(&self) -> &[RawExemplar<'p>] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// An exemplar whose labels are not decoded yet.
#[derive(Clone, Debug, PartialEq)]
pub struct RawExemplar<'p> {
    /// The exact value observed.
    pub v: f64,
    /// Milliseconds since the Unix epoch, if given.
    pub t: Option<i64>,
    labels: Cow<'p, [u8]>,
}

impl RawExemplar<'_> {
    /// The exemplar with its labels; of labels with the same name the last counts.
    pub fn decode(&self) -> Result<Exemplar, LabelsError> {
        let mut pairs = RawLabels::new();
        if self.labels.first() == Some(&series_text::SEPARATOR) {
            series_text::decode(&self.labels, &mut pairs)?;
        } else {
            series_text::decode_pairs(&self.labels, &self.labels, false, &mut pairs)?;
        }
        Ok(Exemplar { labels: Labels::from_pairs(pairs), v: self.v, t: self.t, sample_t: 0 })
    }
}
