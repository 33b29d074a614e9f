//! `trivium tool`: what promtool does, with its commands, flags, output and exit codes. One file per command; this one
//! has the command line and what all commands share.

mod error;
mod output;
mod progress;
mod tsdb;

use std::sync::LazyLock;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

pub use error::ToolError;

use crate::version;

/// Commands that work on configuration and data without a server.
#[derive(Debug, Parser)]
#[command(name = "trivium tool", version = version_text(), propagate_version = true, disable_help_subcommand = true)]
struct Cli {
    /// Enable experimental commands.
    #[arg(long, global = true)]
    experimental: bool,
    /// Comma separated feature names to enable.
    #[arg(long, global = true, value_name = "FEATURES")]
    enable_feature: Vec<String>,
    #[command(subcommand)]
    command: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// Run tsdb commands.
    #[command(subcommand)]
    Tsdb(tsdb::Tsdb),
}

fn version_text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(version::long);
    TEXT.trim_start_matches("trivium, version ")
}

/// Runs the command that the arguments after `tool` name. Returns the exit code: 0, or 1 when it failed or does not
/// exist, as promtool ends.
pub fn run(args: Vec<String>) -> u8 {
    let cli = match Cli::try_parse_from(std::iter::once("trivium tool".to_owned()).chain(args)) {
        Ok(cli) => cli,
        Err(e) if !e.use_stderr() => {
            // A closed pipe, as of `--help | head`, is no failure.
            let _ = e.print();
            return 0;
        }
        Err(e) => {
            output::say_err(&format!("trivium tool: error: {}, try --help\n", one_line(&e)));
            return 1;
        }
    };
    let features = output::features(&cli.enable_feature);
    let done = match cli.command {
        Tool::Tsdb(command) => tsdb::run(command, features),
    };
    match done {
        Err(e) if !e.is_closed_pipe() => {
            output::say_err(&format!("{e}\n"));
            1
        }
        _ => 0,
    }
}

/// The first paragraph of a usage error: what is wrong, without help.
fn one_line(e: &clap::Error) -> String {
    if e.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "must select a subcommand".to_owned();
    }
    let text = e.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn usage_errors_are_one_line() {
        for (args, want) in [
            (vec!["tsdb"], "must select a subcommand"),
            (vec!["tsdb", "list", "--nonsense"], "unexpected argument '--nonsense' found"),
            (
                vec!["tsdb", "create-blocks-from", "rules"],
                "the following required arguments were not provided: --start <START> <RULE-FILES>...",
            ),
        ] {
            let e = Cli::try_parse_from(std::iter::once("trivium tool").chain(args)).unwrap_err();
            assert_eq!(one_line(&e), want);
        }
    }
}
