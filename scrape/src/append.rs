//! One scrape's body into the store. Blocking and free of tokio: the loop calls it off its threads.
//!
//! A [`TargetSeries`] is what a target's scrapes share: settings, cache, report series. Everything that one scrape
//! stores goes through one appender: all of a good body with its report, or of a bad one only stale marks and report.

use std::sync::{Arc, LazyLock};

use model::SampleValue;
use model::append::{AppendError, Appendable, Appender, HistogramSample, SeriesRef};
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN};
use model::labels::Labels;
use model::metadata::MetricType;
use model::sample::STALE_NAN;
use wire::exposition::{self, Entry, Format, ParseError, Parser, RawLabels, Series};

use super::cache::{CachedSeries, Lookup, ScrapeCache};
use super::metrics::ScrapeMetrics;
use super::report::{Report, ReportSeries};
use super::sample_labels::{SampleLabels, SampleLabelsError};
use super::start_synthesis::{Adjusted, StartSynthesis, is_cumulative};
use super::target::Target;
use config::scrape::ScrapeJob;

/// For a series that the store knows by its reference.
static NO_LABELS: LazyLock<Labels> = LazyLock::new(Labels::empty);
/// Samples further ahead of our clock are out of bounds.
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

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

/// The state of reading one body.
struct BodyAppender<'s> {
    t: i64,
    max_t: i64,
    max_schema: i32,
    job: &'s ScrapeJob,
    target: &'s Target,
    options: AppendOptions,
    metrics: &'s ScrapeMetrics,
    cache: &'s mut ScrapeCache,
    starts: &'s mut StartSynthesis,
    counts: &'s mut Counts,
    refused: RefusedCounts,
    /// The first limit that was exceeded; reading goes on to count.
    limit: Option<AppendFailure>,
    /// Samples offered to the store.
    appended: u64,
    /// The family of the last metadata line, kept only for a store that wants metadata.
    family: Option<Family>,
}

/// A metric family.
struct Family {
    name: String,
    kind: MetricType,
}

