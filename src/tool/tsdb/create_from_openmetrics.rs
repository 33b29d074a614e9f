//! `tsdb create-blocks-from openmetrics`: samples with timestamps to blocks.
//!
//! The file is mapped and read once for its times and once more for each block that it has samples for, so that the
//! series of one block are in memory at a time.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use clap::Args;
use model::Labels;
use model::append::{AppendError, SeriesRef};
use storage::fs::{Disk, Mapped, RealDisk};
use wire::exposition::{Entry, OpenMetricsParser, RawLabels, Series, Value};

use super::backfill::{Draft, Shared, Target};
use crate::tool::ToolError;
use crate::tool::progress::Progress;

/// Samples between two reports of progress.
const REPORT_EVERY: u64 = 4096;

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
pub fn run(args: Arguments, shared: &Shared) -> Result<(), ToolError> {
    let input = Input { body: read(&args.input)?, path: args.input, labels: args.labels };
    let block_ms = shared.block_ms();
    let mut target = Target::create(&args.output, block_ms)?;
    let progress = Progress::new("checking", input.body.len() as u64);
    let mut next = input.first_time(&progress)?;
    while let Some(t) = next {
        let start = t.div_euclid(block_ms).saturating_mul(block_ms);
        progress.name(&format!("block from {start}"));
        let mut draft = target.draft()?;
        next = input.fill(&mut draft, start, start.saturating_add(block_ms), &progress)?;
        target.write(draft, Some(shared), &progress)?;
    }
    Ok(())
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
            seen += 1;
            if seen.is_multiple_of(REPORT_EVERY) {
                progress.at(self.offset(&series) as u64);
            }
            visit(&series, t)?;
        }
        Ok(())
    }

    /// The earliest time; `None` without samples. Checks the whole file.
    fn first_time(&self, progress: &Progress) -> Result<Option<i64>, ToolError> {
        let mut first = None;
        self.for_each(progress, |_, t| {
            first = Some(first.map_or(t, |first: i64| first.min(t)));
            Ok(())
        })?;
        Ok(first)
    }

    /// Adds the samples of a time to a block. Returns the earliest time that is left.
    fn fill(
        &self,
        draft: &mut Draft,
        start: i64,
        end: i64,
        progress: &Progress,
    ) -> Result<Option<i64>, ToolError> {
        let mut next = None;
        let mut known: HashMap<&[u8], SeriesRef> = HashMap::new();
        let mut raw = RawLabels::new();
        self.for_each(progress, |series, t| {
            if t >= end {
                next = Some(next.map_or(t, |next: i64| next.min(t)));
            }
            let Value::Float(v) = series.value else { return Ok(()) };
            if !(start..end).contains(&t) {
                return Ok(());
            }
            let reference = match known.get(series.key) {
                Some(reference) => *reference,
                None => {
                    let labels = self.labels(series, &mut raw)?;
                    let reference = draft
                        .samples
                        .series(&labels)
                        .map_err(|e| self.refused(series, &mut Vec::new(), &e))?;
                    known.insert(series.key, reference);
                    reference
                }
            };
            draft.samples.add(reference, t, v).map_err(|e| self.refused(series, &mut raw, &e))
        })?;
        Ok(next)
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

    fn refused<'a>(&'a self, series: &Series<'a>, raw: &mut RawLabels<'a>, e: &AppendError) -> ToolError {
        match self.labels(series, raw) {
            Ok(labels) => self.wrong(series, format!("add sample: {e}: {labels}")),
            Err(e) => e,
        }
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
    fn labels_of_the_command_line() {
        for (text, want) in
            [("a=b", Some(("a", "b"))), ("a:b=c", Some(("a", "b=c"))), ("a=", Some(("a", ""))), ("a", None)]
        {
            let want = want.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(label(text).ok(), want, "{text}");
        }
    }
}
