//! Warnings and infos that accompany a result, with Prometheus's words. Source: Prometheus `util/annotations`.
//!
//! Equal texts are kept once. The position in the query is added when they are shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::float::FloatG;
use model::labels::Quoted;

use crate::ast::Pos;
use crate::eval::number::{format_g2, format_rfc3339};

/// How serious an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The result may be wrong or incomplete.
    Warning,
    /// The query may not be what was meant.
    Info,
}

/// The operation that met histograms which do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistogramOp {
    Addition,
    Subtraction,
    Aggregation,
}

impl HistogramOp {
    fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

/// What there is to tell beyond the text, gathered from equal annotations.
#[derive(Clone, Debug, PartialEq)]
enum Detail {
    None,
    /// Buckets of classic histograms that had to be made monotonic.
    Monotonicity {
        min_t: i64,
        max_t: i64,
        min_bucket: f64,
        max_bucket: f64,
        max_diff: f64,
        more: usize,
    },
    /// Samples whose start time lies before the previous sample.
    Overlap {
        count: usize,
    },
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    severity: Severity,
    /// `None` for warnings of the store.
    pos: Option<Pos>,
    detail: Detail,
}

/// The annotations of one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotations {
    entries: BTreeMap<String, Entry>,
}

impl Annotations {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a warning of the store, in its own words.
    pub fn add_store_warning(&mut self, text: &str) {
        let entry = Entry { severity: Severity::Warning, pos: None, detail: Detail::None };
        self.entries.entry(text.to_owned()).or_insert(entry);
    }

    /// Takes over the annotations of a part of the query.
    pub fn merge(&mut self, other: Self) {
        if self.entries.is_empty() {
            self.entries = other.entries;
            return;
        }
        for (text, entry) in other.entries {
            self.insert(text, entry);
        }
    }

    /// The texts in a stable order, without positions.
    pub fn raw(&self) -> impl Iterator<Item = (Severity, &str)> {
        self.entries.iter().map(|(text, entry)| (entry.severity, text.as_str()))
    }

    /// Warnings and infos as shown to the user: with line and column, and at most so many of each (0 for all),
    /// followed by a line that counts the rest.
    pub fn strings(&self, query: &str, max_warnings: usize, max_infos: usize) -> (Vec<String>, Vec<String>) {
        let mut shown = [Vec::new(), Vec::new()];
        let mut omitted = [0usize; 2];
        for (text, entry) in &self.entries {
            let (at, max) = match entry.severity {
                Severity::Warning => (0, max_warnings),
                Severity::Info => (1, max_infos),
            };
            if max == 0 || shown[at].len() < max {
                shown[at].push(entry.show(text, query));
            } else {
                omitted[at] += 1;
            }
        }
        for (at, kind) in ["warning", "info"].into_iter().enumerate() {
            if omitted[at] > 0 {
                shown[at].push(format!("{} more {kind} annotations omitted", omitted[at]));
            }
        }
        let [warnings, infos] = shown;
        (warnings, infos)
    }

