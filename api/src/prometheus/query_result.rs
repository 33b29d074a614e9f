//! Query results as JSON. Source: Prometheus `web/api/v1/json_codec.go`.

use std::sync::Arc;

use model::Value;
use model::api_float::{AsciiSink, push_float, push_timestamp};
use model::go_float::FloatF;
use model::histogram::FloatHistogram;
use model::sample::is_stale;
use net::json::JsonWriter;
use query::value::{Floats, Series};
use query::{QueryValue, VectorSample};

/// Appends `{"resultType":…,"result":…}` without the closing brace, so that statistics may follow.
pub fn write_result(json: &mut JsonWriter, value: &QueryValue) {
    json.raw("{\"resultType\":\"");
    json.raw(value.value_type().api_name());
    json.raw("\",\"result\":");
    match value {
        QueryValue::Scalar(scalar) => {
            // Unlike samples, without exponent.
            json.raw("[");
            json.timestamp(scalar.t);
            json.raw(",");
            json.string(&FloatF(scalar.v).to_string());
            json.raw("]");
        }
        QueryValue::String(text) => {
            json.raw("[");
            json.timestamp(text.t);
            json.raw(",");
            json.string(&text.v);
            json.raw("]");
        }
        QueryValue::Vector(samples) => {
            json.long_list(samples, sample_text_len, || (), |json, sample, ()| write_sample(json, sample));
        }
        QueryValue::Matrix(series) => {
            json.long_list(series, series_text_len, StepTexts::default, write_series);
        }
    }
}

/// About how many bytes a value takes as text.
pub fn text_len(value: &QueryValue) -> usize {
    match value {
        QueryValue::Scalar(_) => 256,
        QueryValue::String(text) => 256 + text.v.len(),
        QueryValue::Vector(samples) => 256 + samples.iter().map(sample_text_len).sum::<usize>(),
        QueryValue::Matrix(series) => 256 + series.iter().map(series_text_len).sum::<usize>(),
    }
}

/// About how many bytes a sample of an instant query takes as text.
fn sample_text_len(sample: &VectorSample) -> usize {
    let histogram = if matches!(sample.value, Value::Histogram(_)) { 512 } else { 0 };
    64 + 2 * sample.labels.packed().len() + histogram
}

/// About how many bytes a series takes as text.
fn series_text_len(series: &Series) -> usize {
    let points = 32 * series.floats.places() + 512 * series.histograms.len();
    64 + 2 * series.labels.packed().len() + points
}

fn write_sample(json: &mut JsonWriter, sample: &VectorSample) {
    json.raw("{\"metric\":");
    json.labels(&sample.labels);
    match &sample.value {
        Value::Float(v) => {
            json.raw(",\"value\":");
            json.point(sample.t, *v);
        }
        Value::Histogram(h) => {
            json.raw(",\"histogram\":");
            histogram_point(json, sample.t, h);
        }
    }
    json.raw("}");
}

fn write_series(json: &mut JsonWriter, series: &Series, steps: &mut StepTexts) {
    json.raw("{\"metric\":");
    json.labels(&series.labels);
    match &series.floats {
        Floats::Steps { start, interval, values } => {
            let texts = steps.as_map(*start, *interval, values.len());
            let points = texts.iter().zip(values).filter(|(_, v)| !is_stale(**v));
            write_points(json, points.map(|(text, v)| (text, *v)));
        }
        Floats::Samples { t, v } => {
            let mut points = t.iter().zip(v).peekable();
            if points.peek().is_some() {
                json.raw(",\"values\":");
                json.list(points, |json, (t, v)| json.point(*t, *v));
            }
        }
    }
    if !series.histograms.is_empty() {
        json.raw(",\"histograms\":");
        json.list(&series.histograms, |json, (t, h)| histogram_point(json, *t, h));
    }
    json.raw("}");
}

/// Appends floats, each with the text that ends the point before it and begins its own.
fn write_points<'t>(json: &mut JsonWriter, points: impl Iterator<Item = (&'t StepText, f64)>) {
    /// Points between two occasions to send a piece.
    const RUN: usize = 512;
    let mut written = 0;
    // Many series stay the same for a while.
    let (mut last_bits, mut last_text) = (0, 0..0);
    for (text, v) in points {
        let out = json.text();
        if written == 0 {
            out.extend_from_slice(b",\"values\":[");
            out.extend_from_slice(text.begin());
        } else {
            out.extend_from_slice(text.between());
        }
        let from = out.len();
        if v.to_bits() == last_bits && !last_text.is_empty() {
            out.extend_from_within(last_text.clone());
        } else {
            push_float(out, v);
            last_bits = v.to_bits();
        }
        last_text = from..out.len();
        written += 1;
        if written % RUN == 0 {
            json.flush_piece();
            last_text = 0..0;
        }
    }
    if written > 0 {
        json.raw("\"]]");
    }
}

