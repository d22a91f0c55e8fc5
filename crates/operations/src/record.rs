//! A decided message as one piece of a commit: message, bodies, conversation, counters, ledger entries,
//! delivery and notices.

use domain::conversation::Conversation;
use domain::delivery::DeliveryState;
use domain::id::ConversationId;
use domain::ledger::{Value, decision_value};
use domain::message::{Author, Message};
use domain::policy::{Channel, Count, Outcome, is_unsolicited};
use domain::{MessageId as Id, PairId, Role, Tag, Timestamp};
use mail::Mailbox;
use mail::scrub::Counts;
use store::{BodyKind, Changes, CommitError, ConversationTouch, CounterAdd, Entity, Guard, KnownId, NewEntry, StoreError};

use crate::advice::{self, About, Told};
use crate::bodies::{self, Wishes};
use crate::carrier::{CARRIER_PER_ORDER, carrier_key};
use crate::context::{Context, ReadyDelivery};
use crate::links::{LinkAction, mint};
use crate::metrics::Metrics;
use crate::notices::{self, Notice, hash_and_size, queued};
use crate::relay::{Relay, relay};
use crate::verp;
use crate::weigh::{Incoming, Weighed, automatic_key, buyer_key, hash_of_id, important_key, once_key, sent_key};

/// Larger messages do not wait in memory: delivery reads them from the store.
const MAX_HANDED_BYTES: usize = 256 << 10;

/// What one or several messages come to, before the commit.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) changes: Changes,
    pub(crate) ready: Vec<ReadyDelivery>,
    pub(crate) accepted: Vec<Id>,
    pub(crate) outcomes: Vec<&'static str>,
    pub(crate) masked: Counts,
    pub(crate) overrides: u64,
    pub(crate) warnings: u64,
    pub(crate) carriers: u64,
    /// What reports of mail systems said.
    pub(crate) reports: Vec<&'static str>,
}

/// One commit for all; then what was queued goes to delivery straight from memory.
pub(crate) async fn commit(ctx: &Context, mut batch: Batch) -> Result<Vec<Id>, CommitError> {
    // Without room in the hand-over nobody holds the delivery: the poller takes it at once.
    let masked = batch.masked;
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
    let kinds = [("address", masked.addresses), ("link", masked.links), ("phone", masked.phones), ("name", masked.names)];
    kinds.into_iter().for_each(|(kind, n)| Metrics::count_by(&ctx.metrics.masked, kind, n as u64));
    ctx.metrics.overrides.inc_by(batch.overrides);
    ctx.metrics.content_warnings.inc_by(batch.warnings);
    Metrics::count_by(&ctx.metrics.carriers, "relayed", batch.carriers);
    batch.reports.into_iter().for_each(|word| Metrics::count(&ctx.metrics.reports, word));
    Ok(batch.accepted)
}

/// What stands in the record of how a message came in.
#[derive(Default)]
pub(crate) struct Arrival<'a> {
    /// SPF, DKIM, DMARC; none on pages and the API.
    pub(crate) authentication: Option<Value>,
    /// What the writer asked to be told.
    pub(crate) wishes: Wishes,
    /// Whether it came over TLS.
    pub(crate) tls: bool,
    /// Whether its writer signed in to send it.
    pub(crate) submitted: bool,
    /// Who is told of a refusal by mail; nobody where the answer tells it.
    pub(crate) writer: Option<&'a Mailbox>,
    /// The refused message that this one sends another way.
    pub(crate) resent: Option<Id>,
}

