//! Lower resolution: buckets of a finer schema merged into those of a coarser one.

use super::bounds::index_in;
use super::cells::{Count, Side, cells, from_deltas, to_deltas};
use super::validate::{HistogramError, check_spans};
use super::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span};

/// Merges a side into a coarser schema.
pub(super) fn reduce<B: Count>(spans: &[Span], buckets: &[B], from: i32, to: i32) -> Side<B> {
    let merged = cells(spans, buckets).map(|(index, count)| (index_in(index, from, to), count));
    Side::collect(merged, buckets.len())
}

fn check_target(from: i32, to: i32) -> Result<(), HistogramError> {
    if from == CUSTOM_BUCKETS_SCHEMA || to == CUSTOM_BUCKETS_SCHEMA || to >= from {
        return Err(HistogramError::CannotReduce { from, to });
    }
    Ok(())
}

impl<B: Count> super::HistogramOf<B, B> {
    /// Reduces without looking for contradictions.
    pub(super) fn reduce_to(&mut self, schema: i32) {
        reduce(&self.positive_spans, &self.positive_buckets, self.schema, schema)
            .store(&mut self.positive_spans, &mut self.positive_buckets);
        reduce(&self.negative_spans, &self.negative_buckets, self.schema, schema)
            .store(&mut self.negative_spans, &mut self.negative_buckets);
        self.schema = schema;
    }
}

impl FloatHistogram {
    /// Merges buckets into those of a coarser exponential schema. Errors when the schema is not coarser, either is
    /// the custom one, or spans and buckets contradict each other; then nothing changed.
    pub fn reduce_resolution(&mut self, schema: i32) -> Result<(), HistogramError> {
        check_target(self.schema, schema)?;
        check_spans(&self.positive_spans, self.positive_buckets.len())?;
        check_spans(&self.negative_spans, self.negative_buckets.len())?;
        self.reduce_to(schema);
        Ok(())
    }

    /// A copy in a coarser exponential schema; its reset hint is unknown. A plain copy when the schema is the same,
    /// finer, or either is the custom one.
    pub fn copy_to_schema(&self, schema: i32) -> Self {
        if check_target(self.schema, schema).is_err() {
            return self.clone();
        }
        let positive = reduce(&self.positive_spans, &self.positive_buckets, self.schema, schema);
        let negative = reduce(&self.negative_spans, &self.negative_buckets, self.schema, schema);
        Self {
            schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive_spans: positive.spans,
            positive_buckets: positive.buckets,
            negative_spans: negative.spans,
            negative_buckets: negative.buckets,
            ..Self::default()
        }
    }
}

impl Histogram {
    /// As [`FloatHistogram::reduce_resolution`].
    pub fn reduce_resolution(&mut self, schema: i32) -> Result<(), HistogramError> {
        check_target(self.schema, schema)?;
        check_spans(&self.positive_spans, self.positive_buckets.len())?;
        check_spans(&self.negative_spans, self.negative_buckets.len())?;
        let from = self.schema;
        let side = |spans: &mut Vec<Span>, deltas: &mut Vec<i64>| {
            let reduced = reduce(spans, &from_deltas(deltas), from, schema);
            *spans = reduced.spans;
            *deltas = to_deltas(&reduced.buckets);
        };
        side(&mut self.positive_spans, &mut self.positive_buckets);
        side(&mut self.negative_spans, &mut self.negative_buckets);
        self.schema = schema;
        Ok(())
    }
}
