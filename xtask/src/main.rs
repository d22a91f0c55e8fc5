//! Development commands: `cargo xtask test`, `lint`, `tidy`, `bench`, `fuzz`, `vectors`.

#![allow(clippy::print_stdout, clippy::disallowed_methods)] // A tool speaks on stdout and reads its environment.

mod packages;
mod tidy;
mod unpacked;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

const HELP: &str = "\
cargo xtask COMMAND

  test          install what the tests need, then run every test
  lint          formatting, clippy and tidy
  tidy          hold the arrows between crates and the rules that no compiler knows
  bench relay   Tradepost beside Postfix, same run, alternating (release build)
  vectors DIR   write the vector set as files (docs/vectors.md)
  fuzz [TARGET] fuzz the parsers for ten minutes each (nightly toolchain and cargo-fuzz)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test", rest @ ..] => test(rest),
        ["lint"] => lint(),
        ["tidy"] => tidy::run(&root()),
        ["bench", "relay", rest @ ..] => bench(rest),
        ["fuzz", rest @ ..] => fuzz(rest),
        ["vectors", folder] => cargo(&["run", "--quiet", "-p", "e2e", "--bin", "write_vectors", "--", folder]),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Everything: packages, tidy, then all tests of the workspace.
fn test(rest: &[&str]) -> anyhow::Result<()> {
    packages::ensure()?;
    unpacked::ensure(&root())?;
    tidy::run(&root())?;
    // The end-to-end tests start the program itself; built together with the tests, so that nothing is built twice.
    cargo(&["build", "--workspace", "--all-targets"])?;
    if Command::new("cargo").args(["nextest", "--version"]).output().is_ok_and(|o| o.status.success()) {
        cargo(&[&["nextest", "run", "--workspace", "--no-fail-fast"], rest].concat())
    } else {
        cargo(&[&["test", "--workspace", "--no-fail-fast"], rest].concat())
    }
}

fn lint() -> anyhow::Result<()> {
    tidy::run(&root())?;
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn bench(rest: &[&str]) -> anyhow::Result<()> {
    packages::ensure()?;
    cargo(&["build", "--release", "-p", "tradepost", "-p", "e2e", "--bins"])?;
    run(Command::new(root().join("target/release/bench_relay")).args(rest))
}

/// Every fuzz target.
const FUZZ: [&str; 11] = ["smtp_server", "smtp_client", "message", "html", "address", "scrub", "picture", "docx", "doc", "pdf", "report"];

fn fuzz(rest: &[&str]) -> anyhow::Result<()> {
    let targets = if rest.is_empty() { FUZZ.to_vec() } else { rest.to_vec() };
    for target in targets {
        let arguments = ["+nightly", "fuzz", "run", target, "--", "-max_total_time=600", "-rss_limit_mb=2048"];
        run(Command::new("cargo").args(arguments).current_dir(root().join("fuzz")))?;
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new("cargo").args(arguments).current_dir(root()))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{:?} {:?} failed", command.get_program(), command.get_args().collect::<Vec<_>>());
    }
    Ok(())
}

/// The workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}
