//! What one client address may do: sessions at a time, and unknown recipients before it is turned away (A5).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Unknown recipients are forgotten after this long.
const WINDOW: Duration = Duration::from_secs(600);
/// Most addresses remembered.
const MOST: usize = 100_000;

/// Limits per client address and over all.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// Sessions of one client at a time.
    pub sessions_per_client: usize,
    /// Sessions of all clients at a time.
    pub sessions: usize,
    /// Unknown recipients of one client in ten minutes.
    pub unknown_recipients: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self { sessions_per_client: 50, sessions: 1_000, unknown_recipients: 50 }
    }
}

#[derive(Debug, Clone, Copy)]
struct Client {
    sessions: usize,
    unknown: usize,
    since: Instant,
}

/// The clients of this process.
pub(crate) struct Clients {
    limits: ClientLimits,
    all: Mutex<(usize, HashMap<IpAddr, Client>)>,
}

/// A session that counts until it is dropped.
pub(crate) struct Ticket {
    clients: Arc<Clients>,
    address: IpAddr,
}

impl Clients {
    pub(crate) fn new(limits: ClientLimits) -> Arc<Self> {
        Arc::new(Self { limits, all: Mutex::new((0, HashMap::new())) })
    }

    /// Lets a session in, or not.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Ticket> {
        let address = network(address);
        let mut all = self.lock();
        if all.0 >= self.limits.sessions {
            return None;
        }
        let now = Instant::now();
        if all.1.len() >= MOST {
            all.1.retain(|_, c| c.sessions > 0 || now.duration_since(c.since) < WINDOW);
        }
        let client = all.1.entry(address).or_insert(Client { sessions: 0, unknown: 0, since: now });
        if client.sessions >= self.limits.sessions_per_client {
            return None;
        }
        client.sessions += 1;
        all.0 += 1;
        drop(all);
        Some(Ticket { clients: Arc::clone(self), address })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (usize, HashMap<IpAddr, Client>)> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One client in IPv6 has a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

impl Ticket {
    /// Counts an unknown recipient; says whether the client has had too many.
    pub(crate) fn unknown_recipient(&self) -> bool {
        let mut all = self.clients.lock();
        let Some(client) = all.1.get_mut(&self.address) else { return false };
        if client.since.elapsed() > WINDOW {
            client.unknown = 0;
            client.since = Instant::now();
        }
        client.unknown += 1;
        client.unknown > self.clients.limits.unknown_recipients
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut all = self.clients.lock();
        all.0 -= 1;
        let gone = match all.1.get_mut(&self.address) {
            Some(client) => {
                client.sessions -= 1;
                client.sessions == 0 && client.unknown == 0
            }
            None => false,
        };
        if gone {
            all.1.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_take_all_sessions() {
        let clients = Clients::new(ClientLimits { sessions_per_client: 2, sessions: 3, unknown_recipients: 1 });
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = clients.enter(a).unwrap();
        let _second = clients.enter(a).unwrap();
        assert!(clients.enter(a).is_none());
        let _third = clients.enter(b).unwrap();
        assert!(clients.enter(b).is_none(), "all are taken");
        assert!(!first.unknown_recipient() && first.unknown_recipient());
        drop(first);
        assert!(clients.enter(b).is_some());
    }
}
