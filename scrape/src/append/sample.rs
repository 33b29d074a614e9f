//! One sample on its way to the store: bounds in time, the resolution of histograms, and what a refusal means.

use std::sync::Arc;

use config::scrape::ScrapeJob;
use model::append::{AppendError, Appender, SeriesRef};
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN};
use model::labels::Labels;
use model::{HistogramValue, SampleValue};
use wire::exposition::Series;

/// Samples further ahead of our clock are out of bounds.
pub(super) const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

/// Why a sample is not stored.
pub(super) enum Refusal {
    SampleLimit,
    BucketLimit,
    Store(AppendError),
}

/// One sample on its way to the store.
pub(super) struct OfferedSample<'o> {
    pub(super) t: i64,
    pub(super) max_t: i64,
    pub(super) max_schema: i32,
    pub(super) job: &'o ScrapeJob,
    pub(super) appended: &'o mut u64,
}

impl OfferedSample<'_> {
    pub(super) fn append(
        &mut self,
        appender: &mut dyn Appender,
        known: Option<SeriesRef>,
        labels: &Labels,
        series: &Series<'_>,
    ) -> Result<SeriesRef, Refusal> {
        *self.appended += 1;
        let limit = self.job.limits.samples;
        if limit > 0 && *self.appended > limit {
            return Err(Refusal::SampleLimit);
        }
        match &series.value {
            SampleValue::Float(v) => {
                if self.t > self.max_t {
                    return Err(Refusal::Store(AppendError::OutOfBounds));
                }
                appender.append(known, labels, self.t, *v, series.start_t).map_err(Refusal::Store)
            }
            SampleValue::Histogram(histogram) => {
                let histogram = self.fitted(histogram.clone())?;
                if self.t > self.max_t {
                    return Err(Refusal::Store(AppendError::OutOfBounds));
                }
                let result = appender.append_histogram(known, labels, self.t, histogram, series.start_t);
                result.map_err(Refusal::Store)
            }
        }
    }

    /// Lowers the resolution of a histogram until schema and number of buckets are allowed.
    fn fitted(&self, mut histogram: HistogramValue) -> Result<HistogramValue, Refusal> {
        let limit = self.job.native_histogram_bucket_limit;
        loop {
            let (schema, buckets) = match &histogram {
                HistogramValue::Integer(h) => (h.schema, histogram.bucket_count()),
                HistogramValue::Float(h) => (h.schema, histogram.bucket_count()),
            };
            let exponential = schema != CUSTOM_BUCKETS_SCHEMA;
            let coarser = if exponential && schema > self.max_schema {
                self.max_schema
            } else if limit == 0 || buckets as u64 <= limit {
                return Ok(histogram);
            } else if !exponential || schema <= EXPONENTIAL_SCHEMA_MIN {
                return Err(Refusal::BucketLimit);
            } else {
                schema - 1
            };
            match &mut histogram {
                HistogramValue::Integer(h) => Arc::make_mut(h).reduce_resolution(coarser),
                HistogramValue::Float(h) => Arc::make_mut(h).reduce_resolution(coarser),
            }
            .map_err(|error| Refusal::Store(AppendError::InvalidHistogram(error.to_string())))?;
        }
    }
}

/// The finest schema whose buckets grow by at least `factor`.
pub(super) fn max_schema(factor: f64) -> i32 {
    let factor = if factor <= 1.0 { 1.00271 } else { factor };
    let schema = (-factor.log2().log2()).floor();
    schema.clamp(f64::from(EXPONENTIAL_SCHEMA_MIN), f64::from(EXPONENTIAL_SCHEMA_MAX)) as i32
}
