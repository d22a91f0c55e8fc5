//! A seller writes from page or API: the same facts, rules and record as a mail, refused at once (C0).

use std::sync::Arc;

use domain::message::Author;
use domain::policy::Channel;
use domain::{ConversationId, MessageId as Id, Order, OrderId, PairId, Role, Tag};
use mail::mime::Content;
use serde_json::json;
use store::{AliasTarget, BodyKind, CommitError, CounterAdd, FactsQuery, KnownId, PairFacts, StoreError};

use crate::bodies;
use crate::compose_template::{Scene, Written, WrittenInput, write};
use crate::context::{Context, Marketplace, TRIES};
use crate::dry_run::DryRun;
use crate::error::{InputError, OperationError};
use crate::read_record::whole_conversation;
use crate::record::{Arrival, Batch, commit, record};
use crate::weigh::{Incoming, Sender, once_key, weigh};

/// What a seller's message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// An order: a conversation begins.
    Order {
        /// The pair.
        pair: PairId,
        /// The order.
        order: OrderId,
    },
    /// A conversation that it answers.
    Conversation {
        /// The conversation.
        id: ConversationId,
        /// How many messages it had when the seller read it; more since then stop the answer (E7).
        seen_messages: Option<i64>,
    },
}

/// An idempotency key and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The caller's key.
    pub key: String,
    /// Tells callers apart.
    pub caller: String,
}

/// A message that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its id.
    pub id: Id,
    /// Both copies; none for a repeated request.
    pub written: Option<Written>,
    /// What was decided, with what the seller is told beside; none for a repeated request.
    pub decided: Option<DryRun>,
}

/// Why a message was not sent.
#[derive(Debug, Clone)]
pub enum SendError {
    /// The rules refuse it; nothing was kept.
    Refused(Box<DryRun>),
    /// The input, the state or the store.
    Operation(OperationError),
}

impl From<OperationError> for SendError {
    fn from(error: OperationError) -> Self {
        Self::Operation(error)
    }
}

impl From<StoreError> for SendError {
    fn from(error: StoreError) -> Self {
        Self::Operation(error.into())
    }
}

/// Both copies as they would be sent.
///
/// # Errors
/// `Invalid` names every fault, `Missing` what does not exist.
pub async fn preview_message(ctx: &Context, about: &About, input: &WrittenInput) -> Result<Written, OperationError> {
    Ok(prepare(ctx, about, input).await?.written)
}

/// What the rules would say, without anything being kept (C13).
///
/// # Errors
/// As [`preview_message`].
pub async fn decide_message(ctx: &Context, about: &About, input: &WrittenInput) -> Result<DryRun, OperationError> {
    let prepared = prepare(ctx, about, input).await?;
    let weighed = weigh(ctx, &prepared.incoming(), ctx.clock.now(), &[]).await?;
    Ok(DryRun::of(ctx, prepared.marketplace, &weighed))
}

