//! `tsdb create-blocks-from openmetrics`: samples with timestamps to blocks.
//!
//! The file is mapped and read once to check it and to count the samples of each block, then as often as it takes to
//! fill the blocks: as many at a time as a bound on samples allows, at least one. Only their series and open chunks are
//! in memory.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use api::prometheus::params::{MAX_TIME, MIN_TIME};
use clap::Args;
use model::append::{AppendError, SeriesRef};
use model::{Labels, SampleValue};
use storage::fs::{Disk, Mapped, RealDisk};
use wire::exposition::{Entry, OpenMetricsParser, RawLabels, Series};

use super::backfill::{BlockArguments, BlockDirectory, DraftBlock};
use crate::tool::ToolError;
use crate::tool::progress::Progress;

/// Samples between two reports of progress.
const REPORT_EVERY: u64 = 4096;
/// Blocks that are filled at a time have no more samples, which bounds their series too.
const SAMPLES_AT_A_TIME: u64 = 4_000_000;
/// Blocks that are filled at a time; each may have a file open.
const BLOCKS_AT_A_TIME: usize = 64;

/// What `tsdb create-blocks-from openmetrics` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Label to attach to metrics. Can be specified multiple times. Example --label=label_name=label_value
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// OpenMetrics file to read samples from.
    #[arg(value_name = "INPUT FILE")]
    input: String,
    /// Output directory for generated blocks.
    #[arg(value_name = "OUTPUT DIRECTORY", default_value = "data/")]
    output: String,
}

fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once(['=', ':']).filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or_else(|| format!("expected KEY=VALUE got '{text}'"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Writes the blocks.
pub fn run(args: Arguments, arguments: &BlockArguments) -> Result<(), ToolError> {
    let input = Input { body: read(&args.input)?, path: args.input, labels: args.labels };
    let block_ms = arguments.block_ms();
    let mut target = BlockDirectory::create(&args.output, block_ms)?;
    let progress = Progress::new("checking", input.body.len() as u64);
    let blocks = input.count(block_ms, &progress)?;
    let (mut done, total) = (0, blocks.len());
    for starts in batches(&blocks) {
        progress.name(&format!("blocks {} to {} of {total}", done + 1, done + starts.len()));
        done += starts.len();
        let drafts = starts.into_iter().map(|start| Ok((start, OpenBlock::new(target.draft()?))));
        let mut drafts = drafts.collect::<Result<BTreeMap<_, _>, ToolError>>()?;
        input.fill(&mut drafts, block_ms, &progress)?;
        for filled in drafts.into_values() {
            target.write(filled.draft, Some(arguments), &progress)?;
        }
    }
    Ok(())
}

/// Blocks by their start, ascending, in batches that are filled at a time. `blocks` has the samples of each.
fn batches(blocks: &BTreeMap<i64, u64>) -> Vec<Vec<i64>> {
    let mut batches: Vec<Vec<i64>> = Vec::new();
    let mut room = 0;
    for (&start, &samples) in blocks {
        match batches.last_mut() {
            Some(last) if samples <= room && last.len() < BLOCKS_AT_A_TIME => {
                last.push(start);
                room -= samples;
            }
            _ => {
                batches.push(vec![start]);
                room = SAMPLES_AT_A_TIME.saturating_sub(samples);
            }
        }
    }
    batches
}

/// A block being filled.
struct OpenBlock<'a> {
    draft: DraftBlock,
    /// Series by their text in the file.
    known: HashMap<&'a [u8], SeriesRef>,
}

impl OpenBlock<'_> {
    fn new(draft: DraftBlock) -> Self {
        Self { draft, known: HashMap::new() }
    }
}

fn block_start(t: i64, block_ms: i64) -> i64 {
    t.div_euclid(block_ms).saturating_mul(block_ms)
}

/// A file's bytes: mapped, or copied where it cannot be, as with a pipe.
fn read(path: &str) -> Result<Mapped, ToolError> {
    let kind = fs::metadata(path).map_err(ToolError::file(path))?.file_type();
    if kind.is_fifo() || kind.is_char_device() {
        return fs::read(path).map(Mapped::from_vec).map_err(ToolError::file(path));
    }
    RealDisk::new("").map(Path::new(path)).map_err(ToolError::file(path))
}

struct Input {
    path: String,
    body: Mapped,
    /// Set on every series, whatever it has.
    labels: Vec<(String, String)>,
}

