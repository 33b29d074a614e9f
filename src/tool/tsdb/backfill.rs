//! What the commands that create blocks share: how long blocks are, and how they are written and shown.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use model::go_duration::parse_go_duration;
use model::time::Clock;
use storage::block::random_id;
use storage::fs::{Disk, RealDisk};
use storage::metrics::store::backfill::Backfill;
use tempfile::TempDir;

use super::list::write_blocks;
use super::open_block;
use crate::clock::SystemClock;
use crate::tool::ToolError;
use crate::tool::output::stdout;
use crate::tool::progress::Progress;

/// Prometheus's smallest block: 2 h.
const BLOCK_MS: i64 = 2 * 3_600_000;
/// Factor by which blocks grow, and how often they do.
const FACTOR: i64 = 3;
const SIZES: u32 = 10;

/// Flags of all commands that create blocks.
#[derive(Debug, Args)]
pub struct BlockArguments {
    /// Print human readable values.
    #[arg(short = 'r', long, global = true, overrides_with = "no_human_readable")]
    human_readable: bool,
    #[arg(long, hide = true, global = true)]
    no_human_readable: bool,
    /// Do not print created blocks.
    #[arg(short = 'q', long, global = true, overrides_with = "no_quiet")]
    quiet: bool,
    #[arg(long, hide = true, global = true)]
    no_quiet: bool,
    /// Maximum duration created blocks may span. Anything less than 2h is ignored.
    #[arg(long, hide = true, global = true, value_name = "DURATION", value_parser = parse_go_duration)]
    max_block_duration: Option<i64>,
}

impl BlockArguments {
    /// Span of blocks in milliseconds: the largest of Prometheus's that is allowed.
    pub fn block_ms(&self) -> i64 {
        block_ms(self.max_block_duration.unwrap_or(0) / 1_000_000)
    }
}

fn block_ms(allowed: i64) -> i64 {
    let sizes = (0..SIZES).map(|n| BLOCK_MS * FACTOR.pow(n));
    sizes.take_while(|size| *size <= allowed).last().unwrap_or(BLOCK_MS)
}

/// A directory that blocks are written into.
pub struct BlockDirectory {
    disk: RealDisk,
    block_ms: i64,
    /// Whether the table's titles are printed already.
    titled: bool,
}

/// A block to be, with the directory of its full chunks.
pub struct DraftBlock {
    pub samples: Backfill,
    _scratch: TempDir,
}

impl BlockDirectory {
    /// Makes the directory if it is not there.
    pub fn create(path: &str, block_ms: i64) -> Result<Self, ToolError> {
        let disk = RealDisk::new(path);
        let create = disk.create_dir_all(Path::new(""));
        create.map_err(ToolError::file(format!("create output dir: {path}")))?;
        Ok(Self { disk, block_ms, titled: false })
    }

    /// Begins a block.
    pub fn draft(&self) -> Result<DraftBlock, ToolError> {
        let scratch = tempfile::Builder::new()
            .prefix("head")
            .tempdir()
            .map_err(ToolError::file(std::env::temp_dir().display().to_string()))?;
        // Twice as long, so that chunks end as those of Prometheus's own backfilling.
        let samples = Backfill::new(Arc::new(RealDisk::new(scratch.path())), 2 * self.block_ms)?;
        Ok(DraftBlock { samples, _scratch: scratch })
    }

    /// Writes a block; with `show` prints its line. Without samples there is no block.
    pub fn write(
        &mut self,
        draft: DraftBlock,
        show: Option<&BlockArguments>,
        progress: &Progress,
    ) -> Result<(), ToolError> {
        let id = random_id(SystemClock.now_ms());
        let written = draft.samples.write(&self.disk, Path::new(""), id)?;
        let (Some(meta), Some(arguments)) = (written, show.filter(|arguments| !arguments.quiet)) else {
            return Ok(());
        };
        let block = open_block(&self.disk, &meta.id.to_string())?;
        progress.aside(|| {
            let mut out = stdout();
            write_blocks(&mut out, &[block], !self.titled, arguments.human_readable)?;
            out.flush()
        })?;
        self.titled = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_blocks() {
        for (allowed_h, want_h) in [(0, 2), (2, 2), (5, 2), (6, 6), (17, 6), (18, 18), (1_000_000, 39_366)] {
            assert_eq!(block_ms(allowed_h * 3_600_000), want_h * 3_600_000, "{allowed_h}");
        }
    }
}
