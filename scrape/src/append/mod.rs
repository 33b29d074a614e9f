//! One scrape's body into the store. Blocking and free of tokio: the loop calls it off its threads.
//!
//! A [`TargetSeries`] is what a target's scrapes share: settings, cache, report series. Everything that one scrape
//! stores goes through one appender: all of a good body with its report, or of a bad one only stale marks and report.

mod body;
mod sample;

use std::sync::Arc;

use config::scrape::ScrapeJob;
use model::append::{AppendError, Appendable, Appender};
use model::sample::STALE_NAN;
use wire::exposition::{self, Entry, Format, ParseError, Parser};

use crate::cache::ScrapeCache;
use crate::metrics::ScrapeMetrics;
use crate::report::{Report, ReportSeries};
use crate::sample_labels::SampleLabelsError;
use crate::start_synthesis::StartSynthesis;
use crate::target::Target;
use body::{BodyAppender, NO_LABELS};
use sample::{MAX_AHEAD_MS, max_schema};

/// Why a scrape brought nothing; texts are Prometheus's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AppendFailure {
    /// Not an exposition.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Labels that cannot be stored.
    #[error(transparent)]
    Labels(#[from] SampleLabelsError),
    /// Text that gives no labels.
    #[error(transparent)]
    Text(#[from] exposition::LabelsError),
    /// `sample_limit`.
    #[error("sample limit exceeded")]
    SampleLimit,
    /// `native_histogram_bucket_limit`.
    #[error("histogram bucket limit exceeded")]
    BucketLimit,
    /// The store refuses a sample for a reason that is no matter of time.
    #[error(transparent)]
    Store(AppendError),
}

/// What was counted while a body was read, up to its end or its first error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples in the body.
    pub scraped: usize,
    /// Of which relabelling kept.
    pub kept: usize,
    /// Series that were not known before.
    pub series_added: usize,
}

/// Behaviour that is the same for all jobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct AppendOptions {
    /// Pass metadata to the store.
    pub metadata: bool,
    /// Pass exemplars to the store.
    pub exemplars: bool,
    /// Read start timestamps.
    pub start_timestamps: bool,
    /// Make start timestamps up for cumulative series that have none.
    pub synthesize_start: bool,
    /// Add `__type__` and `__unit__`.
    pub type_and_unit_labels: bool,
}

impl AppendOptions {
    /// Whether a known series' labels are needed.
    fn keeps_labels(&self) -> bool {
        self.metadata || self.synthesize_start
    }
}

/// The series of one target.
pub struct TargetSeries {
    pub(super) target: Arc<Target>,
    pub(super) job: Arc<ScrapeJob>,
    pub(super) options: AppendOptions,
    pub(super) metrics: Arc<ScrapeMetrics>,
    pub(super) cache: ScrapeCache,
    pub(super) starts: StartSynthesis,
    pub(super) reports: ReportSeries,
}

/// Refusals that do not fail a scrape.
#[derive(Default)]
struct RefusedCounts {
    out_of_order: usize,
    duplicate: usize,
    out_of_bounds: usize,
    exemplars: usize,
}

impl TargetSeries {
    /// A target that was not scraped yet.
    pub fn new(
        target: Arc<Target>,
        job: Arc<ScrapeJob>,
        options: AppendOptions,
        metrics: Arc<ScrapeMetrics>,
    ) -> Self {
        Self {
            target,
            job,
            options,
            metrics,
            cache: ScrapeCache::default(),
            starts: StartSynthesis::default(),
            reports: ReportSeries::default(),
        }
    }

    /// Stores a body with timestamp `t`, and what `report` says of it. A body that fails is replaced by stale marks;
    /// the failure comes back. `None` is the body of a scrape that failed before.
    pub fn store(
        &mut self,
        store: &dyn Appendable,
        body: Option<(&[u8], Format)>,
        t: i64,
        now_ms: i64,
        report: impl FnOnce(Counts, Option<&AppendFailure>) -> Report,
    ) -> (Counts, Option<AppendFailure>) {
        let mut appender = store.appender();
        let mut counts = Counts::default();
        let mut failure = None;
        match body {
            Some((body, format)) if !body.is_empty() => {
                match self.append_body(&mut *appender, body, format, t, now_ms, &mut counts) {
                    Ok(()) => self.end(true),
                    Err(error) => {
                        appender.rollback();
                        appender = store.appender();
                        failure = Some(error);
                        self.append_nothing(&mut *appender, t);
                    }
                }
            }
            _ => self.append_nothing(&mut *appender, t),
        }
        let report = report(counts, failure.as_ref());
        if let Err(error) = self.reports.append(&mut *appender, &report, &self.target.public_labels, t) {
            tracing::warn!(target_url = %self.target.url, %error, "Appending scrape report failed");
            appender.rollback();
            return (counts, failure);
        }
        if let Err(error) = appender.commit() {
            tracing::error!(target_url = %self.target.url, %error, "Scrape commit failed");
        }
        (counts, failure)
    }

