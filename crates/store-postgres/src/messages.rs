//! Messages, their keys and bodies, and the one read that a decision needs.

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::figures::TurnMessage;
use domain::id::{ConversationId, MessageId, OrderId, PairId, SellerId};
use domain::message::{Mark, Message};
use store::rows::{self, corrupt};
use store::{Body, BodyKind, FactsQuery, PairFacts, SealedMessage};

use crate::connection::Session;
use crate::error::Failure;
use crate::pairs::limit_number;
use crate::read::{all, octets, one};
use crate::{conversations, deliveries, pairs, parties};

pub(crate) async fn facts(s: &Session, query: &FactsQuery) -> Result<Option<PairFacts>, Failure> {
    // Pipelined: all that depends on the pair's id alone goes out at once.
    let own_id: Vec<[u8; 16]> = query.own_id.into_iter().collect();
    let (pair, orders, by_tag, quoted, referenced, same_id, pair_counters) = tokio::try_join!(
        pairs::pair(s, query.pair),
        parties::orders_of_pair(s, query.pair),
        conversations::by_tags(s, query.pair, query.tag.as_slice()),
        conversations::by_tags(s, query.pair, &query.quoted),
        by_known_ids(s, query.pair, &query.references),
        by_known_ids(s, query.pair, &own_id),
        pairs::counters(s, query.pair, &query.pair_counters),
    )?;
    let Some(pair) = pair else { return Ok(None) };
    let order_ids: Vec<OrderId> = orders.iter().map(|o| o.id).collect();
    let newest = referenced.iter().rev().find_map(|m| m.conversation);
    let (seller, buyer, by_order, by_reference, seller_counters) = tokio::try_join!(
        parties::seller(s, pair.seller),
        parties::buyer(s, pair.buyer),
        conversations::by_orders(s, pair.id, &order_ids),
        async {
            match newest {
                Some(id) => conversations::find(s, id).await,
                None => Ok(None),
            }
        },
        pairs::counters(s, PairId::of_seller(pair.seller), &query.seller_counters),
    )?;
    let (Some(seller), Some(buyer)) = (seller, buyer) else {
        return Err(corrupt("a pair without its parties").into());
    };
    let by_quotation = query.quoted.iter().find_map(|tag| quoted.iter().find(|c| c.tag == *tag)).cloned();
    Ok(Some(PairFacts {
        pair,
        seller,
        buyer,
        orders,
        by_tag: by_tag.into_iter().next(),
        by_reference,
        by_quotation,
        by_order,
        referenced,
        same_id: same_id.into_iter().next(),
        seller_counters,
        pair_counters,
    }))
}

async fn by_known_ids(s: &Session, pair: PairId, hashes: &[[u8; 16]]) -> Result<Vec<Message>, Failure> {
    if hashes.is_empty() {
        return Ok(Vec::new());
    }
    let hashes: Vec<&[u8]> = hashes.iter().map(octets).collect();
    let columns = rows::MESSAGE.split(", ").map(|c| format!("m.{c}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {columns} FROM known_id k JOIN message m ON m.bucket = k.bucket AND m.id = k.message
         WHERE k.bucket = $1 AND k.pair = $2 AND k.hash = ANY($3) ORDER BY array_position($3, k.hash)"
    );
    all(s, &sql, &[&pair.bucket().number(), &octets(pair.as_bytes()), &hashes], rows::message).await
}

pub(crate) async fn find(s: &Session, id: MessageId) -> Result<Option<Message>, Failure> {
    let sql = format!("SELECT {} FROM message WHERE bucket = $1 AND id = $2", rows::MESSAGE);
    one(s, &sql, &[&id.bucket().number(), &octets(id.as_bytes())], rows::message).await
}

pub(crate) async fn list(
    s: &Session,
    conversation: ConversationId,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Vec<(Message, Option<Delivery>)>, Failure> {
    let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    let sql = format!("SELECT {} FROM message WHERE bucket = $1 AND conversation = $2 AND id > $3 ORDER BY id LIMIT $4", rows::MESSAGE);
    let messages =
        all(s, &sql, &[&conversation.bucket().number(), &octets(conversation.as_bytes()), &after, &limit_number(limit)], rows::message)
            .await?;
    let mut out = Vec::with_capacity(messages.len());
    for message in messages {
        let delivery = deliveries::find(s, message.id).await?;
        out.push((message, delivery));
    }
    Ok(out)
}

pub(crate) async fn marks(s: &Session, message: MessageId) -> Result<Vec<Mark>, Failure> {
    let sql = format!("SELECT {} FROM mark WHERE bucket = $1 AND message = $2", rows::MARK);
    all(s, &sql, &[&message.bucket().number(), &octets(message.as_bytes())], rows::mark).await
}

pub(crate) async fn turns(
    s: &Session,
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
        WHERE m.bucket = $1 AND m.seller = $2 AND (m.accepted_at, m.id) > ($3, $4) AND m.conversation IS NOT NULL
          AND m.author IN ('buyer', 'seller') AND m.outcome IN ('relay', 'on_page') ORDER BY m.accepted_at, m.id LIMIT $5";
    all(s, sql, &[&seller.bucket().number(), &octets(seller.as_bytes()), &at, &id, &limit_number(limit)], rows::turn).await
}

pub(crate) async fn sealed(s: &Session, id: MessageId, kinds: &[BodyKind]) -> Result<Option<SealedMessage>, Failure> {
    let Some(message) = find(s, id).await? else { return Ok(None) };
    let sql = "SELECT sealed, month FROM message_key WHERE bucket = $1 AND message = $2";
    let key = one(s, sql, &[&id.bucket().number(), &octets(id.as_bytes())], |c| rows::sealed_key(c, id)).await?;
    let mut bodies = Vec::new();
    for kind in kinds {
        if let Some(key) = &key {
            bodies.extend(body(s, id, *kind, key.month).await?);
        }
    }
    Ok(Some(SealedMessage { message, delivery: deliveries::find(s, id).await?, key, bodies }))
}

async fn body(s: &Session, id: MessageId, kind: BodyKind, month: i32) -> Result<Option<Body>, Failure> {
    let sql = format!("SELECT sealed, object FROM body_{month} WHERE bucket = $1 AND message = $2 AND kind = $3");
    one(s, &sql, &[&id.bucket().number(), &octets(id.as_bytes()), &kind.number()], |c| rows::body(c, id, kind, month)).await
}
