//! Accepts connections and gives each its own task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mail::smtp::server::Role;
use operations::Context;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::authenticator::Authenticator;
use crate::clients::Clients;
use crate::connection::Shared;
use crate::session;
use crate::settings::{Current, SmtpHandle, SmtpServerSettings};

/// Large messages worked on at a time: with 26 MB each, the memory that mail can take.
const LARGE_AT_ONCE: usize = 4;
/// At the end, how long a client that is sending a message is waited for.
const DRAIN: Duration = Duration::from_secs(20);
/// After an accept failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listeners that are bound but not yet served.
pub struct SmtpServer {
    listeners: Vec<(Role, TcpListener)>,
    settings: SmtpServerSettings,
    clients: Arc<Clients>,
    handle: SmtpHandle,
}

impl SmtpServer {
    /// Binds every address.
    ///
    /// # Errors
    /// The address that cannot be bound and why; an address for submission without a certificate is one of them.
    pub async fn bind(settings: SmtpServerSettings) -> Result<Self, (SocketAddr, std::io::Error)> {
        let mut listeners = Vec::new();
        let roles = [(Role::Relay, &settings.listen), (Role::Submission, &settings.submission), (Role::Submissions, &settings.submissions)];
        for (role, addresses) in roles {
            for address in addresses {
                if role != Role::Relay && settings.tls.is_none() {
                    return Err((*address, std::io::Error::other("submission needs a certificate: passwords never travel in clear")));
                }
                listeners.push((role, TcpListener::bind(address).await.map_err(|e| (*address, e))?));
            }
        }
        let clients = Clients::new(settings.clients);
        let handle = SmtpHandle::new(Arc::clone(&clients));
        Ok(Self { listeners, settings, clients, handle })
    }

    /// The addresses in use for mail of other servers, which differ from the configured ones where the port was 0.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses_of(Role::Relay)
    }

    /// Those for submission with STARTTLS.
    #[must_use]
    pub fn submission_addresses(&self) -> Vec<SocketAddr> {
        self.addresses_of(Role::Submission)
    }

    /// Those for submission inside TLS.
    #[must_use]
    pub fn submissions_addresses(&self) -> Vec<SocketAddr> {
        self.addresses_of(Role::Submissions)
    }

    fn addresses_of(&self, role: Role) -> Vec<SocketAddr> {
        self.listeners.iter().filter(|(of, _)| *of == role).filter_map(|(_, listener)| listener.local_addr().ok()).collect()
    }

    /// By which the server is told anew while it runs.
    #[must_use]
    pub fn handle(&self) -> SmtpHandle {
        self.handle.clone()
    }

    /// Serves until `shutdown` turns true and every session has ended.
    pub async fn serve(self, ctx: Arc<Context>, authenticator: Authenticator, shutdown: watch::Receiver<bool>) {
        self.handle.begin(Current { ctx, authenticator, settings: self.settings });
        let shared = Arc::new(Shared {
            handle: self.handle,
            clients: self.clients,
            large: Semaphore::new(LARGE_AT_ONCE),
            takes_submissions: self.listeners.iter().any(|(role, _)| *role != Role::Relay),
            shutdown: shutdown.clone(),
        });
        let mut accepting = JoinSet::new();
        for (role, listener) in self.listeners {
            accepting.spawn(accept(listener, role, Arc::clone(&shared), shutdown.clone()));
        }
        while accepting.join_next().await.is_some() {}
    }
}

async fn accept(listener: TcpListener, role: Role, shared: Arc<Shared>, mut shutdown: watch::Receiver<bool>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    sessions.spawn(session::run(stream, peer, role, Arc::clone(&shared)));
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
