//! What one client may do: sessions at a time, messages in a minute, unknown recipients (A5) and refused sign-ins
//! before it is turned away. A client is an address, in IPv6 a network of 64 bits; of who signed in, the seller.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::SellerId;

/// Unknown recipients and refused sign-ins are forgotten after this long.
const WINDOW: Duration = Duration::from_secs(600);
/// What a limit of messages counts in, and how often the log tells of one client.
const MINUTE: Duration = Duration::from_secs(60);
/// This part of all sessions is kept for sellers and trusted relays.
const RESERVED: usize = 4;
/// Most clients and sellers remembered.
const MOST: usize = 100_000;

/// Limits per client and over all.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// Sessions of one client at a time.
    pub sessions_per_client: usize,
    /// Sessions of all clients at a time.
    pub sessions: usize,
    /// Unknown recipients of one client in ten minutes.
    pub unknown_recipients: usize,
    /// Messages of one client, or of one seller who signed in, in a minute.
    pub messages_per_minute: usize,
    /// Refused sign-ins of one client in ten minutes.
    pub refused_sign_ins: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self { sessions_per_client: 50, sessions: 1_000, unknown_recipients: 50, messages_per_minute: 1_200, refused_sign_ins: 10 }
    }
}

/// How often something happened lately.
#[derive(Debug, Clone, Copy)]
struct Count {
    number: usize,
    since: Instant,
}

impl Count {
    fn lately(&self, now: Instant) -> usize {
        if now.duration_since(self.since) > WINDOW { 0 } else { self.number }
    }

    fn add(&mut self, now: Instant) -> usize {
        let number = self.lately(now) + 1;
        *self = Self { number, since: if number == 1 { now } else { self.since } };
        number
    }
}

/// Room for the messages of a minute, that fills again steadily: kept as the time at which it is full.
#[derive(Debug, Clone, Copy)]
struct Room(Instant);

impl Room {
    fn take(&mut self, per_minute: usize, now: Instant) -> bool {
        let step = MINUTE / u32::try_from(per_minute.max(1)).unwrap_or(u32::MAX);
        let full = self.0.max(now) + step;
        let fits = full.duration_since(now) <= MINUTE;
        if fits {
            self.0 = full;
        }
        fits
    }
}

/// When the log last told that somebody was turned away, and how often it kept silent since.
#[derive(Debug, Clone, Copy, Default)]
struct Notice {
    told: Option<Instant>,
    unsaid: u64,
}

impl Notice {
    /// If the log is to tell of this time: how many went unsaid before it.
    fn next(&mut self, now: Instant) -> Option<u64> {
        if self.is_fresh(now) {
            self.unsaid += 1;
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.told.is_some_and(|told| now.duration_since(told) < MINUTE)
    }
}

#[derive(Debug, Clone, Copy)]
struct Client {
    sessions: usize,
    unknown: Count,
    refused: Count,
    room: Room,
    notice: Notice,
}

impl Client {
    fn new(now: Instant) -> Self {
        let none = Count { number: 0, since: now };
        Self { sessions: 0, unknown: none, refused: none, room: Room(now), notice: Notice::default() }
    }

    /// Whether there is nothing to remember of it.
    fn is_forgotten(&self, now: Instant) -> bool {
        let did_nothing = self.unknown.lately(now) == 0 && self.refused.lately(now) == 0 && self.room.0 <= now;
        self.sessions == 0 && did_nothing && !self.notice.is_fresh(now)
    }
}

struct All {
    limits: ClientLimits,
    sessions: usize,
    /// Of those who were turned away before it was known who they are.
    notice: Notice,
    clients: HashMap<IpAddr, Client>,
    sellers: HashMap<SellerId, Room>,
}

impl All {
    /// The client, remembered from now on.
    fn client(&mut self, address: IpAddr, now: Instant) -> &mut Client {
        if self.clients.len() >= MOST && !self.clients.contains_key(&address) {
            self.clients.retain(|_, c| !c.is_forgotten(now));
            // Whoever comes from everywhere at once must not make us search all of them for each newcomer.
            if self.clients.len() > MOST / 2 {
                self.clients.retain(|_, c| c.sessions > 0);
            }
        }
        self.clients.entry(address).or_insert_with(|| Client::new(now))
    }
}

/// The clients of this process.
pub(crate) struct Clients(Mutex<All>);

/// A session that counts until it is dropped.
pub(crate) struct Ticket {
    clients: Arc<Clients>,
    /// Whose it is, once that is known.
    address: Option<IpAddr>,
}

impl Clients {
    pub(crate) fn new(limits: ClientLimits) -> Arc<Self> {
        let all = All { limits, sessions: 0, notice: Notice::default(), clients: HashMap::new(), sellers: HashMap::new() };
        Arc::new(Self(Mutex::new(all)))
    }

