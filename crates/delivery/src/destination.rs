//! The deliveries to one destination: a queue and a few connections that are used again and again.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::delivery::AttemptOutcome;
use mail::smtp::client::Tls;
use operations::{Attempt, ReadyDelivery, postpone_delivery, record_attempt};
use tokio::sync::Notify;

use crate::mx::{self, NoHost, Route};
use crate::outgoing::Shared;
use crate::session::{HostFailure, OpenSession, Transaction};

/// A connection without work is kept this long.
const IDLE: Duration = Duration::from_secs(10);
/// Transactions on one connection; some servers dislike endless ones.
const MAX_USES: usize = 1_000;
/// Deliveries that wait in memory for one destination; the rest waits in the store.
const MAX_WAITING: usize = 500;
/// What found no room, or waited so long that its lease could end during the attempt, is due again after this long.
const POSTPONE: Duration = Duration::from_secs(60);
/// Longest attempt: connecting, the envelope and ten minutes for the final reply (RFC 5321, section 4.5.3.2).
const LONGEST_ATTEMPT: Duration = Duration::from_secs(20 * 60);
/// Longest wait before a result that the store did not take is offered again.
const LONGEST_RECORD_WAIT: Duration = Duration::from_secs(30);

#[derive(Default)]
struct State {
    waiting: VecDeque<ReadyDelivery>,
    workers: usize,
    idle: usize,
}

/// One destination: a domain, or the operator's provider.
pub(crate) struct Destination {
    domain: String,
    state: Mutex<State>,
    work: Notify,
}

impl Destination {
    pub(crate) fn new(domain: String) -> Arc<Self> {
        Arc::new(Self { domain, state: Mutex::default(), work: Notify::new() })
    }

    /// Takes a delivery; starts a connection if all are busy. Without room it is given back to the store.
    pub(crate) fn push(self: &Arc<Self>, shared: &Arc<Shared>, ready: ReadyDelivery) {
        let mut state = self.lock();
        // With one route for all there is nobody else to keep room for.
        let shares = matches!(shared.settings.route, Route::Mx { .. });
        if shares && state.waiting.len() >= MAX_WAITING {
            drop(state);
            let task = Arc::clone(shared);
            shared.tasks.spawn(async move { postpone(&task, &ready).await });
            return;
        }
        shared.deliveries_held.fetch_add(1, Ordering::Relaxed);
        shared.octets_held.fetch_add(ready.content.len(), Ordering::Relaxed);
        state.waiting.push_back(ready);
        if state.idle >= state.waiting.len() || state.workers >= shared.settings.connections_per_destination {
            drop(state);
            self.work.notify_one();
            return;
        }
        state.workers += 1;
        drop(state);
        let (destination, shared) = (Arc::clone(self), Arc::clone(shared));
        shared.tasks.clone().spawn(async move { destination.work(&shared).await });
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.waiting.is_empty() && state.workers == state.idle
    }

    async fn work(self: Arc<Self>, shared: &Arc<Shared>) {
        let mut session: Option<Box<OpenSession>> = None;
        while let Some(ready) = self.next().await {
            let counted = Held { shared, octets: ready.content.len() };
            if !has_time(shared, &ready) {
                postpone(shared, &ready).await;
                continue;
            }
            // A server that answers octet by octet is left before the lease ends.
            let outcome = tokio::time::timeout(LONGEST_ATTEMPT, self.attempt(shared, session.take(), &ready)).await;
            let late = Attempt { outcome: AttemptOutcome::Transient, status: "4.4.2".to_owned() };
            let (attempt, kept) = outcome.unwrap_or((late, None));
            session = kept.filter(|s| s.used < MAX_USES);
            record(shared, &ready, &attempt).await;
            drop(counted);
        }
        if let Some(session) = session {
            session.quit().await;
        }
    }

    /// The next delivery; `None` when there was none for a while, and the worker is over.
    async fn next(&self) -> Option<ReadyDelivery> {
        loop {
            let mut notified = std::pin::pin!(self.work.notified());
            // Registered before the queue is looked at, so that no push between the two goes unheard.
            notified.as_mut().enable();
            {
                let mut state = self.lock();
                if let Some(ready) = state.waiting.pop_front() {
                    return Some(ready);
                }
                state.idle += 1;
            }
            let woken = tokio::time::timeout(IDLE, notified).await;
            let mut state = self.lock();
            state.idle -= 1;
            if woken.is_err() && state.waiting.is_empty() {
                state.workers -= 1;
                return None;
            }
        }
    }

