//! Reading pairs, conversations, messages and the ledger.

use std::str::FromStr;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::message::Author;
use domain::{BuyerId, ConversationId, MessageId, PairId, SellerId, Timestamp};
use serde::Deserialize;
use store::LedgerEntry;
use utoipa::IntoParams;

use crate::ApiState;
use crate::native::Query;
use crate::native::parties::marketplace_id;
use crate::native::shapes::{ConversationShape, LedgerShape, MessageShape, Page, PairShape};
use crate::problem::Problem;
use crate::token::Caller;

/// Entries of a page, unless asked otherwise, and at most.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PairsQuery {
    /// The shop's id of the seller.
    seller: Option<String>,
    /// The shop's id of the buyer.
    buyer: Option<String>,
    /// Where the page begins: `next` of the page before.
    after: Option<String>,
    /// Entries of the page, at most 200.
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Where the page begins: `next` of the page before.
    after: Option<String>,
    /// Entries of the page, at most 200.
    limit: Option<usize>,
}

/// List pairs with their aliases
///
/// Of a seller, of a buyer, or the one pair of both.
#[utoipa::path(get, path = "/api/v1/marketplaces/{marketplace}/pairs", params(("marketplace" = String, Path, description = "Id of the marketplace"), PairsQuery),
    responses((status = 200, body = Page<PairShape>)))]
pub(crate) async fn list_pairs(
    State(state): State<ApiState>,
    caller: Caller,
    Path(marketplace): Path<String>,
    Query(query): Query<PairsQuery>,
) -> Result<axum::Json<Page<PairShape>>, Problem> {
    let marketplace = marketplace_id(&marketplace)?;
    let seller = query.seller.as_deref().map(|id| SellerId::of(&marketplace, id)).or(caller.seller());
    let buyer = query.buyer.as_deref().map(|id| BuyerId::of(&marketplace, id));
    if seller.is_none() && buyer.is_none() {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "filter_required", "give seller=, buyer= or both"));
    }
    if caller.seller().is_some_and(|own| seller != Some(own)) {
        return Err(Problem::missing("seller"));
    }
    if caller.seller().is_some() && buyer.is_some() {
        return Err(Problem::forbidden("a seller's token lists its own pairs; buyer= is for the operator"));
    }
    let after = query.after.as_deref().map(|id| parse_id::<PairId>(id, "after")).transpose()?;
    let limit = limit(query.limit)?;
    let pairs = operations::list_pairs(&state.ctx, seller, buyer, after, limit + 1).await?;
    let mut shapes: Vec<PairShape> = pairs.into_iter().map(PairShape::from).collect();
    if caller.seller().is_some() {
        shapes.iter_mut().for_each(|shape| shape.buyer = None);
    }
    Ok(axum::Json(Page::cut(shapes, limit, |p| p.id.clone())))
}

/// List the conversations of a pair
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/pairs/{pair}/conversations", params(("pair" = String, Path, description = "Id of the pair"), PageQuery),
    responses((status = 200, body = Page<ConversationShape>), (status = 404, body = Problem)))]
pub(crate) async fn list_conversations(
    State(state): State<ApiState>,
    caller: Caller,
    Path(pair): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<ConversationShape>>, Problem> {
    let pair = caller.visible(state.ctx.store.find_pair(parse_id(&pair, "pair")?).await?)?;
    let from = query.after.as_deref().map(read_cursor).transpose()?;
    let page = operations::list_conversations(&state.ctx, pair.id, from, limit(query.limit)?).await?;
    let next = page.next.map(|(at, id)| format!("{}-{id}", at.0));
    Ok(axum::Json(Page { items: page.conversations.iter().map(ConversationShape::from).collect(), next }))
}

/// Get a conversation
///
/// The ETag is for `If-Match` of a reply.
#[utoipa::path(get, path = "/api/v1/conversations/{conversation}", params(("conversation" = String, Path, description = "Id of the conversation")),
    responses((status = 200, body = ConversationShape), (status = 404, body = Problem)))]
pub(crate) async fn get_conversation(
    State(state): State<ApiState>,
    caller: Caller,
    Path(conversation): Path<String>,
) -> Result<Response, Problem> {
    let conversation = visible_conversation(&state, &caller, &conversation).await?;
    let tag = [(axum::http::header::ETAG, format!("\"m{}\"", conversation.message_count))];
    Ok((tag, axum::Json(ConversationShape::from(&conversation))).into_response())
}

/// List the messages of a conversation
///
/// Oldest first, without their text.
#[utoipa::path(get, path = "/api/v1/conversations/{conversation}/messages", params(("conversation" = String, Path, description = "Id of the conversation"), PageQuery),
    responses((status = 200, body = Page<MessageShape>), (status = 404, body = Problem)))]
