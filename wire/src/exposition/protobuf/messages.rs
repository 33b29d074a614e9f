//! The messages of `io.prometheus.client` below a family: metrics, their buckets, exemplars and labels.

use std::borrow::Cow;
use std::sync::Arc;

use model::HistogramValue;
use model::histogram::{FloatHistogram, Histogram, ResetHint, Span};
use model::metadata::MetricType;

use super::super::RawExemplar;
use super::super::quote::quoted;
use super::super::series_text::{push_separated, start_separated};
use crate::protobuf::{Fields, ProtobufError};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Counter,
    Gauge,
    Summary,
    Untyped,
    Histogram,
    GaugeHistogram,
}

impl Kind {
    pub(super) fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Summary => MetricType::Summary,
            Self::Untyped => MetricType::Unknown,
            Self::Histogram => MetricType::Histogram,
            Self::GaugeHistogram => MetricType::GaugeHistogram,
        }
    }

    pub(super) fn is_histogram(self) -> bool {
        matches!(self, Self::Histogram | Self::GaugeHistogram)
    }
}

/// One metric. Buffers are used again for the next.
#[derive(Default)]
pub(super) struct Metric<'a> {
    pub(super) labels: Vec<(&'a str, &'a str)>,
    pub(super) t: i64,
    pub(super) start_t: i64,
    /// Value, or sum.
    pub(super) value: f64,
    pub(super) exemplar: Option<RawExemplar<'a>>,
    pub(super) count_int: u64,
    pub(super) count_float: f64,
    /// Buckets, or quantiles of a summary.
    pub(super) buckets: Vec<Bucket<'a>>,
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero_count: u64,
    pub(super) zero_count_float: f64,
    pub(super) negative: Side,
    pub(super) positive: Side,
    pub(super) exemplars: Vec<RawExemplar<'a>>,
}

#[derive(Default)]
pub(super) struct Bucket<'a> {
    /// Upper bound, or quantile.
    pub(super) bound: f64,
    /// Cumulative count, or the quantile's value.
    pub(super) v: f64,
    pub(super) exemplar: Option<RawExemplar<'a>>,
}

#[derive(Default)]
pub(super) struct Side {
    pub(super) spans: Vec<Span>,
    pub(super) deltas: Vec<i64>,
    pub(super) counts: Vec<f64>,
}

impl Side {
    fn clear(&mut self) {
        self.spans.clear();
        self.deltas.clear();
        self.counts.clear();
    }

    fn push_span(&mut self, fields: Fields<'_>) -> Result<(), MessageError> {
        let mut span = Span::default();
        for field in fields {
            match field? {
                (1, v) => span.offset = v.zigzag()? as i32,
                (2, v) => span.length = v.varint()? as u32,
                _ => {}
            }
        }
        self.spans.push(span);
        Ok(())
    }

    /// Whether the spans describe as many buckets as there are.
    pub(super) fn check(&self, side: &str, float: bool) -> Result<(), MessageError> {
        let have = if float { self.counts.len() } else { self.deltas.len() };
        let required: u64 = self.spans.iter().map(|span| u64::from(span.length)).sum();
        if required == have as u64 {
            return Ok(());
        }
        Err(MessageError(format!("{side} side: spans require {required} buckets, have {have}")))
    }
}

/// Why a message cannot be read.
pub(super) struct MessageError(pub(super) String);

impl From<ProtobufError> for MessageError {
    fn from(error: ProtobufError) -> Self {
        Self(error.to_string())
    }
}

