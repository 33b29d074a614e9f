//! `trivium tool tsdb`: commands over data directories.

mod analyze;
mod backfill;
mod bench;
mod create_from_openmetrics;
mod create_from_rules;
mod dump;
mod dump_openmetrics;
mod histogram;
mod list;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};
use promql::Features;
use storage::block::Block;
use storage::fs::{Disk, RealDisk};
use storage::metrics::blocks::block::MetricsBlock;
use storage::observer::{Event, Observer, Severity};

use super::ToolError;
use super::output::say_err;

/// Commands over data directories.
#[derive(Debug, Subcommand)]
pub enum Tsdb {
    /// Run benchmarks.
    #[command(subcommand)]
    Bench(Bench),
    /// Analyze churn, label pair cardinality and compaction efficiency.
    Analyze(analyze::Arguments),
    /// List tsdb blocks.
    List(list::Arguments),
    /// Dump data (series+samples or optionally just series) from a TSDB.
    Dump(dump::Arguments),
    /// [Experimental] Dump samples from a TSDB into OpenMetrics text format, excluding native histograms, which are
    /// not representable in OpenMetrics.
    DumpOpenmetrics(dump_openmetrics::Arguments),
    /// [Experimental] Import samples from input and produce TSDB blocks.
    CreateBlocksFrom(CreateBlocksFrom),
}

/// Benchmarks.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Run a write performance benchmark.
    Write(bench::Arguments),
}

/// Producers of blocks.
#[derive(Debug, Args)]
pub struct CreateBlocksFrom {
    #[command(flatten)]
    arguments: backfill::BlockArguments,
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// Import samples from OpenMetrics input and produce TSDB blocks.
    Openmetrics(create_from_openmetrics::Arguments),
    /// Create blocks of data for new recording rules.
    Rules(Box<create_from_rules::Arguments>),
}

/// Runs a command.
pub fn run(command: Tsdb, features: Features) -> Result<(), ToolError> {
    match command {
        Tsdb::Bench(Bench::Write(args)) => bench::run(args),
        Tsdb::Analyze(args) => analyze::run(args),
        Tsdb::List(args) => list::run(args),
        Tsdb::Dump(args) => dump::run(args),
        Tsdb::DumpOpenmetrics(args) => dump_openmetrics::run(args),
        Tsdb::CreateBlocksFrom(CreateBlocksFrom { arguments, from }) => match from {
            From::Openmetrics(args) => create_from_openmetrics::run(args, &arguments),
            From::Rules(args) => create_from_rules::run(*args, &arguments, features),
        },
    }
}

/// A data directory that must be there.
fn open_dir(path: &str) -> Result<Arc<dyn Disk>, ToolError> {
    fs::metadata(path)
        .map_err(|source| ToolError::File { path: format!("opening the db dir: {path}"), source })?;
    Ok(Arc::new(RealDisk::new(path)))
}

/// A block by its directory's name.
fn open_block(disk: &dyn Disk, id: &str) -> Result<MetricsBlock, ToolError> {
    Ok(MetricsBlock::open(disk, Path::new(id))?)
}

/// Tells on standard error what was repaired for reading.
struct Warnings;

impl Observer for Warnings {
    fn event(&self, event: &Event) {
        if event.severity() >= Severity::Warn {
            say_err(&format!("{event}\n"));
        }
    }
}