/// Adds a decided message to the batch; gives its id.
pub(crate) async fn record(
    ctx: &Context,
    m: &Incoming<'_>,
    w: Weighed,
    arrival: Arrival<'_>,
    now: Timestamp,
    batch: &mut Batch,
) -> Result<Id, StoreError> {
    let (pair, seller) = (w.pair.pair.id, w.pair.pair.seller);
    let id = Id::fresh(now, ctx.random.as_ref(), pair.bucket());
    let passes = w.decision.outcome.passes();
    let changes = &mut batch.changes;
    changes.guards.push(Guard::Version(Entity::Pair(pair), w.pair.pair.version));
    // The rules looked at the buyer's choice: what they saw must still be so.
    if w.facts.author == Author::Party(Role::Seller) {
        changes.guards.push(Guard::Version(Entity::Buyer(w.pair.pair.buyer), w.pair.buyer.version));
    }
    let rung = w.facts.rung;
    let conversation = match &w.joined {
        Some((conversation, _)) => Some(conversation.clone()),
        None if passes => {
            let fresh = begin(ctx, m, &w, now);
            changes.conversations.push(fresh.clone());
            Some(fresh)
        }
        None => None,
    };
    count(&w, m, conversation.as_ref().filter(|_| w.joined.is_some()), now, &mut changes.counters);
    let relayed = match conversation.as_ref().filter(|_| passes) {
        Some(conversation) => {
            let relay_of = Relay {
                id,
                marketplace: m.marketplace,
                facts: &w.pair,
                conversation,
                order: w.order.as_ref(),
                to: m.target.reaches,
                content: &m.content,
                files: &w.files,
                reason: m.reason,
                writer: m.from,
                carrier: w.carrier.as_deref(),
                references: &w.pair.referenced,
                automatic: m.automatic,
                unsolicited: is_unsolicited(&w.facts, &m.marketplace.rules, now),
                now,
                hops: m.hops,
            };
            Some(ctx.work(m.original.len(), || relay(ctx, &relay_of)).await?)
        }
        None => None,
    };
    if let Some(conversation) = conversation.as_ref().filter(|_| passes) {
        let by = m.target.reaches.other();
        let order = w.order.as_ref().map(|o| o.id);
        // Neither a machine nor a carrier asks for an answer or gives one (C11, B).
        let automatic = m.automatic || w.author == Author::Carrier;
        changes.touches.push(ConversationTouch { conversation: conversation.id, at: now, by, order, automatic });
    }
    let outgoing_id = relayed.as_ref().map(|r| r.outgoing_id.clone());
    // A stranger's id is not remembered: it could be made to stand for a party's.
    let own_id = m.message_id.filter(|_| matches!(w.author, Author::Party(_) | Author::Carrier));
    for known in [own_id, outgoing_id.as_ref()].into_iter().flatten() {
        changes.known_ids.push(KnownId { pair, hash: hash_of_id(known), message: id });
    }
    changes.messages.push(Message {
        id,
        pair,
        seller,
        conversation: conversation.as_ref().map(|c| c.id),
        author: w.author,
        rung,
        order: w.order.as_ref().map(|o| o.id),
        reason: (m.channel == Channel::Web).then(|| m.reason.to_owned()),
        automatic: m.automatic,
        fingerprint: Some(w.fingerprint),
        accepted_at: now,
        outcome: w.decision.outcome,
        original_id: m.message_id.cloned(),
        outgoing_id,
        size_bytes: i64::try_from(m.original.len()).unwrap_or(i64::MAX),
    });
    let outgoing = relayed.as_ref().map(|r| (hash_and_size(&r.content), masked_value(r.masked)));
    entries(ctx, m, &w, &arrival, (id, conversation.as_ref(), now), outgoing, changes);
    match relayed {
        Some(relayed) => {
            let reverse_path = Some(verp::reverse_path(ctx, id, &m.marketplace.domain));
            let stored = bodies::with_envelope(&reverse_path, &relayed.recipient, &arrival.wishes, &relayed.content);
            let kinds = [(BodyKind::Original, m.original), (BodyKind::Outgoing, &stored), (BodyKind::View, relayed.view.as_bytes())];
            bodies::seal(ctx, changes, id, now, &kinds).await?;
            let mut delivery = queued(ctx, id, now);
            if w.decision.outcome == Outcome::OnPage {
                delivery.state = DeliveryState::OnPage;
                delivery.lease = None;
            } else {
                batch.ready.push(ReadyDelivery {
                    delivery: delivery.clone(),
                    reverse_path,
                    recipient: relayed.recipient,
                    content: relayed.content.into(),
                    wishes: arrival.wishes.clone(),
                });
            }
            changes.deliveries.push(delivery);
            batch.masked += relayed.masked;
        }
        None => bodies::seal(ctx, changes, id, now, &[(BodyKind::Original, m.original)]).await?,
    }
    batch.accepted.push(id);
    batch.outcomes.push(w.decision.outcome.as_str());
    batch.carriers += u64::from(w.author == Author::Carrier && passes);
    batch.overrides += u64::from(w.decision.counts.iter().any(|c| matches!(c, Count::Important { .. })));
    batch.warnings += u64::from(w.decision.tell.iter().any(|a| a.key == "notice_content"));
    tell(ctx, m, &w, &arrival, (id, conversation.as_ref().map(|c| c.id)), batch).await?;
    Ok(id)
}