impl BodyAppender<'_> {
    fn entry(&mut self, appender: &mut dyn Appender, entry: Entry<'_>) -> Result<(), AppendFailure> {
        let scrape = self.cache.scrape();
        let metadata = self.cache.metadata();
        let family = match entry {
            Entry::Series(series) => return self.series(appender, series),
            Entry::Comment(_) => return Ok(()),
            Entry::Type { family, kind } => {
                metadata.set_kind(scrape, &family, kind);
                family
            }
            Entry::Help { family, text } => {
                metadata.set_help(scrape, &family, text);
                family
            }
            Entry::Unit { family, unit } => {
                metadata.set_unit(scrape, &family, unit);
                family
            }
        };
        if self.options.keeps_labels() {
            let kind = metadata.get(&family, scrape).map(|(metadata, _)| metadata.kind).unwrap_or_default();
            self.family = Some(Family { name: family.into_owned(), kind });
        }
        Ok(())
    }

    fn series(&mut self, appender: &mut dyn Appender, mut series: Series<'_>) -> Result<(), AppendFailure> {
        self.counts.scraped += 1;
        if !self.job.honor_timestamps {
            series.t = None;
        }
        let mut tracked = series.t.is_none() || self.job.track_timestamps_staleness;
        let scrape = self.cache.scrape();
        // Known series first, without leaving the look-up: this is where a server spends its time.
        match self.cache.look_up(series.key) {
            Lookup::Dropped => Ok(()),
            Lookup::Known(mut hit) => {
                let labels = hit.labels().cloned();
                let repeated = hit.repeated && series.t.is_none();
                let adjusted = if self.options.synthesize_start && !repeated {
                    let name = labels.as_ref().and_then(Labels::metric_name).unwrap_or_default();
                    let t = series.t.unwrap_or(self.t);
                    let family = self.family.as_ref();
                    let adjusted = synthesize(self.starts, family, name, scrape, t, &mut series);
                    tracked |= adjusted.is_some();
                    adjusted
                } else {
                    None
                };
                let offered = match repeated {
                    true => Err(Refusal::Store(AppendError::Duplicate)),
                    false if adjusted == Some(Adjusted::First) => Ok(hit.reference()),
                    false => {
                        let mut offer = OfferedSample {
                            t: series.t.unwrap_or(self.t),
                            max_t: self.max_t,
                            max_schema: self.max_schema,
                            job: self.job,
                            appended: &mut self.appended,
                        };
                        let labels = labels.as_ref().unwrap_or(&NO_LABELS);
                        offer.append(appender, Some(hit.reference()), labels, &series)
                    }
                };
                let reference = match offered {
                    Err(Refusal::Store(AppendError::UnknownSeries)) => {
                        self.appended -= 1;
                        return self.new_series(appender, series, tracked, adjusted);
                    }
                    Ok(reference) => {
                        hit.set_reference(reference);
                        if tracked {
                            hit.track();
                        }
                        Some(reference)
                    }
                    Err(refusal) => {
                        if self.options.synthesize_start {
                            self.starts.forget(series.key);
                        }
                        self.refuse(refusal)?;
                        None
                    }
                };
                self.counts.kept += 1;
                if let Some(reference) = reference {
                    self.exemplars(appender, reference, &series);
                    if let Some(labels) = labels.filter(|_| self.options.metadata) {
                        self.pass_metadata(appender, reference, &labels, false);
                    }
                }
                Ok(())
            }
            Lookup::Unknown => self.new_series(appender, series, tracked, None),
        }
    }

    fn new_series(
        &mut self,
        appender: &mut dyn Appender,
        mut series: Series<'_>,
        mut tracked: bool,
        adjusted: Option<Adjusted>,
    ) -> Result<(), AppendFailure> {
        let mut exposed = RawLabels::new();
        series.labels(self.options.type_and_unit_labels, &mut exposed)?;
        let how = SampleLabels {
            target: &self.target.public_labels,
            honor_labels: self.job.honor_labels,
            rules: &self.job.metric_relabel_configs,
            validation: self.job.name_validation,
            limits: &self.job.limits,
        };
        let labels = match how.apply(&exposed) {
            Ok(Some(labels)) => labels,
            Ok(None) => {
                self.cache.insert_dropped(series.key);
                return Ok(());
            }
            Err(error) => {
                if matches!(error, SampleLabelsError::Limit(_)) {
                    self.metrics.exceeded_label_limits.inc();
                }
                return Err(error.into());
            }
        };
        let mut is_added = true;
        if self.options.synthesize_start && adjusted.is_none() {
            let scrape = self.cache.scrape();
            let last_seen = self.starts.last_seen(series.key);
            is_added = last_seen.is_none();
            if last_seen == Some(scrape) && series.t.is_none() {
                self.counts.kept += 1;
                return self.refuse(Refusal::Store(AppendError::Duplicate));
            }
            let (name, t) = (labels.metric_name().unwrap_or_default(), series.t.unwrap_or(self.t));
            let adjusted = synthesize(self.starts, self.family.as_ref(), name, scrape, t, &mut series);
            tracked |= adjusted.is_some();
            if adjusted == Some(Adjusted::First) {
                self.counts.kept += 1;
                self.counts.series_added += usize::from(is_added && self.limit.is_none());
                return Ok(());
            }
        }
        let mut offer = OfferedSample {
            t: series.t.unwrap_or(self.t),
            max_t: self.max_t,
            max_schema: self.max_schema,
            job: self.job,
            appended: &mut self.appended,
        };
        match offer.append(appender, None, &labels, &series) {
            Ok(reference) => {
                self.exemplars(appender, reference, &series);
                if self.options.metadata {
                    self.pass_metadata(appender, reference, &labels, true);
                }
                let labels = self.options.keeps_labels().then_some(labels);
                self.cache.insert(series.key, CachedSeries { reference, labels }, tracked);
                self.counts.series_added += usize::from(is_added && self.limit.is_none());
            }
            Err(refusal) => {
                if self.options.synthesize_start {
                    self.starts.forget(series.key);
                }
                self.refuse(refusal)?;
            }
        }
        self.counts.kept += 1;
        Ok(())
    }

    /// Counts a refusal, or fails the scrape for one that more than time is wrong with.
    fn refuse(&mut self, refusal: Refusal) -> Result<(), AppendFailure> {
        match refusal {
            Refusal::SampleLimit => self.limit = Some(AppendFailure::SampleLimit),
            Refusal::BucketLimit => {
                self.limit.get_or_insert(AppendFailure::BucketLimit);
            }
            Refusal::Store(AppendError::OutOfOrder | AppendError::TooOld) => self.refused.out_of_order += 1,
            Refusal::Store(AppendError::Duplicate) => self.refused.duplicate += 1,
            Refusal::Store(AppendError::OutOfBounds) => self.refused.out_of_bounds += 1,
            Refusal::Store(error) => return Err(AppendFailure::Store(error)),
        }
        Ok(())
    }

    fn exemplars(&mut self, appender: &mut dyn Appender, reference: SeriesRef, series: &Series<'_>) {
        if !self.options.exemplars {
            return;
        }
        let is_histogram = matches!(series.value, SampleValue::Histogram(_));
        let mut exemplars: Vec<_> = series
            .exemplars
            .as_slice()
            .iter()
            .filter_map(|raw| raw.decode().ok())
            // Those of native histograms without timestamp cannot be told from repetitions.
            .filter(|exemplar| exemplar.t.is_some() || !is_histogram)
            .collect();
        for exemplar in &mut exemplars {
            exemplar.t.get_or_insert(series.t.unwrap_or(self.t));
        }
        exemplars.sort_by(|a, b| a.t.cmp(&b.t).then(a.v.total_cmp(&b.v)));
        let count = exemplars.len();
        let out_of_order = exemplars
            .into_iter()
            .filter(|exemplar| {
                let result = appender.append_exemplar(reference, exemplar.clone());
                result == Err(AppendError::ExemplarOutOfOrder)
            })
            .count();
        // With some accepted, the out-of-order ones are those of the scrape before, still exposed.
        if out_of_order == count {
            self.refused.exemplars += out_of_order;
        }
    }

    /// Passes the family's metadata on for a new series, or when it has changed.
    fn pass_metadata(&self, appender: &mut dyn Appender, reference: SeriesRef, labels: &Labels, new: bool) {
        let Some(Family { name: family, .. }) = &self.family else { return };
        let Some((metadata, changed)) = self.cache.metadata().get(family, self.cache.scrape()) else {
            return;
        };
        // Metadata lines are optional, so the last one need not be about this series.
        let belongs = is_of_family(labels.metric_name().unwrap_or_default(), family, metadata.kind);
        if !(belongs && (new || changed)) {
            return;
        }
        if let Err(error) = appender.set_metadata(reference, &metadata) {
            tracing::debug!(target_url = %self.target.url, %error, "Error when appending metadata");
        }
    }
}

