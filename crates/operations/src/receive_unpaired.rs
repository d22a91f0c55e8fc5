//! Mail to the operator (A8).

use domain::message::{Author, Message};
use domain::policy::Outcome;
use domain::{MarketplaceId, MessageId as Id, PairId, SellerId};
use store::{BodyKind, NewEntry, StoreError};

use crate::bodies::{self, Wishes};
use crate::context::{Context, ReadyDelivery};
use crate::notices::{hash_and_size, queued};
use crate::receive_message::Received;
use crate::record::Batch;
use crate::verp;

/// Mail to postmaster@ or abuse@: passed to the operator's postmaster as it is (RFC 2142; A8).
pub(crate) async fn to_operator(
    ctx: &Context,
    received: &Received,
    marketplace: &MarketplaceId,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    let Some(marketplace) = ctx.settings.by_id(marketplace) else { return Ok(()) };
    let now = ctx.clock.now();
    let (pair, seller) = (PairId::of_operator(&marketplace.id), SellerId::of_operator(&marketplace.id));
    let id = Id::fresh(now, ctx.random.as_ref(), pair.bucket());
    // RFC 5321, section 4.4: the trace field that each relay adds; it counts towards the loop limit.
    let trace = format!("Received: by {} with SMTP; {}\r\n", ctx.settings.hostname, crate::dates::rfc5322(now));
    let content = [trace.as_bytes(), &received.octets].concat();
    // A report to the operator that bounces must not come back to us as a report: null stays null.
    let reverse_path = received.reverse_path.as_ref().map(|_| verp::reverse_path(ctx, id, &marketplace.domain));
    let stored = bodies::with_envelope(&reverse_path, &marketplace.postmaster, &Wishes::default(), &content);
    bodies::seal(ctx, &mut batch.changes, id, now, &[(BodyKind::Original, &received.octets), (BodyKind::Outgoing, &stored)]).await?;
    batch.changes.messages.push(Message {
        id,
        pair,
        seller,
        conversation: None,
        author: if received.reverse_path.is_none() { Author::MailSystem } else { Author::Stranger },
        rung: None,
        order: None,
        reason: None,
        automatic: false,
        fingerprint: None,
        accepted_at: now,
        outcome: Outcome::Forward,
        original_id: None,
        outgoing_id: None,
        size_bytes: i64::try_from(received.octets.len()).unwrap_or(i64::MAX),
    });
    batch.changes.entries.push(NewEntry::new(
        (pair, seller),
        Some(id),
        "message.accepted",
        now,
        ctx.salt(),
        [
            ("author", Some("operator_mail".into())),
            ("original", Some(hash_and_size(&received.octets))),
            ("authentication", Some(received.authentication.value())),
        ],
    ));
    let delivery = queued(ctx, id, now);
    batch.changes.deliveries.push(delivery.clone());
    batch.ready.push(ReadyDelivery {
        delivery,
        reverse_path,
        recipient: marketplace.postmaster.clone(),
        content: content.into(),
        wishes: Wishes::default(),
    });
    batch.accepted.push(id);
    batch.outcomes.push(Outcome::Forward.as_str());
    Ok(())
}
