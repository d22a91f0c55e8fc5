//! Taking responsibility for a message: parse, look up, decide, compose, one commit, then the reply.
//!
//! Invariant: `Receipt::Accepted` is given only after the commit that holds the original, the decision and
//! the outgoing copy (C1).

use std::sync::Arc;

use domain::conversation::{Conversation, Evidence, join};
use domain::id::ConversationId;
use domain::ledger::decision_value;
use domain::message::{Author, Message};
use domain::order::{mentioned, order_of_message};
use domain::policy::{Decision, Facts, Outcome, decide};
use domain::{MessageId as Id, Order, PairId, Role, Tag, Timestamp};
use mail::mime::{Content, parse, read_content};
use mail::{Mailbox, MessageId, ReversePath};
use store::{
    AliasTarget, BodyKind, Changes, CommitError, ConversationTouch, Entity, FactsQuery, Guard, KnownId, NewEntry, PairFacts, StoreError,
};

use crate::authentication::Authentication;
use crate::bodies;
use crate::context::{Context, Marketplace, ReadyDelivery, TRIES};
use crate::metrics::Metrics;
use crate::notices::{self, Notice, hash_and_size, queued};
use crate::receive_unpaired::{note, to_operator, to_report};
use crate::relay::{Relay, parts_removed, relay};
use crate::resolve_recipient::Recipient;
use crate::verp;

/// Most relays of ours that a message may have passed, and most trace fields of anyone's (RFC 5321, section 6.3).
const MAX_HOPS: u32 = 5;
const MAX_RECEIVED: usize = 50;
/// Octets of one message times its aliases: each alias keeps its own copy.
const MAX_COPIES_BYTES: usize = 256 << 20;
/// Messages above this size are read on a thread that may be busy for long.
const HEAVY_BYTES: usize = 64 << 10;
/// Larger messages do not wait in memory: delivery reads them from the store.
const MAX_HANDED_BYTES: usize = 256 << 10;

/// A message at the end of DATA.
#[derive(Debug, Clone)]
pub struct Received {
    /// RFC5321.MailFrom.
    pub reverse_path: ReversePath,
    /// Where the accepted recipients lead.
    pub recipients: Vec<Recipient>,
    /// The octets.
    pub octets: Arc<[u8]>,
    /// SPF, DKIM, DMARC.
    pub authentication: Authentication,
}

/// Why a message is refused in the session (C0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No single author, or a structure beyond the limits.
    Malformed(String),
    /// It passed us too often.
    Loop,
    /// From or reverse-path in an alias domain, from outside (A8).
    OurDomain,
    /// Nobody who may write here. The text depends on the message's own authentication only (B).
    Stranger {
        /// Whether SPF or DKIM passed for From.
        aligned: bool,
    },
    /// The DNS did not answer, so that it cannot be said who wrote it.
    Unverifiable,
    /// Too large for so many recipients.
    TooManyCopies,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// Durable; the ids stand in the record.
    Accepted(Vec<Id>),
    /// Refused; nothing was kept.
    Refused(Refusal),
}

/// What was read out of the octets.
struct Reading {
    /// RFC5322.From, or why it names no single author; a report of a mail system needs none.
    from: Result<Mailbox, Refusal>,
    content: Content,
    message_id: Option<MessageId>,
    references: Vec<MessageId>,
    other_recipients: Vec<Mailbox>,
    hops: u32,
}

/// Receives a message: refused, or accepted and durable.
///
/// # Errors
/// `StoreError` when the store does not take it: 451, nothing was promised (RFC 5321, section 4.2.5).
pub async fn receive_message(ctx: &Context, received: Received) -> Result<Receipt, StoreError> {
    let receipt = receive(ctx, received).await?;
    if let Receipt::Refused(_) = receipt {
        Metrics::count(&ctx.metrics.messages, "refused");
    }
    Ok(receipt)
}

