//! Delimited protobuf: a length and an `io.prometheus.client.MetricFamily`, again and again. Classic histograms and
//! summaries are given as the series they would be in text; native histograms as values. Source: Prometheus
//! `model/textparse/protobufparse.go`.

mod messages;

use std::borrow::Cow;
use std::sync::Arc;

use model::SampleValue;
use model::append::HistogramSample;
use model::histogram::ResetHint;
use model::sample::NORMAL_NAN;

use self::messages::{Broken, Kind, Metric, Side};

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
            Err(Broken(message)) => {
                self.step = Step::Done;
                Some(Err(ParseError { line: self.message, message }))
            }
        }
    }

    /// Goes on to the next entry, leaving in `self` what it borrows.
    fn advance(&mut self) -> Result<Option<Shown>, Broken> {
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
                    return Ok(Some(Shown::Help));
                }
                Step::Unit => {
                    self.step = Step::Type;
                    return Ok(Some(Shown::Unit));
                }
                Step::Type => {
                    self.step = Step::Metric;
                    return Ok(Some(Shown::Type));
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

    fn first_step(&self) -> Result<Step, Broken> {
        Ok(match self.family.kind {
            Kind::Counter | Kind::Gauge | Kind::Untyped => Step::Native,
            Kind::Summary => Step::Classic(0),
            Kind::Histogram | Kind::GaugeHistogram if self.is_native() => {
                let float = self.metric.is_float();
                let check = |side: &Side, name: &str| side.check(name, float);
                check(&self.metric.positive, "positive")
                    .and_then(|()| check(&self.metric.negative, "negative"))
                    .map_err(|Broken(why)| {
                        Broken(format!("histogram {}: {why}", quoted(self.family.name.as_bytes())))
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
    fn read_family(&mut self) -> Result<bool, Broken> {
        self.message += 1;
        let before = self.rest;
        let length = take_varint(&mut self.rest)
            .ok()
            .filter(|_| before.len() - self.rest.len() <= MAX_LENGTH_BYTES)
            .ok_or_else(|| Broken("clientpb: invalid varint encountered".to_owned()))?;
        let Some((message, after)) =
            usize::try_from(length).ok().and_then(|len| self.rest.split_at_checked(len))
        else {
            let prefix = (before.len() - self.rest.len()) as u64;
            return Err(Broken(format!(
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
            _ => return Err(Broken(format!("invalid metric name: {}", quoted(name)))),
        };
        let text = |bytes, what: &str| {
            std::str::from_utf8(bytes).map_err(|_| {
                Broken(format!("invalid {what} for metric {}: {}", quoted(name.as_bytes()), quoted(bytes)))
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
                return Err(Broken(format!(
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

    fn show_native(&mut self) -> Shown {
        self.set_key("", None);
        self.exemplars.clear();
        if !self.family.kind.is_histogram() {
            self.exemplars.extend(self.metric.exemplar.take());
            return Shown::Float(self.metric.value);
        }
        self.exemplars.extend(self.metric.native_exemplars());
        Shown::Histogram(self.metric.native_histogram(self.family.kind))
    }

    fn show_classic(&mut self, at: usize) -> Shown {
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
        Shown::Float(match at {
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

    fn show_converted(&mut self) -> Result<Shown, Broken> {
        let mut classic = ClassicHistogram::default();
        let metric = &self.metric;
        let filled = classic.set_count(metric.count()).and_then(|()| {
            classic.set_sum(metric.value);
            metric.buckets.iter().try_for_each(|bucket| classic.add_bucket(bucket.bound, bucket.v))
        });
        let mut histogram =
            filled.and_then(|()| classic.convert()).map_err(|error| Broken(error.to_string()))?;
        if self.family.kind == Kind::GaugeHistogram {
            match &mut histogram {
                HistogramSample::Integer(h) => Arc::make_mut(h).reset_hint = ResetHint::Gauge,
                HistogramSample::Float(h) => Arc::make_mut(h).reset_hint = ResetHint::Gauge,
            }
        }
        self.set_key("", None);
        self.exemplars.clear();
        self.exemplars.extend(self.metric.native_exemplars());
        Ok(Shown::Histogram(histogram))
    }

    fn entry(&self, shown: Shown) -> Entry<'_> {
        let family = Cow::Borrowed(self.family.name);
        let value = match shown {
            Shown::Help => return Entry::Help { family, text: Cow::Borrowed(self.family.help) },
            Shown::Unit => return Entry::Unit { family, unit: self.family.unit },
            Shown::Type => return Entry::Type { family, kind: self.family.kind.metric_type() },
            Shown::Float(v) if v.is_nan() => SampleValue::Float(NORMAL_NAN),
            Shown::Float(v) => SampleValue::Float(v),
            Shown::Histogram(histogram) => SampleValue::Histogram(histogram),
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
enum Shown {
    Help,
    Unit,
    Type,
    Float(f64),
    Histogram(HistogramSample),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::{TYPE_LABEL, UNIT_LABEL, testing};
    use crate::protobuf::Message;

    fn label(name: &str, value: &str) -> Message {
        Message::new().bytes(1, name).bytes(2, value)
    }

    fn timestamp(seconds: u64, nanos: u64) -> Message {
        Message::new().varint(1, seconds).varint(2, nanos)
    }

    fn exemplar(trace: &str, v: f64, seconds: u64) -> Message {
        let exemplar = Message::new().bytes(1, label("trace_id", trace)).double(2, v);
        if seconds == 0 { exemplar } else { exemplar.bytes(3, timestamp(seconds, 500_000_000)) }
    }

    fn family(name: &str, kind: u64, metrics: &[Message]) -> Vec<u8> {
        let start = Message::new().bytes(1, name).bytes(2, "Text.").varint(3, kind);
        metrics.iter().fold(start, |family, metric| family.bytes(4, metric)).delimited()
    }

    fn bucket(count: u64, bound: f64) -> Message {
        Message::new().varint(1, count).double(2, bound)
    }

    fn classic() -> Message {
        let buckets = bucket(1, 0.5).bytes(3, exemplar("b", 0.4, 7));
        Message::new()
            .varint(1, 3)
            .double(2, 4.5)
            .bytes(3, buckets)
            .bytes(3, bucket(2, 1.0))
            .bytes(15, timestamp(9, 0))
    }

    fn native() -> Message {
        classic()
            .zigzag(5, 3)
            .double(6, 0.001)
            .varint(7, 1)
            .bytes(12, Message::new().zigzag(1, -2).varint(2, 2))
            .zigzags(13, &[1, 0])
            .bytes(16, exemplar("n", 2.0, 8))
            .bytes(16, exemplar("no time", 2.0, 0))
    }

    fn of(metric: Message) -> Message {
        Message::new().bytes(1, label("x", "y")).bytes(7, metric)
    }

    fn described(body: &[u8], options: Options) -> String {
        let mut parser = ProtobufParser::new(body, options);
        let mut out = String::new();
        while let Some(entry) = parser.next() {
            if let Ok(Entry::Series(Series {
                value: SampleValue::Histogram(HistogramSample::Integer(h)),
                exemplars,
                key,
                ..
            })) = &entry
            {
                out.push_str(&format!(
                    "histogram {} schema {} count {} sum {} zero {} {:?} {:?} exemplars {}\n",
                    String::from_utf8_lossy(key).replace('\u{fffd}', "|"),
                    h.schema,
                    h.count,
                    h.sum,
                    h.zero_count,
                    h.positive_counts(),
                    h.custom_values,
                    exemplars.as_slice().len(),
                ));
                continue;
            }
            testing::describe(&mut out, entry);
        }
        out
    }

    #[test]
    fn simple_kinds() {
        let counter = Message::new().double(1, 2.0).bytes(2, exemplar("c", 1.0, 0)).bytes(3, timestamp(5, 0));
        let summary = Message::new()
            .varint(1, 4)
            .double(2, 8.0)
            .bytes(3, Message::new().double(1, 0.5).double(2, f64::NAN));
        let gauge = Message::new().bytes(2, Message::new().double(1, -1.0)).varint(6, 1234);
        let body = [
            family("c", 0, &[Message::new().bytes(3, counter)]),
            family("empty", 1, &[]),
            family("g.x", 1, &[gauge]),
            family("s", 2, &[Message::new().bytes(4, summary)]),
            family("u", 3, &[Message::new().bytes(5, Message::new().double(1, 3.0))]),
        ]
        .concat();
        assert_eq!(
            described(&body, Options { start_timestamps: true, ..Options::default() }),
            "help c Text.\ntype c counter\nc = 2 from 5000 # {trace_id=\"c\"} 1\n\
             help g.x Text.\ntype g.x gauge\ng.x = -1 @1234\n\
             help s Text.\ntype s summary\ns_count = 4\ns_sum = 8\ns{quantile=0.5} = NaN\n\
             help u Text.\ntype u unknown\nu = 3\n"
        );
    }

    #[test]
    fn histograms_by_options() {
        let body = [family("h", 4, &[of(classic())]), family("n", 4, &[of(native())])].concat();
        let classic_of = |name: &str| {
            format!(
                "{name}_count{{x=y}} = 3\n{name}_sum{{x=y}} = 4.5\n{name}_bucket{{le=0.5,x=y}} = 1 # {{trace_id=\"b\"}} 0.4 @7500\n\
                 {name}_bucket{{le=1.0,x=y}} = 2\n{name}_bucket{{le=+Inf,x=y}} = 3\n"
            )
        };
        let converted = |name: &str| {
            format!(
                "histogram |{name}|x|y schema -53 count 3 sum 4.5 zero 0 [1, 1, 1] [0.5, 1.0] exemplars 1\n"
            )
        };
        let native = "histogram |n|x|y schema 3 count 3 sum 4.5 zero 1 [1, 1] [] exemplars 1\n";
        let head = |name: &str| format!("help {name} Text.\ntype {name} histogram\n");
        let plain = Options::default();
        let natives = Options { native_histograms: true, ..plain };
        let both = Options { always_classic: true, ..natives };
        let nhcb = Options { convert_to_nhcb: true, ..natives };
        let nhcb_both = Options { always_classic: true, ..nhcb };
        for (options, h, n) in [
            (plain, classic_of("h"), classic_of("n")),
            (natives, classic_of("h"), native.to_owned()),
            (both, classic_of("h"), native.to_owned() + &classic_of("n")),
            (nhcb, converted("h"), native.to_owned()),
            (nhcb_both, classic_of("h") + &converted("h"), native.to_owned() + &classic_of("n")),
            (Options { convert_to_nhcb: true, ..plain }, converted("h"), converted("n")),
        ] {
            assert_eq!(described(&body, options), format!("{}{h}{}{n}", head("h"), head("n")), "{options:?}");
        }
    }

    #[test]
    fn type_and_unit_tell_series_apart() {
        let exposed =
            Message::new().bytes(1, label(TYPE_LABEL, "own")).bytes(5, Message::new().double(1, 3.0));
        let of = |kind| {
            let family = Message::new().bytes(1, "u_seconds").varint(3, kind).bytes(5, "seconds");
            family.bytes(4, &exposed).delimited()
        };
        // A gauge without a gauge's value is 0: only what names it matters.
        let body = [of(3), of(1)].concat();
        for (type_and_unit, want) in [(true, ["own,seconds", "gauge,seconds"]), (false, ["own,", "own,"])] {
            let mut parser = ProtobufParser::new(&body, Options { type_and_unit, ..Options::default() });
            let (mut keys, mut labels) = (Vec::new(), Vec::new());
            while let Some(entry) = parser.next() {
                if let Entry::Series(series) = entry.unwrap() {
                    keys.push(series.key.to_vec());
                    let mut of_series = Vec::new();
                    series.labels(type_and_unit, &mut of_series).unwrap();
                    let get = |label: &str| {
                        let mut found = of_series.iter().filter(|(name, _)| name == label);
                        let value = found.next().map(|(_, value)| value.to_string()).unwrap_or_default();
                        assert!(found.next().is_none(), "{label} twice");
                        value
                    };
                    labels.push(format!("{},{}", get(TYPE_LABEL), get(UNIT_LABEL)));
                }
            }
            assert_eq!(labels, want);
            assert_eq!(keys[0] != keys[1], type_and_unit);
        }
    }

    #[test]
    fn broken_bodies() {
        let good = family("u", 3, &[Message::new()]);
        let spans = of(native().varint(5, 0).zigzags(13, &[1]));
        for (body, error) in [
            (vec![0xff; 12], "clientpb: invalid varint encountered (line 1)"),
            (
                good[..good.len() - 1].to_vec(),
                "clientpb: insufficient length of buffer, expected at least 15 bytes, got 14 bytes (line 1)",
            ),
            (family("u", 9, &[Message::new()]), "unknown metric type for metric \"u\": 9 (line 1)"),
            (family("", 1, &[Message::new()]), "invalid metric name: \"\" (line 1)"),
            (
                family("n", 4, &[spans]),
                "histogram \"n\": positive side: spans require 2 buckets, have 3 (line 1)",
            ),
            (
                family("u", 3, &[Message::new().bytes(1, Message::new().bytes(1, [0xff]))]),
                "invalid label name: \"\\xff\" (line 1)",
            ),
        ] {
            let options = Options { native_histograms: true, ..Options::default() };
            let text = described(&body, options);
            assert_eq!(text.lines().last().unwrap(), format!("error {error}"));
        }
    }

    #[test]
    fn survives_mutations() {
        let body = [family("n", 4, &[of(native())]), family("c", 0, &[Message::new()])].concat();
        let options = Options {
            native_histograms: true,
            always_classic: true,
            convert_to_nhcb: true,
            start_timestamps: true,
            type_and_unit: true,
        };
        let mut read = |body: &[u8]| {
            described(body, options);
            described(body, Options::default());
        };
        testing::mutate_bytes(&body, &[0, 1, 7, 0x0a, 0x7f, 0x80, 0xff], &mut read);
    }
}
