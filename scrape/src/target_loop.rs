//! The loop of one target: wait for its turn, fetch, store, report; and what happens when it ends.
//!
//! Loops run as tokio tasks. Storing blocks, so it happens on the blocking pool, of few at once. A loop that is told
//! to stop ends after the scrape that is running; its series then go to the loop that replaces it, or are marked stale
//! after a while. At shutdown loops end at once and mark nothing: the server comes back where it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use config::scrape::ScrapeJob;
use model::append::Appendable;
use model::go_duration::go_duration;
use model::time::Clock;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::append::{AppendOptions, TargetSeries};
use super::failure_log::FailureLog;
use super::fetch::{Body, BodyBuffers, FetchError, Fetcher};
use super::metrics::ScrapeMetrics;
use super::report::{Extra, Report};
use super::status::{Health, LastScrape, TargetStatus};
use super::target::Target;

/// What all loops share.
pub(super) struct LoopContext {
    pub store: Arc<dyn Appendable>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<ScrapeMetrics>,
    pub append: AppendOptions,
    /// Scrapes that are at most this early or late get the timestamp of their turn; `None`: timestamps are as they come.
    pub align_tolerance_ms: Option<i64>,
    /// How many bodies are stored at once.
    pub storing: Semaphore,
    pub body_buffers: Arc<BodyBuffers>,
    pub shutdown: CancellationToken,
}

/// A running loop.
pub(super) struct LoopHandle {
    /// What is scraped; replaced when only its discovered labels change.
    pub target: Arc<Target>,
    pub status: Arc<TargetStatus>,
    pub control: Arc<LoopControl>,
    task: JoinHandle<EndedLoop>,
}

/// How others reach into a running loop.
pub(super) struct LoopControl {
    stop: CancellationToken,
    /// Fails every scrape with this text.
    pub forced_error: Mutex<Option<String>>,
    pub failure_log: Mutex<Option<Arc<FailureLog>>>,
    no_end_marks: AtomicBool,
}

/// What a loop leaves behind.
pub(super) struct EndedLoop {
    series: TargetSeries,
    last: Option<Instant>,
    context: Arc<LoopContext>,
    control: Arc<LoopControl>,
}

/// What a loop starts from.
pub(super) enum LoopStart {
    /// A target that was not scraped yet.
    New,
    /// A loop whose series go on under changed settings.
    Continue(LoopHandle),
    /// A loop whose series are not those of the changed settings.
    Replace(LoopHandle),
}

impl LoopHandle {
    /// Starts a loop on the current runtime.
    pub fn start(
        context: Arc<LoopContext>,
        target: Arc<Target>,
        job: Arc<ScrapeJob>,
        fetcher: Fetcher,
        offset_seed: u64,
        from: LoopStart,
    ) -> Self {
        let control = Arc::new(LoopControl {
            stop: CancellationToken::new(),
            forced_error: Mutex::default(),
            failure_log: Mutex::default(),
            no_end_marks: AtomicBool::new(false),
        });
        let series = TargetSeries::new(target.clone(), job, context.append, context.metrics.clone());
        let (status, predecessor) = match from {
            LoopStart::New => (Arc::default(), None),
            LoopStart::Continue(old) => (old.status.clone(), Some((old, true))),
            LoopStart::Replace(old) => (old.status.clone(), Some((old, false))),
        };
        *status.metadata.lock() = series.cache.metadata().clone();
        let target_loop = TargetLoop {
            series,
            fetcher,
            offset_seed,
            last: None,
            context,
            status: status.clone(),
            control: control.clone(),
        };
        let task = tokio::spawn(target_loop.run(predecessor));
        Self { target, status, control, task }
    }

    /// Ends the loop after the running scrape, and marks its series stale two intervals later unless newer samples
    /// came.
    pub fn remove(self) {
        self.control.stop.cancel();
        tokio::spawn(async move {
            if let Ok(ended) = self.task.await {
                ended.mark_stale().await;
            }
        });
    }

    /// Ends the loop after the running scrape, and marks nothing. Gives the task, which ends then.
    pub fn abandon(self) -> impl Future<Output = ()> {
        self.control.no_end_marks.store(true, Ordering::Relaxed);
        self.control.stop.cancel();
        async move {
            // A loop that panicked has said so.
            let _ = self.task.await;
        }
    }

    /// Whether the target's series are to end without stale marks.
    pub fn disable_end_marks(&self) {
        self.control.no_end_marks.store(true, Ordering::Relaxed);
    }
}

