//! What a group writes: the results of its rules, and the ends of series that are no more.

use std::collections::HashSet;

use model::Labels;
use model::append::{AppendError, Appender};
use model::sample::STALE_NAN;
use query::VectorSample;

use super::Group;

/// Series that the group wrote and may have to end.
#[derive(Default)]
pub(super) struct WrittenSeries {
    /// Those of each rule's last evaluation.
    pub(super) written: Vec<HashSet<Labels>>,
    /// Those of rules that are gone.
    pub(super) orphans: Vec<Labels>,
}

impl Group {
    /// An appender that refuses out-of-order samples: what a rule computes is no late observation.
    fn appender(&self) -> Box<dyn Appender + '_> {
        let mut appender = self.context.appendable.appender();
        appender.reject_out_of_order(true);
        appender
    }

    /// Appends a rule's result at `t` and ends the series that were there last time and are no more. The error is the
    /// last sample's that was refused, or the commit's.
    pub(super) fn write(&self, at: usize, samples: Vec<VectorSample>, t: i64) -> Result<(), String> {
        let mut appender = self.appender();
        let mut written = HashSet::with_capacity(samples.len());
        let mut refused = RefusedSamples::default();
        for sample in samples {
            match appender.append_value(None, &sample.labels, t, sample.value.into(), 0) {
                Ok(_) => drop(written.insert(sample.labels)),
                Err(error) => refused.note(&sample.labels, error),
            }
        }
        refused.log(&self.spec.name, &self.rules[at].spec.name);
        let mut series = self.written_series.lock();
        let gone = series.written[at].iter().filter(|labels| !written.contains(*labels));
        end_series(&mut *appender, gone, t);
        match appender.commit() {
            Ok(_) => {
                series.written[at] = written;
                refused.last.map_or(Ok(()), |error| Err(error.to_string()))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Marks series of rules that are gone as stale.
    pub(super) fn end_orphans(&self, t: i64) {
        let mut series = self.written_series.lock();
        if series.orphans.is_empty() {
            return;
        }
        let mut appender = self.appender();
        end_series(&mut *appender, series.orphans.iter(), t);
        match appender.commit() {
            Ok(_) => series.orphans.clear(),
            Err(error) => {
                tracing::warn!(group = self.spec.name, %error, "Stale sample appending for previous configuration failed");
            }
        }
    }

    /// Marks everything that the group wrote as stale; for a group that is gone.
    pub fn end_all(&self, t: i64) {
        {
            let mut series = self.written_series.lock();
            let WrittenSeries { written, orphans } = &mut *series;
            for written in written {
                orphans.extend(written.drain());
            }
        }
        self.end_orphans(t - self.query_offset());
    }
}

/// Appends staleness marks. A series that another rule has gone on writing refuses them, which is as well.
fn end_series<'a>(appender: &mut dyn Appender, series: impl Iterator<Item = &'a Labels>, t: i64) {
    for labels in series {
        match appender.append(None, labels, t, STALE_NAN, 0) {
            Ok(_) | Err(AppendError::OutOfOrder | AppendError::TooOld | AppendError::Duplicate) => {}
            Err(error) => tracing::warn!(sample = %labels, %error, "Adding stale sample failed"),
        }
    }
}

/// Samples that the store did not take.
#[derive(Default)]
struct RefusedSamples {
    out_of_order: usize,
    too_old: usize,
    duplicate: usize,
    last: Option<AppendError>,
}

impl RefusedSamples {
    fn note(&mut self, labels: &Labels, error: AppendError) {
        match error {
            AppendError::OutOfOrder => self.out_of_order += 1,
            AppendError::TooOld => self.too_old += 1,
            AppendError::Duplicate => self.duplicate += 1,
            _ => tracing::warn!(sample = %labels, %error, "Rule evaluation result discarded"),
        }
        self.last = Some(error);
    }

    fn log(&self, group: &str, rule: &str) {
        for (count, message) in [
            (self.out_of_order, "Error on ingesting out-of-order result from rule evaluation"),
            (self.too_old, "Error on ingesting too old result from rule evaluation"),
            (
                self.duplicate,
                "Error on ingesting results from rule evaluation with different value but same timestamp",
            ),
        ] {
            if count > 0 {
                tracing::warn!(group, name = rule, num_dropped = count, "{message}");
            }
        }
    }
}