    fn insert(&mut self, text: String, mut entry: Entry) {
        match self.entries.entry(text) {
            std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(entry)),
            std::collections::btree_map::Entry::Occupied(mut place) => {
                entry.detail.absorb(&place.get().detail);
                if entry.detail != Detail::None {
                    entry.pos = place.get().pos;
                }
                place.insert(entry);
            }
        }
    }

    fn add(&mut self, severity: Severity, text: String, pos: Pos) {
        self.insert(text, Entry { severity, pos: Some(pos), detail: Detail::None });
    }

    fn warn(&mut self, text: String, pos: Pos) {
        self.add(Severity::Warning, format!("PromQL warning: {text}"), pos);
    }

    fn info(&mut self, text: String, pos: Pos) {
        self.add(Severity::Info, format!("PromQL info: {text}"), pos);
    }

    pub(crate) fn invalid_quantile(&mut self, q: f64, pos: Pos) {
        self.warn(format!("quantile value should be between 0 and 1, got {}", FloatG(q)), pos);
    }

    pub(crate) fn invalid_ratio(&mut self, r: f64, to: f64, pos: Pos) {
        let (r, to) = (FloatG(r), FloatG(to));
        self.warn(format!("ratio value should be between -1 and 1, got {r}, capping to {to}"), pos);
    }

    pub(crate) fn bad_bucket_label(&mut self, metric: &str, label: &str, pos: Pos) {
        let text = format!("bucket label \"le\" is missing or has a malformed value of {}", Quoted(label));
        self.warn(with_metric(text, metric), pos);
    }

    pub(crate) fn mixed_floats_histograms(&mut self, metric: &str, pos: Pos) {
        let metric = Quoted(metric);
        self.warn(format!("encountered a mix of histograms and floats for metric name {metric}"), pos);
    }

    pub(crate) fn mixed_floats_histograms_aggregation(&mut self, pos: Pos) {
        self.warn("encountered a mix of histograms and floats for aggregation".to_owned(), pos);
    }

    pub(crate) fn mixed_classic_native(&mut self, metric: &str, pos: Pos) {
        let text = "vector contains a mix of classic and native histograms".to_owned();
        self.warn(with_metric(text, metric), pos);
    }

    pub(crate) fn histogram_not_counter(&mut self, metric: &str, pos: Pos) {
        self.warn(format!("this native histogram metric is not a counter: {}", Quoted(metric)), pos);
    }

    pub(crate) fn histogram_not_gauge(&mut self, metric: &str, pos: Pos) {
        self.warn(format!("this native histogram metric is not a gauge: {}", Quoted(metric)), pos);
    }

    pub(crate) fn mixed_exponential_custom(&mut self, metric: &str, pos: Pos) {
        let text = format!(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
            Quoted(metric)
        );
        self.warn(text, pos);
    }

    pub(crate) fn incompatible_bucket_layout(&mut self, operator: &str, pos: Pos) {
        self.warn(format!("incompatible bucket layout encountered for binary operator {operator}"), pos);
    }

    pub(crate) fn sort_in_range_query(&mut self, pos: Pos) {
        let text = "sort is ineffective for range queries since results are always ordered by labels";
        self.warn(text.to_owned(), pos);
    }

    pub(crate) fn counter_reset_collision(&mut self, op: HistogramOp, pos: Pos) {
        self.warn(format!("conflicting counter resets during histogram {}", op.as_str()), pos);
    }

    pub(crate) fn start_time_overlap(&mut self, metric: &str, pos: Pos) {
        let text = format!(
            "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric {}",
            Quoted(metric)
        );
        let detail = Detail::Overlap { count: 1 };
        self.insert(text, Entry { severity: Severity::Warning, pos: Some(pos), detail });
    }

    pub(crate) fn possible_non_counter(&mut self, metric: &str, pos: Pos) {
        let text = format!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
            Quoted(metric)
        );
        self.info(text, pos);
    }

    pub(crate) fn possible_non_counter_label(&mut self, metric: &str, type_label: &str, pos: Pos) {
        let text = format!(
            "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
            Quoted(type_label),
            Quoted(metric)
        );
        self.info(text, pos);
    }

    pub(crate) fn incompatible_types(&mut self, left: &str, operator: &str, right: &str, pos: Pos) {
        let text = format!(
            "incompatible sample types encountered for binary operator {}: {left} {operator} {right}",
            Quoted(operator)
        );
        self.info(text, pos);
    }

    pub(crate) fn histogram_ignored_in_aggregation(&mut self, aggregation: &str, pos: Pos) {
        self.info(format!("ignored histogram in {aggregation} aggregation"), pos);
    }

    pub(crate) fn histogram_ignored_in_mixed_range(&mut self, metric: &str, pos: Pos) {
        let text = format!(
            "ignored histograms in a range containing both floats and histograms for metric name {}",
            Quoted(metric)
        );
        self.info(text, pos);
    }

    pub(crate) fn quantile_nan_result(&mut self, metric: &str, pos: Pos) {
        let text = "input to histogram_quantile has NaN observations, result is NaN".to_owned();
        self.info(with_metric(text, metric), pos);
    }

    pub(crate) fn quantile_nan_skew(&mut self, metric: &str, pos: Pos) {
        let text = "input to histogram_quantile has NaN observations, result is skewed higher".to_owned();
        self.info(with_metric(text, metric), pos);
    }

    pub(crate) fn fraction_nans(&mut self, metric: &str, pos: Pos) {
        let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        self.info(with_metric(text.to_owned(), metric), pos);
    }

    pub(crate) fn mismatched_custom_buckets(&mut self, op: HistogramOp, pos: Pos) {
        self.info(format!("mismatched custom buckets were reconciled during {}", op.as_str()), pos);
    }

    /// One point of a classic histogram whose bucket counts had to be made monotonic.
    pub(crate) fn forced_monotonicity(&mut self, metric: &str, pos: Pos, t: i64, fix: &MonotonicityFix) {
        let text = "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        let detail = Detail::Monotonicity {
            min_t: t,
            max_t: t,
            min_bucket: fix.min_bucket,
            max_bucket: fix.max_bucket,
            max_diff: fix.max_diff,
            more: 0,
        };
        let entry = Entry { severity: Severity::Info, pos: Some(pos), detail };
        self.insert(with_metric(text.to_owned(), metric), entry);
    }
}

