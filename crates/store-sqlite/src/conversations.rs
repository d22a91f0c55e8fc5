//! Conversations.

use domain::id::{ConversationId, OrderId, PairId};
use domain::{Conversation, Tag, Timestamp};
use rusqlite::{Connection, params};
use store::{ConversationPage, rows};

use crate::error::Failure;
use crate::pairs::limit_number;
use crate::read::{all, one};

pub(crate) fn find(connection: &Connection, id: ConversationId) -> Result<Option<Conversation>, Failure> {
    let sql = format!("SELECT {} FROM conversation WHERE bucket = ?1 AND id = ?2", rows::CONVERSATION);
    one(connection, &sql, params![id.bucket().number(), id.as_bytes()], rows::conversation)
}

pub(crate) fn by_tag(connection: &Connection, pair: PairId, tag: &Tag) -> Result<Option<Conversation>, Failure> {
    let sql = format!("SELECT {} FROM conversation WHERE bucket = ?1 AND pair = ?2 AND tag = ?3", rows::CONVERSATION);
    one(connection, &sql, params![pair.bucket().number(), pair.as_bytes(), tag.as_str()], rows::conversation)
}

/// The newest conversation about an order.
pub(crate) fn by_order(connection: &Connection, pair: PairId, order: OrderId) -> Result<Option<Conversation>, Failure> {
    let sql = format!(
        "SELECT {} FROM conversation WHERE bucket = ?1 AND pair = ?2 AND order_id = ?3 ORDER BY last_message_at DESC LIMIT 1",
        rows::CONVERSATION
    );
    one(connection, &sql, params![pair.bucket().number(), pair.as_bytes(), order.as_bytes()], rows::conversation)
}

pub(crate) fn list(
    connection: &Connection,
    pair: PairId,
    from: Option<(Timestamp, ConversationId)>,
    limit: usize,
) -> Result<ConversationPage, Failure> {
    // Seventeen octets sort behind every id.
    let (at, id) = from.map_or((i64::MAX, vec![0xff; 17]), |(at, id)| (at.0, id.as_bytes().to_vec()));
    let sql = format!(
        "SELECT {} FROM conversation WHERE bucket = ?1 AND pair = ?2 AND (last_message_at, id) <= (?3, ?4) ORDER BY last_message_at DESC, id DESC LIMIT ?5",
        rows::CONVERSATION
    );
    let found =
        all(connection, &sql, params![pair.bucket().number(), pair.as_bytes(), at, id, limit_number(limit + 1)], rows::conversation)?;
    Ok(ConversationPage::cut(found, limit))
}
