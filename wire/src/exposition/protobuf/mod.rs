//! Delimited protobuf: a length and an `io.prometheus.client.MetricFamily`, again and again. Classic histograms and
//! summaries are given as the series they would be in text; native histograms as values. Source: Prometheus
//! `model/textparse/protobufparse.go`.

mod messages;

use std::borrow::Cow;
use std::sync::Arc;

use model::histogram::ResetHint;
use model::sample::NORMAL_NAN;
use model::{HistogramValue, SampleValue};

use self::messages::{Kind, MessageError, Metric, Side};
use super::classic::ClassicHistogram;
use super::number::openmetrics_float;
use super::quote::quoted;
use super::series_text::{push_separated, start_separated, type_and_unit_labels};
use super::{Entry, Exemplars, Options, ParseError, RawExemplar, Series};
use crate::protobuf::{Fields, take_varint};

/// A length of more bytes is none.
const MAX_LENGTH_BYTES: usize = 5;

/// The entries of a body in delimited protobuf, in order. After an error it is exhausted.
pub struct ProtobufParser<'a> {
    rest: &'a [u8],
    options: Options,
    /// Counts messages, for errors.
    message: usize,
    family: Family<'a>,
    metric: Metric<'a>,
    step: Step,
    key: Vec<u8>,
    exemplars: Vec<RawExemplar<'a>>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Family,
    Help,
    Unit,
    Type,
    /// The next metric of the family.
    Metric,
    /// A value or native histogram of the current metric.
    Native,
    /// A series of the current metric's classic form: count, sum, then buckets or quantiles.
    Classic(usize),
    /// The current metric's classic histogram, converted.
    Converted,
    Done,
}

#[derive(Default)]
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    unit: &'a str,
    kind: Kind,
    metrics: std::vec::IntoIter<&'a [u8]>,
}

impl<'a> ProtobufParser<'a> {
    /// A parser at the start of `body`.
    pub fn new(body: &'a [u8], options: Options) -> Self {
        Self {
            rest: body,
            options,
            message: 0,
            family: Family::default(),
            metric: Metric::default(),
            step: Step::Family,
            key: Vec::new(),
            exemplars: Vec::new(),
        }
    }

