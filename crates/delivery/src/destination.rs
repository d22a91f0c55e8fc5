//! The deliveries to one destination: a queue and a few connections that are used again and again.
//!
//! A destination begins with few connections and gets more when a server has answered. While none of its servers can
//! be reached, what waits fails at once with the same status and is tried again later, instead of waiting for one
//! time-out each. All waits go by the monotonic clock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use operations::ReadyDelivery;
use tokio::sync::Notify;

use crate::attempt::{POSTPONE, postpone};
use crate::held::{Counters, Held};
use crate::in_hand::InHand;
use crate::mx::Route;
use crate::outgoing::{Office, Shared};

mod worker;

use worker::Worker;

/// Connections to a destination of which no server has answered yet.
const UNPROVEN: usize = 1;
/// A destination of which no server could be reached counts as down for so many times as long as it took to find out:
/// a refusal at once costs nothing to ask for again.
const DOWN_FACTOR: u32 = 10;
/// And no longer than this. Less than the shortest wait between two attempts, so that what failed with the first is
/// really attempted the next time; more than `POSTPONE`, so that what found no room comes in time to fail with it.
const DOWN_AT_MOST: Duration = Duration::from_secs(30);
/// What finds no room at a destination that takes mail comes back spread out: so many a second.
const BACK_IN_A_SECOND: usize = 200;
/// And after this long at the latest.
const LONGEST_SPREAD: Duration = Duration::from_secs(300);

/// A delivery in memory.
struct Job {
    ready: ReadyDelivery,
    in_hand: InHand,
    _held: Held,
}

impl Job {
    /// Goes on under the newest lease.
    fn renew(&mut self) {
        self.ready.delivery.lease = self.in_hand.lease();
    }
}

/// What becomes of the next delivery.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Attempt,
    /// It fails with this status, unattempted.
    Fail(String),
    /// Its lease could end during the attempt.
    Postpone,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// Deliveries that found no room since nothing waited.
    refused: usize,
    workers: usize,
    /// Workers without work.
    idle: usize,
    /// Workers with a session.
    in_session: usize,
    /// A server has answered since the last time that none could be reached.
    is_proven: bool,
    /// No server can be reached: until when that is taken for granted, and with which status.
    down: Option<(Instant, String)>,
    /// The server takes no more connections than it has; until when that is taken for granted.
    full: Option<Instant>,
}

impl State {
    /// Connections that there may be.
    fn allowed(&self, limit: usize) -> usize {
        let limit = if self.is_proven { limit } else { limit.min(UNPROVEN) };
        if self.full.is_some_and(|until| Instant::now() < until) { limit.min(self.workers.max(1)) } else { limit }
    }

    fn down(&self) -> Option<String> {
        self.down.as_ref().filter(|(until, _)| Instant::now() < *until).map(|(_, status)| status.clone())
    }

    /// No server was reached, and it took so long to find out.
    fn fail(&mut self, took: Duration, status: &str) {
        self.down = Some((Instant::now() + (took * DOWN_FACTOR).min(DOWN_AT_MOST), status.to_owned()));
        self.is_proven = false;
    }

    /// Failing takes no time, so it does not matter how little of the lease a long stall has left.
    fn turn(&self, has_time: bool) -> Turn {
        match self.down() {
            Some(status) => Turn::Fail(status),
            None if has_time => Turn::Attempt,
            None => Turn::Postpone,
        }
    }

    fn take(&mut self) -> Option<Job> {
        let next = self.waiting.pop_front();
        if self.waiting.is_empty() {
            self.refused = 0;
        }
        next
    }

    /// How long a delivery that finds no room is given back for: the more there are, the longer.
    fn refuse(&mut self) -> Duration {
        let wait = Duration::from_secs(1 + (self.refused / BACK_IN_A_SECOND) as u64);
        self.refused += 1;
        wait.min(if self.is_proven { LONGEST_SPREAD } else { POSTPONE })
    }
}

/// One destination: a domain, or the operator's provider.
pub(crate) struct Destination {
    domain: String,
    held: Arc<Counters>,
    state: Mutex<State>,
    work: Notify,
}

impl Destination {
    pub(crate) fn new(domain: String) -> Arc<Self> {
        Arc::new(Self { domain, held: Arc::default(), state: Mutex::default(), work: Notify::new() })
    }