    /// Other numbers from now on; what was counted stays.
    pub(crate) fn set_limits(&self, limits: ClientLimits) {
        self.lock().limits = limits;
    }

    /// Lets a connection in whose client is not known yet, or not.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Ticket> {
        let mut all = self.lock();
        if all.sessions >= all.limits.sessions {
            return None;
        }
        all.sessions += 1;
        drop(all);
        Some(Ticket { clients: Arc::clone(self), address: None })
    }

    /// Notes that a client was turned away. If the log is to tell of it: how many went unsaid before.
    pub(crate) fn turned_away(&self, client: Option<IpAddr>) -> Option<u64> {
        let now = Instant::now();
        let mut all = self.lock();
        match client {
            Some(address) => all.client(network(address), now).notice.next(now),
            None => all.notice.next(now),
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Says whose session it is; whether that client may have another one. A relay of the operator's own always may:
    /// everybody's mail comes through it. For strangers' mail (`is_common`) a quarter of all sessions is out of reach, so
    /// that nobody keeps sellers and relays out by taking all.
    pub(crate) fn identify(&mut self, address: IpAddr, is_trusted: bool, is_common: bool) -> bool {
        let address = network(address);
        let mut all = self.clients.lock();
        let most = all.limits.sessions_per_client;
        if is_common && !is_trusted && all.sessions > all.limits.sessions - all.limits.sessions / RESERVED {
            return false;
        }
        let client = all.client(address, Instant::now());
        if client.sessions >= most && !is_trusted {
            return false;
        }
        client.sessions += 1;
        drop(all);
        self.address = Some(address);
        true
    }

    /// Counts an unknown recipient; says whether the client has had too many.
    pub(crate) fn unknown_recipient(&self) -> bool {
        self.with(|client, limits, now| client.unknown.add(now) > limits.unknown_recipients)
    }

    /// Whether the client has had too many unknown recipients: then it learns of none any more whether it is known (A5).
    pub(crate) fn has_probed(&self) -> bool {
        self.with(|client, limits, now| client.unknown.lately(now) > limits.unknown_recipients)
    }

    /// Forgets refused sign-ins: behind one address there is somebody who may.
    pub(crate) fn signed_in(&self) {
        self.with(|client, _, now| client.refused = Count { number: 0, since: now });
    }

    /// Counts a refused sign-in.
    pub(crate) fn refused_sign_in(&self) {
        self.with(|client, _, now| client.refused.add(now));
    }

    /// Whether the client may try to sign in.
    pub(crate) fn may_sign_in(&self) -> bool {
        self.with(|client, limits, now| client.refused.lately(now) < limits.refused_sign_ins)
    }

    /// Whether the client may send a message now.
    pub(crate) fn message(&self) -> bool {
        self.with(|client, limits, now| client.room.take(limits.messages_per_minute, now))
    }

    /// Whether a seller who signed in may send a message now, from wherever.
    pub(crate) fn submission(&self, seller: SellerId) -> bool {
        let now = Instant::now();
        let mut all = self.clients.lock();
        let per_minute = all.limits.messages_per_minute;
        if all.sellers.len() >= MOST && !all.sellers.contains_key(&seller) {
            all.sellers.retain(|_, room| room.0 > now);
        }
        all.sellers.entry(seller).or_insert(Room(now)).take(per_minute, now)
    }

    fn with<T>(&self, what: impl FnOnce(&mut Client, &ClientLimits, Instant) -> T) -> T {
        let now = Instant::now();
        let mut all = self.clients.lock();
        let limits = all.limits;
        match self.address {
            Some(address) => what(all.client(address, now), &limits, now),
            // Nobody's session yet: nothing is kept of it.
            None => what(&mut Client::new(now), &limits, now),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut all = self.clients.lock();
        all.sessions -= 1;
        let Some(address) = self.address else { return };
        let is_forgotten = all.clients.get_mut(&address).is_some_and(|client| {
            client.sessions -= 1;
            client.is_forgotten(Instant::now())
        });
        if is_forgotten {
            all.clients.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: ClientLimits =
        ClientLimits { sessions_per_client: 2, sessions: 3, unknown_recipients: 1, messages_per_minute: 2, refused_sign_ins: 1 };

    fn enter(clients: &Arc<Clients>, address: IpAddr) -> Option<Ticket> {
        let mut ticket = clients.enter()?;
        ticket.identify(address, false, true).then_some(ticket)
    }

    #[test]
    fn one_client_cannot_take_all_sessions() {
        let clients = Clients::new(FEW);
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = enter(&clients, a).unwrap();
        let _second = enter(&clients, a).unwrap();
        assert!(enter(&clients, a).is_none());
        let _third = enter(&clients, b).unwrap();
        assert!(enter(&clients, b).is_none() && clients.enter().is_none(), "all are taken");
        assert!(!first.unknown_recipient() && first.unknown_recipient());
        drop(first);
        assert!(enter(&clients, b).is_some());
    }

    #[test]
    fn a_trusted_relay_has_as_many_sessions_as_there_are() {
        let clients = Clients::new(FEW);
        let relay = IpAddr::from([10, 0, 0, 1]);
        let tickets: Vec<Ticket> = std::iter::from_fn(|| clients.enter())
            .map(|mut ticket| {
                assert!(ticket.identify(relay, true, true));
                ticket
            })
            .collect();
        assert_eq!(tickets.len(), FEW.sessions, "within the limit of all");
        drop(tickets);
        let mut ticket = clients.enter().unwrap();
        assert!(ticket.identify(relay, false, true), "all were given back");
    }

    #[test]
    fn strangers_leave_room_for_sellers() {
        let clients = Clients::new(ClientLimits { sessions: 8, sessions_per_client: 8, ..FEW });
        let stranger = IpAddr::from([192, 0, 2, 1]);
        let taken: Vec<Ticket> = std::iter::from_fn(|| enter(&clients, stranger)).collect();
        assert_eq!(taken.len(), 6, "a quarter is kept");
        let mut seller = clients.enter().unwrap();
        assert!(seller.identify(IpAddr::from([192, 0, 2, 2]), false, false));
    }

    #[test]
    fn the_log_tells_of_a_client_once_a_minute_and_counts_the_rest() {
        let start = Instant::now();
        let mut notice = Notice::default();
        assert_eq!(notice.next(start), Some(0));
        assert!((0..59).all(|n| notice.next(start + Duration::from_secs(n)).is_none()));
        assert_eq!(notice.next(start + MINUTE), Some(59));
        assert_eq!(notice.next(start + 2 * MINUTE), Some(0), "what was told is not told again");
    }

    #[test]
    fn who_comes_and_goes_is_still_told_of_once() {
        let clients = Clients::new(FEW);
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let ticket = enter(&clients, a).unwrap();
        assert_eq!(clients.turned_away(Some(a)), Some(0));
        drop(ticket);
        drop(enter(&clients, a).unwrap());
        assert_eq!(clients.turned_away(Some(a)), None);
        assert_eq!((clients.turned_away(Some(b)), clients.turned_away(None)), (Some(0), Some(0)), "others have lines of their own");
    }

    #[test]
    fn what_a_client_did_is_known_when_it_comes_back() {
        let clients = Clients::new(FEW);
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let ticket = enter(&clients, a).unwrap();
        assert!(ticket.message() && ticket.message() && !ticket.message());
        assert!(ticket.may_sign_in());
        ticket.refused_sign_in();
        drop(ticket);
        let ticket = enter(&clients, a).unwrap();
        assert!(!ticket.message() && !ticket.may_sign_in());
        let other = enter(&clients, b).unwrap();
        assert!(other.message() && other.may_sign_in(), "another client pays nothing for it");
        clients.set_limits(ClientLimits { refused_sign_ins: 2, ..FEW });
        assert!(ticket.may_sign_in(), "the new number counts at once");
    }

    #[test]
    fn a_seller_is_counted_wherever_it_comes_from() {
        let clients = Clients::new(FEW);
        let market = domain::MarketplaceId::new("es").unwrap();
        let (one, two) = (SellerId::of(&market, "s1"), SellerId::of(&market, "s2"));
        let a = enter(&clients, IpAddr::from([127, 0, 0, 1])).unwrap();
        let b = enter(&clients, IpAddr::from([127, 0, 0, 2])).unwrap();
        assert!(a.submission(one) && b.submission(one) && !a.submission(one) && !b.submission(one));
        assert!(a.submission(two) && a.message());
    }

    #[test]
    fn room_comes_back_steadily_and_never_more_than_a_minute_of_it() {
        let start = Instant::now();
        let mut room = Room(start);
        let taken = (0..10_000).filter(|_| room.take(60, start)).count();
        assert_eq!(taken, 60, "ten thousand at once");
        assert!(!room.take(60, start + Duration::from_millis(900)) && room.take(60, start + Duration::from_millis(1_100)));
        let later = start + Duration::from_secs(3_600);
        assert_eq!((0..10_000).filter(|_| room.take(60, later)).count(), 60);
    }

    #[test]
    fn clients_from_everywhere_are_not_kept_for_ever() {
        let clients = Clients::new(ClientLimits::default());
        let mut all = clients.lock();
        let now = Instant::now();
        for n in 0..u32::try_from(2 * MOST).unwrap() {
            all.client(IpAddr::from(n.to_be_bytes()), now).unknown.add(now);
            assert!(all.clients.len() <= MOST);
        }
    }

    #[test]
    fn a_network_of_64_bits_is_one_client() {
        assert_eq!(network("2001:db8::1".parse().unwrap()), network("2001:db8::ffff:1".parse().unwrap()));
        assert_ne!(network("2001:db8::1".parse().unwrap()), network("2001:db8:0:1::1".parse().unwrap()));
    }
}
