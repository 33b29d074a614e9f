//! `tsdb analyze`: which labels a block's series have, which of them come and go, and how full its chunks are.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use clap::Args;
use model::go_duration::go_duration;
use model::labels::METRIC_NAME;
use model::read::{Hints, Selection};
use model::{Matcher, SampleValue};
use storage::block::block_id;
use storage::fs::Disk;
use storage::index::select::select;
use storage::index::series::SymbolPair;
use storage::metrics::blocks::block::MetricsBlock;
use storage::metrics::codec::chunk::Encoding;
use storage::metrics::store::read_only::chunk_samples;

use super::histogram::write_histogram;
use super::{open_block, open_dir};
use crate::tool::ToolError;
use crate::tool::output::stdout;
use crate::tool::progress::Progress;

/// Series between two reports of progress.
const REPORT_EVERY: u64 = 1024;

/// What `tsdb analyze` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How many items to show in each list.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Run extended analysis.
    #[arg(long, overrides_with = "no_extended")]
    extended: bool,
    #[arg(long, hide = true)]
    no_extended: bool,
    /// Series selector to analyze. Only 1 set of matchers is supported now.
    #[arg(long = "match", value_name = "SELECTOR")]
    selector: Option<String>,
    /// Database path.
    #[arg(value_name = "DB PATH", default_value = "data/")]
    path: String,
    /// Block to analyze (default is the last block).
    #[arg(value_name = "BLOCK ID")]
    block: Option<String>,
}

/// What is known about one label pair or name.
#[derive(Clone, Copy, Default)]
struct LabelUse {
    series: u64,
    /// Milliseconds of the block that series do not cover, summed over those that have the label.
    uncovered: u64,
}

/// Prints the analysis.
pub fn run(args: Arguments) -> Result<(), ToolError> {
    let selector = args.selector.as_deref().filter(|text| !text.is_empty());
    let matchers = selector.map(super::dump::selector).transpose()?.unwrap_or_default();
    let disk = open_dir(&args.path)?;
    let id = match &args.block {
        Some(id) if !id.is_empty() => id.clone(),
        _ => last_block(&*disk)?,
    };
    if disk.stat(Path::new(&id)).is_err() {
        return Err(ToolError::Invalid(format!("invalid block ID {id}")));
    }
    let block = open_block(&*disk, &id)?;
    let mut out = stdout();
    let meta = block.meta();
    let span = meta.max_time.saturating_sub(meta.min_time);
    writeln!(out, "Block ID: {}", meta.id)?;
    writeln!(out, "Duration: {}", go_duration(span.saturating_mul(1_000_000)))?;
    writeln!(out, "Total Series: {}", meta.stats.num_series)?;
    if let Some(selector) = selector {
        writeln!(out, "Matcher: {selector}")?;
    }
    write_labels(&mut out, &block, &matchers, args.limit)?;
    if args.extended {
        write_chunks(&mut out, &block, &matchers)?;
    }
    Ok(out.flush()?)
}

/// The block that was made last.
fn last_block(disk: &dyn Disk) -> Result<String, ToolError> {
    let root = Path::new("");
    let entries = disk.list(root).map_err(ToolError::file(disk.display(root)))?;
    let blocks = entries.into_iter().filter_map(|entry| Some((block_id(&entry.name)?, entry.name)));
    let last = blocks.min_by_key(|(id, _)| Reverse(id.timestamp_ms()));
    last.map(|(_, name)| name).ok_or_else(|| ToolError::Invalid("no blocks found".into()))
}

