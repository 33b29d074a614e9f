//! What the head counts.

use telemetry::{Counter, Figure, Gather, Histogram, IntGauge, figures};

use super::series::Tail;

/// A count for each kind of sample.
#[derive(Debug, Default)]
pub struct ByType {
    /// Of floats.
    pub floats: Counter,
    /// Of native histograms.
    pub histograms: Counter,
}

impl ByType {
    /// That of one kind.
    pub fn of(&self, histogram: bool) -> &Counter {
        if histogram { &self.histograms } else { &self.floats }
    }
}

impl Figure for ByType {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        out.counter(name, help, &[("type", "float")], self.floats.get() as f64);
        out.counter(name, help, &[("type", "histogram")], self.histograms.get() as f64);
    }
}

/// Bounds of the buckets of `out_of_order_by`, in seconds.
const OUT_OF_ORDER_BY: &[f64] = &[600.0, 1800.0, 3600.0, 7200.0, 10800.0, 21600.0, 43200.0];

figures! {
    /// What is counted of appends and queries. An interim head and the one that takes over from it count together.
    pub struct TrafficFigures {
        pub appended: ByType = "prometheus_tsdb_head_samples_appended_total", "Total number of appended samples.";
        pub out_of_order_appended: ByType = "prometheus_tsdb_head_out_of_order_samples_appended_total",
            "Total number of appended out of order samples.";
        pub out_of_order: ByType = "prometheus_tsdb_out_of_order_samples_total",
            "Total number of out of order samples ingestion failed attempts due to out of order being disabled.";
        pub too_old: ByType = "prometheus_tsdb_too_old_samples_total",
            "Total number of out of order samples ingestion failed attempts with out of support enabled, but sample \
             outside of time window.";
        pub out_of_bounds: ByType = "prometheus_tsdb_out_of_bound_samples_total",
            "Total number of out of bound samples ingestion failed attempts with out of order support disabled.";
        pub out_of_order_by: Histogram { Histogram::new(OUT_OF_ORDER_BY) } = "prometheus_tsdb_sample_ooo_delta",
            "Delta in seconds by which a sample is considered out of order (reported regardless of OOO time window and \
             whether sample is accepted or not).";
        pub series_not_found: Counter = "prometheus_tsdb_head_series_not_found_total",
            "Total number of requests for series that were not found.";
        pub active_appenders: IntGauge = "prometheus_tsdb_head_active_appenders",
            "Number of currently active appender transactions.";
        pub appenders_created: Counter = "prometheus_tsdb_head_appenders_created_total",
            "Total number of appender transactions created.";
    }
}

figures! {
    /// What is counted of series and chunks.
    pub struct SeriesFigures {
        pub series: IntGauge = "prometheus_tsdb_head_series", "Total number of series in the head block.";
        pub stale_series: IntGauge = "prometheus_tsdb_head_stale_series",
            "Total number of stale series in the head block.";
        pub histogram_series: IntGauge = "prometheus_tsdb_head_native_histogram_series",
            "Series in the head block whose newest sample is a native histogram.";
        pub histogram_buckets: IntGauge = "prometheus_tsdb_head_native_histogram_buckets",
            "Buckets of the newest native histograms in the head block.";
        /// Open and mapped.
        pub chunks: IntGauge = "prometheus_tsdb_head_chunks", "Total number of chunks in the head block.";
        pub series_created: Counter = "prometheus_tsdb_head_series_created_total",
            "Total number of series created in the head.";
        pub series_removed: Counter = "prometheus_tsdb_head_series_removed_total",
            "Total number of series removed in the head.";
        pub chunks_created: Counter = "prometheus_tsdb_head_chunks_created_total",
            "Total number of chunks created in the head.";
        pub chunks_removed: Counter = "prometheus_tsdb_head_chunks_removed_total",
            "Total number of chunks removed in the head.";
        pub chunk_corruptions: Counter = "prometheus_tsdb_mmap_chunk_corruptions_total",
            "Total number of memory-mapped chunk corruptions.";
    }
}

impl SeriesFigures {
    /// Notes a series that came.
    pub(crate) fn series_added(&self) {
        self.series.add(1);
        self.series_created.inc();
    }

    /// Notes series that went.
    pub(crate) fn series_dropped(&self, n: u64) {
        self.series.add(-(n as i64));
        self.series_removed.add(n);
    }

    /// Notes how the end of a series changed.
    pub(crate) fn tail_changed(&self, before: Tail, after: Tail) {
        if before == after {
            return;
        }
        let step = |gauge: &IntGauge, change: i64| {
            if change != 0 {
                gauge.add(change);
            }
        };
        step(&self.stale_series, i64::from(after.stale) - i64::from(before.stale));
        step(
            &self.histogram_series,
            i64::from(after.buckets.is_some()) - i64::from(before.buckets.is_some()),
        );
        step(&self.histogram_buckets, after.buckets.unwrap_or(0) as i64 - before.buckets.unwrap_or(0) as i64);
    }

    /// Notes chunks that came.
    pub(crate) fn chunks_added(&self, n: u64) {
        if n > 0 {
            self.chunks.add(n as i64);
            self.chunks_created.add(n);
        }
    }

    /// Notes chunks that went.
    pub(crate) fn chunks_dropped(&self, n: u64) {
        if n > 0 {
            self.chunks.add(-(n as i64));
            self.chunks_removed.add(n);
        }
    }
}
