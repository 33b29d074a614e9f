//! Classic histograms of text formats as native ones with custom buckets. Source: Prometheus
//! `model/textparse/nhcbparse.go`.
//!
//! Series that follow one another, belong to the family of the last `# TYPE ... histogram` line and differ in `le`
//! only become one histogram, given when something else follows.

use model::labels::METRIC_NAME;
use model::metadata::MetricType;
use model::{HistogramValue, SampleValue};

use super::classic::{ClassicHistogram, is_valid};
use super::number::parse_bound;
use super::openmetrics::OpenMetricsParser;
use super::series_text::{RawLabels, push_separated, start_separated};
use super::text::TextParser;
use super::{Entry, Exemplars, ParseError, RawExemplar, Series};

/// A parser of a text format.
enum Inner<'a> {
    Text(TextParser<'a>),
    OpenMetrics(OpenMetricsParser<'a>),
}

impl<'a> Inner<'a> {
    fn next(&mut self) -> Option<Result<Entry<'a>, ParseError>> {
        match self {
            Self::Text(parser) => parser.next(),
            Self::OpenMetrics(parser) => parser.next(),
        }
    }
}

/// Entries of a text format, classic histograms converted.
pub struct NhcbParser<'a> {
    inner: Inner<'a>,
    /// Give the classic series too.
    keep_classic: bool,
    family: String,
    kind: MetricType,
    collecting: Option<Collecting<'a>>,
    /// What ended the histogram that was given last.
    held: Option<Option<Result<Entry<'a>, ParseError>>>,
    last: LastHistogram<'a>,
    labels: RawLabels<'a>,
}

struct Collecting<'a> {
    /// Key of the histogram: its labels without `le`.
    key: Vec<u8>,
    histogram: ClassicHistogram,
    broken: bool,
    exemplars: Vec<RawExemplar<'a>>,
    t: Option<i64>,
    start_t: i64,
    unit: &'a str,
}

/// What the last histogram entry borrows.
#[derive(Default)]
struct LastHistogram<'a> {
    key: Vec<u8>,
    exemplars: Vec<RawExemplar<'a>>,
}

/// The part of the family's histogram that a series is.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
    /// A bucket without a usable bound: it neither counts nor ends the histogram.
    Unusable,
    /// Something else.
    None,
}

impl<'a> NhcbParser<'a> {
    /// Over the Prometheus text format.
    pub fn text(parser: TextParser<'a>, keep_classic: bool) -> Self {
        Self::new(Inner::Text(parser), keep_classic)
    }

    /// Over OpenMetrics.
    pub fn openmetrics(parser: OpenMetricsParser<'a>, keep_classic: bool) -> Self {
        Self::new(Inner::OpenMetrics(parser), keep_classic)
    }

    fn new(inner: Inner<'a>, keep_classic: bool) -> Self {
        Self {
            inner,
            keep_classic,
            family: String::new(),
            kind: MetricType::Unknown,
            collecting: None,
            held: None,
            last: LastHistogram::default(),
            labels: Vec::new(),
        }
    }

    /// The next entry; after an error there is none.
    #[expect(
        clippy::should_implement_trait,
        reason = "entries borrow from the parser, which no Iterator allows"
    )]
    pub fn next(&mut self) -> Option<Result<Entry<'_>, ParseError>> {
        loop {
            let entry = match self.held.take() {
                Some(held) => held,
                None => self.inner.next(),
            };
            match entry {
                Some(Ok(Entry::Series(series))) => {
                    let part = self.part(&series);
                    if self.ends_with(part)
                        && let Some(done) = self.collecting.take()
                        && let Some(histogram) = done.finish(&mut self.last)
                    {
                        self.held = Some(Some(Ok(Entry::Series(series))));
                        return Some(Ok(self.histogram(histogram)));
                    }
                    let (Part::Bucket(_) | Part::Count | Part::Sum) = part else {
                        return Some(Ok(Entry::Series(series)));
                    };
                    self.collect(&series, part);
                    if self.keep_classic {
                        return Some(Ok(Entry::Series(series)));
                    }
                }
                Some(Err(error)) => {
                    self.collecting = None;
                    return Some(Err(error));
                }
                other => {
                    if let Some(done) = self.collecting.take()
                        && let Some(histogram) = done.finish(&mut self.last)
                    {
                        self.held = Some(other);
                        return Some(Ok(self.histogram(histogram)));
                    }
                    if let Some(Ok(Entry::Type { family, kind })) = &other {
                        self.family.clear();
                        self.family.push_str(family);
                        self.kind = *kind;
                    }
                    return other;
                }
            }
        }
    }

    /// What a series is of the family's histogram. If anything, its labels without `le` are then in `self.labels`, the
    /// metric's name being the family's.
    fn part(&mut self, series: &Series<'a>) -> Part {
        if self.kind != MetricType::Histogram || series.labels(false, &mut self.labels).is_err() {
            return Part::None;
        }
        let Some((_, name)) = self.labels.iter_mut().find(|(label, _)| label == METRIC_NAME) else {
            return Part::None;
        };
        let part = match name.strip_prefix(self.family.as_str()) {
            Some("_bucket") => Part::Unusable,
            Some("_count") => Part::Count,
            Some("_sum") => Part::Sum,
            _ => return Part::None,
        };
        *name = self.family.clone().into();
        let le = self.labels.iter().position(|(label, _)| label == "le");
        let le = le.and_then(|at| parse_bound(&self.labels.remove(at).1));
        match le.filter(|le| part == Part::Unusable && !le.is_nan()) {
            Some(le) => Part::Bucket(le),
            None => part,
        }
    }

    /// Whether the histogram that is being collected ends before the series that [`Self::part`] just looked at.
    fn ends_with(&self, part: Part) -> bool {
        self.collecting.as_ref().is_some_and(|collecting| part == Part::None || collecting.key != self.key())
    }

    fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(128);
        start_separated(&mut key, &self.family);
        for (name, value) in self.labels.iter().filter(|(name, _)| name != METRIC_NAME) {
            push_separated(&mut key, name, value);
        }
        key
    }

    fn collect(&mut self, series: &Series<'a>, part: Part) {
        let key = self.key();
        let collecting = self.collecting.get_or_insert_with(|| Collecting {
            key,
            histogram: ClassicHistogram::default(),
            broken: false,
            exemplars: Vec::new(),
            t: series.t,
            start_t: series.start_t,
            unit: series.unit,
        });
        collecting.exemplars.extend(series.exemplars.as_slice().iter().cloned());
        let SampleValue::Float(v) = series.value else { return };
        let result = match part {
            Part::Bucket(le) => collecting.histogram.add_bucket(le, v),
            Part::Count => collecting.histogram.set_count(v),
            Part::Sum => {
                collecting.histogram.set_sum(v);
                Ok(())
            }
            Part::Unusable | Part::None => return,
        };
        collecting.broken |= result.is_err();
    }

    fn histogram(&self, done: Converted<'a>) -> Entry<'_> {
        Entry::Series(Series {
            key: &self.last.key,
            t: done.t,
            value: SampleValue::Histogram(done.histogram),
            start_t: done.start_t,
            exemplars: Exemplars::Many(&self.last.exemplars),
            kind: MetricType::Histogram,
            unit: done.unit,
        })
    }
}

