//! The grammar of the command line, as kingpin has it: `--flag=value`, `--flag value`, `--no-flag`, `--`, `@file`.

use super::FlagsError;
use super::table::{FLAGS, Flag, Kind};

/// What the command line asks for, values still as text.
#[derive(Debug)]
pub(super) enum Parsed {
    Run(GivenFlags),
    Help,
    Manual,
    Version,
    Tool(Vec<String>),
}

/// The flags that were given, in order, with their values.
#[derive(Debug, Default)]
pub(super) struct GivenFlags {
    pub flags: Vec<(&'static Flag, String)>,
}

impl GivenFlags {
    /// The values of a flag: those given, or else the default.
    pub fn values(&self, flag: &Flag) -> Vec<&str> {
        let given: Vec<&str> =
            self.flags.iter().filter(|(f, _)| f.name == flag.name).map(|(_, v)| v.as_str()).collect();
        match (given.is_empty(), flag.kind) {
            (false, _) => given,
            (true, Kind::Texts) if flag.default.is_empty() => Vec::new(),
            (true, Kind::Texts) => flag.default.split(',').collect(),
            (true, _) => vec![flag.default],
        }
    }
}

/// Reads arguments, the program's name not among them. `read_file` serves `@file` arguments.
pub(super) fn parse(
    args: Vec<String>,
    read_file: &dyn Fn(&str) -> std::io::Result<String>,
) -> Result<Parsed, FlagsError> {
    if args.first().is_some_and(|first| first == "tool") {
        return Ok(Parsed::Tool(args.into_iter().skip(1).collect()));
    }
    let args = expand_files(args, read_file)?;
    let mut given = GivenFlags::default();
    let mut help = None;
    let mut args = args.into_iter().peekable();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--" => match args.next() {
                Some(arg) => return Err(FlagsError::usage(format!("unexpected argument {arg:?}"))),
                None => break,
            },
            "-h" | "--help" | "--help-long" => {
                help.get_or_insert(Parsed::Help);
            }
            "--help-man" => help = Some(Parsed::Manual),
            "--no-help" | "--no-version" | "--no-help-long" | "--no-help-man" => {}
            // As in kingpin, what follows does not matter any more.
            "--version" => return Ok(Parsed::Version),
            _ => {
                let value_follows = |next: Option<&String>| next.is_some_and(|next| !next.starts_with('-'));
                let (flag, value) = match read_flag(&arg)? {
                    (flag, Some(value)) => (flag, value),
                    (flag, None) if value_follows(args.peek()) => (flag, args.next().unwrap_or_default()),
                    (flag, None) => {
                        return Err(FlagsError::usage(format!(
                            "expected a value for flag '--{}'",
                            flag.name
                        )));
                    }
                };
                if flag.kind != Kind::Texts && given.flags.iter().any(|(f, _)| f.name == flag.name) {
                    return Err(FlagsError::value(format!("flag '--{}' cannot be repeated", flag.name)));
                }
                given.flags.push((flag, value));
            }
        }
    }
    Ok(help.unwrap_or(Parsed::Run(given)))
}

fn expand_files(
    args: Vec<String>,
    read_file: &dyn Fn(&str) -> std::io::Result<String>,
) -> Result<Vec<String>, FlagsError> {
    let mut expanded = Vec::with_capacity(args.len());
    for arg in args {
        match arg.strip_prefix('@') {
            Some(file) => {
                let text = read_file(file).map_err(|e| {
                    FlagsError::usage(format!("cannot read the arguments file {file:?}: {e}"))
                })?;
                expanded
                    .extend(text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned));
            }
            None => expanded.push(arg),
        }
    }
    Ok(expanded)
}

fn read_flag(arg: &str) -> Result<(&'static Flag, Option<String>), FlagsError> {
    let Some(long) = arg.strip_prefix("--") else {
        let what = if arg.len() > 1 && arg.starts_with('-') { "unknown flag" } else { "unexpected argument" };
        return Err(FlagsError::usage(format!("{what} {arg:?}")));
    };
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (long, None),
    };
    let find = |name: &str| FLAGS.iter().find(|f| f.name == name);
    let negated = name.strip_prefix("no-").and_then(find).filter(|f| f.kind == Kind::Bool);
    match (find(name), negated, value) {
        (Some(flag), _, None) if flag.kind == Kind::Bool => Ok((flag, Some("true".to_owned()))),
        (None, Some(flag), None) => Ok((flag, Some("false".to_owned()))),
        (Some(flag), _, Some(value)) if flag.kind == Kind::Bool => Err(FlagsError::usage(format!(
            "unexpected value {value:?}: flag '--{name}' takes none; write --{name} or --no-{name}"
        ))),
        (Some(flag), _, value) => Ok((flag, value)),
        (None, Some(flag), Some(value)) => Err(FlagsError::usage(format!(
            "unexpected value {value:?}: flag '--no-{}' takes none",
            flag.name
        ))),
        (None, None, _) => {
            let names = FLAGS.iter().filter(|f| !f.hidden).map(|f| f.name);
            let hint = match crate::suggestion::closest(name, names) {
                Some(near) => format!("; did you mean '--{near}'?"),
                None => String::new(),
            };
            Err(FlagsError::usage(format!("unknown flag '--{name}'{hint}")))
        }
    }
}
