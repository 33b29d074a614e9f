//! One body: each of its series to the store, known ones by the cache, others by their labels.

use std::sync::LazyLock;

use config::scrape::ScrapeJob;
use model::SampleValue;
use model::append::{AppendError, Appender, SeriesRef};
use model::labels::Labels;
use model::metadata::MetricType;
use wire::exposition::{Entry, RawLabels, Series};

use super::sample::{OfferedSample, Refusal};
use super::{AppendFailure, AppendOptions, Counts, RefusedCounts};
use crate::cache::{CachedSeries, Lookup, ScrapeCache};
use crate::metrics::ScrapeMetrics;
use crate::sample_labels::{SampleLabels, SampleLabelsError};
use crate::start_synthesis::{Adjusted, StartSynthesis, is_cumulative};
use crate::target::Target;

/// For a series that the store knows by its reference.
pub(super) static NO_LABELS: LazyLock<Labels> = LazyLock::new(Labels::empty);

/// The state of reading one body.
pub(super) struct BodyAppender<'s> {
    pub(super) t: i64,
    pub(super) max_t: i64,
    pub(super) max_schema: i32,
    pub(super) job: &'s ScrapeJob,
    pub(super) target: &'s Target,
    pub(super) options: AppendOptions,
    pub(super) metrics: &'s ScrapeMetrics,
    pub(super) cache: &'s mut ScrapeCache,
    pub(super) starts: &'s mut StartSynthesis,
    pub(super) counts: &'s mut Counts,
    pub(super) refused: RefusedCounts,
    /// The first limit that was exceeded; reading goes on to count.
    pub(super) limit: Option<AppendFailure>,
    /// Samples offered to the store.
    pub(super) appended: u64,
    /// The family of the last metadata line, kept only for a store that wants metadata.
    pub(super) family: Option<Family>,
}

/// A metric family.
pub(super) struct Family {
    name: String,
    kind: MetricType,
}

impl BodyAppender<'_> {
    pub(super) fn entry(
        &mut self,
        appender: &mut dyn Appender,
        entry: Entry<'_>,
    ) -> Result<(), AppendFailure> {
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
            exemplar.sample_t = series.t.unwrap_or(self.t);
        }
        exemplars.sort_by(|a, b| a.time().cmp(&b.time()).then(a.v.total_cmp(&b.v)));
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