/// Gives a series without start timestamp one, if it counts up: `None` when it has one itself or does not count.
fn synthesize(
    starts: &mut StartSynthesis,
    family: Option<&Family>,
    name: &str,
    scrape: u64,
    t: i64,
    series: &mut Series<'_>,
) -> Option<Adjusted> {
    if series.start_t != 0 {
        starts.forget(series.key);
        return None;
    }
    let counts_up = || {
        family.is_some_and(|Family { name: family, kind }| {
            is_of_family(name, family, *kind) && is_cumulative(*kind, name)
        })
    };
    let adjusted = starts.adjust(series.key, scrape, t, &mut series.value, counts_up);
    if let Adjusted::From(start_t) = adjusted {
        series.start_t = start_t;
    }
    (adjusted != Adjusted::From(0)).then_some(adjusted)
}

/// Why a sample is not stored.
enum Refusal {
    SampleLimit,
    BucketLimit,
    Store(AppendError),
}

/// One sample on its way to the store.
struct OfferedSample<'o> {
    t: i64,
    max_t: i64,
    max_schema: i32,
    job: &'o ScrapeJob,
    appended: &'o mut u64,
}

impl OfferedSample<'_> {
    fn append(
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
    fn fitted(&self, mut histogram: HistogramSample) -> Result<HistogramSample, Refusal> {
        let limit = self.job.native_histogram_bucket_limit;
        loop {
            let (schema, buckets) = match &histogram {
                HistogramSample::Integer(h) => {
                    (h.schema, h.positive_buckets.len() + h.negative_buckets.len())
                }
                HistogramSample::Float(h) => (h.schema, h.positive_buckets.len() + h.negative_buckets.len()),
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
                HistogramSample::Integer(h) => Arc::make_mut(h).reduce_resolution(coarser),
                HistogramSample::Float(h) => Arc::make_mut(h).reduce_resolution(coarser),
            }
            .map_err(|error| Refusal::Store(AppendError::InvalidHistogram(error.to_string())))?;
        }
    }
}

/// The finest schema whose buckets grow by at least `factor`.
fn max_schema(factor: f64) -> i32 {
    let factor = if factor <= 1.0 { 1.00271 } else { factor };
    let schema = (-factor.log2().log2()).floor();
    schema.clamp(f64::from(EXPONENTIAL_SCHEMA_MIN), f64::from(EXPONENTIAL_SCHEMA_MAX)) as i32
}

/// Whether a metric of this name is part of a family, suffixes considered. Source: Prometheus
/// `isSeriesPartOfFamily`.
fn is_of_family(name: &str, family: &str, kind: MetricType) -> bool {
    let suffixes: &[&str] = match kind {
        MetricType::Counter => &["_total"],
        MetricType::Histogram => &["_bucket", "_sum", "_count"],
        MetricType::GaugeHistogram => &["_bucket", "_gsum", "_gcount"],
        MetricType::Summary => &["_sum", "_count"],
        MetricType::Info => &["_info"],
        _ => &[],
    };
    let family = match kind {
        MetricType::Counter | MetricType::Info => family.strip_suffix(suffixes[0]).unwrap_or(family),
        _ => family,
    };
    let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    base == family
}
