//! `tradepost serve`.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config;
use crate::system::{SystemClock, SystemCsprng};

pub(crate) async fn run(path: &Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    let app = App::start(&config, Arc::new(SystemClock), Arc::new(SystemCsprng::new()), |_| Router::new()).await?;
    let smtp: Vec<String> = app.smtp.iter().map(ToString::to_string).collect();
    tracing::info!(smtp = smtp.join(" "), web = %app.web, "tradepost serves");
    until_told().await?;
    tracing::info!("ending: what was accepted is finished");
    app.stop().await;
    Ok(())
}

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn until_told() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            // A terminal that closes must not end a mail service.
            _ = hangup.recv() => tracing::warn!("SIGHUP is ignored; restart to read the configuration anew"),
        }
    }
}
