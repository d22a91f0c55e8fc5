//! A reader says something about a message: it needs no response (E3), or it is reported (F1).

use domain::message::{Author, Mark, MarkKind};
use domain::{MessageId, Role};
use store::{Changes, CommitError, CounterAdd, NewEntry, Settle, StoreError};

use crate::context::{Context, TRIES};
use crate::error::{InputError, OperationError};
use crate::read_record::whole_conversation;

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkInput {
    /// The seller need not answer it.
    NoResponse,
    /// It is reported, for a reason of the rules.
    Report {
        /// Id of the reason.
        reason: String,
    },
}

impl MarkInput {
    fn kind(&self) -> MarkKind {
        match self {
            Self::NoResponse => MarkKind::NoResponse,
            Self::Report { .. } => MarkKind::Reported,
        }
    }
}

/// Sets a mark on a message of the other side; setting it twice changes nothing. Gives the mark that stands.
///
/// # Errors
/// `Missing` an unknown message, or one that this party never got; `Invalid` an unknown reason.
pub async fn mark_message(ctx: &Context, id: MessageId, by: Role, input: MarkInput) -> Result<Mark, OperationError> {
    let missing = || OperationError::Missing { what: "message", detail: "there is no such message to this party".to_owned() };
    for _ in 0..TRIES {
        let message = ctx.store.find_message(id, &[]).await?.ok_or_else(missing)?.message;
        if message.author != Author::Party(by.other()) || !message.outcome.passes() {
            return Err(missing());
        }
        if let Some(standing) = ctx.store.list_marks(id).await?.into_iter().find(|m| m.kind == input.kind()) {
            return Ok(standing);
        }
        let reason = match &input {
            MarkInput::NoResponse if by == Role::Buyer => return Err(missing()),
            MarkInput::NoResponse => None,
            MarkInput::Report { reason } => Some(check_reason(ctx, &message, reason).await?),
        };
        let now = ctx.clock.now();
        let mark = Mark { message: id, kind: input.kind(), by, at: now, reason };
        let mut changes = Changes::default();
        set_mark(ctx, &mut changes, &message, mark.clone()).await?;
        match ctx.store.commit(changes).await {
            Ok(_) => return Ok(mark),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    Err(OperationError::Busy)
}

/// Adds a mark with all that follows from it to a commit. Two at once: the second conflicts, and finds the first's.
pub(crate) async fn set_mark(
    ctx: &Context,
    changes: &mut Changes,
    message: &domain::message::Message,
    mark: Mark,
) -> Result<(), StoreError> {
    let key = format!("mark/{}/{}", mark.kind.as_str(), message.id);
    changes.counters.push(CounterAdd { pair: message.pair, key, amount: 1, below: Some(1) });
    changes.settled.extend(settle(ctx, message, mark.by).await?);
    changes.entries.push(NewEntry::new(
        (message.pair, message.seller),
        Some(message.id),
        match mark.kind {
            MarkKind::NoResponse => "message.no_response",
            MarkKind::Reported => "message.reported",
        },
        mark.at,
        ctx.salt(),
        [("by", Some(mark.by.as_str().into())), ("reason", mark.reason.as_deref().map(Into::into))],
    ));
    changes.marks.push(mark);
    Ok(())
}

async fn check_reason(ctx: &Context, message: &domain::message::Message, reason: &str) -> Result<String, OperationError> {
    let pair = ctx.store.find_pair(message.pair).await?;
    let marketplace = pair.and_then(|p| ctx.settings.by_id(&p.marketplace));
    let known = marketplace.map(|m| m.rules.report_reasons.clone()).unwrap_or_default();
    if known.iter().any(|r| r == reason) {
        return Ok(reason.to_owned());
    }
    Err(InputError::new("reason", "unknown_reason", format!("a report needs a reason: one of {}", known.join(", "))).into())
}

/// If nothing else of the buyer is open in the conversation, it needs no response any more.
async fn settle(ctx: &Context, message: &domain::message::Message, by: Role) -> Result<Option<Settle>, StoreError> {
    let (Role::Seller, Some(conversation)) = (by, message.conversation) else { return Ok(None) };
    let Some(conversation) = ctx.store.find_conversation(conversation).await?.filter(|c| c.response_needed) else { return Ok(None) };
    let Some(buyer_wrote_at) = conversation.last_buyer_message_at else { return Ok(None) };
    if message.accepted_at == buyer_wrote_at && conversation.message_count == 1 {
        return Ok(Some(Settle { conversation: conversation.id, buyer_wrote_at }));
    }
    let messages = whole_conversation(ctx, conversation.id).await?;
    let passed = messages.iter().filter(|m| m.outcome.passes() && !m.automatic);
    let mut open = Vec::new();
    for m in passed {
        match m.author {
            Author::Party(Role::Seller) => open.clear(),
            Author::Party(Role::Buyer) => open.push(m.id),
            _ => {}
        }
    }
    for other in open.into_iter().filter(|other| *other != message.id) {
        if ctx.store.list_marks(other).await?.is_empty() {
            return Ok(None);
        }
    }
    Ok(Some(Settle { conversation: conversation.id, buyer_wrote_at }))
}
