//! Leasing deliveries and recording what became of an attempt (E2).

use std::time::Duration;

use domain::MessageId;
use domain::delivery::{AttemptOutcome, DeliveryState, TlsState, after_attempt, latest_due};
use mail::compose_report::ReportAction;
use store::{BodyKind, Changes, CommitError, DeliveryUpdate, Guard, NewEntry, StoreError};

use crate::bodies::{self, Envelope};
use crate::bounce::{self, Against};
use crate::context::{Context, LEASE, ReadyDelivery, TRIES};
use crate::metrics::Metrics;
use crate::queue::QueueOutcome;

/// A message that is not delivered after this long is late (RFC 5321, section 4.5.4.1).
const LATE: Duration = Duration::from_secs(4 * 3600);

/// One attempt as the door out saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Enhanced status code (RFC 3463), of the remote or our own.
    pub status: String,
    /// How the connection was protected; none where there was none.
    pub tls: Option<TlsState>,
}

/// Leases deliveries that are due and opens them.
///
/// # Errors
/// `StoreError` when the store does not answer.
pub async fn lease_deliveries(ctx: &Context, limit: usize) -> Result<Vec<ReadyDelivery>, StoreError> {
    let now = ctx.clock.now();
    let due = ctx.store.lease_due(ctx.node, now, now.after(LEASE), limit).await?;
    let mut ready = Vec::with_capacity(due.len());
    for due in due {
        match bodies::open(ctx, &due.sealed, BodyKind::Outgoing).await {
            Ok(Some(body)) => match bodies::split_envelope(&body) {
                Ok(Envelope { reverse_path, recipient, wishes, content }) => {
                    ready.push(ReadyDelivery { delivery: due.delivery, reverse_path, recipient, content: content.into(), wishes });
                }
                Err(error) => tracing::error!(id = %due.delivery.message, %error, "a delivery could not be opened"),
            },
            // An erased message has nothing left to deliver; its lease ends by itself.
            Ok(None) => tracing::warn!(id = %due.delivery.message, "a delivery without a body is left alone"),
            Err(error) => tracing::error!(id = %due.delivery.message, %error, "a delivery could not be opened"),
        }
    }
    Ok(ready)
}

/// Makes due what a clock that was ahead deferred too far; gives how many.
///
/// # Errors
/// `StoreError` when the store does not take it.
pub async fn bring_deliveries_forward(ctx: &Context) -> Result<u64, StoreError> {
    let now = ctx.clock.now();
    ctx.store.bring_forward(now, latest_due(now)).await
}

/// Records an attempt; gives the new state, or `None` if somebody else holds the delivery by now.
///
/// # Errors
/// `StoreError` when the store does not take it; the attempt happened all the same.
pub async fn record_attempt(ctx: &Context, ready: &ReadyDelivery, attempt: &Attempt) -> Result<Option<DeliveryState>, StoreError> {
    let Some(lease) = ready.delivery.lease else { return Ok(None) };
    let now = ctx.clock.now();
    let id = ready.delivery.message;
    let (state, due_at) = after_attempt(&ready.delivery, &attempt.outcome, now, ctx.random.as_ref());
    let attempts = ready.delivery.attempts + 1;
    let asked = match state {
        DeliveryState::Delivered if ready.wishes.success => Some(ReportAction::Relayed),
        DeliveryState::Deferred if ready.wishes.delay && now.since(ready.delivery.queued_at) >= LATE => Some(ReportAction::Delayed),
        _ => None,
    };
    // Only what the writer is told quotes the message.
    let bodies: &[BodyKind] = if asked.is_some() || state == DeliveryState::Bounced { &bounce::BODIES } else { &[] };
    for _ in 0..TRIES {
        let Some(sealed) = ctx.store.find_message(id, bodies).await? else { return Ok(None) };
        if sealed.delivery.as_ref().and_then(|d| d.lease).map(|l| l.fence) != Some(lease.fence) {
            return Ok(None);
        }
        let mut changes = Changes::default();
        changes.guards.push(Guard::Fence(id, lease.fence));
        changes.delivery_updates.push(DeliveryUpdate {
            message: id,
            state: state.clone(),
            attempts,
            due_at,
            lease: None,
            last_status: Some(attempt.status.clone()),
        });
        let chain = (sealed.message.pair, sealed.message.seller);
        changes.entries.push(NewEntry::new(
            chain,
            Some(id),
            "delivery.attempted",
            now,
            ctx.salt(),
            [
                ("attempt", Some(attempts.into())),
                ("state", Some(state.as_str().into())),
                ("status", Some(attempt.status.as_str().into())),
                ("next_at", (state == DeliveryState::Deferred).then(|| due_at.0.into())),
                ("tls", attempt.tls.map(|tls| tls.as_str().into())),
            ],
        ));
        if state == DeliveryState::Bounced {
            bounce::given_up(ctx, &mut changes, &sealed, &attempt.status, Against::Recipient).await?;
        } else if let Some(action) = asked {
            bounce::asked_for(ctx, &mut changes, &sealed, ready.wishes.clone(), (action, &attempt.status)).await?;
        }
        // Taken up by the poller: this process may be busy with exactly the server that refuses.
        changes.deliveries.iter_mut().for_each(|d| d.lease = None);
        match ctx.store.commit(changes).await {
            Ok(_) => {
                Metrics::count(&ctx.metrics.attempts, state.as_str());
                attempt.tls.into_iter().for_each(|tls| Metrics::count(&ctx.metrics.delivery_tls, tls.as_str()));
                return Ok(Some(state));
            }
            // Either the lease went to somebody else, or a notice was told meanwhile: look again.
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error),
        }
    }
    Err(StoreError::Unavailable("the facts changed again and again".to_owned()))
}

