//! Notices of ours to a writer: null reverse-path, Auto-Submitted, in the writer's language (C0).
//!
//! At most one per conversation and cause in an hour; what is told once is told once.

use domain::delivery::{Delivery, DeliveryState};
use domain::ledger::{self, Value};
use domain::message::{Author, Message};
use domain::policy::Outcome;
use domain::{ConversationId, MessageId as Id, OrderId, PairId, SellerId, Timestamp};
use mail::compose::{Outgoing, compose};
use mail::compose_report::DeliveryReport;
use mail::scrub::Scrubber;
use mail::{Mailbox, ReversePath};
use store::{BodyKind, Changes, CounterAdd, NewEntry, StoreError};

use crate::advice::{Told, postmaster};
use crate::bodies::{self, Wishes};
use crate::context::{Context, Marketplace, ReadyDelivery};
use crate::scrubber::masks;
use crate::{dates, relay};

const HOUR_MICROS: i64 = 3_600_000_000;

/// Who is told what about which message.
pub(crate) struct Notice<'a> {
    pub(crate) marketplace: &'a Marketplace,
    pub(crate) pair: PairId,
    pub(crate) seller: SellerId,
    pub(crate) conversation: Option<ConversationId>,
    /// The message that it is about.
    pub(crate) about: Id,
    /// The writer's own subject.
    pub(crate) subject: &'a str,
    pub(crate) written_at: Timestamp,
    pub(crate) to: Mailbox,
    pub(crate) locale: &'a str,
    /// What is told; its code is the cause that is counted.
    pub(crate) told: Told,
    /// Since when what is told once holds.
    pub(crate) since: Option<Timestamp>,
    /// Lines with links, behind it.
    pub(crate) links: Vec<String>,
    /// The writer's Message-ID, for threading in the writer's own mailbox.
    pub(crate) in_reply_to: Option<mail::MessageId>,
}

/// Told once per conversation, rather than once an hour.
fn is_told_once(cause: &str) -> bool {
    matches!(cause, "notice_other_recipients" | "notice_alias_closed" | "notice_undeliverable_buyer")
}

/// Adds the notice to the changes, unless it was told already; gives what is ready to be delivered.
pub(crate) async fn add(ctx: &Context, changes: &mut Changes, notice: &Notice<'_>) -> Result<Option<ReadyDelivery>, StoreError> {
    let now = ctx.clock.now();
    let scope = match (notice.told.code, notice.conversation) {
        // The alias is the pair's, so is being told of it.
        ("notice_undeliverable_buyer", _) => format!("pair/{}", notice.since.map_or(0, |at| at.0)),
        ("notice_alias_closed", _) | (_, None) => "pair".to_owned(),
        (_, Some(conversation)) => conversation.to_string(),
    };
    // Per person told, by a MAC that names nobody.
    let who = ctx.master_key.mac(b"tradepost/notice/v1", notice.to.canonical().as_bytes());
    let scope = who[..8].iter().fold(format!("{scope}/"), |text, b| format!("{text}{b:02x}"));
    let hour = now.0.div_euclid(HOUR_MICROS);
    let key = |hour: i64| {
        if is_told_once(notice.told.code) {
            format!("notice/{}/{scope}", notice.told.code)
        } else {
            format!("notice/{}/{scope}/{hour}", notice.told.code)
        }
    };
    let told = ctx.store.find_counter(notice.pair, &key(hour)).await?;
    let mut add = CounterAdd { pair: notice.pair, key: key(hour), amount: 1, below: None };
    if told > 0 {
        changes.counters.push(add);
        return Ok(None);
    }
    add.below = Some(1);
    changes.counters.push(add);
    let before = if is_told_once(notice.told.code) { 0 } else { ctx.store.find_counter(notice.pair, &key(hour - 1)).await? };
    compose_notice(ctx, changes, notice, now, before).await.map(Some)
}

async fn compose_notice(
    ctx: &Context,
    changes: &mut Changes,
    n: &Notice<'_>,
    now: Timestamp,
    before: i64,
) -> Result<ReadyDelivery, StoreError> {
    let id = Id::fresh(now, ctx.random.as_ref(), n.pair.bucket());
    let subject = if n.subject.is_empty() { ctx.text(n.locale, "no_subject", &[]) } else { n.subject.chars().take(200).collect() };
    let written = n.marketplace.calendar.minute(n.written_at);
    let about = ctx.text(n.locale, "notice_about", &[("subject", &subject), ("date", &written)]);
    let mut told = format!("{about}\n\n{}\n", n.told.text);
    if before > 1 {
        told.push_str(&format!("\n{}\n", ctx.text(n.locale, "notice_repeated", &[("count", &before.to_string())])));
    }
    let links: String = n.links.iter().map(|line| format!("\n{line}\n")).collect();
    let body = format!("{told}{links}");
    let is_refusal = n.told.code.starts_with("remedy_");
    let subject_key = if is_refusal { "notice_subject_not_delivered" } else { "notice_subject_note" };
    // The view is for staff: addresses are masked in it, and the links are left out.
    let scrubber = Scrubber { masks: masks(ctx, n.locale), ..Scrubber::default() };
    let own = OwnMessage {
        conversation: n.conversation,
        subject: ctx.text(n.locale, subject_key, &[]),
        text: body,
        shown: scrubber.text(&told).0,
        in_reply_to: n.in_reply_to.clone(),
        auto_submitted: "auto-replied",
        ..OwnMessage::of_marketplace(ctx, n.marketplace, n.locale, (id, (n.pair, n.seller)), n.to.clone())
    };
    let ready = queue_own(ctx, changes, own, now).await?;
    changes.entries.push(entry(ctx, (n.pair, n.seller), (Some(n.about), n.told.code), &ready));
    Ok(ready)
}