    async fn attempt(
        &self,
        shared: &Shared,
        session: Option<Box<OpenSession>>,
        ready: &ReadyDelivery,
    ) -> (Attempt, Option<Box<OpenSession>>) {
        if let Some(session) = session
            && let Transaction::Done(attempt, kept) = session.send(ready).await
        {
            return (attempt, kept);
        }
        let transient = |status: &str| Attempt { outcome: AttemptOutcome::Transient, status: status.to_owned() };
        let hosts = match mx::hosts(&shared.resolver, &shared.settings.route, &self.domain, &shared.settings.hostname).await {
            Ok(hosts) => hosts,
            Err(NoHost::Never(status)) => return (Attempt { outcome: AttemptOutcome::Permanent, status: status.to_owned() }, None),
            Err(NoHost::NotNow) => return (transient("4.4.3"), None),
        };
        let mut last = transient("4.4.1");
        for host in hosts {
            match open(shared, &host).await {
                Ok(session) => match session.send(ready).await {
                    // Another host may be free when one is busy; what is permanent is so for all.
                    Transaction::Done(attempt, kept) if attempt.outcome != AttemptOutcome::Transient => return (attempt, kept),
                    Transaction::Done(attempt, _) => last = attempt,
                    Transaction::Stale => last = transient("4.4.2"),
                },
                Err(failure) => last = transient(failure.status()),
            }
        }
        (last, None)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a session; a host whose TLS is broken is spoken to in clear, unless a password is at stake (RFC 7435).
async fn open(shared: &Shared, host: &mx::Host) -> Result<OpenSession, HostFailure> {
    let (hostname, credentials) = (&shared.settings.hostname, shared.credentials());
    let wanted = if credentials.is_some() { Tls::Required } else { Tls::Opportunistic };
    match OpenSession::open(host, hostname, shared.tls(), wanted, credentials).await {
        Err(HostFailure::Tls) if wanted == Tls::Opportunistic => OpenSession::open(host, hostname, shared.tls(), Tls::No, None).await,
        opened => opened,
    }
}

/// A delivery in memory, until it is dropped.
struct Held<'a> {
    shared: &'a Shared,
    octets: usize,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.shared.deliveries_held.fetch_sub(1, Ordering::Relaxed);
        self.shared.octets_held.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

/// Whether the lease outlasts even a slow attempt, so that nobody else begins the same.
fn has_time(shared: &Shared, ready: &ReadyDelivery) -> bool {
    ready.delivery.lease.is_some_and(|lease| lease.until_at.since(shared.ctx.clock.now()) > LONGEST_ATTEMPT)
}

async fn postpone(shared: &Shared, ready: &ReadyDelivery) {
    if let Err(error) = postpone_delivery(&shared.ctx, ready, POSTPONE).await {
        tracing::warn!(id = %ready.id(), %error, "a delivery could not be given back; it waits for its lease to end");
    }
}

/// Records the attempt. A store that is away is waited for as long as the lease holds: a lost mark would
/// deliver the message twice.
async fn record(shared: &Shared, ready: &ReadyDelivery, attempt: &Attempt) {
    let mut wait = Duration::from_millis(500);
    loop {
        match record_attempt(&shared.ctx, ready, attempt).await {
            Ok(Some(state)) => {
                tracing::info!(id = %ready.id(), state = state.as_str(), status = attempt.status, "delivery attempted");
                return;
            }
            Ok(None) => {
                tracing::warn!(id = %ready.id(), "another process took the delivery over meanwhile");
                return;
            }
            Err(error) => tracing::error!(id = %ready.id(), %error, "the result of an attempt was not taken"),
        }
        if ready.delivery.lease.is_none_or(|lease| lease.until_at <= shared.ctx.clock.now()) {
            return;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_RECORD_WAIT);
    }
}

/// What deliveries with one destination have in common.
pub(crate) fn destination_of(route: &Route, ready: &ReadyDelivery) -> String {
    match route {
        Route::Mx { .. } => ready.recipient.domain().as_str().to_owned(),
        Route::Smtp { host, .. } => host.clone(),
    }
}