/// The two entries of a message: how it came, and what was decided on which facts.
fn entries(
    ctx: &Context,
    m: &Incoming<'_>,
    w: &Weighed,
    arrival: &Arrival<'_>,
    (id, conversation, now): (Id, Option<&Conversation>, Timestamp),
    outgoing: Option<(Value, Value)>,
    changes: &mut Changes,
) {
    let chain = (w.pair.pair.id, w.pair.pair.seller);
    changes.entries.push(NewEntry::new(
        chain,
        Some(id),
        "message.accepted",
        now,
        ctx.salt(),
        [
            ("author", Some(w.author.as_str().into())),
            ("conversation", conversation.map(|c| c.id.to_string().into())),
            ("rung", w.facts.rung.map(|r| r.as_str().into())),
            ("order", w.order.as_ref().map(|o| o.id.to_string().into())),
            ("original", Some(hash_and_size(m.original))),
            ("authentication", arrival.authentication.clone().filter(|_| !arrival.submitted)),
            ("carrier", w.carrier.as_deref().map(Into::into)),
            ("submitted", arrival.submitted.then_some(true.into())),
            ("tls", arrival.tls.then_some(true.into())),
            ("resent", arrival.resent.map(|id| id.to_string().into())),
        ],
    ));
    let (outgoing, masked) = outgoing.unzip();
    changes.entries.push(NewEntry::new(
        chain,
        Some(id),
        "message.decided",
        now,
        ctx.salt(),
        [("decision", Some(decision_value(&w.decision))), ("facts", Some(w.facts.value())), ("outgoing", outgoing), ("masked", masked)],
    ));
}

fn masked_value(masked: Counts) -> Value {
    let number = |n: usize| Value::from(i64::try_from(n).unwrap_or(i64::MAX));
    Value::Object(
        [("addresses", masked.addresses), ("links", masked.links), ("phones", masked.phones), ("names", masked.names)]
            .into_iter()
            .map(|(kind, n)| (kind, number(n)))
            .collect(),
    )
}

/// What a message adds up to, with the bounds that must still hold.
fn count(w: &Weighed, m: &Incoming<'_>, joined: Option<&Conversation>, now: Timestamp, counters: &mut Vec<CounterAdd>) {
    let (pair, seller) = (w.pair.pair.id, PairId::of_seller(w.pair.pair.seller));
    let mut add = |pair, key, amount, below| counters.push(CounterAdd { pair, key, amount, below });
    if let (Some(order), Author::Carrier, true) = (&w.order, w.author, w.decision.outcome.passes()) {
        add(pair, carrier_key(order.id), 1, Some(CARRIER_PER_ORDER));
    }
    for count in &w.decision.counts {
        match count {
            Count::Sent { below } => add(seller, sent_key(w.day), 1, *below),
            Count::Important { below } => add(seller, important_key(w.day), 1, Some(*below)),
            Count::BuyerSent { below } => add(pair, buyer_key(w.day), 1, Some(*below)),
            Count::Automatic => {
                // Set to now, if it is still what was seen: two machines at once pass one message.
                let seen = w.facts.automatic_at.map_or(0, |at| at.0);
                add(pair, automatic_key(w.author, joined), now.0 - seen, Some(seen + 1));
            }
            Count::Once => {
                if let Some(order) = &w.order {
                    add(pair, once_key(m.reason, order.id), 1, Some(1));
                }
            }
        }
    }
}

