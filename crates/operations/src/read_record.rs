//! Reading pairs, conversations, messages and the ledger.

use domain::delivery::Delivery;
use domain::message::Message;
use domain::{BuyerId, ConversationId, MessageId, Pair, PairId, SellerId, Timestamp};
use mail::quoting;
use store::{BodyKind, ConversationPage, LedgerEntry, StoreError};

use crate::bodies;
use crate::context::Context;
use crate::put_order::{PairAliases, aliases};

/// Octets of a text in which its author's part is looked for.
const MAX_READ: usize = 1 << 20;

/// A message with its delivery.
#[derive(Debug, Clone)]
pub struct MessageView {
    /// The message.
    pub message: Message,
    /// Its delivery.
    pub delivery: Option<Delivery>,
}

/// A message with what the other side got of it.
#[derive(Debug, Clone)]
pub struct OpenedMessage {
    /// Message and delivery.
    pub view: MessageView,
    /// Subject as passed on; none when it was not passed on or is erased.
    pub subject: Option<String>,
    /// Text as passed on.
    pub text: Option<String>,
    /// Of the text what its author wrote, without what was quoted.
    pub written: Option<String>,
}

/// A pair with what the shop and people call it.
#[derive(Debug, Clone)]
pub struct PairView {
    /// The pair.
    pub pair: Pair,
    /// Its aliases with their domain.
    pub aliases: PairAliases,
    /// The shop's id of the seller.
    pub seller: String,
    /// The shop's id of the buyer.
    pub buyer: String,
}

/// Pairs of a seller, a buyer, or both, by id, after `after`.
///
/// # Errors
/// `StoreError`.
pub async fn list_pairs(
    ctx: &Context,
    seller: Option<SellerId>,
    buyer: Option<BuyerId>,
    after: Option<PairId>,
    limit: usize,
) -> Result<Vec<PairView>, StoreError> {
    let pairs = match (seller, buyer) {
        (Some(seller), Some(buyer)) => {
            let only = ctx.store.find_pair(PairId::of(seller, buyer)).await?;
            only.into_iter().filter(|p| after.is_none_or(|after| p.id > after)).collect()
        }
        (Some(seller), None) => ctx.store.list_pairs_of_seller(seller, after, limit).await?,
        (None, Some(buyer)) => ctx.store.list_pairs_of_buyer(buyer, after, limit).await?,
        (None, None) => Vec::new(),
    };
    let mut views = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let seller = ctx.store.find_seller(pair.seller).await?.map(|s| s.shop_id).unwrap_or_default();
        let buyer = ctx.store.find_buyer(pair.buyer).await?.map(|b| b.shop_id).unwrap_or_default();
        views.push(PairView { aliases: aliases(ctx, &pair), pair, seller, buyer });
    }
    Ok(views)
}

/// Conversations of a pair, newest first.
///
/// # Errors
/// `StoreError`.
pub async fn list_conversations(
    ctx: &Context,
    pair: PairId,
    from: Option<(Timestamp, ConversationId)>,
    limit: usize,
) -> Result<ConversationPage, StoreError> {
    ctx.store.list_conversations(pair, from, limit).await
}

/// Messages of a conversation, oldest first.
///
/// # Errors
/// `StoreError`.
pub async fn list_messages(
    ctx: &Context,
    conversation: ConversationId,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Vec<MessageView>, StoreError> {
    let found = ctx.store.list_messages(conversation, after, limit).await?;
    Ok(found.into_iter().map(|(message, delivery)| MessageView { message, delivery }).collect())
}

/// Every message of a conversation, oldest first; of an endless one as many as anybody will ever read.
pub(crate) async fn whole_conversation(ctx: &Context, conversation: ConversationId) -> Result<Vec<Message>, StoreError> {
    const PAGE: usize = 500;
    const MOST: usize = 50_000;
    let mut all: Vec<Message> = Vec::new();
    while all.len() < MOST {
        let page = ctx.store.list_messages(conversation, all.last().map(|m| m.id), PAGE).await?;
        let is_last = page.len() < PAGE;
        all.extend(page.into_iter().map(|(message, _)| message));
        if is_last {
            break;
        }
    }
    Ok(all)
}

/// One message with its text as passed on.
///
/// # Errors
/// `StoreError`.
pub async fn open_message(ctx: &Context, id: MessageId) -> Result<Option<OpenedMessage>, StoreError> {
    let Some(sealed) = ctx.store.find_message(id, &[BodyKind::View]).await? else { return Ok(None) };
    let view = bodies::open(ctx, &sealed, BodyKind::View).await?.map(|v| String::from_utf8_lossy(&v).into_owned());
    let (subject, text) = match view.as_deref().map(|v| v.split_once("\n\n").unwrap_or((v, ""))) {
        Some((subject, text)) => (Some(subject.to_owned()), Some(text.to_owned())),
        None => (None, None),
    };
    let texts = &ctx.settings.texts;
    let introductions: Vec<String> = texts.languages().map(|l| texts.text(l, "mask_quotation", &[])).collect();
    // Of a very long text the beginning is read: what is quoted stands below.
    let begin = |text: &str| text[..(0..=MAX_READ.min(text.len())).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0)].to_owned();
    let written = text.as_deref().map(|text| quoting::written_behind(&begin(text), &introductions));
    Ok(Some(OpenedMessage { view: MessageView { message: sealed.message, delivery: sealed.delivery }, subject, text, written }))
}

/// Ledger entries of a pair from a number on.
///
/// # Errors
/// `StoreError`.
pub async fn list_ledger(ctx: &Context, pair: PairId, from: i64, limit: usize) -> Result<Vec<LedgerEntry>, StoreError> {
    ctx.store.list_ledger(pair, from, limit).await
}
