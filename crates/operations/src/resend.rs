//! A refused mail, sent another way from the link in its notice: by a seller with a critical reason, by both
//! without the files that do not pass (C6, C8).

use std::sync::Arc;

use domain::message::{Author, Message};
use domain::policy::{Channel, OrderFacts, Outcome, decide, offers};
use domain::{Conversation, MessageId as Id, OrderId, Role, Timestamp};
use mail::Mailbox;
use mail::mime::{Content, parse, read_content};
use store::{AliasTarget, BodyKind, CommitError, CounterAdd, StoreError};

use crate::bodies;
use crate::context::{Context, Marketplace, TRIES};
use crate::dry_run::DryRun;
use crate::error::{InputError, OperationError};
use crate::files;
use crate::record::{Arrival, Batch, commit, record};
use crate::send_message::SendError;
use crate::weigh::{Incoming, Sender, Weighed, weigh};

/// What can be done about a refused message.
#[derive(Debug, Clone)]
pub struct ResendOptions {
    /// When the message came.
    pub written_at: domain::Timestamp,
    /// Critical reasons that are offered for its order now.
    pub reasons: Vec<String>,
    /// Whether it had files that do not pass.
    pub has_refused_files: bool,
    /// Whether it would pass as it is, without files, and needs no reason.
    pub passes_plain: bool,
    /// Whether it was sent already.
    pub is_done: bool,
}

/// What can be done about a refused message.
///
/// # Errors
/// `Missing` where there is no such refused message.
pub async fn resend_options(ctx: &Context, id: Id) -> Result<ResendOptions, OperationError> {
    let kept = open(ctx, id).await?;
    let now = ctx.clock.now();
    let mut facts = weigh(ctx, &kept.incoming("other"), now, &[]).await?.facts;
    let has_refused_files = !facts.content.refused_files.is_empty();
    facts.content.refused_files.clear();
    Ok(ResendOptions {
        written_at: kept.message.accepted_at,
        reasons: kept.reasons(facts.order.as_ref(), now),
        has_refused_files,
        passes_plain: decide(&facts, &kept.marketplace.rules, now).outcome.passes(),
        is_done: ctx.store.find_counter(kept.message.pair, &done_key(id)).await? > 0,
    })
}

/// Sends it; a second time changes nothing. Files that do not pass stay behind.
///
/// # Errors
/// `Refused` by the rules; `Missing` where there is no such refused message; `Invalid` a reason that is not offered.
pub async fn resend(ctx: &Context, id: Id, reason: Option<&str>) -> Result<(), SendError> {
    for _ in 0..TRIES {
        let mut kept = open(ctx, id).await?;
        let pair = kept.message.pair;
        if ctx.store.find_counter(pair, &done_key(id)).await? > 0 {
            return Ok(());
        }
        let now = ctx.clock.now();
        let files = files::prepare(ctx, &kept.content, &kept.marketplace.rules, Channel::Web).await?;
        if !files.refused_places.is_empty() {
            kept.content = Arc::new(kept.content.without_files(&files.refused_places));
        }
        let incoming = kept.incoming(reason.unwrap_or("other"));
        let weighed: Weighed = weigh(ctx, &incoming, now, &[]).await?;
        if reason.is_some_and(|r| !kept.reasons(weighed.facts.order.as_ref(), now).iter().any(|offered| offered == r)) {
            return Err(
                OperationError::from(InputError::new("reason", "not_offered", "this reason is not offered for the order now")).into()
            );
        }
        if !weighed.decision.outcome.passes() {
            return Err(SendError::Refused(Box::new(DryRun::of(ctx, kept.marketplace, &weighed))));
        }
        let mut batch = Batch::default();
        batch.changes.counters.push(CounterAdd { pair, key: done_key(id), amount: 1, below: Some(1) });
        let arrival = Arrival { resent: Some(id), ..Arrival::default() };
        record(ctx, &incoming, weighed, arrival, now, &mut batch).await?;
        match commit(ctx, batch).await {
            Ok(_) => return Ok(()),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    Err(OperationError::Busy.into())
}

fn done_key(id: Id) -> String {
    format!("resent/{id}")
}

/// A refused message as it is kept.
struct Kept<'a> {
    message: Message,
    author: Role,
    marketplace: &'a Marketplace,
    conversation: Option<Conversation>,
    order: Option<OrderId>,
    content: Arc<Content>,
    display_name: String,
    from: Option<Mailbox>,
    original: Vec<u8>,
}

impl Kept<'_> {
    /// Critical reasons that a seller can give for the order now; a buyer needs none.
    fn reasons(&self, order: Option<&OrderFacts>, now: Timestamp) -> Vec<String> {
        if self.author == Role::Buyer {
            return Vec::new();
        }
        let offered = offers(&self.marketplace.rules, order, |_| false, now);
        offered.filter(|o| o.reason.critical && o.reason.free_text && o.unavailable.is_none()).map(|o| o.reason.id.clone()).collect()
    }

    fn incoming<'b>(&'b self, reason: &'b str) -> Incoming<'b> {
        Incoming {
            marketplace: self.marketplace,
            target: AliasTarget { pair: self.message.pair, reaches: self.author.other() },
            tag: self.conversation.as_ref().map(|c| c.tag.clone()),
            channel: Channel::Web,
            sender: Sender::Party(self.author),
            from: (&self.display_name, self.from.as_ref()),
            reason,
            order: self.order,
            content: Arc::clone(&self.content),
            original: &self.original,
            message_id: self.message.original_id.as_ref(),
            references: &[],
            other_recipients: 0,
            automatic: false,
            hops: 1,
        }
    }
}

async fn open(ctx: &Context, id: Id) -> Result<Kept<'_>, OperationError> {
    let missing = || OperationError::Missing { what: "message", detail: "there is no such refused message".to_owned() };
    let sealed = ctx.store.find_message(id, &[BodyKind::Original]).await?.ok_or_else(missing)?;
    let message = sealed.message.clone();
    let Author::Party(author) = message.author else { return Err(missing()) };
    if message.outcome != Outcome::Refuse {
        return Err(missing());
    }
    let pair = ctx.store.find_pair(message.pair).await?.ok_or_else(missing)?;
    let marketplace = ctx.settings.by_id(&pair.marketplace).ok_or_else(missing)?;
    let original = bodies::open(ctx, &sealed, BodyKind::Original).await?.ok_or_else(missing)?;
    let reading = original.clone();
    let read = tokio::task::spawn_blocking(move || read(&reading)).await;
    let (content, display_name, from) = read.map_err(|_| StoreError::Unavailable("reading a message was cut off".to_owned()))??;
    let conversation = match message.conversation {
        Some(id) => ctx.store.find_conversation(id).await?,
        None => None,
    };
    let order = message.order;
    Ok(Kept { message, author, marketplace, conversation, order, content: Arc::new(content), display_name, from, original })
}

/// What it says, and the display name and address with which it came.
fn read(original: &[u8]) -> Result<(Content, String, Option<Mailbox>), StoreError> {
    let message = parse(original).map_err(|_| StoreError::Corrupt("an original cannot be read back".to_owned()))?;
    let (display_name, from) = message.fields().originator().map(|o| (o.display_name, Some(o.mailbox))).unwrap_or_default();
    Ok((read_content(&message), display_name, from))
}
