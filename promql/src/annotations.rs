//! PromQL's warnings and infos, with Prometheus's words. Source: Prometheus `util/annotations`.

use std::any::Any;
use std::fmt::{self, Write as _};

use model::go_float::FloatG;
use model::labels::Quoted;
use query::Pos;
use query::annotations::{Annotations, Detail, Severity};

use crate::eval::go_format::{format_g2, format_rfc3339};

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

/// What PromQL tells the user beside a result.
pub(crate) trait Annotate {
    fn invalid_quantile(&mut self, q: f64, pos: Pos);
    fn invalid_ratio(&mut self, r: f64, to: f64, pos: Pos);
    fn bad_bucket_label(&mut self, metric: &str, label: &str, pos: Pos);
    fn mixed_floats_histograms(&mut self, metric: &str, pos: Pos);
    fn mixed_floats_histograms_aggregation(&mut self, pos: Pos);
    fn mixed_classic_native(&mut self, metric: &str, pos: Pos);
    fn histogram_not_counter(&mut self, metric: &str, pos: Pos);
    fn histogram_not_gauge(&mut self, metric: &str, pos: Pos);
    fn mixed_exponential_custom(&mut self, metric: &str, pos: Pos);
    fn incompatible_bucket_layout(&mut self, operator: &str, pos: Pos);
    fn sort_in_range_query(&mut self, pos: Pos);
    fn counter_reset_collision(&mut self, op: HistogramOp, pos: Pos);
    fn start_time_overlap(&mut self, metric: &str, pos: Pos);
    fn possible_non_counter(&mut self, metric: &str, pos: Pos);
    fn possible_non_counter_label(&mut self, metric: &str, type_label: &str, pos: Pos);
    fn incompatible_types(&mut self, left: &str, operator: &str, right: &str, pos: Pos);
    fn histogram_ignored_in_aggregation(&mut self, aggregation: &str, pos: Pos);
    fn histogram_ignored_in_mixed_range(&mut self, metric: &str, pos: Pos);
    fn quantile_nan_result(&mut self, metric: &str, pos: Pos);
    fn quantile_nan_skew(&mut self, metric: &str, pos: Pos);
    fn fraction_nans(&mut self, metric: &str, pos: Pos);
    fn mismatched_custom_buckets(&mut self, op: HistogramOp, pos: Pos);
    /// One point of a classic histogram whose bucket counts had to be made monotonic.
    fn forced_monotonicity(&mut self, metric: &str, pos: Pos, t: i64, fix: &MonotonicityFix);
}

impl Annotate for Annotations {
    fn invalid_quantile(&mut self, q: f64, pos: Pos) {
        warn(self, format!("quantile value should be between 0 and 1, got {}", FloatG(q)), pos);
    }

    fn invalid_ratio(&mut self, r: f64, to: f64, pos: Pos) {
        let (r, to) = (FloatG(r), FloatG(to));
        warn(self, format!("ratio value should be between -1 and 1, got {r}, capping to {to}"), pos);
    }

    fn bad_bucket_label(&mut self, metric: &str, label: &str, pos: Pos) {
        let text = format!("bucket label \"le\" is missing or has a malformed value of {}", Quoted(label));
        warn(self, with_metric(text, metric), pos);
    }

    fn mixed_floats_histograms(&mut self, metric: &str, pos: Pos) {
        let metric = Quoted(metric);
        warn(self, format!("encountered a mix of histograms and floats for metric name {metric}"), pos);
    }

    fn mixed_floats_histograms_aggregation(&mut self, pos: Pos) {
        warn(self, "encountered a mix of histograms and floats for aggregation".to_owned(), pos);
    }

    fn mixed_classic_native(&mut self, metric: &str, pos: Pos) {
        let text = "vector contains a mix of classic and native histograms".to_owned();
        warn(self, with_metric(text, metric), pos);
    }

    fn histogram_not_counter(&mut self, metric: &str, pos: Pos) {
        warn(self, format!("this native histogram metric is not a counter: {}", Quoted(metric)), pos);
    }

    fn histogram_not_gauge(&mut self, metric: &str, pos: Pos) {
        warn(self, format!("this native histogram metric is not a gauge: {}", Quoted(metric)), pos);
    }

    fn mixed_exponential_custom(&mut self, metric: &str, pos: Pos) {
        let text = format!(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
            Quoted(metric)
        );
        warn(self, text, pos);
    }

    fn incompatible_bucket_layout(&mut self, operator: &str, pos: Pos) {
        warn(self, format!("incompatible bucket layout encountered for binary operator {operator}"), pos);
    }

    fn sort_in_range_query(&mut self, pos: Pos) {
        let text = "sort is ineffective for range queries since results are always ordered by labels";
        warn(self, text.to_owned(), pos);
    }

    fn counter_reset_collision(&mut self, op: HistogramOp, pos: Pos) {
        warn(self, format!("conflicting counter resets during histogram {}", op.as_str()), pos);
    }