    /// The next entry; after an error there is none.
    #[expect(
        clippy::should_implement_trait,
        reason = "entries borrow from the parser, which no Iterator allows"
    )]
    pub fn next(&mut self) -> Option<Result<Entry<'_>, ParseError>> {
        match self.advance() {
            Ok(None) => {
                self.step = Step::Done;
                None
            }
            Ok(Some(shown)) => Some(Ok(self.entry(shown))),
            Err(MessageError(message)) => {
                self.step = Step::Done;
                Some(Err(ParseError { line: self.message, message }))
            }
        }
    }

    /// Goes on to the next entry, leaving in `self` what it borrows.
    fn advance(&mut self) -> Result<Option<EntryKind>, MessageError> {
        loop {
            let step = self.step;
            self.step = match step {
                Step::Done => return Ok(None),
                Step::Family => {
                    if self.rest.is_empty() {
                        return Ok(None);
                    }
                    if self.read_family()? { Step::Help } else { Step::Family }
                }
                Step::Help => {
                    self.step = if self.family.unit.is_empty() { Step::Type } else { Step::Unit };
                    return Ok(Some(EntryKind::Help));
                }
                Step::Unit => {
                    self.step = Step::Type;
                    return Ok(Some(EntryKind::Unit));
                }
                Step::Type => {
                    self.step = Step::Metric;
                    return Ok(Some(EntryKind::Type));
                }
                Step::Metric => match self.family.metrics.next() {
                    None => Step::Family,
                    Some(message) => {
                        self.metric.read(message, self.family.kind)?;
                        self.first_step()?
                    }
                },
                Step::Native => {
                    let keeps = self.family.kind.is_histogram()
                        && self.options.always_classic
                        && !self.metric.buckets.is_empty();
                    self.step = if keeps { Step::Classic(0) } else { Step::Metric };
                    return Ok(Some(self.show_native()));
                }
                Step::Classic(at) => {
                    let last = self.last_classic();
                    self.step = match at {
                        _ if at < last => Step::Classic(at + 1),
                        _ if self.converts() => Step::Converted,
                        _ => Step::Metric,
                    };
                    return Ok(Some(self.show_classic(at)));
                }
                Step::Converted => {
                    self.step = Step::Metric;
                    return self.show_converted().map(Some);
                }
            };
        }
    }

    fn first_step(&self) -> Result<Step, MessageError> {
        Ok(match self.family.kind {
            Kind::Counter | Kind::Gauge | Kind::Untyped => Step::Native,
            Kind::Summary => Step::Classic(0),
            Kind::Histogram | Kind::GaugeHistogram if self.is_native() => {
                let float = self.metric.is_float();
                let check = |side: &Side, name: &str| side.check(name, float);
                check(&self.metric.positive, "positive")
                    .and_then(|()| check(&self.metric.negative, "negative"))
                    .map_err(|MessageError(why)| {
                        MessageError(format!("histogram {}: {why}", quoted(self.family.name.as_bytes())))
                    })?;
                Step::Native
            }
            _ if self.options.convert_to_nhcb && !self.options.always_classic => Step::Converted,
            _ => Step::Classic(0),
        })
    }

    fn is_native(&self) -> bool {
        let m = &self.metric;
        self.options.native_histograms
            && !(m.positive.spans.is_empty()
                && m.negative.spans.is_empty()
                && m.zero_threshold <= 0.0
                && m.zero_count == 0)
    }

    /// Whether the current metric, having been given in classic form, is given converted as well.
    fn converts(&self) -> bool {
        self.family.kind.is_histogram() && self.options.convert_to_nhcb && !self.is_native()
    }

    /// The last series of the classic form: the +Inf bucket, which may have to be added, or the last quantile.
    fn last_classic(&self) -> usize {
        let buckets = &self.metric.buckets;
        if self.family.kind == Kind::Summary {
            return 1 + buckets.len();
        }
        2 + buckets.iter().position(|bucket| bucket.bound == f64::INFINITY).unwrap_or(buckets.len())
    }

    /// Reads a family up to its metrics; false for one without any, which is passed over.
    fn read_family(&mut self) -> Result<bool, MessageError> {
        self.message += 1;
        let before = self.rest;
        let length = take_varint(&mut self.rest)
            .ok()
            .filter(|_| before.len() - self.rest.len() <= MAX_LENGTH_BYTES)
            .ok_or_else(|| MessageError("clientpb: invalid varint encountered".to_owned()))?;
        let Some((message, after)) =
            usize::try_from(length).ok().and_then(|len| self.rest.split_at_checked(len))
        else {
            let prefix = (before.len() - self.rest.len()) as u64;
            return Err(MessageError(format!(
                "clientpb: insufficient length of buffer, expected at least {} bytes, got {} bytes",
                length.saturating_add(prefix),
                before.len()
            )));
        };
        self.rest = after;
        let (mut name, mut help, mut unit, mut kind) = (&b""[..], &b""[..], &b""[..], 0);
        let mut metrics = Vec::new();
        for field in Fields::new(message) {
            match field? {
                (1, v) => name = v.bytes()?,
                (2, v) => help = v.bytes()?,
                (3, v) => kind = v.varint()?,
                (4, v) => metrics.push(v.bytes()?),
                (5, v) => unit = v.bytes()?,
                _ => {}
            }
        }
        if metrics.is_empty() {
            return Ok(false);
        }
        let name = match std::str::from_utf8(name) {
            Ok(name) if !name.is_empty() => name,
            _ => return Err(MessageError(format!("invalid metric name: {}", quoted(name)))),
        };
        let text = |bytes, what: &str| {
            std::str::from_utf8(bytes).map_err(|_| {
                MessageError(format!(
                    "invalid {what} for metric {}: {}",
                    quoted(name.as_bytes()),
                    quoted(bytes)
                ))
            })
        };
        let kind = match kind {
            0 => Kind::Counter,
            1 => Kind::Gauge,
            2 => Kind::Summary,
            3 => Kind::Untyped,
            4 => Kind::Histogram,
            5 => Kind::GaugeHistogram,
            other => {
                return Err(MessageError(format!(
                    "unknown metric type for metric {}: {other}",
                    quoted(name.as_bytes())
                )));
            }
        };
        self.family = Family {
            name,
            help: text(help, "help")?,
            unit: text(unit, "unit")?,
            kind,
            metrics: metrics.into_iter(),
        };
        Ok(true)
    }

    /// Puts the key of a series of the current metric into place.
    fn set_key(&mut self, suffix: &str, label: Option<(&str, &str)>) {
        self.key.clear();
        start_separated(&mut self.key, self.family.name);
        self.key.extend_from_slice(suffix.as_bytes());
        for (name, value) in self.metric.labels.iter().copied().chain(label) {
            push_separated(&mut self.key, name, value);
        }
        if self.options.type_and_unit {
            let labels = type_and_unit_labels(self.family.kind.metric_type(), self.family.unit);
            for (name, value) in labels {
                push_separated(&mut self.key, name, value);
            }
        }
    }

    fn show_native(&mut self) -> EntryKind {
        self.set_key("", None);
        self.exemplars.clear();
        if !self.family.kind.is_histogram() {
            self.exemplars.extend(self.metric.exemplar.take());
            return EntryKind::Float(self.metric.value);
        }
        self.exemplars.extend(self.metric.native_exemplars());
        EntryKind::Histogram(self.metric.native_histogram(self.family.kind))
    }

    fn show_classic(&mut self, at: usize) -> EntryKind {
        self.exemplars.clear();
        match at {
            0 => self.set_key("_count", None),
            1 => self.set_key("_sum", None),
            _ => {
                let bound = self.metric.buckets.get(at - 2).map_or(f64::INFINITY, |bucket| bucket.bound);
                let bound = openmetrics_float(bound);
                if self.family.kind == Kind::Summary {
                    self.set_key("", Some(("quantile", &bound)));
                } else {
                    self.set_key("_bucket", Some(("le", &bound)));
                }
            }
        }
        EntryKind::Float(match at {
            0 => self.metric.count(),
            1 => self.metric.value,
            _ => match self.metric.buckets.get(at - 2) {
                Some(bucket) => {
                    self.exemplars.extend(bucket.exemplar.clone());
                    bucket.v
                }
                None => self.metric.count(),
            },
        })
    }

    fn show_converted(&mut self) -> Result<EntryKind, MessageError> {
        let mut classic = ClassicHistogram::default();
        let metric = &self.metric;
        let filled = classic.set_count(metric.count()).and_then(|()| {
            classic.set_sum(metric.value);
            metric.buckets.iter().try_for_each(|bucket| classic.add_bucket(bucket.bound, bucket.v))
        });
        let mut histogram =
            filled.and_then(|()| classic.convert()).map_err(|error| MessageError(error.to_string()))?;
        if self.family.kind == Kind::GaugeHistogram {
            match &mut histogram {
                HistogramValue::Integer(h) => Arc::make_mut(h).reset_hint = ResetHint::Gauge,
                HistogramValue::Float(h) => Arc::make_mut(h).reset_hint = ResetHint::Gauge,
            }
        }
        self.set_key("", None);
        self.exemplars.clear();
        self.exemplars.extend(self.metric.native_exemplars());
        Ok(EntryKind::Histogram(histogram))
    }

    fn entry(&self, shown: EntryKind) -> Entry<'_> {
        let family = Cow::Borrowed(self.family.name);
        let value = match shown {
            EntryKind::Help => return Entry::Help { family, text: Cow::Borrowed(self.family.help) },
            EntryKind::Unit => return Entry::Unit { family, unit: self.family.unit },
            EntryKind::Type => return Entry::Type { family, kind: self.family.kind.metric_type() },
            EntryKind::Float(v) if v.is_nan() => SampleValue::Float(NORMAL_NAN),
            EntryKind::Float(v) => SampleValue::Float(v),
            EntryKind::Histogram(histogram) => SampleValue::Histogram(histogram),
        };
        Entry::Series(Series {
            key: &self.key,
            // There is no telling 0 from no timestamp.
            t: Some(self.metric.t).filter(|t| *t != 0),
            value,
            start_t: if self.options.start_timestamps { self.metric.start_t } else { 0 },
            exemplars: if self.exemplars.is_empty() {
                Exemplars::None
            } else {
                Exemplars::Many(&self.exemplars)
            },
            kind: self.family.kind.metric_type(),
            unit: self.family.unit,
        })
    }
}

/// An entry without what it borrows.
enum EntryKind {
    Help,
    Unit,
    Type,
    Float(f64),
    Histogram(HistogramValue),
}

#[cfg(test)]
mod tests;