impl<'a> Metric<'a> {
    pub(super) fn read(&mut self, message: &'a [u8], kind: Kind) -> Result<(), MessageError> {
        let (labels, buckets, exemplars) = (
            std::mem::take(&mut self.labels),
            std::mem::take(&mut self.buckets),
            std::mem::take(&mut self.exemplars),
        );
        let (positive, negative) = (std::mem::take(&mut self.positive), std::mem::take(&mut self.negative));
        *self = Self { labels, buckets, exemplars, positive, negative, ..Self::default() };
        self.labels.clear();
        self.buckets.clear();
        self.exemplars.clear();
        self.positive.clear();
        self.negative.clear();
        for field in Fields::new(message) {
            match (field?, kind) {
                ((1, v), _) => self.labels.push(read_label(v.message()?)?),
                ((6, v), _) => self.t = v.varint()? as i64,
                ((2, v), Kind::Gauge) | ((5, v), Kind::Untyped) => self.read_value(v.message()?)?,
                ((3, v), Kind::Counter) => self.read_counter(v.message()?)?,
                ((4, v), Kind::Summary) => self.read_summary(v.message()?)?,
                ((7, v), Kind::Histogram | Kind::GaugeHistogram) => self.read_histogram(v.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_value(&mut self, fields: Fields<'a>) -> Result<(), MessageError> {
        for field in fields {
            if let (1, v) = field? {
                self.value = v.double()?;
            }
        }
        Ok(())
    }

    fn read_counter(&mut self, fields: Fields<'a>) -> Result<(), MessageError> {
        for field in fields {
            match field? {
                (1, v) => self.value = v.double()?,
                (2, v) => self.exemplar = Some(read_exemplar(v.message()?)?),
                (3, v) => self.start_t = read_timestamp(v.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_summary(&mut self, fields: Fields<'a>) -> Result<(), MessageError> {
        for field in fields {
            match field? {
                (1, v) => self.count_int = v.varint()?,
                (2, v) => self.value = v.double()?,
                (3, v) => {
                    let mut quantile = Bucket::default();
                    for field in v.message()? {
                        match field? {
                            (1, v) => quantile.bound = v.double()?,
                            (2, v) => quantile.v = v.double()?,
                            _ => {}
                        }
                    }
                    self.buckets.push(quantile);
                }
                (4, v) => self.start_t = read_timestamp(v.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_histogram(&mut self, fields: Fields<'a>) -> Result<(), MessageError> {
        for field in fields {
            match field? {
                (1, v) => self.count_int = v.varint()?,
                (2, v) => self.value = v.double()?,
                (3, v) => self.buckets.push(read_bucket(v.message()?)?),
                (4, v) => self.count_float = v.double()?,
                (5, v) => self.schema = v.zigzag()? as i32,
                (6, v) => self.zero_threshold = v.double()?,
                (7, v) => self.zero_count = v.varint()?,
                (8, v) => self.zero_count_float = v.double()?,
                (9, v) => self.negative.push_span(v.message()?)?,
                (10, v) => v.push_zigzags(&mut self.negative.deltas)?,
                (11, v) => v.push_doubles(&mut self.negative.counts)?,
                (12, v) => self.positive.push_span(v.message()?)?,
                (13, v) => v.push_zigzags(&mut self.positive.deltas)?,
                (14, v) => v.push_doubles(&mut self.positive.counts)?,
                (15, v) => self.start_t = read_timestamp(v.message()?)?,
                (16, v) => self.exemplars.push(read_exemplar(v.message()?)?),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn count(&self) -> f64 {
        if self.count_float != 0.0 { self.count_float } else { self.count_int as f64 }
    }

    pub(super) fn is_float(&self) -> bool {
        self.count_float > 0.0 || self.zero_count_float > 0.0
    }

    /// Exemplars of a histogram as a whole: only with timestamps can they be told from repetitions.
    pub(super) fn native_exemplars(&self) -> impl Iterator<Item = RawExemplar<'a>> + '_ {
        let of_buckets = if self.exemplars.is_empty() { &self.buckets[..] } else { &[] };
        let of_buckets = of_buckets.iter().filter_map(|bucket| bucket.exemplar.as_ref());
        self.exemplars.iter().chain(of_buckets).filter(|exemplar| exemplar.t.is_some()).cloned()
    }

    /// The native histogram; its spans were checked.
    pub(super) fn native_histogram(&mut self, kind: Kind) -> HistogramValue {
        let reset_hint = if kind == Kind::GaugeHistogram { ResetHint::Gauge } else { ResetHint::Unknown };
        if self.is_float() {
            let mut histogram = FloatHistogram {
                reset_hint,
                schema: self.schema,
                zero_threshold: self.zero_threshold,
                zero_count: self.zero_count_float,
                count: self.count_float,
                sum: self.value,
                positive_spans: self.positive.spans.clone(),
                negative_spans: self.negative.spans.clone(),
                positive_buckets: self.positive.counts.clone(),
                negative_buckets: self.negative.counts.clone(),
                custom_values: Vec::new(),
            };
            histogram.compact(0);
            return HistogramValue::Float(Arc::new(histogram));
        }
        let mut histogram = Histogram {
            reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count_int,
            sum: self.value,
            positive_spans: self.positive.spans.clone(),
            negative_spans: self.negative.spans.clone(),
            positive_buckets: self.positive.deltas.clone(),
            negative_buckets: self.negative.deltas.clone(),
            custom_values: Vec::new(),
        };
        histogram.compact(0);
        HistogramValue::Integer(Arc::new(histogram))
    }
}

fn read_label<'a>(fields: Fields<'a>) -> Result<(&'a str, &'a str), MessageError> {
    let (mut name, mut value) = ("", "");
    for field in fields {
        match field? {
            (1, v) => {
                let bytes = v.bytes()?;
                name = std::str::from_utf8(bytes)
                    .ok()
                    .filter(|name| !name.is_empty())
                    .ok_or_else(|| MessageError(format!("invalid label name: {}", quoted(bytes))))?;
            }
            (2, v) => {
                let bytes = v.bytes()?;
                value = std::str::from_utf8(bytes)
                    .map_err(|_| MessageError(format!("invalid label value: {}", quoted(bytes))))?;
            }
            _ => {}
        }
    }
    Ok((name, value))
}

fn read_bucket<'a>(fields: Fields<'a>) -> Result<Bucket<'a>, MessageError> {
    let mut bucket = Bucket::default();
    let (mut count, mut count_float) = (0, 0.0);
    for field in fields {
        match field? {
            (1, v) => count = v.varint()?,
            (2, v) => bucket.bound = v.double()?,
            (3, v) => bucket.exemplar = Some(read_exemplar(v.message()?)?),
            (4, v) => count_float = v.double()?,
            _ => {}
        }
    }
    bucket.v = if count_float != 0.0 { count_float } else { count as f64 };
    Ok(bucket)
}

fn read_exemplar<'a>(fields: Fields<'a>) -> Result<RawExemplar<'a>, MessageError> {
    let mut labels = Vec::new();
    start_separated(&mut labels, "");
    let (mut v, mut t) = (0.0, None);
    for field in fields {
        match field? {
            (1, label) => {
                let (name, value) = read_label(label.message()?)?;
                push_separated(&mut labels, name, value);
            }
            (2, value) => v = value.double()?,
            (3, timestamp) => t = Some(read_timestamp(timestamp.message()?)?),
            _ => {}
        }
    }
    Ok(RawExemplar { v, t, labels: Cow::Owned(labels) })
}

/// A `google.protobuf.Timestamp` in milliseconds.
fn read_timestamp(fields: Fields<'_>) -> Result<i64, MessageError> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in fields {
        match field? {
            (1, v) => seconds = v.varint()? as i64,
            (2, v) => nanos = i64::from(v.varint()? as i32),
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}