async fn receive(ctx: &Context, mut received: Received) -> Result<Receipt, StoreError> {
    received.recipients = merged(std::mem::take(&mut received.recipients));
    let copies = received.recipients.len().saturating_mul(received.octets.len());
    if received.recipients.len() > 1 && copies > MAX_COPIES_BYTES {
        return Ok(Receipt::Refused(Refusal::TooManyCopies));
    }
    let reading = match read(ctx, &received).await? {
        Ok(reading) => reading,
        Err(refusal) => return Ok(Receipt::Refused(refusal)),
    };
    let needs_author = received.reverse_path.is_some() && received.recipients.iter().any(|r| matches!(r, Recipient::Alias { .. }));
    if let (Err(refusal), true) = (&reading.from, needs_author) {
        return Ok(Receipt::Refused(refusal.clone()));
    }
    // The facts may change between reading and committing; then everything is decided anew.
    for _ in 0..TRIES {
        let mut batch = Batch::default();
        for recipient in &received.recipients {
            one_recipient(ctx, &received, &reading, recipient, &mut batch).await?;
        }
        if batch.strangers == received.recipients.len() {
            let refusal = if received.authentication.is_unsettled() {
                Refusal::Unverifiable
            } else {
                Refusal::Stranger { aligned: received.authentication.aligned }
            };
            return Ok(Receipt::Refused(refusal));
        }
        match commit(ctx, batch).await {
            Ok(accepted) => return Ok(Receipt::Accepted(accepted)),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error),
        }
    }
    Err(StoreError::Unavailable("the facts changed again and again".to_owned()))
}

/// One recipient an alias: the bare alias and the one with a tag, as a reply to all names them, are one; the
/// tag is kept.
fn merged(recipients: Vec<Recipient>) -> Vec<Recipient> {
    let mut merged: Vec<Recipient> = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let same = merged.iter_mut().find(|known| match (known, &recipient) {
            (Recipient::Alias { target: a, .. }, Recipient::Alias { target: b, .. }) => a == b,
            (Recipient::Operator(a), Recipient::Operator(b)) => a == b,
            _ => false,
        });
        match (same, recipient) {
            (Some(Recipient::Alias { tag: known, .. }), Recipient::Alias { tag, .. }) => *known = known.take().or(tag),
            (Some(_), _) => {}
            (None, recipient) => merged.push(recipient),
        }
    }
    merged
}

/// What all recipients of one message come to.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) changes: Changes,
    pub(crate) ready: Vec<ReadyDelivery>,
    pub(crate) accepted: Vec<Id>,
    pub(crate) outcomes: Vec<&'static str>,
    masked: usize,
    strangers: usize,
}

/// One commit for all; then what was queued goes to delivery straight from memory.
async fn commit(ctx: &Context, mut batch: Batch) -> Result<Vec<Id>, CommitError> {
    // Without room in the hand-over nobody holds the delivery: the poller takes it at once.
    let too_large = batch.ready.iter().any(|r| r.content.len() > MAX_HANDED_BYTES);
    let permits = if batch.ready.is_empty() || too_large { None } else { ctx.handoff.try_reserve_many(batch.ready.len()).ok() };
    if permits.is_none() {
        batch.changes.deliveries.iter_mut().for_each(|d| d.lease = None);
    }
    ctx.store.commit(batch.changes).await?;
    if let Some(permits) = permits {
        permits.zip(batch.ready).for_each(|(permit, ready)| permit.send(ready));
    }
    batch.outcomes.into_iter().for_each(|outcome| Metrics::count(&ctx.metrics.messages, outcome));
    ctx.metrics.masked.inc_by(batch.masked as u64);
    Ok(batch.accepted)
}

/// Reads what a decision needs; heavy messages on a thread of their own, few at a time.
async fn read(ctx: &Context, received: &Received) -> Result<Result<Reading, Refusal>, StoreError> {
    let (octets, our_domains) = (Arc::clone(&received.octets), our_domains(ctx));
    let from_us = received.reverse_path.as_ref().is_some_and(|m| our_domains.contains(m.domain()));
    if from_us {
        return Ok(Err(Refusal::OurDomain));
    }
    if octets.len() < HEAVY_BYTES {
        return Ok(read_octets(&octets, &our_domains));
    }
    let _permit = ctx.heavy.acquire().await.map_err(|_| StoreError::Unavailable("closing".to_owned()))?;
    let done = tokio::task::spawn_blocking(move || read_octets(&octets, &our_domains)).await;
    done.map_err(|_| StoreError::Unavailable("reading a message was cut off".to_owned()))
}

