//! Mechanisms that ask at every refresh interval: one loop for all of them.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::TargetGroup;
use super::error::RefreshError;
use super::manager::Updates;

/// What is asked at every refresh interval.
pub trait Mechanism: Send {
    /// All groups there are now. A group that is not among them any more is gone.
    fn refresh(&mut self) -> impl Future<Output = Result<Vec<TargetGroup>, RefreshError>> + Send;
}

/// Reports groups until it is dropped: at once, then at every interval. A failed refresh keeps the last good ones, is
/// counted and said in the log. `name` is the mechanism's in logs and figures.
pub async fn run(name: &'static str, interval: Duration, mut mechanism: impl Mechanism, updates: Updates) {
    updates.starts(name);
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let start = Instant::now();
        let found = mechanism.refresh().await;
        updates.refreshed(name, start.elapsed(), found.is_err());
        match found {
            Ok(groups) => updates.report(groups.into_iter().map(Arc::new).collect()),
            Err(error) => tracing::error!(
                component = "discovery",
                mechanism = name,
                config = updates.job(),
                err = %error,
                "Unable to refresh target groups"
            ),
        }
    }
}

/// An interval of the configuration.
pub fn interval(ms: i64) -> Duration {
    Duration::from_millis(ms.max(1).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metrics;

    /// Finds a group with its number, but for every other time.
    struct Moody(u32);

    impl Mechanism for Moody {
        async fn refresh(&mut self) -> Result<Vec<TargetGroup>, RefreshError> {
            self.0 += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
            if self.0.is_multiple_of(2) {
                let asked = "Get \"http://h/\"".to_owned();
                return Err(RefreshError::Answer { asked, reason: "nonsense".to_owned() });
            }
            Ok(vec![TargetGroup { source: self.0.to_string(), ..TargetGroup::default() }])
        }
    }

    #[tokio::test(start_paused = true)]
    async fn asks_at_once_and_at_every_interval_and_counts() {
        let metrics = Arc::new(Metrics::default());
        let updates = Updates::for_test("j", metrics.clone());
        let task = tokio::spawn(run("moody", Duration::from_secs(30), Moody(0), updates.twin()));
        let found = || updates.found().into_iter().map(|group| group.source).collect::<Vec<_>>();
        let counted = || metrics.refreshes("moody", "j");
        tokio::task::yield_now().await;
        assert_eq!((counted(), found()), ((0, 0, 0), vec![]));
        tokio::time::sleep(Duration::from_millis(11)).await;
        assert_eq!((counted(), found()), ((1, 1, 0), vec!["1".to_owned()]));
        // A failure keeps what was found, and took its time.
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!((counted(), found()), ((2, 2, 1), vec!["1".to_owned()]));
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!((counted(), found()), ((3, 3, 1), vec!["3".to_owned()]));
        task.abort();
    }
}
