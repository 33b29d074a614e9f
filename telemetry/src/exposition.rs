//! Writes gathered families in the text formats: Prometheus 0.0.4 and OpenMetrics 1.0.0.

use std::fmt::Write;

use model::api_float::push_float;
use model::labels::METRIC_NAME;

use super::registry::{Family, Gather, Kind};

/// A text format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The better of the formats that an Accept header allows; text when it says nothing of either.
    pub fn negotiate(accept: &str) -> Self {
        let mut best = (Self::Text, 0.0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next() {
                Some("application/openmetrics-text") => Self::OpenMetrics,
                Some("text/plain" | "*/*" | "text/*") => Self::Text,
                _ => continue,
            };
            let q = parts.find_map(|p| p.strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0);
            if q > best.1 {
                best = (format, q);
            }
        }
        best.0
    }

    /// The Content-Type of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            Self::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
        }
    }
}

/// Writes all families.
pub fn write(gathered: &Gather, format: Format) -> String {
    let mut out = String::with_capacity(64 * 1024);
    for (name, family) in gathered.families() {
        write_family(&mut out, name, family, format);
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn write_family(out: &mut String, name: &str, family: &Family, format: Format) {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Summary => "summary",
    };
    // OpenMetrics names a counter's family without the suffix that its line has.
    let family_name = match format {
        Format::OpenMetrics if family.kind == Kind::Counter => name.strip_suffix("_total").unwrap_or(name),
        _ => name,
    };
    let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {family_name} {help}\n# TYPE {family_name} {kind}");
    for line in &family.lines {
        out.push_str(name);
        out.push_str(line.suffix);
        let mut open = false;
        for (label, value) in line.labels.iter().filter(|(label, _)| label != METRIC_NAME) {
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
        let text = write(&g, Format::Text);
        assert_eq!(
            text,
            "# HELP a_total Help \\\\ with\\nbreak.\n# TYPE a_total counter\na_total{l=\"q\\\"\\\\\\n\"} 3\n\
             # HELP g G.\n# TYPE g gauge\ng NaN\n\
             # HELP h_seconds H.\n# TYPE h_seconds histogram\nh_seconds_bucket{le=\"0.1\"} 0\n\
             h_seconds_bucket{le=\"+Inf\"} 1\nh_seconds_sum 1\nh_seconds_count 1\n"
        );
        let open_metrics = write(&g, Format::OpenMetrics);
        assert!(open_metrics.contains("# TYPE a counter\na_total{"));
        assert!(open_metrics.ends_with("# EOF\n"));
    }

    #[test]
    fn negotiation() {
        for (accept, want) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            (
                "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text;q=0.2, text/plain;q=0.9", Format::Text),
            ("application/json", Format::Text),
        ] {
            assert_eq!(Format::negotiate(accept), want, "{accept}");
        }
    }
}