/// Sends a seller's message.
///
/// # Errors
/// `Refused` by the rules; else as [`preview_message`], and `Changed` when the conversation grew meanwhile.
pub async fn send_message(ctx: &Context, about: &About, input: &WrittenInput, once: Option<&Once>) -> Result<Sent, SendError> {
    for _ in 0..TRIES {
        let prepared = prepare(ctx, about, input).await?;
        let now = ctx.clock.now();
        let mut batch = Batch::default();
        if let Some(once) = once
            && let Some(id) = guard_once(ctx, &prepared, once, &format!("{about:?} {input:?}"), &mut batch).await?
        {
            return Ok(Sent { id, written: None, decided: None });
        }
        if let About::Conversation { id, seen_messages: Some(seen) } = about {
            if prepared.messages_now != *seen {
                return Err(OperationError::Changed.into());
            }
            // Two answers at once: the second finds that the first was sent.
            let key = format!("answer/{id}/{seen}");
            if ctx.store.find_counter(prepared.target.pair, &key).await? > 0 {
                return Err(OperationError::Changed.into());
            }
            batch.changes.counters.push(CounterAdd { pair: prepared.target.pair, key, amount: 1, below: Some(1) });
        }
        let incoming = prepared.incoming();
        let weighed = weigh(ctx, &incoming, now, &[]).await?;
        let decided = DryRun::of(ctx, prepared.marketplace, &weighed);
        if !decided.decision.outcome.passes() {
            return Err(SendError::Refused(Box::new(decided)));
        }
        let id = record(ctx, &incoming, weighed, Arrival::default(), now, &mut batch).await?;
        batch.changes.known_ids.extend(once.map(|o| KnownId {
            pair: prepared.target.pair,
            hash: once_hash(ctx, o, prepared.target.pair),
            message: id,
        }));
        match commit(ctx, batch).await {
            Ok(_) => return Ok(Sent { id, written: Some(prepared.written), decided: Some(decided) }),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    Err(OperationError::Busy.into())
}

/// Everything of a message before it is weighed.
struct Prepared<'a> {
    marketplace: &'a Marketplace,
    target: AliasTarget,
    tag: Option<Tag>,
    order: Option<OrderId>,
    content: Arc<Content>,
    original: Vec<u8>,
    references: Vec<mail::MessageId>,
    written: Written,
    messages_now: i64,
}

impl Prepared<'_> {
    fn incoming(&self) -> Incoming<'_> {
        Incoming {
            marketplace: self.marketplace,
            target: self.target,
            tag: self.tag.clone(),
            channel: Channel::Web,
            sender: Sender::Party(Role::Seller),
            from: ("", None),
            reason: &self.written.reason,
            order: self.order,
            content: Arc::clone(&self.content),
            original: &self.original,
            message_id: None,
            references: &self.references,
            other_recipients: 0,
            automatic: false,
            hops: 1,
        }
    }
}

async fn prepare<'a>(ctx: &'a Context, about: &About, input: &WrittenInput) -> Result<Prepared<'a>, OperationError> {
    let missing = |what| OperationError::Missing { what, detail: "it does not exist, or is another's".to_owned() };
    let (pair, order, conversation) = match about {
        About::Order { pair, order } => (*pair, Some(*order), None),
        About::Conversation { id, .. } => {
            let conversation = ctx.store.find_conversation(*id).await?.ok_or_else(|| missing("conversation"))?;
            (conversation.pair, None, Some(conversation))
        }
    };
    let facts = ctx.store.load_facts(FactsQuery::of_pair(pair)).await?.ok_or_else(|| missing("pair"))?;
    let marketplace = ctx.settings.by_id(&facts.pair.marketplace).ok_or_else(|| missing("marketplace"))?;
    let wanted = order.or(conversation.as_ref().and_then(|c| c.order));
    let order_row = wanted.and_then(|id| facts.orders.iter().find(|o| o.id == id));
    if order.is_some() && order_row.is_none() {
        return Err(missing("order"));
    }
    let (answers, references) = match &conversation {
        Some(conversation) => answered(ctx, conversation.id).await?,
        None => (None, Vec::new()),
    };
    let PairFacts { seller, buyer, .. } = &facts;
    let scene = Scene { marketplace, seller, buyer, order: order_row, answers: answers.as_deref() };
    let written = write(ctx, scene, input)?;
    let content = Content { subject: written.buyer.subject.clone(), text: format!("{}\n", written.buyer.text), ..Content::default() };
    Ok(Prepared {
        marketplace,
        target: AliasTarget { pair, reaches: Role::Buyer },
        tag: conversation.as_ref().map(|c| c.tag.clone()),
        order: order_row.map(|o| o.id),
        content: Arc::new(content),
        original: original(&written),
        references,
        written,
        messages_now: conversation.map_or(0, |c| c.message_count),
    })
}

/// What the seller wrote, as it is kept: the seller's copy in the seller's language.
fn original(written: &Written) -> Vec<u8> {
    let copy = &written.seller;
    json!({"reason": written.reason, "language": copy.language, "subject": copy.subject, "text": copy.text}).to_string().into_bytes()
}