/// A stranger is never written to; whoever is authenticated is told what was decided (C0).
async fn tell(
    ctx: &Context,
    m: &Incoming<'_>,
    w: &Weighed,
    arrival: &Arrival<'_>,
    (id, conversation): (Id, Option<ConversationId>),
    batch: &mut Batch,
) -> Result<(), StoreError> {
    let Some(writer) = arrival.writer else { return Ok(()) };
    if !matches!(w.author, Author::Party(_) | Author::ForeignSeller) || w.decision.outcome == Outcome::Note {
        return Ok(());
    }
    let locale = match w.author {
        Author::Party(Role::Buyer) => w.pair.buyer.locale.as_str(),
        Author::Party(Role::Seller) => w.pair.seller.locale.as_str(),
        _ => m.marketplace.locale.as_str(),
    };
    let locale = m.marketplace.locale_of(&ctx.settings.texts, locale);
    let about = About { files: &w.facts.content.refused_files, resets_at: w.facts.resets_at };
    for advice in w.decision.remedy.iter().chain(&w.decision.tell) {
        let told = advice::say(ctx, m.marketplace, locale, advice, about);
        if is_opt_out(&told) && !w.pair.seller.notify_blocked {
            // C6: unticked "Blocked by buyer"; the decision stays visible.
            continue;
        }
        let notice = Notice {
            marketplace: m.marketplace,
            pair: w.pair.pair.id,
            seller: w.pair.pair.seller,
            conversation,
            about: id,
            subject: &m.content.subject,
            written_at: ctx.clock.now(),
            to: writer.clone(),
            locale,
            links: links(ctx, &told, locale, id),
            // An address that was mended and died again is news again.
            since: w.pair.buyer.undeliverable_at.filter(|_| told.code == "notice_undeliverable_buyer"),
            told,
            in_reply_to: m.message_id.cloned(),
        };
        batch.ready.extend(notices::add(ctx, &mut batch.changes, &notice).await?);
    }
    Ok(())
}

/// Whether a buyer's opt-out is the cause, whatever way out is named.
fn is_opt_out(told: &Told) -> bool {
    told.code.starts_with("remedy_opt_out") || told.code.starts_with("remedy_important")
}

/// The lines with links that belong to a piece of advice.
fn links(ctx: &Context, told: &Told, locale: &str, id: Id) -> Vec<String> {
    let line = |key: &str, action| mint(ctx, action, id).map(|link| ctx.text(locale, key, &[("link", &link)]));
    let resend = matches!(told.code, "remedy_attachments" | "remedy_locked_file") || is_opt_out(told);
    let lines = [
        resend.then(|| line("link_resend", LinkAction::Resend)).flatten(),
        is_opt_out(told).then(|| line("link_preferences_seller", LinkAction::SellerPreferences)).flatten(),
    ];
    lines.into_iter().flatten().collect()
}

fn begin(ctx: &Context, m: &Incoming<'_>, w: &Weighed, now: Timestamp) -> Conversation {
    let pair = w.pair.pair.id;
    Conversation {
        id: ConversationId::fresh(now, ctx.random.as_ref(), pair.bucket()),
        pair,
        order: w.order.as_ref().map(|o| o.id),
        tag: Tag::draw(ctx.random.as_ref()),
        begun_by: m.target.reaches.other(),
        started_at: now,
        last_message_at: now,
        last_buyer_message_at: None,
        response_needed: false,
        message_count: 0,
    }
}