pub(crate) async fn list_messages(
    State(state): State<ApiState>,
    caller: Caller,
    Path(conversation): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<MessageShape>>, Problem> {
    let conversation = visible_conversation(&state, &caller, &conversation).await?;
    let after = query.after.as_deref().map(|id| parse_id::<MessageId>(id, "after")).transpose()?;
    let limit = limit(query.limit)?;
    let messages = operations::list_messages(&state.ctx, conversation.id, after, limit + 1).await?;
    Ok(axum::Json(Page::cut(messages.into_iter().map(MessageShape::from).collect(), limit, |m| m.id.clone())))
}

/// Get a message with its text as passed on
#[utoipa::path(get, path = "/api/v1/messages/{message}", params(("message" = String, Path, description = "Id of the message")),
    responses((status = 200, body = MessageShape), (status = 404, body = Problem)))]
pub(crate) async fn get_message(
    State(state): State<ApiState>,
    caller: Caller,
    Path(message): Path<String>,
) -> Result<axum::Json<MessageShape>, Problem> {
    let found = operations::open_message(&state.ctx, parse_id(&message, "message")?).await?;
    let mut message = found.filter(|m| caller.may_see(m.view.message.seller)).ok_or_else(|| Problem::missing("message"))?;
    // A notice was written to one side; the other is not told what it says.
    if caller.seller().is_some() && matches!(message.view.message.author, Author::Tradepost | Author::Carrier) {
        (message.subject, message.text, message.written) = (None, None, None);
    }
    Ok(axum::Json(message.into()))
}

/// List the ledger of a pair
///
/// Oldest first; `after` is the number of the last entry that you have. Of entries that are the buyer's own matter a
/// seller sees the hashes alone: the chain can still be checked.
#[utoipa::path(get, path = "/api/v1/pairs/{pair}/ledger", params(("pair" = String, Path, description = "Id of the pair"), PageQuery),
    responses((status = 200, body = Page<LedgerShape>), (status = 404, body = Problem)))]
pub(crate) async fn list_ledger(
    State(state): State<ApiState>,
    caller: Caller,
    Path(pair): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<LedgerShape>>, Problem> {
    let pair = caller.visible(state.ctx.store.find_pair(parse_id(&pair, "pair")?).await?)?;
    let after: i64 = query.after.as_deref().map_or(Ok(0), |n| n.parse().map_err(|_| invalid_id("after")))?;
    let limit = limit(query.limit)?;
    let entries = operations::list_ledger(&state.ctx, pair.id, after.saturating_add(1), limit + 1).await?;
    let is_sellers = caller.seller().is_some();
    let shape = |e: &LedgerEntry| if is_sellers && is_buyers_own(e) { LedgerShape::hidden(e) } else { LedgerShape::from(e) };
    Ok(axum::Json(Page::cut(entries.iter().map(shape).collect(), limit, |e| e.number.to_string())))
}

/// What a seller is not told: that a buyer reported it (privacy W14), and what rules looked at in a buyer's message.
fn is_buyers_own(entry: &LedgerEntry) -> bool {
    let says = |what: &str| entry.entry.contains(what);
    match entry.kind.as_str() {
        "report.received" => says("\"report\":\"complaint\""),
        "message.reported" => says("\"by\":\"buyer\""),
        "message.decided" => says("\"author\":\"buyer\""),
        _ => false,
    }
}

pub(crate) async fn visible_conversation(state: &ApiState, caller: &Caller, id: &str) -> Result<domain::Conversation, Problem> {
    let id: ConversationId = parse_id(id, "conversation")?;
    let missing = || Problem::missing("conversation");
    let conversation = state.ctx.store.find_conversation(id).await?.ok_or_else(missing)?;
    let pair = state.ctx.store.find_pair(conversation.pair).await?;
    pair.filter(|p| caller.may_see(p.seller)).map(|_| conversation).ok_or_else(missing)
}

fn read_cursor(text: &str) -> Result<(Timestamp, ConversationId), Problem> {
    let (at, id) = text.split_once('-').ok_or_else(|| invalid_id("after"))?;
    let at = at.parse().map_err(|_| invalid_id("after"))?;
    Ok((Timestamp(at), parse_id(id, "after")?))
}

pub(crate) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        n if (1..=MAX_LIMIT).contains(&n) => Ok(n),
        _ => Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_limit", format!("limit is between 1 and {MAX_LIMIT}"))),
    }
}

/// An id of a path or query; what cannot be one does not exist.
pub(crate) fn parse_id<T: FromStr>(text: &str, what: &'static str) -> Result<T, Problem> {
    text.parse().map_err(|_| if what == "after" { invalid_id(what) } else { Problem::missing(what) })
}

pub(crate) fn invalid_id(what: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_query", format!("{what} is none that a page before gave"))
}
