//! `tsdb dump-openmetrics`: float samples of a directory as OpenMetrics text, which `create-blocks-from openmetrics`
//! reads back.

use std::io::Write;

use clap::Args;
use model::go_float::FloatG;
use model::labels::{METRIC_NAME, Quoted};
use model::{Labels, SampleValue};

use super::dump::{Source, for_each_sample, write_series};
use crate::tool::ToolError;

/// What `tsdb dump-openmetrics` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
}

/// Prints the samples. A series ends at its first native histogram, as in promtool.
pub fn run(args: Arguments) -> Result<(), ToolError> {
    let mut out = write_series(&args.source, |out, series| {
        let name = series_text(series.labels());
        for_each_sample(series, |sample| {
            let SampleValue::Float(v) = sample.value else { return Ok(false) };
            writeln!(out, "{name} {} {:.3}", FloatG(v), sample.t as f64 / 1000.0)?;
            Ok(true)
        })
    })?;
    writeln!(out, "# EOF")?;
    Ok(out.flush()?)
}

fn series_text(labels: &Labels) -> String {
    let pairs = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", Quoted(value))).collect();
    format!("{}{{{}}}", labels.get(METRIC_NAME).unwrap_or(""), pairs.join(","))
}
