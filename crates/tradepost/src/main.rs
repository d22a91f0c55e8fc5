//! The program: configuration, wiring, commands. The only place that knows every part, and the only one
//! with a system clock.

mod acme;
mod app;
mod certificates;
mod cleaner;
mod commands;
mod config;
mod data_dir;
mod demo;
mod keys;
mod known;
mod system;
mod upkeep;

use std::process::ExitCode;

use clap::Parser;

/// Carries the mail between buyers and sellers of a marketplace without letting either learn the other's address.
#[derive(Parser)]
#[command(name = "tradepost", version, arg_required_else_help = true)]
struct Arguments {
    /// What is logged: a level or a filter such as `info,delivery=debug`.
    #[arg(long, global = true, env = "TRADEPOST_LOG", default_value = "info")]
    log: String,
    /// Log as one JSON object a line. In the environment: 1, true, yes or on; 0, false, no or off.
    #[arg(
        long,
        global = true,
        env = "TRADEPOST_LOG_JSON",
        action = clap::ArgAction::SetTrue,
        value_parser = clap::builder::BoolishValueParser::new()
    )]
    log_json: bool,
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == cleaner::WORD) {
        return cleaner::child(std::env::args().nth(2));
    }
    let arguments = Arguments::parse();
    if let Err(error) = system::start_logging(&arguments.log, arguments.log_json) {
        eprintln!("error: --log: {error}");
        return ExitCode::from(2);
    }
    // What a panic says can hold a piece of a message: only its place is told (privacy W16).
    std::panic::set_hook(Box::new(|panic| match panic.location() {
        Some(place) => eprintln!("error: a defect at {}:{}; please report it", place.file(), place.line()),
        None => eprintln!("error: a defect; please report it"),
    }));
    // One crypto provider for all of TLS.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(arguments.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<commands::Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