/// `"],[1435781451.781,"`: what stands between the values of two points.
#[derive(Clone, Copy, Default)]
struct StepText {
    text: [u8; 32],
    len: u8,
}

impl StepText {
    const END: &[u8] = b"\"],";

    fn new(t: i64) -> Self {
        let mut step = Self::default();
        step.put(Self::END);
        step.put(b"[");
        push_timestamp(&mut step, t);
        step.put(b",\"");
        step
    }

    fn between(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }

    fn begin(&self) -> &[u8] {
        &self.text[Self::END.len()..usize::from(self.len)]
    }
}

impl AsciiSink for StepText {
    /// Seconds of 64-bit milliseconds have 16 digits at most, so that all fits.
    fn put(&mut self, ascii: &[u8]) {
        let from = usize::from(self.len);
        if let Some(place) = self.text.get_mut(from..from + ascii.len()) {
            place.copy_from_slice(ascii);
            self.len += ascii.len() as u8;
        }
    }
}

/// The texts of steps; all series of a range query have the same ones.
#[derive(Default)]
struct StepTexts {
    start: i64,
    interval: i64,
    texts: Vec<StepText>,
}

impl StepTexts {
    /// The texts of `len` steps.
    fn as_map(&mut self, start: i64, interval: i64, len: usize) -> &[StepText] {
        let after = start.wrapping_sub(self.start);
        let is_known = interval > 0 && self.interval == interval && after >= 0 && after % interval == 0;
        if !is_known || (after / interval) as usize > self.texts.len() {
            *self = Self { start, interval, texts: Vec::with_capacity(len) };
        }
        let first = if interval > 0 { ((start - self.start) / interval) as usize } else { 0 };
        while self.texts.len() < first + len {
            let t = self.start + self.interval * self.texts.len() as i64;
            self.texts.push(StepText::new(t));
        }
        &self.texts[first..first + len]
    }
}

fn histogram_point(json: &mut JsonWriter, t: i64, h: &Arc<FloatHistogram>) {
    json.raw("[");
    json.timestamp(t);
    json.raw(",");
    histogram(json, h);
    json.raw("]");
}

/// Appends a native histogram; buckets without observations are left out.
pub fn histogram(json: &mut JsonWriter, h: &FloatHistogram) {
    json.raw("{\"count\":");
    json.float_string(h.count);
    json.raw(",\"sum\":");
    json.float_string(h.sum);
    let mut buckets = h.buckets().filter(|bucket| bucket.count != 0.0).peekable();
    if buckets.peek().is_some() {
        json.raw(",\"buckets\":");
        json.list(buckets, |json, bucket| {
            let rule = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => "0",
                (true, false) => "1",
                (false, false) => "2",
                (true, true) => "3",
            };
            json.raw("[");
            json.raw(rule);
            for v in [bucket.lower, bucket.upper, bucket.count] {
                json.raw(",");
                json.float_string(v);
            }
            json.raw("]");
        });
    }
    json.raw("}");
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use model::sample::STALE_NAN;

    use super::*;

    #[test]
    fn points_of_steps() {
        let series = |start, values: &[f64]| Series {
            labels: Labels::empty(),
            floats: Floats::Steps { start, interval: 500, values: values.to_vec() },
            histograms: Vec::new(),
        };
        let absent = STALE_NAN;
        let all = vec![
            series(1000, &[1.0, 1.0, absent, 0.5, 0.5]),
            series(2000, &[f64::NAN, -0.0, 1e-7, 3.0]),
            series(0, &[absent, 2.0]),
            series(0, &[absent, absent]),
            series(-500, &[7.0]),
            series(9_000_000, &[8.0, absent, 9.0]),
        ];
        let mut json = JsonWriter::in_memory();
        write_result(&mut json, &QueryValue::Matrix(all.clone()));
        json.raw("}");
        let written: serde_json::Value = serde_json::from_str(&json.into_text()).unwrap();
        for (series, written) in all.iter().zip(written["result"].as_array().unwrap()) {
            let points = series.floats.iter().map(|(t, v)| {
                let mut point = JsonWriter::in_memory();
                point.point(t, v);
                point.into_text()
            });
            let points: Vec<String> = points.collect();
            let got = written.get("values").map_or(String::new(), |values| values.to_string());
            let want = if points.is_empty() { String::new() } else { format!("[{}]", points.join(",")) };
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
            assert_eq!(value(&got), value(&want));
        }
        for t in [i64::MIN, i64::MAX, -1, 0] {
            let mut text = String::new();
            push_timestamp(&mut text, t);
            assert_eq!(StepText::new(t).between(), format!("\"],[{text},\"").as_bytes());
        }
    }
}