    fn start_time_overlap(&mut self, metric: &str, pos: Pos) {
        let text = format!(
            "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric {}",
            Quoted(metric)
        );
        self.add_detailed(Severity::Warning, text, pos, Overlap { count: 1 });
    }

    fn possible_non_counter(&mut self, metric: &str, pos: Pos) {
        let text = format!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
            Quoted(metric)
        );
        info(self, text, pos);
    }

    fn possible_non_counter_label(&mut self, metric: &str, type_label: &str, pos: Pos) {
        let text = format!(
            "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
            Quoted(type_label),
            Quoted(metric)
        );
        info(self, text, pos);
    }

    fn incompatible_types(&mut self, left: &str, operator: &str, right: &str, pos: Pos) {
        let text = format!(
            "incompatible sample types encountered for binary operator {}: {left} {operator} {right}",
            Quoted(operator)
        );
        info(self, text, pos);
    }

    fn histogram_ignored_in_aggregation(&mut self, aggregation: &str, pos: Pos) {
        info(self, format!("ignored histogram in {aggregation} aggregation"), pos);
    }

    fn histogram_ignored_in_mixed_range(&mut self, metric: &str, pos: Pos) {
        let text = format!(
            "ignored histograms in a range containing both floats and histograms for metric name {}",
            Quoted(metric)
        );
        info(self, text, pos);
    }

    fn quantile_nan_result(&mut self, metric: &str, pos: Pos) {
        let text = "input to histogram_quantile has NaN observations, result is NaN".to_owned();
        info(self, with_metric(text, metric), pos);
    }

    fn quantile_nan_skew(&mut self, metric: &str, pos: Pos) {
        let text = "input to histogram_quantile has NaN observations, result is skewed higher".to_owned();
        info(self, with_metric(text, metric), pos);
    }

    fn fraction_nans(&mut self, metric: &str, pos: Pos) {
        let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        info(self, with_metric(text.to_owned(), metric), pos);
    }

    fn mismatched_custom_buckets(&mut self, op: HistogramOp, pos: Pos) {
        info(self, format!("mismatched custom buckets were reconciled during {}", op.as_str()), pos);
    }

    fn forced_monotonicity(&mut self, metric: &str, pos: Pos, t: i64, fix: &MonotonicityFix) {
        let text = "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        let detail = Monotonicity {
            min_t: t,
            max_t: t,
            min_bucket: fix.min_bucket,
            max_bucket: fix.max_bucket,
            max_diff: fix.max_diff,
            more: 0,
        };
        self.add_detailed(Severity::Info, with_metric(text.to_owned(), metric), pos, detail);
    }
}

fn warn(annotations: &mut Annotations, text: String, pos: Pos) {
    annotations.add(Severity::Warning, format!("PromQL warning: {text}"), pos);
}

fn info(annotations: &mut Annotations, text: String, pos: Pos) {
    annotations.add(Severity::Info, format!("PromQL info: {text}"), pos);
}

fn with_metric(mut text: String, metric: &str) -> String {
    if !metric.is_empty() {
        let _ = write!(text, " for metric name {}", Quoted(metric));
    }
    text
}

/// Where, and how far, bucket counts had to be raised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MonotonicityFix {
    pub(crate) min_bucket: f64,
    pub(crate) max_bucket: f64,
    pub(crate) max_diff: f64,
}

/// Buckets of classic histograms that had to be made monotonic.
#[derive(Clone, Debug)]
struct Monotonicity {
    min_t: i64,
    max_t: i64,
    min_bucket: f64,
    max_bucket: f64,
    max_diff: f64,
    more: usize,
}

impl fmt::Display for Monotonicity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            FloatG(self.min_bucket),
            FloatG(self.max_bucket),
            format_g2(self.max_diff),
            self.more + 1,
            format_rfc3339(self.min_t),
            format_rfc3339(self.max_t)
        )
    }
}

impl Detail for Monotonicity {
    fn absorb(&mut self, earlier: &dyn Any) {
        let Some(earlier) = earlier.downcast_ref::<Self>() else { return };
        self.min_t = self.min_t.min(earlier.min_t);
        self.max_t = self.max_t.max(earlier.max_t);
        self.min_bucket = self.min_bucket.min(earlier.min_bucket);
        self.max_bucket = self.max_bucket.max(earlier.max_bucket);
        self.max_diff = self.max_diff.max(earlier.max_diff);
        self.more += earlier.more + 1;
    }

    fn boxed(&self) -> Box<dyn Detail> {
        Box::new(self.clone())
    }
}

/// Samples whose start time lies before the previous sample.
#[derive(Clone, Debug)]
struct Overlap {
    count: usize,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => Ok(()),
            count => write!(f, " ({count} occurrences)"),
        }
    }
}

impl Detail for Overlap {
    fn absorb(&mut self, earlier: &dyn Any) {
        self.count += earlier.downcast_ref().map_or(0, |earlier: &Self| earlier.count);
    }

    fn boxed(&self) -> Box<dyn Detail> {
        Box::new(self.clone())
    }
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