struct Converted<'a> {
    histogram: HistogramValue,
    t: Option<i64>,
    start_t: i64,
    unit: &'a str,
}

impl<'a> Collecting<'a> {
    /// The histogram, unless its series contradict each other.
    fn finish(self, last: &mut LastHistogram<'a>) -> Option<Converted<'a>> {
        if self.broken {
            return None;
        }
        let histogram = self.histogram.convert().ok().filter(is_valid)?;
        *last = LastHistogram { key: self.key, exemplars: self.exemplars };
        Some(Converted { histogram, t: self.t, start_t: self.start_t, unit: self.unit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::testing;

    fn text(body: &str, keep_classic: bool) -> Vec<String> {
        let mut parser = NhcbParser::text(TextParser::new(body.as_bytes()), keep_classic);
        let mut lines = Vec::new();
        while let Some(entry) = parser.next() {
            let mut line = String::new();
            match entry {
                Ok(Entry::Series(Series {
                    key,
                    value: SampleValue::Histogram(HistogramValue::Integer(h)),
                    ..
                })) => {
                    line = format!(
                        "{} {:?} {:?} {} {}",
                        String::from_utf8_lossy(key),
                        h.custom_values,
                        h.positive_counts(),
                        h.count,
                        h.sum
                    );
                }
                other => testing::describe(&mut line, other),
            }
            lines.push(line.trim_end().to_owned());
        }
        lines
    }

    const BODY: &str = "# TYPE h histogram\nh_bucket{x=\"1\",le=\"1\"} 1\nh_bucket{x=\"1\",le=\"+Inf\"} 3\nh_sum{x=\"1\"} 2.5\n\
                        h_count{x=\"1\"} 3\nh_bucket{le=\"2\",x=\"2\"} 4\nother 1\nh_count 1\n# TYPE g gauge\ng_bucket{le=\"1\"} 1\n";

    #[test]
    fn consecutive_series_become_one_histogram() {
        let x = '\u{fffd}';
        let want = [
            "type h histogram".to_owned(),
            format!("{x}h{x}x{x}1 [1.0] [1, 2] 3 2.5"),
            format!("{x}h{x}x{x}2 [2.0] [4] 4 0"),
            "other = 1".to_owned(),
            format!("{x}h [] [1] 1 0"),
            "type g gauge".to_owned(),
            "g_bucket{le=1} = 1".to_owned(),
        ];
        assert_eq!(text(BODY, false), want);
        let with_classic = text(BODY, true);
        assert_eq!(with_classic.len(), want.len() + 6);
        assert_eq!(with_classic[1], "h_bucket{le=1.0,x=1} = 1");
    }

    #[test]
    fn contradictions_are_left_out() {
        let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 5\nh_bucket{le=\"2\"} 3\n# TYPE g gauge\ng 1\n";
        assert_eq!(text(body, false), ["type h histogram", "type g gauge", "g = 1"]);
        assert_eq!(text("# TYPE h histogram\nh_count 1\nbroken\n", false).len(), 2);
        // A bucket without bound passes by.
        let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 5\nh_bucket{le=\"x\"} 3\nh_count 6\n";
        assert_eq!(text(body, false)[1..], ["h_bucket{le=x} = 3", "\u{fffd}h [1.0] [5, 1] 6 0"]);
    }

    #[test]
    fn survives_mutations() {
        testing::mutate(BODY, |body| {
            let mut parser = NhcbParser::text(TextParser::new(body), true);
            while parser.next().is_some() {}
        });
    }
}
