//! Histograms as text: `{count:3, sum:1.5, (0.5,1]:3}` as queries print them and `{{schema:0 count:3 ...}}` as tests
//! write them.

use std::fmt::{self, Write};

use super::bucket::{Bucket, CountText};
use super::cells::{cells, cells_reversed, from_deltas};
use super::{FloatHistogram, Histogram, HistogramOf, ResetHint, Span};
use crate::go_float::FloatG;

/// The query form; empty buckets are left out.
impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_buckets(f, self, &self.positive_buckets, &self.negative_buckets)
    }
}

/// As that of [`FloatHistogram`].
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = |deltas: &[i64]| from_deltas(deltas).into_iter().map(|n| n as u64).collect::<Vec<u64>>();
        write_buckets(f, self, &counts(&self.positive_buckets), &counts(&self.negative_buckets))
    }
}

fn write_buckets<C: CountText + PartialEq + Default, B>(
    f: &mut fmt::Formatter<'_>,
    h: &HistogramOf<C, B>,
    positive: &[C],
    negative: &[C],
) -> fmt::Result {
    f.write_str("{count:")?;
    h.count.write(f)?;
    write!(f, ", sum:{}", FloatG(h.sum))?;
    let empty = C::default();
    for (index, count) in cells_reversed(&h.negative_spans, negative).filter(|(_, n)| *n != empty) {
        write!(f, ", {}", Bucket::new(index, count, false, h.schema, &h.custom_values))?;
    }
    if h.zero_count != empty && !h.has_custom_buckets() {
        write!(f, ", {}", Bucket::zero(h.zero_threshold, h.zero_count))?;
    }
    for (index, count) in cells(&h.positive_spans, positive).filter(|(_, n)| *n != empty) {
        write!(f, ", {}", Bucket::new(index, count, true, h.schema, &h.custom_values))?;
    }
    f.write_str("}")
}

/// Buckets that a test literal may have on one side. Literals list every bucket between the first and the last, so a
/// wide gap would fill the memory.
const LITERAL_BUCKETS: u64 = 1 << 16;

impl FloatHistogram {
    /// The literal form of PromQL's test language and of rule unit tests. A histogram whose buckets are too far apart to
    /// be listed is given in the query form.
    pub fn test_expression(&self) -> String {
        let width = |spans: &[Span]| {
            spans.iter().skip(1).map(|s| s.offset.max(0).unsigned_abs()).map(u64::from).sum::<u64>()
                + spans.iter().map(|s| u64::from(s.length)).sum::<u64>()
        };
        let mut h = self.clone();
        h.compact(0);
        if width(&h.positive_spans).max(width(&h.negative_spans)) > LITERAL_BUCKETS {
            return self.to_string();
        }
        h.compact(usize::MAX);
        let mut parts = Vec::new();
        if h.schema != 0 {
            parts.push(format!("schema:{}", h.schema));
        }
        for (name, value) in
            [("count", h.count), ("sum", h.sum), ("z_bucket", h.zero_count), ("z_bucket_w", h.zero_threshold)]
        {
            if value != 0.0 {
                parts.push(format!("{name}:{}", FloatG(value)));
            }
        }
        if h.has_custom_buckets() {
            parts.push(format!("custom_values:{}", list(&h.custom_values)));
        }
        parts.extend(
            match h.reset_hint {
                ResetHint::Unknown => None,
                ResetHint::Reset => Some("reset"),
                ResetHint::NotReset => Some("not_reset"),
                ResetHint::Gauge => Some("gauge"),
            }
            .map(|hint| format!("counter_reset_hint:{hint}")),
        );
        for (offset, name, spans, buckets) in [
            ("offset", "buckets", &h.positive_spans, &h.positive_buckets),
            ("n_offset", "n_buckets", &h.negative_spans, &h.negative_buckets),
        ] {
            if let Some(span) = spans.first().filter(|span| span.offset != 0) {
                parts.push(format!("{offset}:{}", span.offset));
            }
            if !buckets.is_empty() {
                parts.push(format!("{name}:{}", list(buckets)));
            }
        }
        format!("{{{{{}}}}}", parts.join(" "))
    }
}