fn write_labels(
    out: &mut impl Write,
    block: &MetricsBlock,
    matchers: &[Matcher],
    limit: usize,
) -> Result<(), ToolError> {
    let (meta, index) = (block.meta(), block.index());
    let span = meta.max_time.wrapping_sub(meta.min_time) as u64;
    let all = Selection {
        matchers: matchers.to_vec(),
        min_t: i64::MIN,
        max_t: i64::MAX,
        limit: 0,
        hints: Hints::default(),
    };
    let names = block.label_names(&all)?;
    writeln!(out, "Label names: {}", names.len())?;
    let series = select(index, matchers)?;
    if !matchers.is_empty() {
        writeln!(out, "Matched series: {}", series.len())?;
    }

    let mut pairs: HashMap<SymbolPair, LabelUse> = HashMap::new();
    let mut by_name: HashMap<u32, LabelUse> = HashMap::new();
    let (mut entries, mut labels, mut chunks) = (0_u64, Vec::new(), Vec::new());
    let progress = Progress::new("reading series", series.len());
    for (done, id) in series.iter().enumerate() {
        let entry = index.series(id)?;
        entry.symbols(&mut labels)?;
        entry.chunks(&mut chunks)?;
        let covered = chunks.first().zip(chunks.last()).map_or(0, |(first, last)| last.max_t - first.min_t);
        let uncovered = span.wrapping_sub(covered as u64);
        for &pair in &labels {
            for share in [pairs.entry(pair).or_default(), by_name.entry(pair.0).or_default()] {
                share.series += 1;
                share.uncovered = share.uncovered.wrapping_add(uncovered);
            }
        }
        entries += labels.len() as u64;
        if (done as u64).is_multiple_of(REPORT_EVERY) {
            progress.at(done as u64);
        }
    }
    drop(progress);
    writeln!(out, "Postings (unique label pairs): {}", pairs.len())?;
    writeln!(out, "Postings entries (total label pairs): {entries}")?;

    let pair_text = |&(name, value): &SymbolPair| -> Result<String, ToolError> {
        Ok(format!("{}={}", index.symbol(name)?, index.symbol(value)?))
    };
    // How many series' worth of the block's time is missing.
    let churn = |share: &LabelUse| (share.uncovered as f64 / span as f64) as u64;
    let mut list = |title: &str, items: Vec<(u64, String)>| write_top(out, title, items, limit);

    let items = pairs.iter().map(|(pair, share)| Ok((churn(share), pair_text(pair)?)));
    list("Label pairs most involved in churning", items.collect::<Result<_, ToolError>>()?)?;
    let items = by_name.iter().map(|(name, share)| Ok((churn(share), index.symbol(*name)?.to_owned())));
    list("Label names most involved in churning", items.collect::<Result<_, ToolError>>()?)?;
    let items = pairs.iter().map(|(pair, share)| Ok((share.series, pair_text(pair)?)));
    list("Most common label pairs", items.collect::<Result<_, ToolError>>()?)?;

    let (mut lengths, mut counts) = (Vec::new(), Vec::new());
    for name in names {
        let values = block.label_values(&name, &all)?;
        lengths.push((values.iter().map(|value| value.len() as u64).sum(), name.clone()));
        counts.push((values.len() as u64, name));
    }
    list("Label names with highest cumulative label value length", lengths)?;
    list("Highest cardinality labels", counts)?;
    let mut metrics = Vec::new();
    for ((name, value), share) in &pairs {
        if index.symbol(*name)? == METRIC_NAME {
            metrics.push((share.series, index.symbol(*value)?.to_owned()));
        }
    }
    list("Highest cardinality metric names", metrics)
}

/// Writes the largest items; of equal ones the first by name.
fn write_top(
    out: &mut impl Write,
    title: &str,
    mut items: Vec<(u64, String)>,
    limit: usize,
) -> Result<(), ToolError> {
    items.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    writeln!(out, "\n{title}:")?;
    for (count, text) in items.iter().take(limit) {
        writeln!(out, "{count} {text}")?;
    }
    Ok(())
}

/// How full chunks are.
fn write_chunks(out: &mut impl Write, block: &MetricsBlock, matchers: &[Matcher]) -> Result<(), ToolError> {
    let index = block.index();
    let series = select(index, matchers)?;
    let mut total = 0;
    let (mut float_samples, mut float_bytes) = (Vec::new(), Vec::new());
    let (mut samples, mut bytes, mut buckets) = (Vec::new(), Vec::new(), Vec::new());
    let mut metas = Vec::new();
    let progress = Progress::new("reading chunks", series.len());
    for (done, id) in series.iter().enumerate() {
        index.series(id)?.chunks(&mut metas)?;
        for meta in &metas {
            let chunk = block.chunk(meta)?;
            total += 1;
            if chunk.encoding.is_histogram() {
                samples.push(chunk.samples());
                bytes.push(chunk.data.len() as u64);
                let stored = chunk_samples(block, meta)?;
                buckets.push(stored.iter().map(|sample| bucket_count(&sample.value)).sum());
            } else if chunk.encoding != Encoding::None {
                float_samples.push(chunk.samples());
                float_bytes.push(chunk.data.len() as u64);
            }
        }
        if (done as u64).is_multiple_of(REPORT_EVERY) {
            progress.at(done as u64);
        }
    }
    drop(progress);
    write!(out, "\nCompaction analysis:\n\n")?;
    for (what, values) in [
        ("samples per float chunk", float_samples),
        ("bytes per float chunk", float_bytes),
        ("samples per histogram chunk", samples),
        ("bytes per histogram chunk", bytes),
        ("buckets per histogram chunk", buckets),
    ] {
        write_histogram(out, what, values, total)?;
    }
    Ok(())
}

fn bucket_count(value: &SampleValue) -> u64 {
    let count = match value {
        SampleValue::Float(_) => 0,
        SampleValue::Histogram(h) => h.bucket_count(),
    };
    count as u64
}
