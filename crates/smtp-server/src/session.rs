//! From an accepted connection to a session: whose it is, whether it may come in, and TLS around it.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mail::smtp::proxy::{self, Proxy};
use mail::smtp::server::{Limits, Role, Session};
use operations::metrics::Metrics;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use crate::connection::{Connection, Ended, Shared};
use crate::log;
use crate::settings::Current;

/// A TLS handshake that takes longer is given up.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// A line to a client that is not let in.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(10);
/// A balancer sends its header at once.
const PROXY_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn run(mut stream: TcpStream, peer: SocketAddr, role: Role, shared: Arc<Shared>) {
    // Filled before the first connection is accepted.
    let Some(current) = shared.handle.current() else { return };
    // Replies are single writes; waiting for more to send would cost 40 ms each.
    let _ = stream.set_nodelay(true);
    let Some(mut ticket) = shared.clients.enter() else {
        turned_away(&shared, &current, role, None, "too many sessions of all clients");
        return dismiss(stream, role).await;
    };
    let Some(client) = client_of(&mut stream, peer, &current).await else { return };
    let relay = if role == Role::Relay { current.relay(client).cloned() } else { None };
    if !ticket.identify(client, relay.is_some(), role == Role::Relay) {
        turned_away(&shared, &current, role, Some(client), "too many sessions");
        return dismiss(stream, role).await;
    }
    if role != Role::Relay && !ticket.may_sign_in() {
        turned_away(&shared, &current, role, Some(client), "too many refused sign-ins");
        return lock_out(stream, role, &current).await;
    }
    Metrics::count(&current.ctx.metrics.sessions, "opened");
    let settings = &current.settings;
    let mut session = Session::with_role(role, &settings.hostname, limits(&settings.limits, relay.is_some()), settings.tls.is_some());
    if relay.is_some() {
        session = session.offering_xclient();
    }
    let mut connection = Connection::new(Arc::clone(&shared), Arc::clone(&current), role, client, relay, ticket);
    if role != Role::Submissions {
        match connection.drive(&mut stream, &mut session).await {
            Ok(Ended::StartTls) => {}
            Ok(Ended::Closed) | Err(_) => return,
        }
    }
    let Some(mut stream) = handshake(stream, &current).await else { return };
    if role != Role::Submissions {
        session.tls_started();
    }
    connection.is_in_tls = true;
    drop(connection.drive(&mut stream, &mut session).await);
}

/// What many people's mail comes through is not measured like one of them.
fn limits(limits: &Limits, is_trusted: bool) -> Limits {
    if is_trusted { Limits { unknown_recipients: usize::MAX, ..limits.clone() } } else { limits.clone() }
}

fn turned_away(shared: &Shared, current: &Current, role: Role, client: Option<IpAddr>, why: &'static str) {
    Metrics::count(&current.ctx.metrics.sessions, "turned_away");
    log::turned_away(&shared.clients, client, log::door(role), why);
}

/// For whom there is no session. Where TLS comes first nobody would understand our words, and whoever has all its
/// sessions must not have our CPU for further handshakes.
async fn dismiss(mut stream: TcpStream, role: Role) {
    if role != Role::Submissions {
        farewell(&mut stream, "too many sessions; come back in a minute").await;
    }
}

/// For who may not sign in for now. It holds a session meanwhile, so that its handshakes count like any other's.
async fn lock_out(mut stream: TcpStream, role: Role, current: &Current) {
    let why = "too many sign-ins were refused; come back in ten minutes";
    if role != Role::Submissions {
        farewell(&mut stream, why).await;
    } else if let Some(mut stream) = handshake(stream, current).await {
        farewell(&mut stream, why).await;
    }
}

/// The only words of a session that does not begin.
async fn farewell<S: AsyncWrite + Unpin>(stream: &mut S, why: &str) {
    let line = format!("421 4.7.0 {why}\r\n");
    let told = async {
        stream.write_all(line.as_bytes()).await?;
        stream.flush().await?;
        stream.shutdown().await
    };
    drop(timeout(FAREWELL_TIMEOUT, told).await);
}

/// Whose connection it is: the peer's, or whose the balancer says. LOCAL and UNKNOWN are the balancer's own.
async fn client_of(stream: &mut TcpStream, peer: SocketAddr, current: &Current) -> Option<IpAddr> {
    let peer = peer.ip().to_canonical();
    if !current.settings.proxy_protocol {
        return Some(peer);
    }
    match timeout(PROXY_TIMEOUT, read_proxy(stream)).await {
        Ok(Ok(client)) => Some(client.unwrap_or(peer)),
        Ok(Err(error)) if error.kind() == ErrorKind::InvalidData => {
            Metrics::count(&current.ctx.metrics.sessions, "turned_away");
            tracing::warn!("a connection began without a PROXY header and was closed; see [smtp] proxy_protocol");
            None
        }
        // A balancer that only looks whether we are there says nothing.
        Ok(Err(_)) | Err(_) => None,
    }
}

/// Reads a PROXY header and no octet behind it.
async fn read_proxy(stream: &mut TcpStream) -> std::io::Result<Option<IpAddr>> {
    let mut octets = Vec::new();
    loop {
        match proxy::parse(&octets) {
            Proxy::Incomplete(more) => {
                let read = octets.len();
                octets.resize(read + more, 0);
                stream.read_exact(&mut octets[read..]).await?;
            }
            Proxy::Done { client, .. } => return Ok(client),
            Proxy::Invalid => return Err(Error::from(ErrorKind::InvalidData)),
        }
    }
}

async fn handshake(stream: TcpStream, current: &Current) -> Option<TlsStream<TcpStream>> {
    let tls = current.settings.tls.as_ref()?;
    match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(_)) => {
            tracing::debug!("a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}
