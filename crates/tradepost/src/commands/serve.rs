//! `tradepost serve`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use operations::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::App;
use crate::config;
use crate::system::{SystemClock, SystemCsprng};

pub(crate) async fn run(path: &Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    // Before anything is waited for: a SIGHUP meanwhile is a reload to come, not the end.
    let mut signals = Signals::listen()?;
    let pages = |ctx: &Arc<Context>| web::front_page(Arc::clone(ctx));
    let start = App::start(&config, Arc::new(SystemClock), Arc::new(SystemCsprng::new()), pages);
    let mut app = tokio::select! {
        app = start => app?,
        () = signals.end() => return Ok(()),
    };
    let (smtp, submission, submissions) = (listed(&app.smtp), listed(&app.submission), listed(&app.submissions));
    tracing::info!(smtp, submission, submissions, web = %app.web, "tradepost serves");
    while signals.next().await == Told::Reload {
        match reload(&mut app, path).await {
            Ok(()) => tracing::info!("configuration read anew"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "configuration not taken, the old one stays"),
        }
    }
    tracing::info!("ending: what was accepted is finished");
    app.stop().await;
    tracing::info!("ended");
    Ok(())
}

/// Addresses in one text; `None` is left out of the log.
fn listed(addresses: &[SocketAddr]) -> Option<String> {
    (!addresses.is_empty()).then(|| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

async fn reload(app: &mut App, path: &Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    app.reload(&config).await
}

/// What the system tells the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    End,
    Reload,
}

/// SIGTERM, SIGINT and SIGHUP.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// SIGTERM or SIGINT.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

/// Waits for SIGTERM or SIGINT, where there is no configuration to be read anew.
pub(crate) async fn until_told() -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    while signals.next().await == Told::Reload {}
    Ok(())
}
