//! From a message to its decision: one read of facts, then a pure decision. Changes nothing, so that it is
//! the dry run as well.

use std::sync::Arc;

use domain::calendar::Day;
use domain::conversation::{Conversation, Evidence, join};
use domain::delivery::DeliveryState;
use domain::message::{Author, Message};
use domain::order::{mentioned, order_of_message};
use domain::policy::{Channel, ContentFacts, Decision, Facts, ImportantMode, OrderFacts, RuleSet, decide, has_bracketed_word};
use domain::{MessageId as Id, Order, OrderId, PairId, Role, Rung, Tag, Timestamp};
use mail::mime::Content;
use mail::{Mailbox, MessageId};
use store::{AliasTarget, CounterAdd, FactsQuery, PairFacts, StoreError};

use crate::bounce::is_given_up;
use crate::carrier;
use crate::context::{Context, Marketplace};
use crate::files::{self, Files};
use crate::tokens::Submitter;

/// One message to one alias, from whatever door.
#[derive(Clone)]
pub(crate) struct Incoming<'a> {
    pub(crate) marketplace: &'a Marketplace,
    pub(crate) target: AliasTarget,
    pub(crate) tag: Option<Tag>,
    pub(crate) channel: Channel,
    pub(crate) sender: Sender<'a>,
    /// Display name and address in RFC5322.From, as far as it came by mail.
    pub(crate) from: (&'a str, Option<&'a Mailbox>),
    /// Contact reason; `other` by mail.
    pub(crate) reason: &'a str,
    /// The order that the caller names.
    pub(crate) order: Option<OrderId>,
    pub(crate) content: Arc<Content>,
    /// What is kept as it came.
    pub(crate) original: &'a [u8],
    pub(crate) message_id: Option<&'a MessageId>,
    /// Ids that In-Reply-To and References name, newest last.
    pub(crate) references: &'a [MessageId],
    pub(crate) other_recipients: usize,
    pub(crate) automatic: bool,
    pub(crate) hops: u32,
}

/// Who sends it.
#[derive(Clone, Copy)]
pub(crate) enum Sender<'a> {
    /// Whoever the mail says, if it is aligned.
    Mail {
        /// RFC5322.From.
        from: Option<&'a Mailbox>,
        /// Whether SPF or DKIM passes for it.
        aligned: bool,
        /// Whether the reverse-path is null.
        is_null: bool,
    },
    /// A party that signed in, or whose answer it is by our own reverse-path.
    Party(Role),
    /// A seller that signed in to send mail.
    Submitter(&'a Submitter),
}

/// A message with everything that its decision rests on.
pub(crate) struct Weighed {
    pub(crate) pair: PairFacts,
    pub(crate) author: Author,
    /// Which carrier wrote.
    pub(crate) carrier: Option<String>,
    /// The conversation, and the evidence by which it joins.
    pub(crate) joined: Option<(Conversation, Option<Rung>)>,
    pub(crate) order: Option<Order>,
    pub(crate) files: Files,
    pub(crate) facts: Facts,
    pub(crate) decision: Decision,
    pub(crate) fingerprint: [u8; 16],
    pub(crate) day: Day,
    /// The message that this one repeats (C14).
    pub(crate) repeats: Option<Id>,
}

