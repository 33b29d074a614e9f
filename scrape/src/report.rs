//! The series about a scrape itself: `up` and its companions. Source: Prometheus `scrape.go` (`report`).

use model::append::{AppendError, Appender, SeriesRef};
use model::labels::Labels;
use model::sample::STALE_NAN;

use super::sample_labels::report_labels;

/// Names, in the order in which they are stored; the last three only with `extra_scrape_metrics`.
const NAMES: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];
const PLAIN: usize = 5;

/// The values of one scrape's report, in the order of their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    values: [f64; NAMES.len()],
    len: usize,
}

/// What a report with `extra_scrape_metrics` has besides.
#[derive(Clone, Copy, Debug)]
pub struct Extra {
    /// `scrape_timeout_seconds`
    pub timeout_seconds: f64,
    /// `scrape_sample_limit`, 0 for none.
    pub sample_limit: f64,
    /// `scrape_body_size_bytes`: -1 when the limit was exceeded, 0 after other failures.
    pub body_bytes: f64,
}

impl Report {
    /// The report of a scrape.
    pub fn new(up: bool, seconds: f64, counts: super::append::Counts, extra: Option<Extra>) -> Self {
        let mut values = [0.0; NAMES.len()];
        values[..PLAIN].copy_from_slice(&[
            f64::from(u8::from(up)),
            seconds,
            counts.scraped as f64,
            counts.kept as f64,
            counts.series_added as f64,
        ]);
        if let Some(extra) = extra {
            values[PLAIN..].copy_from_slice(&[extra.timeout_seconds, extra.sample_limit, extra.body_bytes]);
        }
        Self { values, len: if extra.is_some() { NAMES.len() } else { PLAIN } }
    }

    /// The end of all report series.
    pub fn stale(extra: bool) -> Self {
        Self { values: [STALE_NAN; NAMES.len()], len: if extra { NAMES.len() } else { PLAIN } }
    }
}

/// The report series of one target in the store.
#[derive(Debug, Default)]
pub struct ReportSeries {
    known: [Option<(SeriesRef, Labels)>; NAMES.len()],
}

impl ReportSeries {
    /// Stores a report. A sample that comes too late is left out: a target that goes and comes back in a new loop has
    /// such.
    pub fn append(
        &mut self,
        appender: &mut dyn Appender,
        report: &Report,
        target: &Labels,
        t: i64,
    ) -> Result<(), AppendError> {
        let series = self.known.iter_mut().zip(NAMES).zip(report.values).take(report.len);
        for ((known, name), v) in series {
            let (reference, labels) = match known {
                Some((reference, labels)) => (Some(*reference), labels.clone()),
                None => (None, report_labels(target, name)),
            };
            match appender.append(reference, &labels, t, v, 0) {
                Ok(reference) => *known = Some((reference, labels)),
                Err(AppendError::OutOfOrder | AppendError::Duplicate) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