/// Gives a delivery back without an attempt; whoever has room leases it after `wait`.
///
/// # Errors
/// `StoreError` when the store does not take it; then the lease ends by itself.
pub async fn postpone_delivery(ctx: &Context, ready: &ReadyDelivery, wait: Duration) -> Result<(), StoreError> {
    let Some(lease) = ready.delivery.lease else { return Ok(()) };
    let update = DeliveryUpdate {
        message: ready.id(),
        state: ready.delivery.state.clone(),
        attempts: ready.delivery.attempts,
        due_at: ctx.clock.now().after(wait),
        lease: None,
        last_status: ready.delivery.last_status.clone(),
    };
    let changes = Changes { guards: vec![Guard::Fence(ready.id(), lease.fence)], delivery_updates: vec![update], ..Changes::default() };
    match ctx.store.commit(changes).await {
        // A conflict means that somebody else holds it already.
        Ok(_) | Err(CommitError::Conflict) => Ok(()),
        Err(CommitError::Store(error)) => Err(error),
    }
}

/// Gives a delivery up that is not over; the writer is told as of a failure. One that is being attempted at this moment is
/// left alone: it may arrive.
///
/// # Errors
/// `StoreError` when the store does not take it.
pub async fn give_up(ctx: &Context, message: MessageId) -> Result<QueueOutcome, StoreError> {
    /// RFC 3463: other or undefined mail system status; nothing that speaks against the address.
    const STATUS: &str = "5.3.0";
    for _ in 0..TRIES {
        let Some(sealed) = ctx.store.find_message(message, &bounce::BODIES).await? else { return Ok(QueueOutcome::NotWaiting) };
        let Some(delivery) = sealed.delivery.as_ref().filter(|d| !d.state.is_final()) else {
            return Ok(QueueOutcome::NotWaiting);
        };
        let now = ctx.clock.now();
        if delivery.lease.is_some_and(|lease| lease.until_at > now) {
            return Ok(QueueOutcome::Held);
        }
        let mut changes = Changes::default();
        // Whoever leased it meanwhile goes first.
        changes.guards.push(Guard::Fence(message, delivery.lease.map_or(-1, |lease| lease.fence)));
        changes.delivery_updates.push(DeliveryUpdate {
            message,
            state: DeliveryState::Bounced,
            attempts: delivery.attempts,
            due_at: now,
            lease: None,
            last_status: Some(STATUS.to_owned()),
        });
        let chain = (sealed.message.pair, sealed.message.seller);
        let fields = [("state", Some(DeliveryState::Bounced.as_str().into())), ("status", Some(STATUS.into()))];
        changes.entries.push(NewEntry::new(chain, Some(message), "delivery.dropped", now, ctx.salt(), fields));
        bounce::given_up(ctx, &mut changes, &sealed, STATUS, Against::Nobody).await?;
        changes.deliveries.iter_mut().for_each(|d| d.lease = None);
        match ctx.store.commit(changes).await {
            Ok(_) => return Ok(QueueOutcome::Done),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error),
        }
    }
    Err(StoreError::Unavailable("the facts changed again and again".to_owned()))
}

/// The id under which logs name a delivery.
impl ReadyDelivery {
    /// The message.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.delivery.message
    }
}
