//! Conversations.

use domain::id::{ConversationId, OrderId, PairId};
use domain::{Conversation, Tag, Timestamp};
use store::{ConversationPage, rows};

use crate::connection::Session;
use crate::error::Failure;
use crate::pairs::limit_number;
use crate::read::{all, octets, one};

pub(crate) async fn find(s: &Session, id: ConversationId) -> Result<Option<Conversation>, Failure> {
    let sql = format!("SELECT {} FROM conversation WHERE bucket = $1 AND id = $2", rows::CONVERSATION);
    one(s, &sql, &[&id.bucket().number(), &octets(id.as_bytes())], rows::conversation).await
}

/// Conversations with one of the tags.
pub(crate) async fn by_tags(s: &Session, pair: PairId, tags: &[Tag]) -> Result<Vec<Conversation>, Failure> {
    let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    let sql = format!("SELECT {} FROM conversation WHERE bucket = $1 AND pair = $2 AND tag = ANY($3)", rows::CONVERSATION);
    all(s, &sql, &[&pair.bucket().number(), &octets(pair.as_bytes()), &tags], rows::conversation).await
}

/// The newest conversation about each order.
pub(crate) async fn by_orders(s: &Session, pair: PairId, orders: &[OrderId]) -> Result<Vec<Conversation>, Failure> {
    let orders: Vec<&[u8]> = orders.iter().map(|o| octets(o.as_bytes())).collect();
    let sql = format!(
        "SELECT DISTINCT ON (order_id) {} FROM conversation WHERE bucket = $1 AND pair = $2 AND order_id = ANY($3) ORDER BY order_id, last_message_at DESC",
        rows::CONVERSATION
    );
    all(s, &sql, &[&pair.bucket().number(), &octets(pair.as_bytes()), &orders], rows::conversation).await
}

pub(crate) async fn list(
    s: &Session,
    pair: PairId,
    from: Option<(Timestamp, ConversationId)>,
    limit: usize,
) -> Result<ConversationPage, Failure> {
    // Seventeen octets sort behind every id.
    let (at, id) = from.map_or((i64::MAX, vec![0xff; 17]), |(at, id)| (at.0, id.as_bytes().to_vec()));
    let sql = format!(
        "SELECT {} FROM conversation WHERE bucket = $1 AND pair = $2 AND (last_message_at, id) <= ($3, $4) ORDER BY last_message_at DESC, id DESC LIMIT $5",
        rows::CONVERSATION
    );
    let found =
        all(s, &sql, &[&pair.bucket().number(), &octets(pair.as_bytes()), &at, &id, &limit_number(limit + 1)], rows::conversation).await?;
    Ok(ConversationPage::cut(found, limit))
}
