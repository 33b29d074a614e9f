//! `tsdb list`: the blocks of a directory as a table.

use std::io::Write;

use clap::Args;
use model::go_duration::go_duration;
use storage::metrics::blocks::block::MetricsBlock;
use storage::metrics::store::read_only::all_blocks;

use super::open_dir;
use crate::tool::ToolError;
use crate::tool::output::{bytes_text, stdout, time_text, write_table};

const HEADER: [&str; 8] =
    ["BLOCK ULID", "MIN TIME", "MAX TIME", "DURATION", "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES", "SIZE"];

/// What `tsdb list` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print human readable values.
    #[arg(short = 'r', long, overrides_with = "no_human_readable")]
    human_readable: bool,
    #[arg(long, hide = true)]
    no_human_readable: bool,
    /// Database path.
    #[arg(value_name = "DB PATH", default_value = "data/")]
    path: String,
}

/// Prints the table.
pub fn run(args: Arguments) -> Result<(), ToolError> {
    let disk = open_dir(&args.path)?;
    let blocks = all_blocks(&*disk)?;
    let mut out = stdout();
    write_blocks(&mut out, &blocks, true, args.human_readable)?;
    Ok(out.flush()?)
}

/// Writes blocks as a table, with or without the line of titles.
pub fn write_blocks(
    out: &mut impl Write,
    blocks: &[MetricsBlock],
    header: bool,
    human_readable: bool,
) -> std::io::Result<()> {
    let titles = header.then(|| HEADER.map(str::to_owned).to_vec());
    let rows = blocks.iter().map(|block| {
        let meta = block.meta();
        let length = meta.max_time.saturating_sub(meta.min_time).saturating_mul(1_000_000);
        vec![
            meta.id.to_string(),
            time_text(meta.min_time, human_readable),
            time_text(meta.max_time, human_readable),
            go_duration(length),
            meta.stats.num_samples.to_string(),
            meta.stats.num_chunks.to_string(),
            meta.stats.num_series.to_string(),
            bytes_text(block.len(), human_readable),
        ]
    });
    write_table(out, &titles.into_iter().chain(rows).collect::<Vec<_>>())
}