/// The entry of a notice that was queued: about which message, and why.
pub(crate) fn entry(ctx: &Context, chain: (PairId, SellerId), (about, cause): (Option<Id>, &str), ready: &ReadyDelivery) -> NewEntry {
    NewEntry::new(
        chain,
        Some(ready.id()),
        "notice.queued",
        ready.delivery.queued_at,
        ctx.salt(),
        [
            ("about", about.map(|id| id.to_string().into())),
            ("cause", Some(cause.into())),
            ("outgoing", Some(hash_and_size(&ready.content))),
        ],
    )
}

/// A message of ours to a party: a notice to a writer, or a shipping notice.
pub(crate) struct OwnMessage<'a> {
    pub(crate) id: Id,
    pub(crate) marketplace: &'a Marketplace,
    pub(crate) chain: (PairId, SellerId),
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) order: Option<OrderId>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) from: (String, Mailbox),
    pub(crate) to: Mailbox,
    pub(crate) reverse_path: ReversePath,
    pub(crate) language: &'a str,
    pub(crate) subject: String,
    pub(crate) text: String,
    /// The text as API and pages show it.
    pub(crate) shown: String,
    pub(crate) in_reply_to: Option<mail::MessageId>,
    /// RFC 3834, section 5.
    pub(crate) auto_submitted: &'static str,
    /// What became of the reader's own message, for machines.
    pub(crate) report: Option<DeliveryReport>,
}

impl<'a> OwnMessage<'a> {
    /// A message of the marketplace itself without words yet; nobody's program answers it.
    pub(crate) fn of_marketplace(
        ctx: &'a Context,
        marketplace: &'a Marketplace,
        locale: &str,
        (id, chain): (Id, (PairId, SellerId)),
        to: Mailbox,
    ) -> Self {
        Self {
            id,
            marketplace,
            chain,
            conversation: None,
            order: None,
            reason: None,
            from: (ctx.text(locale, "notice_name", &[("marketplace", &marketplace.name)]), postmaster(marketplace)),
            to,
            reverse_path: None,
            language: ctx.settings.texts.language_of(locale),
            subject: String::new(),
            text: String::new(),
            shown: String::new(),
            in_reply_to: None,
            auto_submitted: "auto-generated",
            report: None,
        }
    }
}

/// Composes, signs and seals a message of ours and adds it with its delivery to the changes; the entry of the ledger
/// is its caller's.
pub(crate) async fn queue_own(
    ctx: &Context,
    changes: &mut Changes,
    m: OwnMessage<'_>,
    now: Timestamp,
) -> Result<ReadyDelivery, StoreError> {
    let view = format!("{}\n\n{}", m.subject, m.shown);
    let outgoing = Outgoing {
        from: m.from,
        to: m.to.clone(),
        reply_to: None,
        subject: m.subject,
        date: dates::rfc5322(now),
        message_id: relay::fresh_id(ctx, m.marketplace),
        references: m.in_reply_to.clone().into_iter().collect(),
        in_reply_to: m.in_reply_to,
        auto_submitted: Some(m.auto_submitted),
        hostname: ctx.settings.hostname.clone(),
        hops: 1,
        text: m.text,
        html: None,
        files: Vec::new(),
        report: m.report,
        unsubscribe: None,
        boundary_seed: relay::seed(ctx),
        language: m.language.to_owned(),
    };
    let content = m.marketplace.signed(compose(&outgoing), now);
    let stored = bodies::with_envelope(&m.reverse_path, &m.to, &Wishes::default(), &content);
    bodies::seal(ctx, changes, m.id, now, &[(BodyKind::Outgoing, &stored), (BodyKind::View, view.as_bytes())]).await?;
    changes.messages.push(Message {
        id: m.id,
        pair: m.chain.0,
        seller: m.chain.1,
        conversation: m.conversation,
        author: Author::Tradepost,
        rung: None,
        order: m.order,
        reason: m.reason.map(str::to_owned),
        automatic: true,
        fingerprint: None,
        accepted_at: now,
        outcome: Outcome::Notify,
        original_id: None,
        outgoing_id: Some(outgoing.message_id),
        size_bytes: i64::try_from(content.len()).unwrap_or(i64::MAX),
    });
    let delivery = queued(ctx, m.id, now);
    changes.deliveries.push(delivery.clone());
    Ok(ReadyDelivery { delivery, reverse_path: m.reverse_path, recipient: m.to, content: content.into(), wishes: Wishes::default() })
}

/// A fresh delivery, leased to this process in the commit that makes it.
pub(crate) fn queued(ctx: &Context, message: Id, now: Timestamp) -> Delivery {
    let lease = domain::delivery::Lease { owner: ctx.node, until_at: now.after(crate::context::LEASE), fence: 1 };
    Delivery { message, state: DeliveryState::Queued, attempts: 0, queued_at: now, due_at: now, lease: Some(lease), last_status: None }
}

/// What identifies bytes in an entry.
pub(crate) fn hash_and_size(bytes: &[u8]) -> Value {
    Value::object([("sha256", Value::hex(&ledger::hash(&[bytes]))), ("size", i64::try_from(bytes.len()).unwrap_or(i64::MAX).into())])
}
