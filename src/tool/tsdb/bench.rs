//! `tsdb bench write`: how fast a new store takes samples.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use clap::Args;
use model::Labels;
use model::append::Appendable;
use model::go_duration::go_duration;
use model::go_float::FloatG;
use storage::fs::RealDisk;
use storage::{Options, Storage};

use super::Warnings;
use crate::clock::SystemClock;
use crate::tool::ToolError;
use crate::tool::progress::Progress;

/// Between two scrapes, in milliseconds.
const SCRAPE_MS: i64 = 30_000;
/// Scrapes that the series are written for before the others' turn; short enough that no sample is out of bounds.
const ROUND: usize = 100;
/// Series that one thread writes.
const SHARD: usize = 1000;
const FIRST_VALUE: f64 = 123_456_789.0;

/// What `tsdb bench write` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Set the output path. A store below it is replaced.
    #[arg(long, default_value = "benchout")]
    out: String,
    /// Number of metrics to read.
    #[arg(long, default_value_t = 10_000)]
    metrics: usize,
    /// Number of scrapes to simulate.
    #[arg(long, default_value_t = 3_000)]
    scrapes: usize,
    /// Input file with samples data: label sets as JSON, one per line.
    #[arg(default_value = "../../tsdb/testdata/20kseries.json")]
    file: String,
}

/// Runs the benchmark and prints what it measures.
pub fn run(args: Arguments) -> Result<(), ToolError> {
    let dir = Path::new(&args.out).join("storage");
    match fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(ToolError::file(dir.display().to_string())(e));
        }
        _ => {}
    }
    let options = Options { background: false, ..Options::default() };
    let disk = Arc::new(RealDisk::new(&dir));
    let storage = Storage::open(disk, Arc::new(SystemClock), options, Arc::new(Warnings))?;
    storage.wait_replayed()?;
    let (series, _) = measured("readData", || read_labels(&args.file, args.metrics))?;
    let (total, took) = measured("ingestScrapes", || ingest(&storage, &series, args.scrapes))?;
    say(&format!(" > total samples: {total}"))?;
    say(&format!(" > samples/sec: {}", FloatG(total as f64 / took.as_secs_f64())))?;
    measured("stopStorage", || Ok(storage.close()?))?;
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn measured<T>(stage: &str, work: impl FnOnce() -> Result<T, ToolError>) -> Result<(T, Duration), ToolError> {
    say(&format!(">> start stage={stage}"))?;
    let start = Instant::now();
    let done = work()?;
    let took = start.elapsed();
    let ns = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
    say(&format!(">> completed stage={stage} duration={}", go_duration(ns)))?;
    Ok((done, took))
}

/// Label sets, each once.
fn read_labels(path: &str, most: usize) -> Result<Vec<Labels>, ToolError> {
    let file = fs::File::open(path).map_err(ToolError::file(path))?;
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for (at, line) in BufReader::new(file).lines().enumerate() {
        if found.len() >= most {
            break;
        }
        let line = line.map_err(ToolError::file(path))?;
        let labels = parse_labels(&line).ok_or_else(|| ToolError::Line {
            path: path.to_owned(),
            line: at + 1,
            message: "expected labels as {\"name\":\"value\",...}".into(),
        })?;
        if seen.insert(labels.clone()) {
            found.push(labels);
        }
    }
    Ok(found)
}

/// Labels as promtool reads them: quotes and braces mean nothing, commas and colons separate.
fn parse_labels(line: &str) -> Option<Labels> {
    let plain = line.replace(['"', '{', '}'], "");
    let pairs = plain.split(',').map(|pair| {
        let mut parts = pair.split(':');
        Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
    });
    Some(Labels::from_pairs(pairs.collect::<Option<Vec<_>>>()?))
}

/// Writes `scrapes` scrapes of all series, rounded up to whole rounds. Returns the number of samples.
fn ingest(storage: &Storage, series: &[Labels], scrapes: usize) -> Result<u64, ToolError> {
    let rounds = scrapes.div_ceil(ROUND);
    let progress = Progress::new("writing", rounds as u64);
    let mut total = 0;
    for round in 0..rounds {
        let first_t = (round * ROUND) as i64 * SCRAPE_MS;
        let results: Vec<Result<u64, ToolError>> = thread::scope(|scope| {
            let shards: Vec<_> = series
                .chunks(SHARD)
                .map(|shard| scope.spawn(move || ingest_shard(storage, shard, first_t)))
                .collect();
            let failed = || Err(ToolError::Invalid("a writer panicked".into()));
            shards.into_iter().map(|shard| shard.join().unwrap_or_else(|_| failed())).collect()
        });
        for result in results {
            total += result?;
        }
        progress.at(round as u64 + 1);
    }
    drop(progress);
    say("ingestion completed")?;
    Ok(total)
}

fn ingest_shard(storage: &Storage, series: &[Labels], first_t: i64) -> Result<u64, ToolError> {
    let mut known = vec![None; series.len()];
    for scrape in 1..=ROUND {
        let t = first_t + scrape as i64 * SCRAPE_MS;
        let v = FIRST_VALUE + (scrape * 1000) as f64;
        let mut appender = storage.appender();
        for (labels, known) in series.iter().zip(&mut known) {
            let added = appender.append(*known, labels, t, v, 0);
            *known = Some(added.map_err(|e| ToolError::Invalid(format!("{labels}: {e}")))?);
        }
        appender.commit().map_err(|e| ToolError::Invalid(format!("commit: {e}")))?;
    }
    Ok((series.len() * ROUND) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_a_line() {
        let labels = parse_labels(r#"{"__name__":"m","b":"1"}"#).unwrap();
        assert_eq!(labels, Labels::from_pairs([("__name__", "m"), ("b", "1")]));
        assert_eq!(parse_labels("m"), None);
    }
}
