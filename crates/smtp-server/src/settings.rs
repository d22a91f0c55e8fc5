//! What the server is told, and told anew while it runs: a connection goes by what was in force when it began.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use mail::smtp::server::Limits;
use operations::Context;
use tokio_rustls::TlsAcceptor;

use crate::authenticator::Authenticator;
use crate::clients::{ClientLimits, Clients};
use crate::network::Network;

/// What the server is told.
pub struct SmtpServerSettings {
    /// Addresses for mail of other servers.
    pub listen: Vec<SocketAddr>,
    /// Addresses for mail of those who sign in after STARTTLS.
    pub submission: Vec<SocketAddr>,
    /// Addresses for mail of those who sign in, inside TLS from the first octet.
    pub submissions: Vec<SocketAddr>,
    /// Whether every connection, to whichever of these addresses, begins with a PROXY header.
    pub proxy_protocol: bool,
    /// Relays of the operator's own that take the mail first.
    pub trusted_relays: Vec<TrustedRelay>,
    /// Our own host name.
    pub hostname: String,
    /// Limits of a session.
    pub limits: Limits,
    /// Limits of clients.
    pub clients: ClientLimits,
    /// Certificate and key for STARTTLS and implicit TLS. Submission needs it.
    pub tls: Option<TlsAcceptor>,
}

/// A relay of the operator's own, known by its address.
#[derive(Debug, Clone)]
pub struct TrustedRelay {
    /// Where it sends from.
    pub network: Network,
    /// The name under which it writes Authentication-Results (RFC 8601); without one nothing that it writes counts.
    pub authserv_id: Option<String>,
}

/// What a connection that begins now goes by, until it ends.
pub(crate) struct Current {
    pub(crate) ctx: Arc<Context>,
    pub(crate) authenticator: Authenticator,
    pub(crate) settings: SmtpServerSettings,
}

impl Current {
    /// The relay at that address, if it is one of the operator's.
    pub(crate) fn relay(&self, client: IpAddr) -> Option<&TrustedRelay> {
        self.settings.trusted_relays.iter().find(|relay| relay.network.contains(client))
    }
}

/// Tells a server anew.
#[derive(Clone)]
pub struct SmtpHandle {
    current: Arc<RwLock<Option<Arc<Current>>>>,
    clients: Arc<Clients>,
}

impl SmtpHandle {
    pub(crate) fn new(clients: Arc<Clients>) -> Self {
        Self { current: Arc::default(), clients }
    }

    /// New connections go by this. Open ones end as they began, listeners stay, and what clients did is remembered.
    pub fn reload(&self, ctx: Arc<Context>, authenticator: Authenticator, settings: SmtpServerSettings) {
        self.clients.set_limits(settings.clients);
        let current = Arc::new(Current { ctx, authenticator, settings });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(current);
    }

    /// What the server begins with, unless it was told anew before that.
    pub(crate) fn begin(&self, current: Current) {
        self.current.write().unwrap_or_else(PoisonError::into_inner).get_or_insert(Arc::new(current));
    }

    /// What is in force.
    pub(crate) fn current(&self) -> Option<Arc<Current>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
