//! Runs every `*.test` script of a folder (or one file) on the engine over series in memory. Prints failures, a line
//! for each file, and `N passed, N failed`, counting evaluations. Exits with 1 when something failed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use testkit::script::{Script, run};
use testkit::{EngineTarget, PromQl};

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: promqltest FOLDER|FILE");
        return ExitCode::from(2);
    };
    let files = match scripts(&path) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            return ExitCode::from(2);
        }
    };
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let (good, bad) = run_file(&file);
        println!("{}: {good} passed, {bad} failed", file.display());
        passed += good;
        failed += bad;
    }
    println!("{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

fn scripts(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "test") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn run_file(file: &Path) -> (usize, usize) {
    let script = std::fs::read_to_string(file)
        .map_err(|error| error.to_string())
        .and_then(|text| Script::<PromQl>::parse(&text).map_err(|error| error.to_string()));
    match script {
        Ok(script) => {
            let report = run(&script, &mut EngineTarget::new(EngineTarget::script_options()));
            for failure in &report.failures {
                println!("{}: {failure}", file.display());
            }
            (report.passed, report.failures.len())
        }
        Err(error) => {
            println!("{}: {error}", file.display());
            (0, 1)
        }
    }
}