/// Where, and how far, bucket counts had to be raised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MonotonicityFix {
    pub(crate) min_bucket: f64,
    pub(crate) max_bucket: f64,
    pub(crate) max_diff: f64,
}

impl Detail {
    fn absorb(&mut self, earlier: &Self) {
        match (self, earlier) {
            (
                Self::Monotonicity { min_t, max_t, min_bucket, max_bucket, max_diff, more },
                Self::Monotonicity {
                    min_t: t0,
                    max_t: t1,
                    min_bucket: b0,
                    max_bucket: b1,
                    max_diff: diff,
                    more: others,
                },
            ) => {
                *min_t = (*min_t).min(*t0);
                *max_t = (*max_t).max(*t1);
                *min_bucket = min_bucket.min(*b0);
                *max_bucket = max_bucket.max(*b1);
                *max_diff = max_diff.max(*diff);
                *more += others + 1;
            }
            (Self::Overlap { count }, Self::Overlap { count: others }) => *count += others,
            _ => {}
        }
    }
}

impl Entry {
    fn show(&self, text: &str, query: &str) -> String {
        let mut shown = text.to_owned();
        let Some(pos) = self.pos.filter(|_| !query.is_empty()) else {
            return shown;
        };
        // Writing to a String cannot fail.
        let _ = match &self.detail {
            Detail::None => Ok(()),
            Detail::Overlap { count: 1 } => Ok(()),
            Detail::Overlap { count } => write!(shown, " ({count} occurrences)"),
            Detail::Monotonicity { min_t, max_t, min_bucket, max_bucket, max_diff, more } => write!(
                shown,
                ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                FloatG(*min_bucket),
                FloatG(*max_bucket),
                format_g2(*max_diff),
                more + 1,
                format_rfc3339(*min_t),
                format_rfc3339(*max_t)
            ),
        };
        let _ = write!(shown, " ({})", line_column(query, pos));
        shown
    }
}

fn with_metric(mut text: String, metric: &str) -> String {
    if !metric.is_empty() {
        let _ = write!(text, " for metric name {}", Quoted(metric));
    }
    text
}

/// `line:column` of a position's start, both from 1, columns in bytes.
fn line_column(query: &str, pos: Pos) -> String {
    let Some(before) = query.as_bytes().get(..pos.start) else {
        return "invalid position".to_owned();
    };
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    let column = pos.start - before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1) + 1;
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: usize) -> Pos {
        Pos { start, end: start + 1 }
    }

    #[test]
    fn shown_with_position_and_bound() {
        let mut annotations = Annotations::default();
        annotations.possible_non_counter("up", at(5));
        annotations.possible_non_counter("up", at(7));
        annotations.invalid_quantile(1.5, at(3));
        annotations.add_store_warning("block quarantined");
        let (warnings, infos) = annotations.strings("rate(\nup[5m])", 0, 0);
        assert_eq!(
            warnings,
            ["PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:4)", "block quarantined"]
        );
        assert_eq!(
            infos,
            [
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"up\" (2:2)"
            ]
        );
        let (warnings, _) = annotations.strings("x", 1, 0);
        assert_eq!(warnings[1], "1 more warning annotations omitted");
    }

    #[test]
    fn equal_monotonicity_infos_are_summed_up() {
        let mut annotations = Annotations::default();
        for (t, diff) in [(60_000, 2.0), (0, 3.25)] {
            let fix = MonotonicityFix { min_bucket: 1.0, max_bucket: f64::INFINITY, max_diff: diff };
            annotations.forced_monotonicity("", at(0), t, &fix);
        }
        let (_, infos) = annotations.strings("q", 0, 0);
        assert!(
            infos[0].ends_with(
                ", from buckets 1 to +Inf, with a max diff of 3.2, over 2 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z (1:1)"
            ),
            "{}",
            infos[0]
        );
    }
}
