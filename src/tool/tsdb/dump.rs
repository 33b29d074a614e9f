//! `tsdb dump`: series and samples of a directory as text. The directory is only read, with or without a server on it.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use model::go_float::FloatG;
use model::read::{Hints, Selection};
use model::{HistogramValue, Labels, Matcher, Sample, SampleValue};
use storage::fs::RealDisk;
use storage::metrics::store::read_only::{ReadOnly, StoredSeries};

use super::{Warnings, open_dir};
use crate::tool::ToolError;
use crate::tool::output::{Out, stdout};
use crate::tool::progress::Progress;

/// What `tsdb dump` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Output format of the dump.
    #[arg(long, value_enum, default_value = "prom")]
    format: Format,
}

/// What to dump.
#[derive(Debug, Args)]
pub struct Source {
    /// Root directory where a sandbox directory will be created, this sandbox is used in case WAL replay generates
    /// chunks (default is the system's directory for temporary files). The sandbox is cleaned up at the end.
    #[arg(long)]
    sandbox_dir_root: Option<String>,
    /// Minimum timestamp to dump, in milliseconds since the Unix epoch.
    #[arg(long, default_value_t = i64::MIN, allow_hyphen_values = true, hide_default_value = true)]
    min_time: i64,
    /// Maximum timestamp to dump, in milliseconds since the Unix epoch.
    #[arg(long, default_value_t = i64::MAX, allow_hyphen_values = true, hide_default_value = true)]
    max_time: i64,
    /// Series selector. Can be specified multiple times.
    #[arg(long = "match", value_name = "SELECTOR", default_value = "{__name__=~'(?s:.*)'}")]
    selectors: Vec<String>,
    /// Database path.
    #[arg(value_name = "DB PATH", default_value = "data/")]
    path: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Prom,
    Seriesjson,
}

/// Prints the samples, or the series.
pub fn run(args: Arguments) -> Result<(), ToolError> {
    let mut out = write_series(&args.source, |out, series| match args.format {
        Format::Prom => {
            let name = series.labels().to_string();
            for_each_sample(series, |sample| {
                write_sample(out, &name, sample)?;
                Ok(true)
            })
        }
        Format::Seriesjson => Ok(writeln!(out, "{}", json(series.labels()))?),
    })?;
    Ok(out.flush()?)
}

/// Hands every selected series to `write`, each once. Returns the output.
pub(super) fn write_series(
    source: &Source,
    mut write: impl FnMut(&mut Out, &StoredSeries) -> Result<(), ToolError>,
) -> Result<Out, ToolError> {
    let disk = open_dir(&source.path)?;
    let selectors = source.selectors.iter().map(|text| selector(text)).collect::<Result<Vec<_>, _>>()?;
    let mut sandbox = tempfile::Builder::new();
    sandbox.prefix("tmp_dbro_sandbox");
    let root = source.sandbox_dir_root.clone().map_or_else(std::env::temp_dir, Into::into);
    let sandbox = sandbox
        .tempdir_in(&root)
        .map_err(ToolError::file(format!("setting up sandbox dir: {}", root.display())))?;
    let scratch = Arc::new(RealDisk::new(sandbox.path()));
    let data = ReadOnly::open(disk, scratch, source.max_time, &Warnings)?;

    let mut series = Vec::new();
    let several = selectors.len() > 1;
    for matchers in selectors {
        let hints = Hints::default();
        let selection =
            Selection { matchers, min_t: source.min_time, max_t: source.max_time, limit: 0, hints };
        series.extend(data.select(&selection, several)?);
    }
    if several {
        let mut seen = HashSet::new();
        series.retain(|series| seen.insert(series.labels().clone()));
        series.sort_by(|a, b| a.labels().cmp(b.labels()));
    }
    let progress = Progress::new("dumping", series.len() as u64);
    let mut out = stdout();
    for (done, series) in series.iter().enumerate() {
        write(&mut out, series)?;
        progress.at(done as u64);
    }
    Ok(out)
}

/// Parses a series selector; unlike in a query it may match everything.
pub(super) fn selector(text: &str) -> Result<Vec<Matcher>, ToolError> {
    promql::parse_selector(text).map_err(|e| ToolError::Invalid(format!("{text}: {e}")))
}

/// Shows the samples of a series in order, until `visit` says that it is enough.
pub(super) fn for_each_sample(
    series: &StoredSeries,
    mut visit: impl FnMut(&Sample) -> io::Result<bool>,
) -> Result<(), ToolError> {
    let mut runs = series.runs();
    while let Some(samples) = runs.next_run()? {
        for sample in &samples {
            if !visit(sample)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn write_sample(out: &mut dyn Write, name: &str, sample: &Sample) -> io::Result<()> {
    match &sample.value {
        SampleValue::Float(v) => writeln!(out, "{name} {} {}", FloatG(*v), sample.t),
        SampleValue::Histogram(HistogramValue::Integer(h)) => writeln!(out, "{name} {h} {}", sample.t),
        SampleValue::Histogram(HistogramValue::Float(h)) => writeln!(out, "{name} {h} {}", sample.t),
    }
}

/// Labels as Go writes a JSON object: safe inside of HTML.
fn json(labels: &Labels) -> String {
    let object: serde_json::Map<String, serde_json::Value> =
        labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let mut text = String::new();
    for c in serde_json::Value::Object(object).to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", c as u32)),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_as_go_writes_it() {
        let labels = Labels::from_pairs([("b", "<a&b>\n\"é\u{2028}"), ("__name__", "m")]);
        let want = r#"{"__name__":"m","b":"\u003ca\u0026b\u003e\n\"é\u2028"}"#;
        assert_eq!(json(&labels), want);
    }
}