/// Subject and id of the buyer's last message in a conversation, so that clients thread the answer.
async fn answered(ctx: &Context, conversation: ConversationId) -> Result<(Option<String>, Vec<mail::MessageId>), StoreError> {
    let messages = whole_conversation(ctx, conversation).await?;
    let last = messages.into_iter().rfind(|m| m.author == Author::Party(Role::Buyer) && m.outcome.passes());
    let Some(last) = last else { return Ok((None, Vec::new())) };
    let subject = match ctx.store.find_message(last.id, &[BodyKind::View]).await? {
        Some(sealed) => bodies::open(ctx, &sealed, BodyKind::View).await?.and_then(|v| {
            let view = String::from_utf8_lossy(&v).into_owned();
            view.lines().next().map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned)
        }),
        None => None,
    };
    Ok((subject, last.original_id.into_iter().collect()))
}

/// Under one key one request is carried out once; gives the message of an earlier one.
async fn guard_once(
    ctx: &Context,
    prepared: &Prepared<'_>,
    once: &Once,
    asked: &str,
    batch: &mut Batch,
) -> Result<Option<Id>, OperationError> {
    let pair = prepared.target.pair;
    let hash = once_hash(ctx, once, pair);
    let key = hash.iter().fold("once-key/".to_owned(), |text, b| format!("{text}{b:02x}"));
    let body = domain::ledger::hash(&[asked.as_bytes()]);
    // 62 bits of what was asked for, never zero: the counter's value.
    let fingerprint = i64::from_be_bytes(body[..8].try_into().expect("8 octets")).unsigned_abs() >> 2 | 1;
    let fingerprint = i64::try_from(fingerprint).expect("62 bits");
    match ctx.store.find_counter(pair, &key).await? {
        0 => batch.changes.counters.push(CounterAdd { pair, key, amount: fingerprint, below: Some(1) }),
        before if before != fingerprint => {
            let detail = "this key was used for another request; take a fresh one";
            return Err(InputError::new("Idempotency-Key", "idempotency_key_reused", detail).into());
        }
        _ => {
            let query = FactsQuery { own_id: Some(hash), ..FactsQuery::of_pair(pair) };
            return Ok(ctx.store.load_facts(query).await?.and_then(|facts| facts.same_id).map(|m| m.id));
        }
    }
    Ok(None)
}

fn once_hash(ctx: &Context, once: &Once, pair: PairId) -> [u8; 16] {
    ctx.short_mac(b"tradepost/once/v1", &[once.caller.as_bytes(), b"\0", pair.as_bytes(), once.key.as_bytes()].concat())
}

/// The decision that a message has, as it stands in the record.
///
/// # Errors
/// `StoreError`.
pub async fn find_decision(ctx: &Context, message: Id) -> Result<Option<String>, StoreError> {
    let Some(found) = ctx.store.find_message(message, &[]).await? else { return Ok(None) };
    let mut from = 1;
    loop {
        let page = ctx.store.list_ledger(found.message.pair, from, 500).await?;
        if let Some(entry) = page.iter().find(|e| e.message == Some(message) && e.kind == "message.decided") {
            return Ok(Some(entry.entry.clone()));
        }
        match page.last() {
            Some(last) if page.len() == 500 => from = last.number + 1,
            _ => return Ok(None),
        }
    }
}

/// Which of the reasons that can be used once were used for an order.
///
/// # Errors
/// `StoreError`.
pub async fn used_reasons(ctx: &Context, order: &Order) -> Result<Vec<String>, StoreError> {
    let Some(marketplace) = ctx.settings.by_id(&order.marketplace) else { return Ok(Vec::new()) };
    let mut used = Vec::new();
    for reason in marketplace.rules.reasons.iter().filter(|r| r.once_per_order) {
        if ctx.store.find_counter(order.pair, &once_key(&reason.id, order.id)).await? > 0 {
            used.push(reason.id.clone());
        }
    }
    Ok(used)
}
