//! Writes the vector set as files, for use against another relay (docs/vectors.md).

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)] // A tool speaks and reads its arguments.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("error: name the folder to write to");
        return ExitCode::from(2);
    };
    match e2e::vectors::write_all(&folder) {
        Ok(()) => {
            println!("{} vectors, both directions, in {}", e2e::vectors::all().len(), folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