fn list(values: &[f64]) -> String {
    let mut text = String::from("[");
    for (i, value) in values.iter().enumerate() {
        let separator = if i > 0 { " " } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{}", FloatG(*value));
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::super::CUSTOM_BUCKETS_SCHEMA;
    use super::*;

    fn sample() -> Histogram {
        Histogram {
            schema: 1,
            zero_threshold: 0.001,
            zero_count: 2,
            count: 1_234_567,
            sum: -18.4,
            positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 1, length: 1 }],
            positive_buckets: vec![1, -1, 3],
            negative_spans: vec![Span { offset: -1, length: 2 }],
            negative_buckets: vec![5, 1],
            ..Default::default()
        }
    }

    #[test]
    fn query_form() {
        let buckets = "[-1,-0.7071067811865475):6, [-0.7071067811865475,-0.5):5, [-0.001,0.001]:2, \
                       (0.7071067811865475,1]:1, (2,2.82842712474619]:3}";
        assert_eq!(sample().to_string(), format!("{{count:1234567, sum:-18.4, {buckets}"));
        assert_eq!(sample().to_float().to_string(), format!("{{count:1.234567e+06, sum:-18.4, {buckets}"));
        assert_eq!(FloatHistogram::default().to_string(), "{count:0, sum:0}");
    }

    #[test]
    fn literal_form() {
        assert_eq!(
            sample().to_float().test_expression(),
            "{{schema:1 count:1.234567e+06 sum:-18.4 z_bucket:2 z_bucket_w:0.001 buckets:[1 0 0 3] n_offset:-1 \
             n_buckets:[5 6]}}"
        );
        let custom = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            reset_hint: ResetHint::Gauge,
            custom_values: vec![5.0, 10.0],
            positive_spans: vec![Span { offset: 1, length: 1 }],
            positive_buckets: vec![2.0],
            ..Default::default()
        };
        assert_eq!(
            custom.test_expression(),
            "{{schema:-53 custom_values:[5 10] counter_reset_hint:gauge offset:1 buckets:[2]}}"
        );
        let wide = FloatHistogram {
            positive_spans: vec![Span { offset: 0, length: 1 }, Span { offset: i32::MAX - 9, length: 1 }],
            positive_buckets: vec![1.0, 1.0],
            ..Default::default()
        };
        assert!(wide.test_expression().starts_with("{count:0"));
        assert_eq!(FloatHistogram::default().test_expression(), "{{}}");
    }

    #[test]
    fn conversion() {
        let float = sample().to_float();
        assert_eq!(float.positive_buckets, [1.0, 0.0, 3.0]);
        assert_eq!(float.to_integer(), Some(sample()));
        assert_eq!(FloatHistogram { count: 0.5, ..float.clone() }.to_integer(), None);
        assert_eq!(FloatHistogram { zero_count: -1.0, ..float.clone() }.to_integer(), None);
    }

    #[test]
    fn reduced_resolution() {
        let mut reduced = sample();
        reduced.reduce_resolution(0).unwrap();
        assert_eq!(reduced.positive_spans, [Span { offset: 0, length: 3 }]);
        assert_eq!(reduced.positive_counts(), [1, 0, 3]);
        assert_eq!(reduced.negative_counts(), [11]);
        assert_eq!(reduced.to_float(), {
            let mut float = sample().to_float();
            float.reduce_resolution(0).unwrap();
            float
        });
        assert_eq!(sample().to_float().copy_to_schema(0), reduced.to_float());
        assert!(reduced.reduce_resolution(0).is_err());
        assert!(reduced.reduce_resolution(CUSTOM_BUCKETS_SCHEMA).is_err());
        let mut broken = sample();
        broken.positive_buckets.pop();
        assert!(broken.reduce_resolution(0).is_err());
    }
}