impl EndedLoop {
    /// Waits until a target that came back would have been scraped, then marks what is left.
    async fn mark_stale(mut self) {
        let Some(last) = self.last else { return };
        let interval = Duration::from_millis(self.series.target.interval_ms.unsigned_abs());
        let wait = async {
            tokio::time::sleep_until(last + interval).await;
            let t = self.context.clock.now_ms();
            tokio::time::sleep_until(last + interval * 2 + interval / 10).await;
            t
        };
        let t = tokio::select! {
            t = wait => t,
            () = self.context.shutdown.cancelled() => return,
        };
        if self.control.no_end_marks.load(Ordering::Relaxed) {
            return;
        }
        let context = self.context.clone();
        let Ok(_permit) = context.storing.acquire().await else { return };
        let store = context.store.clone();
        let stored = tokio::task::spawn_blocking(move || self.series.store_end(&*store, t)).await;
        if let Err(error) = stored {
            tracing::error!(%error, "Marking a removed target's series stale failed");
        }
    }
}

struct TargetLoop {
    series: TargetSeries,
    fetcher: Fetcher,
    offset_seed: u64,
    /// When the last scrape started.
    last: Option<Instant>,
    context: Arc<LoopContext>,
    status: Arc<TargetStatus>,
    control: Arc<LoopControl>,
}

impl TargetLoop {
    async fn run(mut self, predecessor: Option<(LoopHandle, bool)>) -> EndedLoop {
        if let Some((old, same_series)) = predecessor {
            self.take_over(old, same_series).await;
        }
        let interval_ms = self.series.target.interval_ms;
        let interval = Duration::from_millis(interval_ms.unsigned_abs());
        let offset = self.series.target.offset_ms(self.context.clock.now_ms(), self.offset_seed);
        let first = Instant::now() + Duration::from_millis(offset.unsigned_abs());
        let mut ticker = tokio::time::interval_at(first, interval);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut aligned = None;
        loop {
            tokio::select! {
                biased;
                () = self.context.shutdown.cancelled() => break,
                () = self.control.stop.cancelled() => break,
                _ = ticker.tick() => {}
            }
            let now = self.context.clock.now_ms();
            let tolerance_ms = self.context.align_tolerance_ms.map(|ms| ms.min(interval_ms / 100));
            let t = align(aligned.unwrap_or(now), now, interval_ms, tolerance_ms);
            aligned = Some(t.next_from);
            self.scrape(t.timestamp).await;
        }
        EndedLoop { series: self.series, last: self.last, context: self.context, control: self.control }
    }

    /// Ends another loop first. Its series become ours, or are marked stale later where ours do not go on with them.
    async fn take_over(&mut self, old: LoopHandle, same_series: bool) {
        old.control.stop.cancel();
        let Ok(ended) = old.task.await else { return };
        if same_series {
            self.last = ended.last;
            self.series.cache = ended.series.cache;
            self.series.reports = ended.series.reports;
            *self.status.metadata.lock() = self.series.cache.metadata().clone();
        } else {
            tokio::spawn(ended.mark_stale());
        }
    }

