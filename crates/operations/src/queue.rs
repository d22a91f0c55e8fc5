//! What waits to be delivered, for the operator's console: listed, made due at once.

use domain::delivery::{Delivery, DeliveryState};
use domain::{MarketplaceId, MessageId, PairId, Timestamp};
use mail::Domain;
use store::{BodyKind, Changes, CommitError, DeliveryUpdate, Guard, StoreError};

use crate::bodies;
use crate::context::Context;

/// Deliveries that are read from the store at once.
const PAGE: usize = 1_000;
/// Deliveries that are made due in one commit.
const BATCH: usize = 100;

/// A delivery that waits.
#[derive(Debug, Clone)]
pub struct QueueItem {
    /// Its message.
    pub message: MessageId,
    /// The marketplace; none when it is configured no more.
    pub marketplace: Option<MarketplaceId>,
    /// Where it goes: the domain alone, never the address (privacy P19). None when the message is erased.
    pub destination: Option<Domain>,
    /// Where it is.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: i64,
    /// When the first attempt was due.
    pub queued_at: Timestamp,
    /// When the next one is.
    pub due_at: Timestamp,
    /// Whether a process holds it at this moment.
    pub is_held: bool,
    /// Enhanced status code of the last attempt.
    pub last_status: Option<String>,
}

/// What came of the operator's wish for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueOutcome {
    /// It was done.
    Done,
    /// A process holds it at this moment: it attempts it, or is about to.
    Held,
    /// No delivery of that message waits.
    NotWaiting,
}

/// Deliveries that wait, oldest first, after a place; at most `limit`, of one state if one is given.
///
/// # Errors
/// `StoreError` when the store does not answer.
pub async fn list_queue(
    ctx: &Context,
    mut after: Option<(Timestamp, MessageId)>,
    limit: usize,
    state: Option<&DeliveryState>,
) -> Result<Vec<QueueItem>, StoreError> {
    let mut items = Vec::new();
    loop {
        let page = ctx.store.list_waiting(after, PAGE).await?;
        let is_last = page.len() < PAGE;
        for (delivery, pair) in page {
            if items.len() == limit {
                return Ok(items);
            }
            after = Some((delivery.queued_at, delivery.message));
            if state.is_none_or(|state| *state == delivery.state) {
                items.push(item(ctx, delivery, pair).await?);
            }
        }
        if is_last {
            return Ok(items);
        }
    }
}

async fn item(ctx: &Context, delivery: Delivery, pair: PairId) -> Result<QueueItem, StoreError> {
    Ok(QueueItem {
        message: delivery.message,
        marketplace: marketplace_of(ctx, pair).await?,
        // One body that cannot be opened must not hide what else waits.
        destination: destination_of(ctx, delivery.message).await.ok().flatten(),
        is_held: is_held(&delivery, ctx.clock.now()),
        state: delivery.state,
        attempts: delivery.attempts,
        queued_at: delivery.queued_at,
        due_at: delivery.due_at,
        last_status: delivery.last_status,
    })
}

async fn marketplace_of(ctx: &Context, pair: PairId) -> Result<Option<MarketplaceId>, StoreError> {
    // Mail to the operator belongs to no pair (A8).
    if let Some(marketplace) = ctx.settings.marketplaces.iter().find(|m| PairId::of_operator(&m.id) == pair) {
        return Ok(Some(marketplace.id.clone()));
    }
    Ok(ctx.store.find_pair(pair).await?.map(|pair| pair.marketplace))
}

async fn destination_of(ctx: &Context, message: MessageId) -> Result<Option<Domain>, StoreError> {
    let Some(sealed) = ctx.store.find_message(message, &[BodyKind::Outgoing]).await? else { return Ok(None) };
    let Some(body) = bodies::open(ctx, &sealed, BodyKind::Outgoing).await? else { return Ok(None) };
    Ok(Some(bodies::split_envelope(&body)?.recipient.domain().clone()))
}

fn is_held(delivery: &Delivery, now: Timestamp) -> bool {
    delivery.lease.is_some_and(|lease| lease.until_at > now)
}

/// Makes a delivery due at once.
///
/// # Errors
/// `StoreError` when the store does not take it.
pub async fn retry_delivery(ctx: &Context, message: MessageId) -> Result<QueueOutcome, StoreError> {
    let found = ctx.store.find_message(message, &[]).await?.and_then(|sealed| sealed.delivery);
    let Some(delivery) = found.filter(|d| !d.state.is_final()) else { return Ok(QueueOutcome::NotWaiting) };
    let now = ctx.clock.now();
    if is_held(&delivery, now) {
        return Ok(QueueOutcome::Held);
    }
    match ctx.store.commit(due_now(&[delivery], now)).await {
        Ok(_) => Ok(QueueOutcome::Done),
        // Somebody leased it since it was read.
        Err(CommitError::Conflict) => Ok(QueueOutcome::Held),
        Err(CommitError::Store(error)) => Err(error),
    }
}

/// Makes everything due that waits for another attempt; gives how many are due now, and how many are being attempted.
///
/// # Errors
/// `StoreError` when the store does not take it; what was made due before stays so.
pub async fn retry_all(ctx: &Context) -> Result<(usize, usize), StoreError> {
    let (mut due, mut held) = (0, 0);
    let mut after = None;
    loop {
        let page: Vec<Delivery> = ctx.store.list_waiting(after, PAGE).await?.into_iter().map(|(delivery, _)| delivery).collect();
        let Some(last) = page.last() else { return Ok((due, held)) };
        after = Some((last.queued_at, last.message));
        let now = ctx.clock.now();
        let (busy, free): (Vec<Delivery>, Vec<Delivery>) = page.into_iter().partition(|d| is_held(d, now));
        held += busy.len();
        for batch in free.chunks(BATCH) {
            match ctx.store.commit(due_now(batch, now)).await {
                Ok(_) => due += batch.len(),
                // One of them was leased meanwhile: each by itself.
                Err(CommitError::Conflict) => {
                    for delivery in batch {
                        match retry_delivery(ctx, delivery.message).await? {
                            QueueOutcome::Done => due += 1,
                            QueueOutcome::Held => held += 1,
                            QueueOutcome::NotWaiting => {}
                        }
                    }
                }
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
    }
}

/// Nothing but the time changes; the fence keeps a process out that leases meanwhile. -1 stands for no lease.
fn due_now(deliveries: &[Delivery], now: Timestamp) -> Changes {
    let guard = |d: &Delivery| Guard::Fence(d.message, d.lease.map_or(-1, |lease| lease.fence));
    let update = |d: &Delivery| DeliveryUpdate {
        message: d.message,
        state: d.state.clone(),
        attempts: d.attempts,
        due_at: now,
        lease: None,
        last_status: d.last_status.clone(),
    };
    Changes {
        guards: deliveries.iter().map(guard).collect(),
        delivery_updates: deliveries.iter().map(update).collect(),
        ..Changes::default()
    }
}