    /// Takes a delivery; starts a connection if all are busy. Without room it is given back to the store.
    pub(crate) fn push(self: &Arc<Self>, office: &Arc<Office>, ready: ReadyDelivery) {
        let Some(in_hand) = office.leases.take(&ready.delivery) else { return };
        let shared = office.current();
        // With one route for all there is nobody else to keep room for.
        let shares = matches!(shared.settings.route, Route::Mx { .. });
        if shares && !office.held.admits(&self.held, ready.content.len()) {
            let wait = self.lock().refuse();
            office.tasks.spawn(async move { postpone(&shared, &ready, wait).await });
            return;
        }
        let held = Held::new(&office.held, &self.held, ready.content.len());
        let mut state = self.lock();
        state.waiting.push_back(Job { ready, in_hand, _held: held });
        self.staff(state, office, &shared);
    }

    /// Wakes a worker, and starts more if there is work for them.
    fn staff(self: &Arc<Self>, mut state: MutexGuard<'_, State>, office: &Arc<Office>, shared: &Shared) {
        let allowed = state.allowed(shared.settings.connections_to(&self.domain));
        let wanted = state.waiting.len().saturating_sub(state.idle).min(allowed.saturating_sub(state.workers));
        state.workers += wanted;
        drop(state);
        self.work.notify_one();
        for _ in 0..wanted {
            let worker = Worker::new(Arc::clone(self), Arc::clone(office));
            office.tasks.spawn(worker.run());
        }
    }

    /// A server answered: the destination is up, and may have all its connections.
    fn answered(self: &Arc<Self>, office: &Arc<Office>, shared: &Shared) {
        let mut state = self.lock();
        state.is_proven = true;
        state.down = None;
        if state.waiting.len() > state.idle {
            self.staff(state, office, shared);
        }
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.waiting.is_empty() && state.workers == state.idle
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What deliveries with one destination have in common.
pub(crate) fn destination_of(route: &Route, ready: &ReadyDelivery) -> String {
    match route {
        Route::Mx { .. } => ready.recipient.domain().as_str().to_owned(),
        Route::Smtp { host, .. } => host.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_grow_when_a_server_has_answered_and_not_above_what_it_takes() {
        let mut state = State::default();
        assert_eq!((state.allowed(20), state.allowed(1)), (UNPROVEN, 1));
        state.is_proven = true;
        state.workers = 5;
        assert_eq!(state.allowed(20), 20);
        state.full = Some(Instant::now() + Duration::from_secs(30));
        assert_eq!(state.allowed(20), 5);
        state.workers = 0;
        assert_eq!(state.allowed(20), 1);
    }

    #[test]
    fn a_destination_is_down_for_a_while_only() {
        let mut state = State::default();
        assert_eq!(state.down(), None);
        state.fail(DOWN_AT_MOST, "4.4.1");
        assert_eq!(state.down().as_deref(), Some("4.4.1"));
        state.fail(Duration::ZERO, "4.4.1");
        assert_eq!(state.down(), None);
    }

    #[test]
    fn what_waited_behind_a_stall_fails_with_it_however_little_its_lease_has_left() {
        let mut state = State { is_proven: true, ..State::default() };
        assert_eq!((state.turn(true), state.turn(false)), (Turn::Attempt, Turn::Postpone));
        // Two addresses that take the connection and say nothing.
        state.fail(Duration::from_secs(2 * 300), "4.4.2");
        assert_eq!((state.turn(true), state.turn(false)), (Turn::Fail("4.4.2".to_owned()), Turn::Fail("4.4.2".to_owned())));
        // What found no room meanwhile is back before the destination counts as up again.
        assert!((0..100_000).all(|_| state.refuse() < DOWN_AT_MOST));
    }

    #[test]
    fn what_finds_no_room_comes_back_spread_out() {
        let mut state = State { is_proven: true, ..State::default() };
        let waits: Vec<Duration> = (0..10_000).map(|_| state.refuse()).collect();
        for wait in 1..=50 {
            assert_eq!(waits.iter().filter(|w| **w == Duration::from_secs(wait)).count(), BACK_IN_A_SECOND, "{wait} s");
        }
        assert!((0..1_000_000).all(|_| state.refuse() <= LONGEST_SPREAD));
        assert!(state.take().is_none());
        assert_eq!(state.refuse(), Duration::from_secs(1), "nothing waits any more");
    }
}