fn our_domains(ctx: &Context) -> Vec<mail::Domain> {
    ctx.settings.marketplaces.iter().map(|m| m.domain.clone()).collect()
}

fn read_octets(octets: &[u8], our_domains: &[mail::Domain]) -> Result<Reading, Refusal> {
    let message = parse(octets).map_err(|e| Refusal::Malformed(e.to_string()))?;
    let fields = message.fields();
    let from = fields.originator().map(|o| o.mailbox).map_err(|e| Refusal::Malformed(e.to_string()));
    if from.as_ref().is_ok_and(|m| our_domains.contains(m.domain())) {
        return Err(Refusal::OurDomain);
    }
    let hops = fields.raw("X-Tradepost-Hops").and_then(|h| h.parse::<u32>().ok()).unwrap_or(0);
    let received = fields.iter().filter(|f| f.name.eq_ignore_ascii_case("Received")).count();
    if hops >= MAX_HOPS || received > MAX_RECEIVED {
        return Err(Refusal::Loop);
    }
    let ids = |name: &str| fields.raw(name).map(|v| MessageId::list(&v)).unwrap_or_default();
    let mut references = ids("References");
    // RFC 5322, section 3.6.4: what is answered stands last.
    for id in ids("In-Reply-To") {
        references.retain(|r| *r != id);
        references.push(id);
    }
    let mut other_recipients = [fields.mailboxes("To"), fields.mailboxes("Cc")].concat();
    // A copy to oneself tells nobody anything.
    let own = from.as_ref().map(Mailbox::canonical).unwrap_or_default();
    other_recipients.retain(|m| !our_domains.contains(m.domain()) && m.canonical() != own);
    Ok(Reading { from, content: read_content(&message), message_id: ids("Message-ID").pop(), references, other_recipients, hops })
}

async fn one_recipient(
    ctx: &Context,
    received: &Received,
    reading: &Reading,
    recipient: &Recipient,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    match recipient {
        Recipient::Alias { marketplace, target, tag } => {
            let Some(marketplace) = ctx.settings.by_id(marketplace) else { return Ok(()) };
            to_alias(ctx, received, reading, marketplace, *target, tag.clone(), batch).await
        }
        Recipient::Operator(marketplace) => to_operator(ctx, received, marketplace, batch).await,
        Recipient::Report { marketplace, message, expired } => to_report(ctx, received, marketplace, *message, *expired, batch).await,
        // Never accepted at RCPT.
        Recipient::UnknownAlias | Recipient::ForeignDomain => {
            batch.strangers += 1;
            Ok(())
        }
    }
}

/// One message to one alias: facts, decision, outgoing form.
async fn to_alias(
    ctx: &Context,
    received: &Received,
    reading: &Reading,
    marketplace: &Marketplace,
    target: AliasTarget,
    tag: Option<Tag>,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    let now = ctx.clock.now();
    let query = FactsQuery {
        pair: target.pair,
        tag,
        references: reading.references.iter().map(hash_of_id).collect(),
        quoted: Tag::references_in(&reading.content.text),
    };
    let Some(facts) = ctx.store.load_facts(query).await? else {
        return Err(StoreError::Corrupt(format!("pair {} has an alias but no row", target.pair)));
    };
    let author = author(ctx, received, reading, marketplace, &facts, target.reaches).await?;
    // C3: only a party joins.
    let joined = if matches!(author, Author::Party(_)) { join(evidence(&facts, reading)) } else { None };
    let order =
        order_of_message(&facts.orders, joined.as_ref().and_then(|(c, _)| c.order), &reading.content.subject, &reading.content.text, now);
    let decision = decide(&Facts {
        author,
        reaches: target.reaches,
        alias_state: facts.pair.state,
        rung: joined.as_ref().map(|(_, rung)| *rung),
        other_recipients: reading.other_recipients.len(),
        parts_removed: parts_removed(&reading.content.parts),
        is_empty: reading.content.is_empty(),
    });
    if author == Author::Stranger {
        batch.strangers += 1;
        if received.recipients.len() == 1 {
            return Ok(());
        }
    }
    if decision.outcome == Outcome::Note {
        return note(ctx, (facts.pair.id, facts.pair.seller), None, false, batch).await;
    }
    let pieces =
        Pieces { received, reading, marketplace, facts: &facts, author, joined, order, decision: &decision, reaches: target.reaches, now };
    record(ctx, pieces, batch).await
}

