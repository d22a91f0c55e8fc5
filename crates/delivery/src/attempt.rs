//! One attempt at one delivery: over the session at hand, or over the destination's hosts one by one.

use std::sync::Arc;
use std::time::Duration;

use domain::delivery::AttemptOutcome;
use operations::{Attempt, ReadyDelivery, postpone_delivery, record_attempt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::mx::{NoHost, Route};
use crate::outgoing::Shared;
use crate::policy;
use crate::session::{OpenSession, Transaction};

/// What found no room, or waited so long that its lease could end during the attempt, is due again after this long.
pub(crate) const POSTPONE: Duration = Duration::from_secs(20);
/// Longest attempt: connecting, the envelope and ten minutes for the final reply (RFC 5321, section 4.5.3.2).
pub(crate) const LONGEST_ATTEMPT: Duration = Duration::from_secs(20 * 60);
/// How long a connection of another destination is waited for when no more may be opened.
const PERMIT_WAIT: Duration = Duration::from_secs(60);
/// Longest wait before a result that the store did not take is offered again.
const LONGEST_RECORD_WAIT: Duration = Duration::from_secs(30);

/// What came of an attempt.
pub(crate) enum Attempted {
    /// A server had its say, or the DNS a last word; and the session if it can be used again.
    Answered(Attempt, Option<Box<OpenSession>>),
    /// No server was reached, or none that may have the mail: the next delivery would fare no better now.
    Unreached(Attempt),
    /// No connection may be opened at present.
    NoRoom,
}

/// Attempts a delivery.
pub(crate) async fn attempt(shared: &Arc<Shared>, domain: &str, session: Option<Box<OpenSession>>, ready: &ReadyDelivery) -> Attempted {
    if let Some(session) = session {
        match session.send(ready).await {
            Transaction::Done(attempt, kept) => return Attempted::Answered(attempt, kept),
            Transaction::Lost(attempt) => return Attempted::Answered(attempt, None),
            Transaction::Stale => {}
        }
    }
    let Some(permit) = permit(shared).await else { return Attempted::NoRoom };
    let plan = match policy::plan(shared, domain).await {
        Ok(plan) => plan,
        Err(NoHost::Never(status)) => {
            let attempt = Attempt { outcome: AttemptOutcome::Permanent, status: status.to_owned(), tls: None };
            return Attempted::Answered(attempt, None);
        }
        Err(NoHost::NotNow) => return Attempted::Unreached(of_route(shared, transient("4.4.3"))),
    };
    let mut unreached = transient(plan.refused.unwrap_or("4.4.1"));
    let mut answered = None;
    for host in plan.hosts {
        let session = match OpenSession::open(shared, &host, &permit).await {
            Ok(session) => session,
            Err(failure) => {
                unreached = transient(failure.status());
                continue;
            }
        };
        match session.send(ready).await {
            // Another host may be free when one is busy; what is permanent is so for all.
            Transaction::Done(attempt, kept) if attempt.outcome == AttemptOutcome::Transient => {
                answered = Some(attempt);
                if let Some(session) = kept {
                    session.quit().await;
                }
            }
            Transaction::Done(attempt, kept) => return Attempted::Answered(attempt, kept),
            Transaction::Lost(attempt) => return Attempted::Answered(attempt, None),
            Transaction::Stale => unreached = transient("4.4.2"),
        }
    }
    match answered {
        Some(attempt) => Attempted::Answered(attempt, None),
        None => Attempted::Unreached(of_route(shared, unreached)),
    }
}

/// That the operator's own provider is not reached says nothing of the recipient's domain: it is trouble of this mail
/// system (RFC 3463, section 3.4).
fn of_route(shared: &Shared, attempt: Attempt) -> Attempt {
    match &shared.settings.route {
        Route::Smtp { .. } if attempt.status.starts_with("4.4.") => transient("4.3.0"),
        _ => attempt,
    }
}

pub(crate) fn transient(status: &str) -> Attempt {
    Attempt { outcome: AttemptOutcome::Transient, status: status.to_owned(), tls: None }
}

/// The right to one more connection.
async fn permit(shared: &Shared) -> Option<Arc<OwnedSemaphorePermit>> {
    if let Ok(permit) = Arc::clone(&shared.connections).try_acquire_owned() {
        return Some(Arc::new(permit));
    }
    // Connections that are only kept for later make room.
    shared.pressed.notify_waiters();
    let permit = timeout(PERMIT_WAIT, Arc::clone(&shared.connections).acquire_owned()).await;
    permit.ok()?.ok().map(Arc::new)
}

/// Whether the lease outlasts even a slow attempt, so that nobody else begins the same.
pub(crate) fn has_time(shared: &Shared, ready: &ReadyDelivery) -> bool {
    ready.delivery.lease.is_some_and(|lease| lease.until_at.since(shared.ctx.clock.now()) > LONGEST_ATTEMPT)
}

/// Gives a delivery back to the store without an attempt.
pub(crate) async fn postpone(shared: &Shared, ready: &ReadyDelivery, wait: Duration) {
    if let Err(error) = postpone_delivery(&shared.ctx, ready, wait).await {
        tracing::warn!(id = %ready.id(), %error, "a delivery could not be given back; it waits for its lease to end");
    }
}

/// Records the attempt. A store that is away is waited for as long as the lease holds: a lost mark would
/// deliver the message twice.
pub(crate) async fn record(shared: &Shared, ready: &ReadyDelivery, attempt: &Attempt) {
    let mut wait = Duration::from_millis(500);
    loop {
        match record_attempt(&shared.ctx, ready, attempt).await {
            Ok(Some(state)) => {
                let tls = attempt.tls.map(|tls| tls.as_str());
                tracing::info!(id = %ready.id(), state = state.as_str(), status = attempt.status, tls, "delivery attempted");
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
