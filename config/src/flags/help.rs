//! The help text and the Markdown table of flags.

use std::fmt::Write;

use super::table::{FLAGS, Flag, Kind};

const WIDTH: usize = 100;
const INDENT: usize = 8;

/// What `--help` prints: every flag that is not hidden.
pub fn help() -> String {
    let mut out = String::from(
        "usage: trivium [<flags>]\n       trivium tool <command> [<flags>]\n\nMetrics in one binary; a drop-in for \
         Prometheus. A flag is written --flag=value or --flag value.\n\nFlags:\n  -h, --help\n        Show this text.\n      \
         --version\n        Show name and version.\n",
    );
    for flag in FLAGS.iter().filter(|f| !f.hidden) {
        out.push_str("      ");
        out.push_str(&synopsis(flag));
        out.push('\n');
        let mut line = " ".repeat(INDENT);
        for word in description(flag).split(' ') {
            if line.len() + word.len() + 1 > WIDTH && line.len() > INDENT {
                out.push_str(line.trim_end());
                out.push('\n');
                line = " ".repeat(INDENT);
            }
            line.push_str(word);
            line.push(' ');
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The same as a Markdown table, hidden flags included.
pub fn documentation() -> String {
    let mut out = String::from("| Flag | Default | Description |\n| --- | --- | --- |\n");
    for flag in FLAGS {
        let default = if flag.default.is_empty() { String::new() } else { format!("`{}`", flag.default) };
        let hidden = if flag.hidden { " Hidden." } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| `--{}` | {default} | {}{hidden} |", flag.name, description(flag));
    }
    out
}

fn synopsis(flag: &Flag) -> String {
    match flag.kind {
        Kind::Bool => format!("--[no-]{}", flag.name),
        Kind::Texts => format!("--{}={} ...", flag.name, placeholder(flag)),
        _ => format!("--{}={}", flag.name, placeholder(flag)),
    }
}

fn placeholder(flag: &Flag) -> &'static str {
    match flag.kind {
        _ if !flag.default.is_empty() => flag.default,
        Kind::Duration | Kind::GoDuration => "<duration>",
        Kind::Size => "<bytes>",
        _ => "<text>",
    }
}

fn description(flag: &Flag) -> String {
    let mode = match flag.mode {
        super::Mode::Any => "",
        super::Mode::Server => " Server mode only.",
        super::Mode::Agent => " Agent mode only.",
    };
    format!("{}{mode}", flag.help)
}