/// Reads the facts of a message and decides it. `pending` is what other copies of it count in the same commit.
pub(crate) async fn weigh(ctx: &Context, m: &Incoming<'_>, now: Timestamp, pending: &[CounterAdd]) -> Result<Weighed, StoreError> {
    let rules = &m.marketplace.rules;
    let day = m.marketplace.calendar.day(now);
    let query = FactsQuery {
        pair: m.target.pair,
        tag: m.tag.clone(),
        references: m.references.iter().map(hash_of_id).collect(),
        quoted: Tag::references_in(&m.content.text),
        own_id: m.message_id.map(hash_of_id),
        seller_counters: vec![sent_key(day), important_key(day)],
        pair_counters: vec![buyer_key(day)],
    };
    let Some(pair) = ctx.store.load_facts(query).await? else {
        return Err(StoreError::Corrupt(format!("pair {} has an alias but no row", m.target.pair)));
    };
    let author = author(ctx, m, &pair).await?;
    let parcel = if author == Author::Stranger { carrier::parcel(ctx, m, &pair, now).await? } else { None };
    let author = if parcel.is_some() { Author::Carrier } else { author };
    let joined = match (author, &parcel) {
        // C3: only a party joins by evidence; a carrier's notice stands with the order.
        (Author::Party(_), _) => join(evidence(&pair, m)).map(|(conversation, rung)| (conversation, Some(rung))).or_else(|| {
            // A machine begins no conversation where there is one about an order: two of them would begin one after
            // another. That is no evidence, and exempts from nothing.
            let newest = pair.by_order.first().filter(|_| m.automatic);
            newest.map(|conversation| (conversation.clone(), None))
        }),
        (_, Some(parcel)) => pair.by_order.iter().find(|c| c.order == Some(parcel.order)).map(|c| (c.clone(), Some(Rung::OrderId))),
        _ => None,
    };
    let conversation = joined.as_ref().map(|(c, _)| c);
    let order = match m.order.or(parcel.as_ref().map(|p| p.order)) {
        Some(named) => pair.orders.iter().find(|o| o.id == named),
        None => order_of_message(&pair.orders, conversation.and_then(|c| c.order), &m.content.subject, &m.content.text, now),
    };
    // Nobody else's file is opened: what a stranger sends is refused unread.
    let files = match author {
        Author::Party(_) => files::prepare(ctx, &m.content, rules, m.channel).await?,
        // A machine cannot send it another way: the notice goes on without what does not pass.
        Author::Carrier => files::prepare(ctx, &m.content, rules, m.channel).await?.without_refused(),
        _ => Files::default(),
    };
    let content = content_facts(rules, m.marketplace, &m.content, &files, (m.channel, m.automatic, m.other_recipients));
    let counter = |values: &[i64], at: usize| values.get(at).copied().unwrap_or(0);
    let also = |of: PairId, key: &str| pending.iter().filter(|add| add.pair == of && add.key == key).map(|add| add.amount).sum::<i64>();
    let mut facts = Facts {
        channel: m.channel,
        author,
        reaches: m.target.reaches,
        alias_state: pair.pair.state,
        undeliverable: is_given_up(&pair, m.target.reaches),
        rung: joined.as_ref().and_then(|(_, rung)| *rung),
        buyer_waits: conversation.is_some_and(|c| c.response_needed),
        buyer_wrote_at: conversation.and_then(|c| c.last_buyer_message_at),
        // Of no concern where the buyer writes, and then not for the record either.
        opt_out: pair.buyer.opt_out.map(|o| o.source).filter(|_| author == Author::Party(Role::Seller)),
        order: order.map(OrderFacts::from),
        reason: m.reason.to_owned(),
        reason_used: false,
        important_withdrawn: pair.seller.important_withdrawn,
        important_today: counter(&pair.seller_counters, 1) + also(PairId::of_seller(pair.pair.seller), &important_key(day)),
        sent_today: counter(&pair.seller_counters, 0) + also(PairId::of_seller(pair.pair.seller), &sent_key(day)),
        orders_in_window: None,
        resets_at: m.marketplace.calendar.next_day(now),
        buyer_sent_today: counter(&pair.pair_counters, 0),
        automatic_at: None,
        content,
    };
    let may_override = facts.content.important && facts.opt_out.is_some() && rules.important != ImportantMode::Ignore;
    if author == Author::Party(Role::Seller) && (facts.sent_today >= rules.base || may_override) {
        facts.orders_in_window = Some(count_orders(ctx, m.marketplace, pair.pair.seller, day, now).await?);
    }
    if m.automatic {
        let key = automatic_key(author, conversation);
        let at = ctx.store.find_counter(pair.pair.id, &key).await? + also(pair.pair.id, &key);
        facts.automatic_at = (at > 0).then_some(Timestamp(at));
    }
    if let (Some(order), true) = (order, rules.reason(m.reason).is_some_and(|r| r.once_per_order)) {
        facts.reason_used = ctx.store.find_counter(pair.pair.id, &once_key(m.reason, order.id)).await? > 0;
    }
    let fingerprint = fingerprint(ctx, &m.content);
    let within = std::time::Duration::from_secs(u64::from(rules.duplicate_hours) * 3600);
    let is_repeated = |earlier: &&Message| {
        let is_same = earlier.author == author && earlier.fingerprint == Some(fingerprint);
        // What was refused is decided again: the writer may have waited until it passes.
        is_same && earlier.outcome.passes() && now.since(earlier.accepted_at) < within
    };
    let repeats = match pair.same_id.as_ref().filter(is_repeated) {
        Some(earlier) => arrived_or_will(ctx, earlier.id).await?,
        None => None,
    };
    let mut decision = decide(&facts, rules, now);
    if author == Author::Carrier && !decision.outcome.passes() {
        // B: what does not pass is refused in the words for strangers, which tell nothing of the pair.
        (facts.author, facts.rung) = (Author::Stranger, None);
        decision = decide(&facts, rules, now);
    }
    let author = facts.author;
    let order = order.cloned();
    let carrier = parcel.map(|p| p.carrier);
    Ok(Weighed { pair, author, carrier, joined, order, files, facts, decision, fingerprint, day, repeats })
}

/// What the content says under these rules; for a replay the same content is read under others.
pub(crate) fn content_facts(
    rules: &RuleSet,
    marketplace: &Marketplace,
    content: &Content,
    files: &Files,
    (channel, automatic, other_recipients): (Channel, bool, usize),
) -> ContentFacts {
    let words: Vec<&str> = rules.important_words_of(&marketplace.languages).collect();
    let important = has_bracketed_word(&content.subject, words.into_iter());
    // Only what may be critical is read for what it should not be.
    let may_be_critical = important || channel == Channel::Web;
    let suspicions = may_be_critical.then(|| rules.phrases.suspect(&format!("{} {}", content.subject, content.text)));
    ContentFacts {
        important,
        automatic,
        other_recipients,
        parts_removed: files.removed.len(),
        refused_files: files.refused.clone(),
        encrypted: content.encrypted,
        suspicions: suspicions.unwrap_or_default(),
        is_empty: content.is_empty(),
    }
}

