//! The help text, the manual page and the Markdown table of flags.

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

/// What `--help-man` prints: the manual page, in the macros of man(7).
pub fn manual(version: &str) -> String {
    let mut out = format!(
        ".TH TRIVIUM 1 \"\" \"trivium {version}\"\n.SH NAME\ntrivium \\- metrics in one binary; a drop-in for Prometheus\n.SH \
         SYNOPSIS\n.B trivium\n[\\fIflags\\fR]\n.br\n.B trivium tool\n\\fIcommand\\fR [\\fIflags\\fR]\n.SH DESCRIPTION\n"
    );
    out.push_str(
        "Scrapes targets, stores their samples, evaluates rules and answers PromQL over HTTP, with Prometheus\\(aqs \
         configuration file, flags, data directory and API. A flag is written \\-\\-flag=value or \\-\\-flag value; @file \
         stands for the arguments in a file, one on each line.\n.SH OPTIONS\n",
    );
    let own = [
        ("-h, --help", "Show the flags."),
        ("--help-man", "Show this page."),
        ("--version", "Show name and version."),
    ];
    for (synopsis, text) in own {
        option(&mut out, synopsis, text);
    }
    for flag in FLAGS.iter().filter(|f| !f.hidden) {
        option(&mut out, &synopsis(flag), &description(flag));
    }
    out.push_str(
        ".SH SIGNALS\n.TP\nHUP\nReloads the configuration; what is wrong with it is logged, and the one before stays in \
         force.\n.TP\nTERM, INT\nEnds the server; every sample that was taken is on disk.\n.SH EXIT STATUS\n0 after a \
         signal, 1 when the server cannot start or a flag is unknown or out of bounds, 2 for a malformed flag or a \
         configuration that cannot be used, 3 for a flag of another mode.\n.SH FILES\n.TP\nprometheus.yml\nThe \
         configuration, in the working directory unless \\-\\-config.file says otherwise.\n.TP\ndata/\nThe samples, unless \
         \\-\\-storage.tsdb.path says otherwise.\n.SH SEE ALSO\n.BR prometheus (1),\n.BR promtool (1)\n",
    );
    out
}

/// An entry of a list of options.
fn option(out: &mut String, synopsis: &str, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, ".TP\n\\fB{}\\fR\n{}", escape_roff(synopsis), escape_roff(text));
}

/// Text that the formatter shows as it is.
fn escape_roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if escaped.starts_with('.') { format!("\\&{escaped}") } else { escaped }
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
