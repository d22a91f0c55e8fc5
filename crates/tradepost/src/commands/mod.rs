//! The commands.

mod check;
mod decide;
pub(crate) mod demo;
mod dkim;
mod dns;
mod doctor;
mod files;
mod init;
mod init_answers;
mod queue;
mod replay;
pub(crate) mod serve;
mod token;

use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;

/// Every command.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write a configuration with keys, and make the first token.
    Init(init::InitArguments),
    /// Run the service.
    Serve(ConfigArgument),
    /// Check the configuration and the files that it names, without starting anything.
    Check(ConfigArgument),
    /// Print the DNS records to publish.
    Dns(dns::DnsArguments),
    /// Check live what the world sees: DNS, TLS, ports, this machine, and the way through your provider.
    Doctor(doctor::DoctorArguments),
    /// Show what would happen to messages and why, without sending anything.
    Decide(decide::DecideArguments),
    /// Show what changed rules would have done to past messages.
    Replay(replay::ReplayArguments),
    /// Make, show and revoke tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// See and change what waits to be delivered.
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// Make, change and show the keys that sign mail.
    #[command(subcommand)]
    Dkim(dkim::DkimCommand),
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

/// A command line that cannot be carried out as it is: exit code 2, as for what the reader of flags refuses.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Runs a command.
pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(argument) => serve::run(&argument.config).await,
        Command::Check(argument) => check::run(&argument.config),
        Command::Init(arguments) => init::run(arguments).await,
        Command::Dns(arguments) => dns::run(&arguments),
        Command::Doctor(arguments) => doctor::run(arguments).await,
        Command::Decide(arguments) => decide::run(arguments).await,
        Command::Replay(arguments) => replay::run(arguments).await,
        Command::Token(command) => token::run(command).await,
        Command::Queue(command) => queue::run(command).await,
        Command::Dkim(command) => dkim::run(command).await,
        Command::Demo(arguments) => demo::run(arguments).await,
    }
}
