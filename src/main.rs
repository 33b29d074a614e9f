//! The process: arguments to [`server::run`] or to [`tool::run`], the outcome to an exit code.

mod allocator;
mod builtin;
mod clock;
mod host;
mod log;
mod process_metrics;
mod server;
mod tool;
mod version;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use config::flags::{self, Command};

fn main() -> ExitCode {
    // They are cleared whole for the first byte that is touched: a quarter of the time of a replay, and memory that is
    // never used. A kernel that knows no such switch does as it likes.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let hostname = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let read_file = |path: &str| std::fs::read_to_string(path);
    match Command::parse(std::env::args().skip(1), &hostname, &read_file) {
        Ok(Command::Run(flags)) => match server::run(*flags, is_called("prometheus")) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                say_err(&format!("{e}\n"));
                ExitCode::from(e.exit_code())
            }
        },
        Ok(Command::Help) => say(&flags::help()),
        Ok(Command::Manual) => say(&flags::manual(version::TRIVIUM)),
        Ok(Command::Version) => say(&format!("{}\n", version::long())),
        Ok(Command::Documentation) => say(&flags::documentation()),
        Ok(Command::Tool(args)) => ExitCode::from(tool::run(args)),
        Err(e) => {
            say_err(&format!("{e}\n"));
            ExitCode::from(e.exit_code)
        }
    }
}

/// Whether the program was started by this name, as by a symbolic link.
fn is_called(name: &str) -> bool {
    std::env::args_os().next().is_some_and(|path| Path::new(&path).file_name() == Some(name.as_ref()))
}

fn say(text: &str) -> ExitCode {
    // A closed pipe, as of `trivium --help | head`, is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn say_err(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