/// Everything known about one message to one alias once it is decided.
struct Pieces<'a> {
    received: &'a Received,
    reading: &'a Reading,
    marketplace: &'a Marketplace,
    facts: &'a PairFacts,
    author: Author,
    joined: Option<(Conversation, domain::Rung)>,
    order: Option<&'a Order>,
    decision: &'a Decision,
    reaches: Role,
    now: Timestamp,
}

/// Adds message, bodies, conversation, ledger entries, delivery and notices to the batch.
async fn record(ctx: &Context, p: Pieces<'_>, batch: &mut Batch) -> Result<(), StoreError> {
    let (pair, seller) = (p.facts.pair.id, p.facts.pair.seller);
    let id = Id::fresh(p.now, ctx.random.as_ref(), pair.bucket());
    let passes = matches!(p.decision.outcome, Outcome::Relay | Outcome::OnPage);
    let changes = &mut batch.changes;
    changes.guards.push(Guard::Version(Entity::Pair(pair), p.facts.pair.version));
    let rung = p.joined.as_ref().map(|(_, rung)| *rung);
    let conversation = match p.joined {
        Some((conversation, _)) => Some(conversation),
        None if passes => {
            let fresh = begin(ctx, &p, pair);
            changes.conversations.push(fresh.clone());
            Some(fresh)
        }
        None => None,
    };
    let relayed = passes.then_some(conversation.as_ref()).flatten().map(|conversation| {
        relay(
            ctx,
            &Relay {
                marketplace: p.marketplace,
                facts: p.facts,
                conversation,
                order: p.order,
                to: p.reaches,
                content: &p.reading.content,
                references: &p.facts.referenced,
                now: p.now,
                hops: p.reading.hops + 1,
            },
        )
    });
    if let Some(conversation) = conversation.as_ref().filter(|_| passes) {
        let touch = ConversationTouch { conversation: conversation.id, at: p.now, by: p.reaches.other(), order: p.order.map(|o| o.id) };
        changes.touches.push(touch);
    }
    let outgoing_id = relayed.as_ref().map(|r| r.outgoing_id.clone());
    for known in [p.reading.message_id.as_ref(), outgoing_id.as_ref()].into_iter().flatten().filter(|_| passes) {
        changes.known_ids.push(KnownId { pair, hash: hash_of_id(known), message: id });
    }
    changes.messages.push(Message {
        id,
        pair,
        seller,
        conversation: conversation.as_ref().map(|c| c.id),
        author: p.author,
        rung,
        order: p.order.map(|o| o.id),
        accepted_at: p.now,
        outcome: p.decision.outcome,
        original_id: p.reading.message_id.clone(),
        outgoing_id,
        size_bytes: i64::try_from(p.received.octets.len()).unwrap_or(i64::MAX),
    });
    changes.entries.push(NewEntry::new(
        (pair, seller),
        Some(id),
        "message.accepted",
        p.now,
        ctx.salt(),
        [
            ("author", Some(p.author.as_str().into())),
            ("conversation", conversation.as_ref().map(|c| c.id.to_string().into())),
            ("rung", rung.map(|r| r.as_str().into())),
            ("order", p.order.map(|o| o.id.to_string().into())),
            ("original", Some(hash_and_size(&p.received.octets))),
            ("authentication", Some(p.received.authentication.value())),
        ],
    ));
    changes.entries.push(NewEntry::new(
        (pair, seller),
        Some(id),
        "message.decided",
        p.now,
        ctx.salt(),
        [
            ("decision", Some(decision_value(p.decision))),
            ("outgoing", relayed.as_ref().map(|r| hash_and_size(&r.content))),
            ("masked", relayed.as_ref().map(|r| i64::try_from(r.masked).unwrap_or(i64::MAX).into())),
        ],
    ));
    match relayed {
        Some(relayed) => {
            let reverse_path = Some(verp::reverse_path(ctx, id, &p.marketplace.domain));
            let stored = bodies::with_envelope(&reverse_path, &relayed.recipient, &relayed.content);
            let kinds =
                [(BodyKind::Original, &*p.received.octets), (BodyKind::Outgoing, &stored), (BodyKind::View, relayed.view.as_bytes())];
            bodies::seal(ctx, changes, id, p.now, &kinds).await?;
            let mut delivery = queued(ctx, id, p.now);
            if p.decision.outcome == Outcome::OnPage {
                delivery.state = domain::delivery::DeliveryState::OnPage;
                delivery.lease = None;
            } else {
                batch.ready.push(ReadyDelivery {
                    delivery: delivery.clone(),
                    reverse_path,
                    recipient: relayed.recipient,
                    content: relayed.content.into(),
                });
            }
            changes.deliveries.push(delivery);
            batch.masked += relayed.masked;
        }
        None => bodies::seal(ctx, changes, id, p.now, &[(BodyKind::Original, &p.received.octets)]).await?,
    }
    batch.accepted.push(id);
    batch.outcomes.push(p.decision.outcome.as_str());
    // A stranger is never written to; whoever is authenticated is told what was decided (C0).
    let causes: Vec<&'static str> = match p.author {
        Author::Party(_) | Author::ForeignSeller => p.decision.remedy.into_iter().chain(p.decision.tell.iter().copied()).collect(),
        _ => Vec::new(),
    };
    let locale = match p.author {
        Author::Party(Role::Buyer) => p.facts.buyer.locale.as_str(),
        Author::Party(Role::Seller) => p.facts.seller.locale.as_str(),
        _ => p.marketplace.locale.as_str(),
    };
    let Ok(writer) = &p.reading.from else { return Ok(()) };
    for cause in causes {
        let notice = Notice {
            marketplace: p.marketplace,
            pair,
            seller,
            conversation: conversation.as_ref().map(|c| c.id),
            about: id,
            subject: &p.reading.content.subject,
            written_at: p.now,
            to: writer.clone(),
            locale,
            cause,
            in_reply_to: p.reading.message_id.clone(),
        };
        batch.ready.extend(notices::add(ctx, &mut batch.changes, &notice).await?);
    }
    Ok(())
}