    /// One scrape with timestamp `t`. At shutdown fetching is given up and leaves no trace; storing is finished.
    async fn scrape(&mut self, t: i64) {
        let start = Instant::now();
        if let Some(last) = self.last.replace(start) {
            let label = interval_label(self.series.target.interval_ms);
            let seconds = (start - last).as_secs_f64();
            self.context.metrics.interval_length.with(&[&label]).observe(seconds);
            self.context.metrics.interval_length_histogram.with(&[&label]).observe(seconds);
        }
        let forced = self.control.forced_error.lock().clone();
        let fetched = match forced {
            Some(error) => Err((error, 0.0)),
            None => {
                let shutdown = self.context.shutdown.clone();
                let fetched = tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    fetched = self.fetcher.fetch() => fetched,
                };
                fetched.map_err(|error| self.note_failed_fetch(&error))
            }
        };
        self.store(fetched, t, start).await;
    }

    /// Text and body size of a failed fetch.
    fn note_failed_fetch(&self, error: &FetchError) -> (String, f64) {
        let text = error.to_string();
        let job = &self.series.job.job_name;
        let url = &self.series.target.url;
        tracing::debug!(scrape_pool = %job, target_url = %url, error = %text, "Scrape failed");
        if let Some(log) = &*self.control.failure_log.lock() {
            log.write(self.context.clock.now_ms(), job, url, &text);
        }
        if error.is_too_large() {
            self.context.metrics.exceeded_body_size_limit.inc();
            return (text, -1.0);
        }
        (text, 0.0)
    }

    async fn store(&mut self, fetched: Result<Body, (String, f64)>, t: i64, start: Instant) {
        let Ok(_permit) = self.context.storing.acquire().await else { return };
        let (target, job) = (self.series.target.clone(), self.series.job.clone());
        let spare =
            TargetSeries::new(target.clone(), job.clone(), self.context.append, self.context.metrics.clone());
        let mut series = std::mem::replace(&mut self.series, spare);
        let (store, status) = (self.context.store.clone(), self.status.clone());
        let now_ms = self.context.clock.now_ms();
        let stored = tokio::task::spawn_blocking(move || {
            let (body, error, bytes) = match &fetched {
                Ok(body) => (Some((&*body.bytes, body.format)), None, body.bytes.len() as f64),
                Err((error, bytes)) => (None, Some(error.clone()), *bytes),
            };
            series.store(&*store, body, t, now_ms, |counts, failure| {
                let seconds = start.elapsed().as_secs_f64();
                let error = error.or_else(|| failure.map(ToString::to_string));
                let extra = job.extra_scrape_metrics.then(|| Extra {
                    timeout_seconds: target.timeout_ms as f64 / 1000.0,
                    sample_limit: job.limits.samples as f64,
                    body_bytes: bytes,
                });
                let report = Report::new(error.is_none(), seconds, counts, extra);
                *status.last.lock() = LastScrape {
                    health: if error.is_none() { Health::Up } else { Health::Down },
                    error: error.unwrap_or_default(),
                    start_ms: Some(t),
                    seconds,
                };
                report
            });
            series
        });
        match stored.await {
            Ok(series) => self.series = series,
            Err(error) => {
                // The cache went with it; the next scrape builds another.
                tracing::error!(target_url = %self.series.target.url, %error, "Storing a scrape ended abnormally; the target begins again with an empty cache");
                *self.status.metadata.lock() = self.series.cache.metadata().clone();
            }
        }
        if self.series.job.extra_scrape_metrics {
            self.context.metrics.scrape_duration.observe(start.elapsed().as_secs_f64());
        }
    }
}

#[derive(Debug, PartialEq)]
struct Aligned {
    timestamp: i64,
    next_from: i64,
}

/// The timestamp of a scrape that starts at `now` when turns are `interval` after `last`: the turn's own when the start
/// is at most `tolerance` early or late. When the clock was set back, turns count from now.
fn align(last: i64, now: i64, interval: i64, tolerance: Option<i64>) -> Aligned {
    let early = tolerance.unwrap_or(0);
    let passed = (now - last).saturating_add(early).max(-1) / interval.max(1);
    let turn = last + passed * interval;
    let late = now - turn;
    match tolerance {
        Some(tolerance) if late.abs() <= tolerance => Aligned { timestamp: turn, next_from: turn },
        _ => Aligned { timestamp: now, next_from: if late < 0 { now } else { turn } },
    }
}

/// The interval in labels of metrics: milliseconds as Go prints a duration.
pub(super) fn interval_label(ms: i64) -> String {
    go_duration(ms.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignment() {
        for (last, now, interval, tolerance, timestamp, next_from) in [
            (1000, 1000, 1000, Some(2), 1000, 1000),
            (1000, 2002, 1000, Some(2), 2000, 2000),
            (1000, 2003, 1000, Some(2), 2003, 2000),
            (1000, 5001, 1000, Some(2), 5000, 5000),
            (1000, 5001, 1000, None, 5001, 5000),
            (1000, 1999, 1000, Some(2), 2000, 2000),
            (1000, 1998, 1000, Some(2), 2000, 2000),
            (1000, 1997, 1000, Some(2), 1997, 1000),
            (1000, 1999, 1000, None, 1999, 1000),
            // The clock was set back, a little and a lot.
            (1000, 999, 1000, Some(2), 1000, 1000),
            (100_000, 5000, 1000, Some(2), 5000, 5000),
        ] {
            assert_eq!(
                align(last, now, interval, tolerance),
                Aligned { timestamp, next_from },
                "{last} {now}"
            );
        }
    }

    #[test]
    fn durations_as_go() {
        for (ms, want) in [
            (500, "500ms"),
            (15_000, "15s"),
            (1_500, "1.5s"),
            (60_000, "1m0s"),
            (90_000, "1m30s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(interval_label(ms), want);
        }
    }
}