    /// Marks everything stale at `t`: the target is no longer scraped. Does nothing where newer samples are.
    pub fn store_end(&mut self, store: &dyn Appendable, t: i64) {
        let mut appender = store.appender();
        self.append_nothing(&mut *appender, t);
        appender.reject_out_of_order(true);
        let stale = Report::stale(self.job.extra_scrape_metrics);
        if let Err(error) = self.reports.append(&mut *appender, &stale, &self.target.public_labels, t) {
            tracing::warn!(target_url = %self.target.url, %error, "Stale report failed");
        }
        if let Err(error) = appender.commit() {
            tracing::warn!(target_url = %self.target.url, %error, "Stale commit failed");
        }
    }

    /// What a scrape without samples does: every series of the one before is gone.
    fn append_nothing(&mut self, appender: &mut dyn Appender, t: i64) {
        self.cache.fail();
        if let Err(error) = self.mark_stale(appender, t) {
            tracing::warn!(target_url = %self.target.url, %error, "Append failed");
        }
        self.end(false);
    }

    fn end(&mut self, success: bool) {
        if success {
            self.starts.end(self.cache.scrape());
        }
        if self.cache.end(success) {
            self.metrics.cache_flush_forced.inc();
        }
    }

    fn mark_stale(&self, appender: &mut dyn Appender, t: i64) -> Result<(), AppendError> {
        let gone = self.cache.gone();
        if gone.is_empty() {
            return Ok(());
        }
        appender.reject_out_of_order(true);
        for series in gone {
            let labels = series.labels.as_ref().unwrap_or(&NO_LABELS);
            match appender.append(Some(series.reference), labels, t, STALE_NAN, 0) {
                // The first two are expected when a target goes away and comes back in a new loop; what the store
                // does not know any more needs no mark.
                Ok(_)
                | Err(AppendError::OutOfOrder | AppendError::Duplicate | AppendError::UnknownSeries) => {}
                Err(error) => return Err(error),
            }
        }
        appender.reject_out_of_order(false);
        Ok(())
    }

    fn append_body(
        &mut self,
        appender: &mut dyn Appender,
        body: &[u8],
        format: Format,
        t: i64,
        now_ms: i64,
        counts: &mut Counts,
    ) -> Result<(), AppendFailure> {
        let mut parser = Parser::new(body, format, &self.parser_options());
        self.cache.begin(format);
        let mut scrape = BodyAppender {
            max_t: now_ms.saturating_add(MAX_AHEAD_MS),
            max_schema: max_schema(self.job.native_histogram_min_bucket_factor),
            t,
            job: &self.job,
            target: &self.target,
            options: self.options,
            metrics: &self.metrics,
            cache: &mut self.cache,
            starts: &mut self.starts,
            counts,
            refused: RefusedCounts::default(),
            limit: None,
            appended: 0,
            family: None,
        };
        let result = loop {
            match parser.next_known(|rest| scrape.cache.expect(rest)) {
                None => break Ok(()),
                Some(Err(error)) => break Err(error.into()),
                Some(Ok(entry)) => {
                    if self.options.synthesize_start
                        && let Entry::Series(series) = &entry
                    {
                        appender.reject_out_of_order(series.start_t == 0);
                    }
                    if let Err(error) = scrape.entry(appender, entry) {
                        break Err(error);
                    }
                }
            }
        };
        let (refused, limit) = (scrape.refused, scrape.limit);
        self.note_refused(&refused);
        match &limit {
            Some(AppendFailure::SampleLimit) => self.metrics.exceeded_sample_limit.inc(),
            Some(AppendFailure::BucketLimit) => self.metrics.exceeded_bucket_limit.inc(),
            _ => {}
        }
        result?;
        match limit {
            Some(limit) => Err(limit),
            None => self.mark_stale(appender, t).map_err(AppendFailure::Store),
        }
    }

    fn parser_options(&self) -> exposition::Options {
        exposition::Options {
            start_timestamps: self.options.start_timestamps,
            native_histograms: self.target.native_histograms,
            always_classic: self.target.always_classic,
            convert_to_nhcb: self.target.convert_to_nhcb,
            type_and_unit: self.options.type_and_unit_labels,
        }
    }

    fn note_refused(&self, refused: &RefusedCounts) {
        let metrics = &self.metrics;
        for (count, counter, message) in [
            (refused.out_of_order, &metrics.sample_out_of_order, "Error on ingesting out-of-order samples"),
            (
                refused.duplicate,
                &metrics.sample_duplicate,
                "Error on ingesting samples with different value but same timestamp",
            ),
            (
                refused.out_of_bounds,
                &metrics.sample_out_of_bounds,
                "Error on ingesting samples that are too old or are too far into the future",
            ),
            (refused.exemplars, &metrics.exemplar_out_of_order, "Error on ingesting out-of-order exemplars"),
        ] {
            if count > 0 {
                counter.add(count as u64);
                tracing::warn!(
                    scrape_pool = %self.job.job_name,
                    target_url = %self.target.url,
                    num_dropped = count,
                    "{message}"
                );
            }
        }
    }
}