impl Input {
    /// Hands every sample with its time to `visit`.
    fn for_each<'a>(
        &'a self,
        progress: &Progress,
        mut visit: impl FnMut(&Series<'a>, i64) -> Result<(), ToolError>,
    ) -> Result<(), ToolError> {
        let mut seen: u64 = 0;
        for entry in OpenMetricsParser::new(&self.body, false) {
            let entry = entry.map_err(|e| ToolError::Line {
                path: self.path.clone(),
                line: e.line,
                message: e.message,
            })?;
            let Entry::Series(series) = entry else { continue };
            let Some(t) = series.t else {
                return Err(self.wrong(&series, "expected timestamp for series got none".into()));
            };
            if !(MIN_TIME..=MAX_TIME).contains(&t) {
                return Err(self.wrong(&series, "timestamp out of range".into()));
            }
            seen += 1;
            if seen.is_multiple_of(REPORT_EVERY) {
                progress.at(self.offset(&series) as u64);
            }
            visit(&series, t)?;
        }
        Ok(())
    }

    /// The blocks that the file has samples for, by their start, with the number of samples. Checks the whole file.
    fn count(&self, block_ms: i64, progress: &Progress) -> Result<BTreeMap<i64, u64>, ToolError> {
        let mut blocks = BTreeMap::new();
        self.for_each(progress, |_, t| {
            *blocks.entry(block_start(t, block_ms)).or_default() += 1;
            Ok(())
        })?;
        Ok(blocks)
    }

    /// Adds their samples to some blocks.
    fn fill<'a>(
        &'a self,
        blocks: &mut BTreeMap<i64, OpenBlock<'a>>,
        block_ms: i64,
        progress: &Progress,
    ) -> Result<(), ToolError> {
        let mut raw = RawLabels::new();
        self.for_each(progress, |series, t| {
            let SampleValue::Float(v) = series.value else { return Ok(()) };
            let Some(OpenBlock { draft, known }) = blocks.get_mut(&block_start(t, block_ms)) else {
                return Ok(());
            };
            let reference = match known.get(series.key) {
                Some(reference) => *reference,
                None => {
                    let labels = self.labels(series, &mut raw)?;
                    let reference =
                        draft.samples.series(&labels).map_err(|e| self.refused(series, &labels, &e))?;
                    known.insert(series.key, reference);
                    reference
                }
            };
            draft.samples.add(reference, t, v).or_else(|e| {
                let labels = self.labels(series, &mut raw)?;
                Err(self.refused(series, &labels, &e))
            })
        })
    }

    fn labels<'a>(&'a self, series: &Series<'a>, raw: &mut RawLabels<'a>) -> Result<Labels, ToolError> {
        series.labels(false, raw).map_err(|e| self.wrong(series, e.to_string()))?;
        if let Some(pair) = raw.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(self.wrong(series, format!("label name {:?} is not unique", pair[0].0)));
        }
        let mut labels = Labels::from_pairs(raw.iter().map(|(name, value)| (name, value)));
        if !self.labels.is_empty() {
            let mut builder = labels.to_builder();
            for (name, value) in &self.labels {
                builder.set(name, value);
            }
            labels = builder.finish();
        }
        Ok(labels)
    }

    fn refused(&self, series: &Series<'_>, labels: &Labels, e: &AppendError) -> ToolError {
        self.wrong(series, format!("add sample: {e}: {labels}"))
    }

    fn wrong(&self, series: &Series<'_>, message: String) -> ToolError {
        let before = self.body.get(..self.offset(series)).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        ToolError::Line { path: self.path.clone(), line, message }
    }

    /// Where a series stands: its key is a part of the body.
    fn offset(&self, series: &Series<'_>) -> usize {
        (series.key.as_ptr() as usize).saturating_sub(self.body.as_ptr() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_filled_together_within_bounds() {
        let most = SAMPLES_AT_A_TIME;
        let blocks = [(0, most), (1, most + 1), (2, 1), (3, most - 1), (4, 1)];
        assert_eq!(batches(&blocks.into()), [vec![0], vec![1], vec![2, 3], vec![4]]);
        let blocks = (0..100).map(|start| (start, 1)).collect();
        assert_eq!(batches(&blocks).iter().map(Vec::len).collect::<Vec<_>>(), [64, 36]);
        assert!(batches(&BTreeMap::new()).is_empty());
    }

    #[test]
    fn labels_of_the_command_line() {
        for (text, want) in
            [("a=b", Some(("a", "b"))), ("a:b=c", Some(("a", "b=c"))), ("a=", Some(("a", ""))), ("a", None)]
        {
            let want = want.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(label(text).ok(), want, "{text}");
        }
    }
}
