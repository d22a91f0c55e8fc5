//! `tradepost demo`.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the demo listens and keeps its data.
#[derive(clap::Args)]
pub(crate) struct DemoArguments {
    /// Folder for the data; a fresh one when absent.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Where SMTP listens.
    #[arg(long, default_value = "127.0.0.1:2525")]
    pub(crate) smtp: SocketAddr,
    /// Where the pages are.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) web: SocketAddr,
}

pub(crate) async fn run(arguments: DemoArguments) -> anyhow::Result<()> {
    crate::demo::run(arguments).await
}
