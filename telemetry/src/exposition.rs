//! The formats of `/metrics`: which one a client wants, and the text formats, Prometheus 0.0.4 and OpenMetrics 1.0.0.

use std::fmt::Write;

use model::api_float::push_float;
use model::labels::METRIC_NAME;

use super::registry::{Family, Gather, Kind};

/// A format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text.
    Text(TextFormat),
    /// `io.prometheus.client.MetricFamily`, each with its length in front.
    Protobuf,
}

/// A text format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// How names beyond ASCII are to be written, as the Accept header asks for it. All names here are ASCII: it is only
/// repeated in the answer.
const ESCAPINGS: [&str; 4] = ["underscores", "allow-utf-8", "dots", "values"];

/// A format with the escaping that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The format.
    pub format: Format,
    escaping: &'static str,
}

impl Negotiated {
    /// The best of the formats that an Accept header allows; text when it says nothing of any.
    pub fn of(accept: &str) -> Self {
        let text = Format::Text(TextFormat::Prometheus);
        let mut best = (Self { format: text, escaping: ESCAPINGS[0] }, 0.0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or("");
            let parameter = |name: &str| {
                let mut pairs = range.split(';').filter_map(|part| part.trim().split_once('='));
                pairs.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_matches('"'))
            };
            let format = match media {
                "application/openmetrics-text" => Format::Text(TextFormat::OpenMetrics),
                "text/plain" | "*/*" | "text/*" => text,
                "application/vnd.google.protobuf"
                    if parameter("proto") == Some("io.prometheus.client.MetricFamily")
                        && parameter("encoding") == Some("delimited") =>
                {
                    Format::Protobuf
                }
                _ => continue,
            };
            let asked = parameter("escaping").unwrap_or(ESCAPINGS[0]);
            let escaping = ESCAPINGS.into_iter().find(|known| *known == asked).unwrap_or(ESCAPINGS[0]);
            let q = parameter("q").and_then(|q| q.parse().ok()).unwrap_or(1.0);
            if q > best.1 {
                best = (Self { format, escaping }, q);
            }
        }
        best.0
    }

    /// The Content-Type of an answer.
    pub fn content_type(self) -> String {
        let format = match self.format {
            Format::Text(TextFormat::Prometheus) => "text/plain; version=0.0.4; charset=utf-8",
            Format::Text(TextFormat::OpenMetrics) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        };
        format!("{format}; escaping={}", self.escaping)
    }
}

/// Writes all families as text.
pub fn write(gathered: &Gather, format: TextFormat) -> String {
    let mut out = String::with_capacity(64 * 1024);
    for (name, family) in gathered.families() {
        write_family(&mut out, name, family, format);
    }
    if format == TextFormat::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn write_family(out: &mut String, name: &str, family: &Family, format: TextFormat) {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Summary => "summary",
    };
    // OpenMetrics names a counter's family without the suffix that its line has.
    let family_name = match format {
        TextFormat::OpenMetrics if family.kind == Kind::Counter => {
            name.strip_suffix("_total").unwrap_or(name)
        }
        _ => name,
    };
    let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {family_name} {help}\n# TYPE {family_name} {kind}");
    for line in family.lines() {
        out.push_str(name);
        out.push_str(line.suffix);
        let mut open = false;
        let labels = line.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let bound = line.bound.iter().map(|(name, value)| (*name, value.as_str()));
        for (label, value) in labels.filter(|(name, _)| *name != METRIC_NAME).chain(bound) {
            out.push(if open { ',' } else { '{' });
            open = true;
            let _ = write!(out, "{label}=\"");
            for c in value.chars() {
                match c {
                    '\\' => out.push_str("\\\\"),
                    '"' => out.push_str("\\\""),
                    '\n' => out.push_str("\\n"),
                    c => out.push(c),
                }
            }
            out.push('"');
        }
        if open {
            out.push('}');
        }
        out.push(' ');
        push_float(out, line.value);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Histogram;

    #[test]
    fn both_formats() {
        let mut g = Gather::default();
        g.counter("a_total", "Help \\ with\nbreak.", &[("l", "q\"\\\n")], 3.0);
        let h = Histogram::new(&[0.1]);
        h.observe(1.0);
        g.histogram("h_seconds", "H.", &[], &h);
        g.gauge("g", "G.", &[], f64::NAN);
        let text = write(&g, TextFormat::Prometheus);
        assert_eq!(
            text,
            "# HELP a_total Help \\\\ with\\nbreak.\n# TYPE a_total counter\na_total{l=\"q\\\"\\\\\\n\"} 3\n\
             # HELP g G.\n# TYPE g gauge\ng NaN\n\
             # HELP h_seconds H.\n# TYPE h_seconds histogram\nh_seconds_bucket{le=\"0.1\"} 0\n\
             h_seconds_bucket{le=\"+Inf\"} 1\nh_seconds_sum 1\nh_seconds_count 1\n"
        );
        let open_metrics = write(&g, TextFormat::OpenMetrics);
        assert!(open_metrics.contains("# TYPE a counter\na_total{"));
        assert!(open_metrics.ends_with("# EOF\n"));
    }

    #[test]
    fn negotiation() {
        let text = Format::Text(TextFormat::Prometheus);
        let open_metrics = Format::Text(TextFormat::OpenMetrics);
        let proto =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (accept, want) in [
            (String::new(), text),
            ("*/*".into(), text),
            (
                "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3".into(),
                open_metrics,
            ),
            ("application/openmetrics-text;q=0.2, text/plain;q=0.9".into(), text),
            ("application/json".into(), text),
            (proto.into(), Format::Protobuf),
            (format!("{proto};q=0.6,text/plain;q=0.7"), text),
            (format!("text/plain;q=0.5, {proto};q=0.6"), Format::Protobuf),
            (proto.replace("delimited", "text"), text),
            ("application/vnd.google.protobuf".into(), text),
        ] {
            assert_eq!(Negotiated::of(&accept).format, want, "{accept}");
        }
        assert!(
            Negotiated::of(&format!("{proto};escaping=allow-utf-8;q=0.6"))
                .content_type()
                .ends_with("encoding=delimited; escaping=allow-utf-8")
        );
        assert!(Negotiated::of("text/plain;escaping=x").content_type().ends_with("; escaping=underscores"));
    }
}
