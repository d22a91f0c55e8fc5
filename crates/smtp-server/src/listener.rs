//! Accepts connections and gives each its own task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mail::smtp::server::{Limits, Session};
use operations::Context;
use operations::metrics::Metrics;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::authenticator::Authenticator;
use crate::clients::{ClientLimits, Clients};
use crate::connection::{Connection, Ended, Shared};

/// Large messages worked on at a time: with 26 MB each, the memory that mail can take.
const LARGE_AT_ONCE: usize = 4;
/// A TLS handshake that takes longer is given up.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// At the end, how long a client that is sending a message is waited for.
const DRAIN: Duration = Duration::from_secs(20);
/// After an accept failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the server is told.
pub struct SmtpServerSettings {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Our own host name.
    pub hostname: String,
    /// Limits of a session.
    pub limits: Limits,
    /// Limits of clients.
    pub clients: ClientLimits,
    /// Certificate and key for STARTTLS.
    pub tls: Option<TlsAcceptor>,
}

/// Listeners that are bound but not yet served.
pub struct SmtpServer {
    listeners: Vec<TcpListener>,
    settings: SmtpServerSettings,
    clients: Arc<Clients>,
}

impl SmtpServer {
    /// Binds every address.
    ///
    /// # Errors
    /// The address that cannot be bound and why.
    pub async fn bind(settings: SmtpServerSettings) -> Result<Self, (SocketAddr, std::io::Error)> {
        let mut listeners = Vec::new();
        for address in &settings.listen {
            listeners.push(TcpListener::bind(address).await.map_err(|e| (*address, e))?);
        }
        let clients = Clients::new(settings.clients);
        Ok(Self { listeners, settings, clients })
    }

    /// The addresses in use, which differ from the configured ones where the port was 0.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|l| l.local_addr().ok()).collect()
    }

    /// Serves until `shutdown` turns true and every session has ended.
    pub async fn serve(self, ctx: Arc<Context>, authenticator: Authenticator, shutdown: watch::Receiver<bool>) {
        let shared = Arc::new(Shared { ctx, authenticator, large: Semaphore::new(LARGE_AT_ONCE), shutdown: shutdown.clone() });
        let settings = Arc::new(self.settings);
        let mut accepting = JoinSet::new();
        for listener in self.listeners {
            accepting.spawn(accept(listener, Arc::clone(&shared), Arc::clone(&settings), Arc::clone(&self.clients), shutdown.clone()));
        }
        while accepting.join_next().await.is_some() {}
    }
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    settings: Arc<SmtpServerSettings>,
    clients: Arc<Clients>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    sessions.spawn(session(stream, peer, Arc::clone(&shared), Arc::clone(&settings), Arc::clone(&clients)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = sessions.join_next() => {}
            () = is_down(&mut shutdown) => break,
        }
    }
    drop(listener);
    // Nothing was promised to who is still sending by then; the set ends its tasks when it is dropped.
    let ended = async { while sessions.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, ended).await.is_err() {
        tracing::info!("some sessions were still sending and are cut off");
    }
}

/// Waits until the server is to end.
pub(crate) async fn is_down(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    drop(shutdown.wait_for(|down| *down).await);
}

async fn session(mut stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, settings: Arc<SmtpServerSettings>, clients: Arc<Clients>) {
    // Replies are single writes; waiting for more to send would cost 40 ms each.
    let _ = stream.set_nodelay(true);
    let client = peer.ip().to_canonical();
    let metrics = &shared.ctx.metrics.sessions;
    let Some(ticket) = clients.enter(client) else {
        Metrics::count(metrics, "turned_away");
        let _ = stream.write_all(b"421 4.7.0 too many sessions; come back in a minute\r\n").await;
        return;
    };
    Metrics::count(metrics, "opened");
    let mut session = Session::new(&settings.hostname, settings.limits.clone(), settings.tls.is_some());
    let mut connection = Connection::new(Arc::clone(&shared), client, ticket);
    let ended = connection.drive(&mut stream, &mut session).await;
    if let (Ok(Ended::StartTls), Some(tls)) = (&ended, &settings.tls) {
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(mut stream)) => {
                session.tls_started();
                drop(connection.drive(&mut stream, &mut session).await);
            }
            Ok(Err(_)) => tracing::debug!("a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }
}