/// A message that may still arrive, or did. One that was given up is worth another try.
async fn arrived_or_will(ctx: &Context, id: Id) -> Result<Option<Id>, StoreError> {
    let delivery = ctx.store.find_message(id, &[]).await?.and_then(|m| m.delivery);
    Ok(delivery.is_some_and(|d| d.state != DeliveryState::Bounced).then_some(id))
}

async fn count_orders(
    ctx: &Context,
    marketplace: &Marketplace,
    seller: domain::SellerId,
    day: Day,
    now: Timestamp,
) -> Result<i64, StoreError> {
    if let Some(count) = ctx.order_counts.find(seller, day, now) {
        return Ok(count);
    }
    // C7: complete days only, so that the number stands still for a day.
    let (from, to) = (marketplace.calendar.start_of_day(now, marketplace.rules.window_days), marketplace.calendar.start_of_day(now, 0));
    let count = ctx.store.count_orders(seller, from, to).await?;
    ctx.order_counts.put(seller, day, now, count);
    Ok(count)
}

/// The pair comes first, then the role within it (B).
async fn author(ctx: &Context, m: &Incoming<'_>, pair: &PairFacts) -> Result<Author, StoreError> {
    let (from, aligned) = match m.sender {
        Sender::Party(role) => return Ok(Author::Party(role)),
        Sender::Submitter(s) if s.seller == pair.pair.seller => return Ok(Author::Party(Role::Seller)),
        // B1: another seller's alias that reaches a seller is told apart; a buyer's is nobody's business.
        Sender::Submitter(_) if m.target.reaches == Role::Seller => return Ok(Author::ForeignSeller),
        Sender::Submitter(_) => return Ok(Author::Stranger),
        Sender::Mail { is_null: true, .. } => return Ok(Author::MailSystem),
        Sender::Mail { from, aligned, .. } => (from, aligned),
    };
    // B2: an unaligned From is never taken for the person it names.
    let (Some(from), true) = (from, aligned) else { return Ok(Author::Stranger) };
    let writes = |role| match role {
        Role::Seller => pair.seller.writes_from(from),
        Role::Buyer => pair.buyer.writes_from(from),
    };
    // Who has one address on both sides means the other one.
    let reaches = m.target.reaches;
    if let Some(role) = [reaches.other(), reaches].into_iter().find(|role| writes(*role)) {
        return Ok(Author::Party(role));
    }
    if reaches == Role::Seller && ctx.store.is_seller_address(&m.marketplace.id, &from.canonical()).await? {
        return Ok(Author::ForeignSeller);
    }
    Ok(Author::Stranger)
}

fn evidence(pair: &PairFacts, m: &Incoming<'_>) -> Evidence {
    let order = mentioned(&pair.orders, &m.content.subject);
    let of_order = |o: &Order| pair.by_order.iter().find(|c| c.order == Some(o.id)).cloned();
    Evidence {
        tag: pair.by_tag.clone(),
        references: pair.by_reference.clone(),
        quotation: pair.by_quotation.clone(),
        // On pages and the API a conversation is joined by naming it, never by a number in the subject.
        order_id: if m.channel == Channel::Mail { order.and_then(of_order) } else { None },
    }
}

/// Tells contents apart without telling them: keyed, so that nobody can try contents out.
fn fingerprint(ctx: &Context, content: &Content) -> [u8; 16] {
    let mut octets = Vec::with_capacity(content.text.len() + 256);
    let parts = [content.subject.as_bytes(), content.text.as_bytes(), content.html.as_deref().unwrap_or_default().as_bytes()];
    for part in parts.into_iter().chain(content.files().map(|f| f.octets.as_slice())) {
        octets.extend_from_slice(&domain::ledger::hash(&[part]));
    }
    ctx.short_mac(b"tradepost/fingerprint/v1", &octets)
}

/// Under which a Message-ID is known within its pair.
pub(crate) fn hash_of_id(id: &MessageId) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&domain::ledger::hash(&[id.as_str().as_bytes()])[..16]);
    out
}

pub(crate) fn sent_key(day: Day) -> String {
    format!("sent/{}", day.0)
}

pub(crate) fn important_key(day: Day) -> String {
    format!("important/{}", day.0)
}

pub(crate) fn buyer_key(day: Day) -> String {
    format!("buyer/{}", day.0)
}

/// The counter holds the instant of the last one.
pub(crate) fn automatic_key(author: Author, conversation: Option<&Conversation>) -> String {
    let place = conversation.map_or_else(|| "pair".to_owned(), |c| c.id.to_string());
    format!("automatic/{}/{place}", author.as_str())
}

pub(crate) fn once_key(reason: &str, order: OrderId) -> String {
    format!("once/{reason}/{order}")
}