fn begin(ctx: &Context, p: &Pieces<'_>, pair: PairId) -> Conversation {
    Conversation {
        id: ConversationId::fresh(p.now, ctx.random.as_ref(), pair.bucket()),
        pair,
        order: p.order.map(|o| o.id),
        tag: Tag::draw(ctx.random.as_ref()),
        begun_by: p.reaches.other(),
        started_at: p.now,
        last_message_at: p.now,
        last_buyer_message_at: None,
        response_needed: false,
        message_count: 0,
    }
}

/// The pair comes first, then the role within it (B).
async fn author(
    ctx: &Context,
    received: &Received,
    reading: &Reading,
    marketplace: &Marketplace,
    facts: &PairFacts,
    reaches: Role,
) -> Result<Author, StoreError> {
    if received.reverse_path.is_none() {
        return Ok(Author::MailSystem);
    }
    // B2: an unaligned From is never taken for the person it names.
    let (Ok(from), true) = (&reading.from, received.authentication.aligned) else {
        return Ok(Author::Stranger);
    };
    let writes = |role| match role {
        Role::Seller => facts.seller.writes_from(from),
        Role::Buyer => facts.buyer.writes_from(from),
    };
    // Who has one address on both sides means the other one.
    if let Some(role) = [reaches.other(), reaches].into_iter().find(|role| writes(*role)) {
        return Ok(Author::Party(role));
    }
    if reaches == Role::Seller && ctx.store.is_seller_address(&marketplace.id, &from.canonical()).await? {
        return Ok(Author::ForeignSeller);
    }
    Ok(Author::Stranger)
}

fn evidence(facts: &PairFacts, reading: &Reading) -> Evidence {
    let order = mentioned(&facts.orders, &reading.content.subject);
    let of_order = |o: &Order| facts.by_order.iter().find(|c| c.order == Some(o.id)).cloned();
    Evidence {
        tag: facts.by_tag.clone(),
        references: facts.by_reference.clone(),
        quotation: facts.by_quotation.clone(),
        order_id: order.and_then(of_order),
    }
}

fn hash_of_id(id: &MessageId) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&domain::ledger::hash(&[id.as_str().as_bytes()])[..16]);
    out
}
