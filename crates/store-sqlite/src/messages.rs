//! Messages, their keys and bodies, and the one read that a decision needs.

use domain::Conversation;
use domain::Timestamp;
use domain::delivery::Delivery;
use domain::figures::TurnMessage;
use domain::id::{ConversationId, MessageId, PairId, SellerId};
use domain::message::{Mark, Message};
use rusqlite::{Connection, params};
use store::rows::{self, corrupt};
use store::{Body, BodyKind, FactsQuery, PairFacts, SealedMessage};

use crate::error::Failure;
use crate::pairs::limit_number;
use crate::read::{all, one};
use crate::{conversations, deliveries, pairs, parties};

pub(crate) fn facts(connection: &Connection, query: &FactsQuery) -> Result<Option<PairFacts>, Failure> {
    let Some(pair) = pairs::pair(connection, query.pair)? else { return Ok(None) };
    let (Some(seller), Some(buyer)) = (parties::seller(connection, pair.seller)?, parties::buyer(connection, pair.buyer)?) else {
        return Err(corrupt("a pair without its parties").into());
    };
    let orders = parties::orders_of_pair(connection, pair.id)?;
    let by_tag = query.tag.as_ref().map(|tag| conversations::by_tag(connection, pair.id, tag)).transpose()?.flatten();
    let mut referenced = Vec::new();
    for hash in &query.references {
        if let Some(message) = by_known_id(connection, pair.id, hash)? {
            referenced.push(message);
        }
    }
    let newest = referenced.iter().rev().find_map(|m| m.conversation);
    let by_reference = newest.map(|id| conversations::find(connection, id)).transpose()?.flatten();
    let mut by_quotation = None;
    for tag in &query.quoted {
        by_quotation = conversations::by_tag(connection, pair.id, tag)?;
        if by_quotation.is_some() {
            break;
        }
    }
    let mut by_order: Vec<Conversation> = Vec::new();
    for order in &orders {
        by_order.extend(conversations::by_order(connection, pair.id, order.id)?);
    }
    let same_id = query.own_id.as_ref().map(|hash| by_known_id(connection, pair.id, hash)).transpose()?.flatten();
    let counters = |of: PairId, names: &[String]| names.iter().map(|name| pairs::counter(connection, of, name)).collect::<Result<_, _>>();
    let seller_counters = counters(PairId::of_seller(pair.seller), &query.seller_counters)?;
    let pair_counters = counters(pair.id, &query.pair_counters)?;
    Ok(Some(PairFacts {
        pair,
        seller,
        buyer,
        orders,
        by_tag,
        by_reference,
        by_quotation,
        by_order,
        referenced,
        same_id,
        seller_counters,
        pair_counters,
    }))
}

fn by_known_id(connection: &Connection, pair: PairId, hash: &[u8; 16]) -> Result<Option<Message>, Failure> {
    let sql = "SELECT message FROM known_id WHERE bucket = ?1 AND pair = ?2 AND hash = ?3";
    let id = one(connection, sql, params![pair.bucket().number(), pair.as_bytes(), hash], rows::message_id)?;
    id.map(|id| find(connection, id)).transpose().map(Option::flatten)
}

pub(crate) fn find(connection: &Connection, id: MessageId) -> Result<Option<Message>, Failure> {
    let sql = format!("SELECT {} FROM message WHERE bucket = ?1 AND id = ?2", rows::MESSAGE);
    one(connection, &sql, params![id.bucket().number(), id.as_bytes()], rows::message)
}

pub(crate) fn list(
    connection: &Connection,
    conversation: ConversationId,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Vec<(Message, Option<Delivery>)>, Failure> {
    let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    let sql = format!("SELECT {} FROM message WHERE bucket = ?1 AND conversation = ?2 AND id > ?3 ORDER BY id LIMIT ?4", rows::MESSAGE);
    let messages =
        all(connection, &sql, params![conversation.bucket().number(), conversation.as_bytes(), after, limit_number(limit)], rows::message)?;
    messages.into_iter().map(|m| deliveries::find(connection, m.id).map(|d| (m, d))).collect()
}

pub(crate) fn marks(connection: &Connection, message: MessageId) -> Result<Vec<Mark>, Failure> {
    let sql = format!("SELECT {} FROM mark WHERE bucket = ?1 AND message = ?2", rows::MARK);
    all(connection, &sql, params![message.bucket().number(), message.as_bytes()], rows::mark)
}

pub(crate) fn turns(
    connection: &Connection,
    seller: SellerId,
    since: Timestamp,
    after: Option<(Timestamp, MessageId)>,
    limit: usize,
) -> Result<Vec<TurnMessage>, Failure> {
    let (at, id) = after.map_or((since.0, Vec::new()), |(at, id)| (at.0, id.as_bytes().to_vec()));
    let sql = "SELECT m.id, m.conversation, m.author, m.accepted_at, m.automatic, d.state, n.kind IS NOT NULL, r.kind IS NOT NULL
        FROM message m LEFT JOIN delivery d ON d.bucket = m.bucket AND d.message = m.id
        LEFT JOIN mark n ON n.bucket = m.bucket AND n.message = m.id AND n.kind = 'no_response'
        LEFT JOIN mark r ON r.bucket = m.bucket AND r.message = m.id AND r.kind = 'reported'
        WHERE m.bucket = ?1 AND m.seller = ?2 AND (m.accepted_at, m.id) > (?3, ?4) AND m.conversation IS NOT NULL
          AND m.author IN ('buyer', 'seller') AND m.outcome IN ('relay', 'on_page') ORDER BY m.accepted_at, m.id LIMIT ?5";
    all(connection, sql, params![seller.bucket().number(), seller.as_bytes(), at, id, limit_number(limit)], rows::turn)
}

pub(crate) fn sealed(connection: &Connection, id: MessageId, kinds: &[BodyKind]) -> Result<Option<SealedMessage>, Failure> {
    let Some(message) = find(connection, id)? else { return Ok(None) };
    let sql = "SELECT sealed, month FROM message_key WHERE bucket = ?1 AND message = ?2";
    let key = one(connection, sql, params![id.bucket().number(), id.as_bytes()], |c| rows::sealed_key(c, id))?;
    let mut bodies = Vec::new();
    for kind in kinds {
        if let Some(key) = &key {
            bodies.extend(body(connection, id, *kind, key.month)?);
        }
    }
    Ok(Some(SealedMessage { message, delivery: deliveries::find(connection, id)?, key, bodies }))
}

fn body(connection: &Connection, id: MessageId, kind: BodyKind, month: i32) -> Result<Option<Body>, Failure> {
    let sql = format!("SELECT sealed, object FROM body_{month} WHERE bucket = ?1 AND message = ?2 AND kind = ?3");
    one(connection, &sql, params![id.bucket().number(), id.as_bytes(), kind.number()], |c| rows::body(c, id, kind, month))
}
