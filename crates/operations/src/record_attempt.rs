//! Leasing deliveries and recording what became of an attempt (E2).

use std::time::Duration;

use domain::MessageId;
use domain::Role;
use domain::delivery::{AttemptOutcome, DeliveryState, after_attempt};
use domain::message::{Author, Message};
use store::{BodyKind, Changes, CommitError, DeliveryUpdate, FactsQuery, Guard, NewEntry, SealedMessage, StoreError};

use crate::advice::Told;
use crate::bodies;
use crate::context::{Context, LEASE, ReadyDelivery, TRIES};
use crate::metrics::Metrics;
use crate::notices::{self, Notice};

/// One attempt as the door out saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Enhanced status code (RFC 3463), of the remote or our own.
    pub status: String,
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
                Ok((reverse_path, recipient, content)) => {
                    ready.push(ReadyDelivery { delivery: due.delivery, reverse_path, recipient, content: content.into() });
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
    // Only a notice quotes the message.
    let bodies: &[BodyKind] = if state == DeliveryState::Bounced { &[BodyKind::View] } else { &[] };
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
            ],
        ));
        if state == DeliveryState::Bounced {
            tell_author(ctx, &mut changes, &sealed).await?;
        }
        match ctx.store.commit(changes).await {
            Ok(_) => {
                Metrics::count(&ctx.metrics.attempts, state.as_str());
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

/// The author of a message that bounced is told in our own words (privacy P01).
async fn tell_author(ctx: &Context, changes: &mut Changes, sealed: &SealedMessage) -> Result<(), StoreError> {
    let Message { id, pair, seller, conversation, author: Author::Party(author), .. } = sealed.message.clone() else { return Ok(()) };
    let query = FactsQuery::of_pair(pair);
    let Some(facts) = ctx.store.load_facts(query).await? else { return Ok(()) };
    let Some(marketplace) = ctx.settings.by_id(&facts.pair.marketplace) else { return Ok(()) };
    let (to, locale) = match author {
        Role::Buyer => (facts.buyer.email.clone(), facts.buyer.locale.as_str()),
        Role::Seller => (facts.seller.customer_service_email.clone(), facts.seller.locale.as_str()),
    };
    let locale = marketplace.locale_of(&ctx.settings.texts, locale);
    let view = bodies::open(ctx, sealed, BodyKind::View).await?.unwrap_or_default();
    let view = String::from_utf8_lossy(&view);
    let subject = view.lines().next().map_or_else(|| ctx.text(locale, "no_subject", &[]), str::to_owned);
    let notice = Notice {
        marketplace,
        pair,
        seller,
        conversation,
        about: id,
        subject: &subject,
        written_at: sealed.message.accepted_at,
        to,
        locale,
        told: Told { code: "notice_bounced", text: ctx.text(locale, "notice_bounced", &[]) },
        links: Vec::new(),
        in_reply_to: sealed.message.original_id.clone(),
    };
    // Taken up by the poller: this process may be busy with exactly the server that refuses.
    if notices::add(ctx, changes, &notice).await?.is_some() {
        changes.deliveries.iter_mut().for_each(|d| d.lease = None);
    }
    Ok(())
}

/// The id under which logs name a delivery.
impl ReadyDelivery {
    /// The message.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.delivery.message
    }
}
