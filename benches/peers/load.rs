//! Loads a recording, once into a data directory in Prometheus's format, once as lines that VictoriaMetrics imports.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::Labels;
use model::append::{Appendable, SeriesRef};
use model::time::Clock;
use storage::fs::RealDisk;
use storage::observer::Silent;
use storage::{Options, Storage};

use crate::recording::Scrapes;

/// Seconds between two scrapes.
pub const INTERVAL_S: i64 = 15;

/// How long the data are and of how many hosts.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Hosts that show the recording.
    pub hosts: usize,
    /// For how many hours.
    pub hours: usize,
}

struct Manual(AtomicI64);

impl Clock for Manual {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The last scrape's time: a quarter of an hour ago, on a whole minute, inside every peer's default retention.
pub fn end_seconds() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
    (now.as_secs() as i64 - 900) / 60 * 60
}

/// What was loaded, for this run or an earlier one.
pub struct Data {
    /// The last scrape's time.
    pub end_s: i64,
    /// A data directory in Prometheus's format; to be copied, not to be served.
    pub store: PathBuf,
    /// VictoriaMetrics's data directory; there once the samples were imported.
    pub victoria: PathBuf,
}

impl Data {
    /// Takes what an earlier run left in `dir`, or loads it.
    pub fn open(dir: &Path, scrapes: &Scrapes, scale: Scale) -> Self {
        let (store, victoria, end) = (dir.join("store"), dir.join("victoria"), dir.join("end"));
        let kept = std::fs::read_to_string(&end).ok().and_then(|text| text.trim().parse().ok());
        let end_s = kept.unwrap_or_else(|| {
            let end_s = end_seconds();
            let _ = std::fs::remove_dir_all(dir);
            let samples = into_store(scrapes, scale, end_s, &store);
            println!("loaded {samples} samples");
            std::fs::write(&end, end_s.to_string()).expect("a note of the time");
            end_s
        });
        Self { end_s, store, victoria }
    }

    fn import_mark(&self) -> PathBuf {
        self.victoria.with_extension("imported")
    }

    /// Whether VictoriaMetrics has all samples.
    pub fn is_imported(&self) -> bool {
        self.import_mark().exists()
    }

    /// Notes that it has.
    pub fn imported(&self) {
        std::fs::write(self.import_mark(), "").expect("a note of the import");
    }
}

fn steps(scale: Scale) -> usize {
    scale.hours * 3600 / INTERVAL_S as usize
}

fn host_pairs(host: usize) -> [(String, String); 2] {
    [("instance".to_owned(), format!("host-{host:04}:9100")), ("job".to_owned(), "node".to_owned())]
}

/// Writes all samples through the store; gives their number.
fn into_store(scrapes: &Scrapes, scale: Scale, end_s: i64, dir: &Path) -> u64 {
    let labels = |series: usize, host| {
        Labels::from_pairs(scrapes.labels[series].iter().cloned().chain(host_pairs(host)))
    };
    let load = Load {
        scrapes,
        series: scale.hosts * scrapes.series(),
        steps: steps(scale),
        end_s,
        options: Options::default(),
    };
    load.into_store(&labels, dir)
}

/// Samples to be stored.
pub struct Load<'a> {
    /// Where they come from.
    pub scrapes: &'a Scrapes,
    /// Of how many series; those of whole hosts and a part of the last one.
    pub series: usize,
    /// How many of each.
    pub steps: usize,
    /// The last one's time.
    pub end_s: i64,
    /// With what store.
    pub options: Options,
}

impl Load<'_> {
    /// Writes all samples through a store, a commit for each host and step; gives their number. `labels` are those
    /// of a series on a host.
    pub fn into_store(self, labels: &dyn Fn(usize, usize) -> Labels, dir: &Path) -> u64 {
        let Self { scrapes, series, steps, end_s, options } = self;
        std::fs::create_dir_all(dir).expect("a directory");
        let start = (end_s - (steps as i64 - 1) * INTERVAL_S) * 1000;
        let clock = Arc::new(Manual(AtomicI64::new(start)));
        let storage = Storage::open(Arc::new(RealDisk::new(dir)), clock.clone(), options, Arc::new(Silent))
            .and_then(|storage| storage.wait_replayed().map(|()| storage))
            .unwrap_or_else(|e| panic!("{e}"));
        let hosts = series.div_ceil(scrapes.series());
        let labels: Vec<Vec<Labels>> = (0..hosts)
            .map(|host| {
                let of_host = scrapes.series().min(series - host * scrapes.series());
                (0..of_host).map(|i| labels(i, host)).collect()
            })
            .collect();
        let mut refs: Vec<Vec<Option<SeriesRef>>> =
            labels.iter().map(|host| vec![None; host.len()]).collect();
        let mut samples = 0;
        for step in 0..steps {
            let t = start + step as i64 * INTERVAL_S * 1000;
            clock.0.store(t, Ordering::Relaxed);
            for (host, (labels, refs)) in labels.iter().zip(&mut refs).enumerate() {
                let mut appender = storage.appender();
                for ((labels, known), value) in labels.iter().zip(refs).zip(scrapes.at(host, step)) {
                    if let Some(v) = value {
                        let appended = appender.append(*known, labels, t, *v, 0);
                        *known = Some(appended.unwrap_or_else(|e| panic!("{labels}: {e}")));
                        samples += 1;
                    }
                }
                appender.commit().unwrap_or_else(|e| panic!("{e}"));
            }
        }
        storage.close().unwrap_or_else(|e| panic!("{e}"));
        samples
    }
}

/// All series of one host as lines for `/api/v1/import`.
pub fn import_lines(scrapes: &Scrapes, scale: Scale, end_s: i64, host: usize) -> String {
    let steps = steps(scale);
    let start = end_s - (steps as i64 - 1) * INTERVAL_S;
    let mut out = String::new();
    for (i, pairs) in scrapes.labels.iter().enumerate() {
        let mut metric = serde_json::Map::new();
        for (name, value) in pairs.iter().cloned().chain(host_pairs(host)) {
            metric.insert(name, value.into());
        }
        let samples: Vec<(i64, f64)> = (0..steps)
            .filter_map(|step| Some((start + step as i64 * INTERVAL_S, scrapes.at(host, step)[i]?)))
            .filter(|(_, v)| v.is_finite())
            .collect();
        let join = |texts: Vec<String>| texts.join(",");
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{{\"metric\":{},\"values\":[{}],\"timestamps\":[{}]}}",
            serde_json::Value::Object(metric),
            join(samples.iter().map(|(_, v)| v.to_string()).collect()),
            join(samples.iter().map(|(t, _)| (t * 1000).to_string()).collect()),
        );
    }
    out
}

/// Bytes of all files below a directory.
pub fn disk_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => disk_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
