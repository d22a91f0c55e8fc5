//! The commands.

mod check;
mod decide;
pub(crate) mod demo;
mod replay;
pub(crate) mod serve;
mod token;

use std::path::PathBuf;

use clap::Subcommand;

/// Every command.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the service.
    Serve(ConfigArgument),
    /// Check the configuration and the files that it names, without starting anything.
    Check(ConfigArgument),
    /// Show what would happen to messages and why, without sending anything.
    Decide(decide::DecideArguments),
    /// Show what changed rules would have done to past messages.
    Replay(replay::ReplayArguments),
    /// Make and revoke API tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Run a whole little marketplace on this machine: mail, mailboxes, pages, nothing to configure.
    Demo(demo::DemoArguments),
}

/// The configuration file.
#[derive(clap::Args)]
pub(crate) struct ConfigArgument {
    /// Configuration file (TOML).
    #[arg(long, env = "TRADEPOST_CONFIG", default_value = "/etc/tradepost/tradepost.toml")]
    pub(crate) config: PathBuf,
}

/// Runs a command.
pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(argument) => serve::run(&argument.config).await,
        Command::Check(argument) => check::run(&argument.config),
        Command::Decide(arguments) => decide::run(arguments).await,
        Command::Replay(arguments) => replay::run(arguments).await,
        Command::Token(command) => token::run(command).await,
        Command::Demo(arguments) => demo::run(arguments).await,
    }
}
